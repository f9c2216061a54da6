-- The runs of each program, for pages of them. An index would have a page of its own written with each commit. This is written for a
-- block of 256 runs at once, when the last of them comes: those whose numbers go up to a multiple of 256. Runs after the last
-- full block are not in it yet.
CREATE TABLE runs_by_program (
    program INTEGER NOT NULL,
    id      BLOB NOT NULL,
    run     INTEGER NOT NULL,
    PRIMARY KEY (program, id)
) STRICT, WITHOUT ROWID;

INSERT INTO runs_by_program (program, id, run)
SELECT program, id, number FROM runs WHERE number <= (SELECT max(number) FROM runs) / 256 * 256 ORDER BY program, id;

DROP INDEX runs_of_program;

CREATE TRIGGER forgotten AFTER DELETE ON runs
BEGIN
    DELETE FROM runs_by_program WHERE program = old.program AND id = old.id;
END;
