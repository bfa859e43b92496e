-- Events are found by one inverted index of words and keys (words.ts), filled behind the commits. It is kept in
-- tables of its own for each stretch of the log, made when the first event of the stretch is indexed, so one look
-- never takes long, and an old stretch goes as a whole. Everything is indexed anew after this step.
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

-- What an event speaks of, beside the event: found by the index as well.
CREATE TABLE refs_of_events (
  seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, kind, value)
) WITHOUT ROWID;
INSERT INTO refs_of_events (seq, kind, value) SELECT seq, kind, value FROM refs;
DROP TABLE refs;
ALTER TABLE refs_of_events RENAME TO refs;

-- The subjects of indexed events, and how many have each: a pattern is looked up here first.
CREATE TABLE subjects (
  subject TEXT PRIMARY KEY,
  n INTEGER NOT NULL
) WITHOUT ROWID;
