import type { Receipt } from "../../contract/receipts.ts";
import type { ReceiptDraft, Store } from "../store.ts";
import type { SqliteContext } from "./context.ts";
import type { DeliverySql } from "./rows.ts";

export type KeepReceipt = (claim: DeliverySql, receipt: ReceiptDraft, now_ms: number) => void;

/** The first of each kind under one lease is kept. */
export function createKeepReceipt({ db }: SqliteContext): KeepReceipt {
  const insert = db.prepare(
    `INSERT OR IGNORE INTO receipts (seq, lease, kind, attempt, agent, session, detail, time_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return ({ seq, lease, attempts, claimed_by }, { kind, session, detail }, now_ms) => {
    if (lease !== null) insert.run(seq, lease, kind, attempts, claimed_by ?? "", session, detail, now_ms);
  };
}

export function receiptMethods({ db }: SqliteContext): Pick<Store, "getReceipts"> {
  const select = db.prepare<[string], Receipt>(
    `SELECT kind, attempt, agent, session, detail, time_ms FROM receipts
     WHERE seq = (SELECT seq FROM events WHERE id = ?)
     ORDER BY time_ms, CASE kind WHEN 'delivered' THEN 0 WHEN 'seen' THEN 1 ELSE 2 END`,
  );
  return { getReceipts: async (id) => select.all(id) };
}
