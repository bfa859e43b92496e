-- Schedules, their history, and who has seen what. Times are milliseconds since the epoch.

CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  title TEXT,
  kind TEXT NOT NULL,
  at_ms INTEGER,
  every_ms INTEGER,
  -- Steps are counted from here, so that neither a restart nor a late firing shifts them.
  anchor_ms INTEGER NOT NULL,
  cron TEXT,
  time_zone TEXT NOT NULL,
  pattern TEXT,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  topic TEXT,
  body TEXT,
  payload TEXT NOT NULL,
  scope TEXT,
  missed TEXT NOT NULL,
  state TEXT NOT NULL,
  paused_reason TEXT,
  next_ms INTEGER,
  hold_ms INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  fired INTEGER NOT NULL DEFAULT 0,
  skipped INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  last_due_ms INTEGER,
  last_fired_ms INTEGER,
  last_error TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  -- Raised with every change: a change names the one that it was decided on.
  revision INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- One row a due time, or a row of skipped ones; the newest 200 of each schedule are kept.
CREATE TABLE firings (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
  due_ms INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  count INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  cause TEXT NOT NULL,
  event_id TEXT,
  recorded_ms INTEGER NOT NULL,
  reason TEXT
);
CREATE INDEX firings_schedule ON firings (schedule_id, seq);
CREATE INDEX firings_event ON firings (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX firings_skipped ON firings (recorded_ms) WHERE outcome = 'skipped';

-- Up to when somebody has seen what happened.
CREATE TABLE marks (
  name TEXT PRIMARY KEY,
  seen_ms INTEGER NOT NULL
) WITHOUT ROWID;
