-- Events are found by an index in a file of its own (index-file.ts), filled behind the commits from the first event
-- on: what lies here for that goes. The file names the log it is of.
DROP INDEX events_type;
DROP INDEX events_source;
DROP INDEX events_topic;
DROP INDEX events_correlation;
DROP INDEX events_conversation;
DROP INDEX events_parent;
DROP INDEX events_scope;
DROP INDEX events_subject;
DROP TABLE events_text;
DELETE FROM meta WHERE key = 'indexed_seq';
INSERT INTO meta (key, value) VALUES ('log_id', lower(hex(randomblob(16))));

-- What an event speaks of, beside the event.
CREATE TABLE refs_of_events (
  seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, kind, value)
) WITHOUT ROWID;
INSERT INTO refs_of_events (seq, kind, value) SELECT seq, kind, value FROM refs;
DROP TABLE refs;
ALTER TABLE refs_of_events RENAME TO refs;
