-- Time triggers that are on, and when each is due next.
CREATE TABLE schedules (
    id       INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL,
    program  INTEGER NOT NULL,
    function TEXT NOT NULL,
    timer    TEXT NOT NULL,
    next_at  INTEGER NOT NULL,
    UNIQUE (account, program, function, timer)
) STRICT;

-- The runs of each time: one at most.
CREATE TABLE fires (
    schedule INTEGER NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    due      INTEGER NOT NULL,
    run      INTEGER NOT NULL UNIQUE REFERENCES runs (number) ON DELETE CASCADE,
    PRIMARY KEY (schedule, due)
) STRICT, WITHOUT ROWID;
