-- What the runs of a program keep for those after them.
CREATE TABLE storage (
    id      INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    program INTEGER NOT NULL,
    shelf   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    value   TEXT    NOT NULL,
    bytes   INTEGER NOT NULL,
    UNIQUE (account, program, shelf, key)
) STRICT;

CREATE INDEX storage_sizes ON storage (account, program, bytes);
