-- The core: event log, queue, agents, effects, runs. Times are milliseconds since the epoch.
-- `seq` is given out by the writer and never used twice (see meta.seq_floor), so cursors stay true after a clean-up.

-- "SIGB": tells our files from those of other programs.
PRAGMA application_id = 1397311298;

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  type TEXT NOT NULL,
  source TEXT NOT NULL,
  subject TEXT NOT NULL,
  topic TEXT,
  time_ms INTEGER NOT NULL,
  recorded_ms INTEGER NOT NULL,
  body TEXT,
  payload TEXT NOT NULL,
  meta TEXT NOT NULL,
  conversation_key TEXT,
  user_key TEXT,
  correlation_id TEXT,
  parent_id TEXT,
  external_id TEXT,
  scope TEXT,
  origin_kind TEXT NOT NULL,
  depth INTEGER NOT NULL,
  parked INTEGER NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_external ON events (source, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX events_type ON events (type, seq);
CREATE INDEX events_source ON events (source, seq);
CREATE INDEX events_topic ON events (topic, seq) WHERE topic IS NOT NULL;
CREATE INDEX events_correlation ON events (correlation_id, seq) WHERE correlation_id IS NOT NULL;
CREATE INDEX events_conversation ON events (conversation_key, seq) WHERE conversation_key IS NOT NULL;
CREATE INDEX events_parent ON events (parent_id, seq) WHERE parent_id IS NOT NULL;
CREATE INDEX events_scope ON events (scope, seq) WHERE scope IS NOT NULL;

-- The original message: sensitive, apart, and gone first.
CREATE TABLE raws (
  seq INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
  raw TEXT NOT NULL,
  recorded_ms INTEGER NOT NULL
);

-- What an event speaks of: mentions and tool calls.
CREATE TABLE refs (
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  PRIMARY KEY (kind, value, seq)
) WITHOUT ROWID;
CREATE INDEX refs_seq ON refs (seq);

-- Full text, filled behind the commit from meta.indexed_seq on. It keeps no copy of the text.
CREATE VIRTUAL TABLE events_text USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61');

CREATE TABLE topics (
  name TEXT PRIMARY KEY,
  prompt TEXT,
  lease_ms INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  retention_ms INTEGER,
  pending_ttl_ms INTEGER,
  paused INTEGER NOT NULL DEFAULT 0,
  allow TEXT NOT NULL DEFAULT '[]',
  created_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- One row an event and consumer group. `delayed` is a pending one that waits for not_before_ms, so that what is
-- claimable is one range of deliveries_status.
CREATE TABLE deliveries (
  seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
  grp TEXT NOT NULL,
  topic TEXT NOT NULL,
  status TEXT NOT NULL,
  not_before_ms INTEGER,
  claimed_by TEXT,
  lease TEXT,
  lease_until_ms INTEGER,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  finished_ms INTEGER,
  PRIMARY KEY (seq, grp)
) WITHOUT ROWID;
CREATE INDEX deliveries_status ON deliveries (status, topic, seq);
CREATE INDEX deliveries_delayed ON deliveries (not_before_ms) WHERE status = 'delayed';
CREATE INDEX deliveries_leased ON deliveries (lease_until_ms) WHERE status = 'processing';
CREATE INDEX deliveries_holder ON deliveries (claimed_by, seq) WHERE claimed_by IS NOT NULL;

-- Deliveries by topic and status, and all events under ('', 'events'): kept, since counting rows is slow.
CREATE TABLE counts (
  topic TEXT NOT NULL,
  status TEXT NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (topic, status)
) WITHOUT ROWID;

-- How far a durable consumer has acknowledged.
CREATE TABLE consumers (
  name TEXT PRIMARY KEY,
  cursor INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE agents (
  name TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  version TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  commands TEXT NOT NULL,
  registered_ms INTEGER,
  last_beat_ms INTEGER,
  last_event_ms INTEGER,
  events_processed INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  online INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- `seq` is the order in which effects were asked for, which is the order in which a target gets them: ids of one
-- millisecond say nothing of it.
CREATE TABLE effects (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  action TEXT NOT NULL,
  payload TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  summary TEXT NOT NULL,
  idempotency_key TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  event_id TEXT,
  run_id TEXT,
  workflow TEXT,
  version TEXT,
  line TEXT,
  source TEXT NOT NULL,
  depth INTEGER NOT NULL,
  policy_decision TEXT NOT NULL,
  policy_rule TEXT NOT NULL,
  correlation_id TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  claimed_by TEXT,
  lease TEXT,
  lease_until_ms INTEGER,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  not_before_ms INTEGER,
  expires_ms INTEGER,
  result TEXT,
  error TEXT,
  result_event_id TEXT
);
CREATE INDEX effects_ready ON effects (target, seq) WHERE state = 'approved';
CREATE INDEX effects_running ON effects (lease_until_ms) WHERE state = 'running';
CREATE INDEX effects_expiring ON effects (expires_ms) WHERE state IN ('approved', 'waiting') AND expires_ms IS NOT NULL;
CREATE INDEX effects_delayed ON effects (not_before_ms) WHERE state = 'approved' AND not_before_ms IS NOT NULL;
CREATE INDEX effects_state ON effects (state, id);
CREATE INDEX effects_target ON effects (target, id);
CREATE INDEX effects_workflow ON effects (workflow, id) WHERE workflow IS NOT NULL;
CREATE INDEX effects_event ON effects (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX effects_run ON effects (run_id) WHERE run_id IS NOT NULL;

-- One handler's work on one event, or on one due time of a schedule.
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  -- workflow, handler and event or due time: the same work is never recorded as two runs.
  cause_key TEXT NOT NULL UNIQUE,
  workflow TEXT NOT NULL,
  handler INTEGER NOT NULL,
  seq INTEGER,
  event_id TEXT,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  version TEXT,
  line TEXT,
  started_ms INTEGER,
  finished_ms INTEGER,
  now_ms INTEGER,
  wake_ms INTEGER,
  waiting_for TEXT,
  waiting_effect TEXT,
  journal TEXT,
  output TEXT,
  error TEXT,
  logs TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_event ON runs (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX runs_workflow ON runs (workflow, run_id);
CREATE INDEX runs_status ON runs (status, run_id);
CREATE INDEX runs_finished ON runs (finished_ms) WHERE finished_ms IS NOT NULL;

CREATE TABLE workflow_state (
  workflow TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (workflow, key)
) WITHOUT ROWID;

-- Whether a person, or three strikes, switched a workflow off; and its counters.
CREATE TABLE workflows (
  name TEXT PRIMARY KEY,
  disabled INTEGER NOT NULL DEFAULT 0,
  parked_reason TEXT,
  strikes INTEGER NOT NULL DEFAULT 0,
  events INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  last_run_ms INTEGER
) WITHOUT ROWID;

CREATE TABLE connector_cursors (
  connector TEXT PRIMARY KEY,
  cursor TEXT NOT NULL
) WITHOUT ROWID;
