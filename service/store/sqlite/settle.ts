import { SignalboxError } from "../../contract/errors.ts";
import { decideSettlement } from "../decisions.ts";
import { DEFAULT_GROUP, type Settled, type SettleRequest, type Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { SqliteContext, Step } from "./context.ts";
import { createMove } from "./deliveries.ts";
import { createKeepReceipt } from "./receipts.ts";
import { type DeliverySql, toDelivery, toStatus } from "./rows.ts";
import type { Bury } from "./sweep.ts";
import type { Topics } from "./topics.ts";

/** What whoever holds a claim does with it. */
export function settleMethods(
  context: SqliteContext,
  append: AppendOne,
  topics: Topics,
  bury: Bury,
): Pick<Store, "settle" | "settleAll"> {
  const step = settleStep(context, append, topics, bury);
  const settle = (request: SettleRequest) => context.committer.write((changes) => step(request, changes));
  return {
    settle,
    // One write each: those of one turn share a transaction, and one that is refused undoes only itself.
    settleAll: (requests) => Promise.all(requests.map((request) => settle(request).catch(asRefusal))),
  };
}

function asRefusal(error: unknown): SignalboxError {
  if (SignalboxError.is(error)) return error;
  throw error;
}

function settleStep(
  context: SqliteContext,
  append: AppendOne,
  topics: Topics,
  bury: Bury,
): Step<SettleRequest, Settled> {
  const { db } = context;
  const move = createMove(context);
  const keepReceipt = createKeepReceipt(context);
  const seqOf = db.prepare<[string], number>("SELECT seq FROM events WHERE id = ?").pluck();
  const delivery = db.prepare<[number], DeliverySql>(
    `SELECT * FROM deliveries WHERE seq = ? AND grp = '${DEFAULT_GROUP}'`,
  );
  return (request, changes) => {
    const { event_id, holder, settlement, now_ms } = request;
    const seq = seqOf.get(event_id);
    if (seq === undefined) throw new SignalboxError("not_found", `there is no event ${event_id}`);
    const row = delivery.get(seq);
    if (!row && settlement.kind !== "answer") {
      throw new SignalboxError("conflict", `${event_id} is in no topic, so nobody can hold it`);
    }
    let settled: DeliverySql | null = null;
    if (row) {
      const state = { ...row, status: toStatus(row.status) };
      const step = decideSettlement(event_id, state, holder, settlement, topics.require(row.topic), now_ms);
      settled = settlement.kind === "keep" ? row : move(row, step, now_ms, changes);
      if (request.receipt) keepReceipt(row, request.receipt, now_ms);
      if (settled.status === "dead") bury(settled, step.error ?? "", changes);
    }
    const appended = request.events.map((draft) => append(draft, changes));
    return { delivery: settled ? toDelivery(settled) : null, appended };
  };
}
