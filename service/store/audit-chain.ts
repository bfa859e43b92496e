import type { AuditEntry } from "../contract/audit.ts";
import { canonicalJson, sha256 } from "../lib/canonical.ts";

/** What the first entry stands on. */
export const AUDIT_ROOT = "0".repeat(64);

/** The hash of an entry: over all it says and the hash before it. */
export function auditHash(entry: Omit<AuditEntry, "hash">): string {
  const { seq, time_ms, kind, effect_id, sha256: digest, actor, detail, prev } = entry;
  return sha256(canonicalJson({ seq, time_ms, kind, effect_id, sha256: digest, actor, detail, prev }));
}
