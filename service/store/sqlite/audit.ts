import type { AuditEntry } from "../../contract/audit.ts";
import type { JsonObject } from "../../contract/common.ts";
import { AUDIT_ROOT, auditHash } from "../audit-chain.ts";
import type { AuditDraft, Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";

type AuditMethods = Pick<Store, "listAudit" | "auditHead" | "recordAudit">;
type AuditSql = Omit<AuditEntry, "detail"> & { detail: string };

/** Writes the next entry, inside the transaction of what it tells. */
export type AuditOne = (draft: AuditDraft & { effect_id: string; sha256: string; time_ms: number }) => void;

export function createAudit({ db }: SqliteContext): AuditOne {
  const head = db.prepare<[], string>("SELECT value FROM meta WHERE key = 'audit_head'").pluck();
  const insert = db.prepare(
    `INSERT INTO audit (seq, time_ms, kind, effect_id, sha256, actor, detail, prev, hash)
     VALUES (@seq, @time_ms, @kind, @effect_id, @sha256, @actor, @detail, @prev, @hash)`,
  );
  const saveHead = db.prepare<[string]>(
    "INSERT INTO meta (key, value) VALUES ('audit_head', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
  );
  return (draft) => {
    const before = parseHead(head.get());
    const entry = { ...draft, seq: before.seq + 1, prev: before.hash };
    const hash = auditHash(entry);
    insert.run({ ...entry, hash, detail: JSON.stringify(draft.detail) });
    saveHead.run(`${entry.seq}:${hash}`);
  };
}

export function auditMethods({ db, committer }: SqliteContext, audit: AuditOne): AuditMethods {
  const head = db.prepare<[], string>("SELECT value FROM meta WHERE key = 'audit_head'").pluck();
  const all = db.prepare<[number, number], AuditSql>(
    "SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?",
  );
  const ofEffect = db.prepare<[string, number, number], AuditSql>(
    "SELECT * FROM audit WHERE effect_id = ? AND seq > ? ORDER BY seq LIMIT ?",
  );
  return {
    recordAudit: (entry) => committer.write(() => audit(entry)),
    async listAudit({ effect_id, after, limit }) {
      const rows = effect_id === undefined ? all.all(after, limit) : ofEffect.all(effect_id, after, limit);
      return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as JsonObject }));
    },
    async auditHead() {
      const text = head.get();
      return text === undefined ? null : parseHead(text);
    },
  };
}

function parseHead(text: string | undefined): { seq: number; hash: string } {
  if (text === undefined) return { seq: 0, hash: AUDIT_ROOT };
  const [seq = "", hash = ""] = text.split(":");
  return { seq: Number(seq), hash };
}
