-- Servers that hold runs. A row is there from the start of a server until no run refers to it.
CREATE TABLE nodes (
    id         BLOB PRIMARY KEY CHECK (length(id) = 16),
    version    TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a run: what it was called with and, once it has ended, how. A short run is inserted once, with its outcome; no
-- index but the key's is touched then. Rows stand in the order they come, so that a new one is appended: as their own key
-- they would be sorted in, page by page. What changes while a run is unfinished stands in `queue`.
CREATE TABLE new_runs (
    number     INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
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
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK ((outcome IS NULL) = (answer IS NULL))
) STRICT;

INSERT INTO new_runs (number, id, account, program, version, function, trigger, inputs, seed, created_at, outcome, started_at,
                      ended_at, reason, answer, log_lines, log, isolation)
SELECT rowid, id, account, program, version, function, trigger, inputs, 0, created_at, nullif(nullif(state, 'queued'), 'running'),
       started_at, ended_at, reason, answer, log_lines, log, isolation
  FROM runs;

-- Unfinished runs: who holds them, and how far they are. Each change names the owner and the fence that the row must have,
-- and the fence only grows, so a server that has lost a run cannot change it.
CREATE TABLE queue (
    run        INTEGER PRIMARY KEY REFERENCES new_runs (number) ON DELETE CASCADE,
    state      TEXT NOT NULL CHECK (state = 'queued' OR state = 'running' OR state = 'waiting'),
    -- When it is to be taken.
    due        INTEGER NOT NULL,
    owner      BLOB REFERENCES nodes (id),
    fence      INTEGER NOT NULL,
    -- How many servers have died with it since it last came further, and the last record of its journal at that time.
    deaths     INTEGER NOT NULL DEFAULT 0,
    progress   INTEGER NOT NULL DEFAULT 0,
    cancelled  INTEGER NOT NULL DEFAULT 0,
    -- Whether another server goes on with it.
    resumes    INTEGER NOT NULL,
    started_at INTEGER,
    log_lines  INTEGER NOT NULL DEFAULT 0,
    -- How many lines of its log came after the last record of its journal, and come again when it is gone through again.
    loose      INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'running') = (owner IS NOT NULL))
) STRICT;

CREATE INDEX due ON queue (due, run) WHERE owner IS NULL;

-- Whoever was at work under an older release is gone.
INSERT INTO nodes (id, version, started_at) SELECT zeroblob(16), '', 0 WHERE EXISTS (SELECT 1 FROM runs WHERE state = 'running');

INSERT INTO queue (run, state, due, owner, fence, resumes, started_at, log_lines)
SELECT rowid, state, created_at, CASE state WHEN 'running' THEN zeroblob(16) END, state = 'running', state = 'queued',
       started_at, log_lines
  FROM runs WHERE ended_at IS NULL;

-- What a run did outside of itself, in the order it did it. Going through the run again gives what is recorded here instead
-- of doing it.
CREATE TABLE journal (
    run        INTEGER NOT NULL REFERENCES new_runs (number) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    step       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status = 'begun' OR status = 'done' OR status = 'failed'),
    input      BLOB,
    output     TEXT NOT NULL,
    -- The times that the run was told since the record before.
    times      TEXT NOT NULL,
    -- How long the run has taken, in microseconds.
    clock      INTEGER NOT NULL,
    fence      INTEGER NOT NULL,
    began_at   INTEGER NOT NULL,
    ended_at   INTEGER,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- The log of a run that takes a while, but for its last piece, which stands with the run.
CREATE TABLE new_log_pieces (
    run    INTEGER NOT NULL REFERENCES new_runs (number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    lines  TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

INSERT INTO new_log_pieces (run, number, lines)
SELECT runs.rowid, log_pieces.number, log_pieces.lines FROM log_pieces JOIN runs ON runs.id = log_pieces.run;

-- What callers named their calls, so that a call that is repeated has one run.
CREATE TABLE idempotency (
    account INTEGER NOT NULL,
    program INTEGER NOT NULL,
    key     TEXT NOT NULL,
    hash    BLOB NOT NULL CHECK (length(hash) = 32),
    run     INTEGER NOT NULL REFERENCES new_runs (number) ON DELETE CASCADE,
    PRIMARY KEY (account, program, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_run ON idempotency (run);

DROP TABLE log_pieces;
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;
ALTER TABLE new_log_pieces RENAME TO log_pieces;

-- An outcome is never changed.
CREATE TRIGGER one_outcome BEFORE UPDATE ON runs WHEN old.outcome IS NOT NULL
BEGIN
    SELECT raise(ABORT, 'the run has ended already');
END;
