-- Pages of history: of one program, and of what did not succeed, which is little. What is asked for beside the order is in the index, so
-- that only rows that are shown are read.
CREATE INDEX runs_of_program ON runs (program, id);
CREATE INDEX runs_not_succeeded ON runs (id, program, outcome, reason) WHERE outcome <> 'succeeded';
