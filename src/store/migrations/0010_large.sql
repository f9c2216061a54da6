-- Texts of runs that are too large for the rows that they belong to, compressed (LZ4 blocks after their sizes). What
-- stands in their places is one byte, 1.
CREATE TABLE large (
    run   INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
    part  TEXT    NOT NULL,
    bytes BLOB    NOT NULL,
    PRIMARY KEY (run, part)
) STRICT;
