-- The number of a run follows from its id: so ids are found without an index of their own, of which each commit wrote two or three
-- pages. `number_of` is the function that gives it.
CREATE TABLE numbered_runs (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    account    INTEGER NOT NULL,
    program    INTEGER NOT NULL,
    version    INTEGER NOT NULL REFERENCES versions (id),
    function   TEXT NOT NULL,
    trigger    TEXT NOT NULL,
    inputs     TEXT NOT NULL,
    seed       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Not IN: for more than a few values SQLite makes a table of them on every insert.
    outcome    TEXT CHECK (outcome = 'succeeded' OR outcome = 'failed' OR outcome = 'cancelled'),
    started_at INTEGER,
    ended_at   INTEGER,
    reason     TEXT CHECK (reason IS NULL OR outcome <> 'succeeded'),
    answer     TEXT,
    log_lines  INTEGER NOT NULL DEFAULT 0,
    log        TEXT NOT NULL DEFAULT '',
    isolation  TEXT,
    steps      INTEGER,
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK ((outcome IS NULL) = (answer IS NULL))
) STRICT;

INSERT INTO numbered_runs (number, id, account, program, version, function, trigger, inputs, seed, created_at, outcome, started_at,
                           ended_at, reason, answer, log_lines, log, isolation, steps)
SELECT number_of(id), id, account, program, version, function, trigger, inputs, seed, created_at, outcome, started_at, ended_at,
       reason, answer, log_lines, log, isolation, steps
  FROM runs ORDER BY id;

UPDATE queue       SET run = (SELECT number_of(id) FROM runs WHERE number = queue.run);
UPDATE journal     SET run = (SELECT number_of(id) FROM runs WHERE runs.number = journal.run);
UPDATE log_pieces  SET run = (SELECT number_of(id) FROM runs WHERE runs.number = log_pieces.run);
UPDATE idempotency SET run = (SELECT number_of(id) FROM runs WHERE number = idempotency.run);
UPDATE fires       SET run = (SELECT number_of(id) FROM runs WHERE number = fires.run);
UPDATE callbacks   SET run = (SELECT number_of(id) FROM runs WHERE number = callbacks.run);
UPDATE large       SET run = (SELECT number_of(id) FROM runs WHERE number = large.run);

DROP TABLE runs_by_program;
DROP TABLE runs;
ALTER TABLE numbered_runs RENAME TO runs;

CREATE INDEX runs_not_succeeded ON runs (number, program, outcome, reason) WHERE outcome <> 'succeeded';
CREATE INDEX runs_not_succeeded_of_program ON runs (program, number, outcome, reason) WHERE outcome <> 'succeeded';

-- An outcome is never changed.
CREATE TRIGGER one_outcome BEFORE UPDATE ON runs WHEN old.outcome IS NOT NULL
BEGIN
    SELECT raise(ABORT, 'the run has ended already');
END;

-- The runs of each program, for pages of them. An index would have a page of its own written with each commit. This is written for
-- some hundred runs at once; runs whose numbers are greater than `up_to` need not be in it.
CREATE TABLE runs_by_program (
    program INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    PRIMARY KEY (program, run)
) STRICT, WITHOUT ROWID;

INSERT INTO runs_by_program (program, run) SELECT program, number FROM runs ORDER BY program, number;

CREATE TABLE listed (up_to INTEGER NOT NULL) STRICT;

INSERT INTO listed (up_to) SELECT coalesce(max(number), 0) FROM runs;

CREATE TRIGGER forgotten AFTER DELETE ON runs
BEGIN
    DELETE FROM runs_by_program WHERE program = old.program AND run = old.number;
END;
