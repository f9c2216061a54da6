CREATE TABLE versions (
    id          INTEGER PRIMARY KEY,
    account     INTEGER NOT NULL,
    program     INTEGER NOT NULL CHECK (program > 0),
    number      INTEGER NOT NULL CHECK (number > 0),
    name        TEXT NOT NULL,
    text        TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    accepted_at INTEGER NOT NULL,
    UNIQUE (account, program, number),
    UNIQUE (account, program, hash)
) STRICT;

-- One row a run. A short run is inserted once, with its outcome; no index but the key's is touched then. Rows stand in
-- the order they come, so that a new one is appended: as their own key they would be sorted in, page by page.
CREATE TABLE runs (
    id         BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    account    INTEGER NOT NULL,
    program    INTEGER NOT NULL,
    version    INTEGER NOT NULL REFERENCES versions (id),
    function   TEXT NOT NULL,
    trigger    TEXT NOT NULL,
    inputs     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Not IN: for more than a few values SQLite makes a table of them on every insert.
    state      TEXT NOT NULL CHECK (state = 'queued' OR state = 'running' OR state = 'succeeded' OR state = 'failed'
                                    OR state = 'cancelled'),
    started_at INTEGER,
    ended_at   INTEGER,
    reason     TEXT,
    answer     TEXT,
    log_lines  INTEGER NOT NULL DEFAULT 0,
    log        TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'queued') = (started_at IS NULL)),
    CHECK ((state IN ('queued', 'running')) = (ended_at IS NULL)),
    CHECK ((ended_at IS NULL) = (answer IS NULL)),
    CHECK (reason IS NULL OR state IN ('failed', 'cancelled'))
) STRICT;

CREATE INDEX unfinished ON runs (state, id) WHERE ended_at IS NULL;

-- The log of a run that takes a while, but for its last piece, which stands with the run.
CREATE TABLE log_pieces (
    run    BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    lines  TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    account INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
