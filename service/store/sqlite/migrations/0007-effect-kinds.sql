-- What the hash of an effect covers besides its payload, such as the digest of a script: canonical JSON.
ALTER TABLE effects ADD COLUMN bound TEXT;
-- Commands are taken by their target, all other kinds by their kind.
CREATE INDEX effects_ready_kind ON effects (kind, seq) WHERE state = 'approved' AND kind <> 'command';
