-- A checksum over what an event says: SQLite notices a damaged page only where its structure no longer makes sense.
-- NULL for events from before, which can't be checked.
ALTER TABLE events ADD COLUMN sum INTEGER;
