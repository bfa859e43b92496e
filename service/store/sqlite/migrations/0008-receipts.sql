-- How far a claimed event came with its agent: one row a claim and kind. Times are milliseconds since the epoch.
CREATE TABLE receipts (
  seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  lease TEXT NOT NULL,
  kind TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  agent TEXT NOT NULL,
  session TEXT,
  detail TEXT,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (seq, lease, kind)
) WITHOUT ROWID;
