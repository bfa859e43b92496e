import type { AuditEntry } from "../contract/audit.ts";
import { AUDIT_ROOT, auditHash } from "../store/audit-chain.ts";
import type { Store } from "../store/store.ts";

const PAGE = 1_000;

/** All entries, oldest first. */
export async function* readAudit(store: Store): AsyncGenerator<AuditEntry> {
  for (let after = 0; ; ) {
    const entries = await store.listAudit({ after, limit: PAGE });
    yield* entries;
    const last = entries.at(-1);
    if (!last || entries.length < PAGE) return;
    after = last.seq;
  }
}

/**
 * Counts the whole chain through. `head` is a hash noted earlier: only that shows that nobody wrote all of it anew.
 */
export async function verifyAudit(store: Store, head?: string) {
  // Taken first, so that what is written meanwhile does not look like too much.
  const written = await store.auditHead();
  let prev = AUDIT_ROOT;
  let seq = 0;
  let isHeadFound = head === undefined;
  const answer = (problem: string | null) => ({
    ok: problem === null,
    entries: seq,
    head: seq === 0 ? null : prev,
    problem,
  });
  for await (const entry of readAudit(store)) {
    const problem = faultOf(entry, seq, prev);
    if (problem !== null) return answer(problem);
    seq = entry.seq;
    prev = entry.hash;
    isHeadFound ||= entry.hash === head;
    if (written && seq === written.seq && prev !== written.hash)
      return answer(`entry ${seq} is not the one that was written last`);
  }
  if (seq < (written?.seq ?? 0)) return answer(`entries ${seq + 1} to ${written?.seq} are missing`);
  if (!isHeadFound) return answer(`the hash ${head} is not in the chain`);
  return answer(null);
}

function faultOf(entry: AuditEntry, seq: number, prev: string): string | null {
  if (entry.seq !== seq + 1)
    return `entry ${seq + 1} is missing${entry.seq > seq + 2 ? `, up to ${entry.seq - 1}` : ""}`;
  if (entry.prev !== prev) return `entry ${entry.seq} does not follow the one before`;
  if (auditHash(entry) !== entry.hash) return `entry ${entry.seq} was changed`;
  return null;
}
