import type { Effect } from "../contract/effects.ts";
import type { EffectRow } from "../store/store.ts";
import type { Kinds } from "./kinds/registry.ts";

/** The public part: without leases and keys, and with what its kind masks. */
export function showEffect(row: EffectRow, kinds: Kinds): Effect {
  const { idempotency_key: _key, lease: _lease, lease_until_ms: _until, depth: _depth, ...effect } = row;
  const kind = kinds.find(row.kind);
  return kind ? { ...effect, payload: kind.redact(row.payload) } : effect;
}
