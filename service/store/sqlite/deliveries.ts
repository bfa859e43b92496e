import type { DeliveryStep } from "../decisions.ts";
import { DEFAULT_GROUP } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import type { DeliverySql, StoredStatus } from "./rows.ts";

/** Writes one step of a delivery's life, and counts it. Answers with the row as it is then. */
export type Move = (row: DeliverySql, step: DeliveryStep, now_ms: number, changes: Changes) => DeliverySql;

export function createMove({ db, memory }: SqliteContext): Move {
  const update = db.prepare<[DeliverySql]>(
    `UPDATE deliveries SET status = @status, claimed_by = @claimed_by, lease = @lease, lease_until_ms = @lease_until_ms,
       not_before_ms = @not_before_ms, last_error = @last_error, finished_ms = @finished_ms, attempts = @attempts
     WHERE seq = @seq AND grp = '${DEFAULT_GROUP}'`,
  );
  return (row, step, now_ms, changes) => {
    const delayed = step.status === "pending" && step.not_before_ms !== null && step.not_before_ms > now_ms;
    const status: StoredStatus = delayed ? "delayed" : step.status;
    const next: DeliverySql = {
      ...row,
      status,
      claimed_by: step.claimed_by,
      lease: status === "processing" ? row.lease : null,
      lease_until_ms: step.lease_until_ms,
      not_before_ms: step.not_before_ms,
      last_error: step.error ?? row.last_error,
      finished_ms: step.finished ? now_ms : null,
      attempts: step.attempts,
    };
    update.run(next);
    changes.count(row.topic, row.status, -1);
    changes.count(row.topic, status, 1);
    if (status === "pending") changes.topics.add(row.topic);
    const due = delayed ? next.not_before_ms : next.lease_until_ms;
    if (due !== null) {
      changes.dueAt(due);
      memory.dueAt(due);
    }
    return next;
  };
}
