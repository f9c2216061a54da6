-- How far the code of the run was kept apart; nothing where it ran none.
ALTER TABLE runs ADD COLUMN isolation TEXT;
