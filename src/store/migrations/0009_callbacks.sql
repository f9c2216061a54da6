-- Who is told how a run ended.
CREATE TABLE callbacks (
    run    INTEGER PRIMARY KEY REFERENCES runs (number) ON DELETE CASCADE,
    url    TEXT    NOT NULL,
    -- When it is tried next: not as long as the run has not ended, and not any more once it was told or given up.
    due    INTEGER,
    tries  INTEGER NOT NULL DEFAULT 0,
    told   INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    -- What the last try came to.
    answer TEXT
) STRICT;

CREATE INDEX callbacks_due ON callbacks (due) WHERE due IS NOT NULL;
