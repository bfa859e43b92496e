import type { DeliveryStep } from "../decisions.ts";
import { DEFAULT_GROUP } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import type { DeliverySql, StoredStatus } from "./rows.ts";

/** Writes one step of a delivery's life, and counts it. Answers with the row as it is then. */
export type Move = (row: DeliverySql, step: DeliveryStep, now_ms: number, changes: Changes) => DeliverySql;

export function createMove(context: SqliteContext): Move {
  const write = createWrite(context);
  const { memory } = context;
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
    write(row, next);
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

/** SQLite rewrites the entries of each index that an update names a column of, so unchanged ones stay unnamed. */
function createWrite({ db }: SqliteContext): (row: DeliverySql, next: DeliverySql) => void {
  const where = `WHERE seq = ? AND grp = '${DEFAULT_GROUP}'`;
  const finish = db.prepare(
    `UPDATE deliveries SET status = ?, lease = ?, lease_until_ms = ?, last_error = ?, finished_ms = ? ${where}`,
  );
  const any = db.prepare(
    `UPDATE deliveries SET status = ?, lease = ?, lease_until_ms = ?, last_error = ?, finished_ms = ?,
       claimed_by = ?, not_before_ms = ?, attempts = ? ${where}`,
  );
  return (row, next) => {
    const { status, lease, lease_until_ms, last_error, finished_ms, claimed_by, not_before_ms, attempts } =
      next;
    const same =
      claimed_by === row.claimed_by && not_before_ms === row.not_before_ms && attempts === row.attempts;
    const common = [status, lease, lease_until_ms, last_error, finished_ms];
    if (same) finish.run(...common, row.seq);
    else any.run(...common, claimed_by, not_before_ms, attempts, row.seq);
  };
}
