-- What limits how many runs are at work at once: those of one key share so many places.
ALTER TABLE queue ADD COLUMN limit_key TEXT;
ALTER TABLE queue ADD COLUMN limit_max INTEGER;

CREATE INDEX limited ON queue (limit_key, state) WHERE limit_key IS NOT NULL;
