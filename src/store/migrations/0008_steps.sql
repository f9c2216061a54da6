-- How many steps a run has taken, those in loops counted each time.
ALTER TABLE runs ADD COLUMN steps INTEGER;
