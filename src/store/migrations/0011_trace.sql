-- The trace that an unfinished run belongs to, as the headers of W3C Trace Context have it.
ALTER TABLE queue ADD COLUMN trace TEXT;
