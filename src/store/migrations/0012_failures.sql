-- The page of what did not succeed of one program, without a look at what did not succeed of the others.
CREATE INDEX runs_not_succeeded_of_program ON runs (program, id, outcome, reason) WHERE outcome <> 'succeeded';
