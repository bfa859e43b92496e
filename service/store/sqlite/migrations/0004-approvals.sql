-- What was decided about effects, and how they ended. The hash of each row covers the row before it
-- (audit-chain.ts), and meta.audit_head has the last one, so that a row that was changed or taken out is found.
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  effect_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  actor TEXT,
  detail TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX audit_effect ON audit (effect_id, seq);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit trail is append-only');
END;

-- What a person types to approve.
CREATE TABLE approval_codes (
  code TEXT PRIMARY KEY,
  effect_id TEXT NOT NULL REFERENCES effects (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX approval_codes_effect ON approval_codes (effect_id);

CREATE INDEX effects_like ON effects (kind, target, seq);
