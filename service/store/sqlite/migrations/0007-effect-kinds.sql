-- What the hash of an effect covers besides its payload, such as the digest of a script: canonical JSON.
ALTER TABLE effects ADD COLUMN bound TEXT;
-- What whoever asks says of it; never taken for what it is.
ALTER TABLE effects ADD COLUMN note TEXT;
-- Commands are taken by their target, all other kinds by their kind.
CREATE INDEX effects_ready_kind ON effects (kind, seq) WHERE state = 'approved' AND kind <> 'command';
