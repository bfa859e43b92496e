import type { DeliveryStatus } from "../../contract/events.ts";
import { DEFAULT_GROUP, type Store } from "../store.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import { type StoredStatus, toStored } from "./rows.ts";

/** Deliveries changed in one transaction. */
const BATCH = 1_000;

/** Emptying a topic, and giving its dead letters another chance. */
export function endMethods(context: SqliteContext): Pick<Store, "purge" | "redrive"> {
  const { committer } = context;
  const { remove, revive, reviveOne } = prepare(context);

  const purgeBatch = (topic: string, status: StoredStatus, changes: Changes): number => {
    const removed = remove.run(topic, status, BATCH).changes;
    changes.count(topic, status, -removed);
    return removed;
  };
  const reviveBatch = (topic: string, status: DeliveryStatus, changes: Changes, ids?: string[]): number => {
    const now = context.nowMs();
    let revived = 0;
    if (ids) for (const id of ids) revived += reviveOne.run(now, topic, status, id).changes;
    else revived = revive.run(now, topic, status, BATCH).changes;
    changes.count(topic, status, -revived);
    changes.count(topic, "pending", revived);
    if (revived > 0) changes.topics.add(topic);
    return revived;
  };
  /** Until a batch is not full: nothing else waits long for its turn. */
  const inBatches = async (batch: (changes: Changes) => number): Promise<number> => {
    let total = 0;
    for (let done = BATCH; done === BATCH; total += done) done = await committer.writeAlone(batch);
    return total;
  };
  return {
    // A claimed event stays with whoever has it.
    async purge(topic, status) {
      const all: DeliveryStatus[] = status === "all" ? ["pending", "completed", "failed", "dead"] : [status];
      let removed = 0;
      for (const one of all.flatMap(toStored)) {
        removed += await inBatches((changes) => purgeBatch(topic, one, changes));
      }
      return removed;
    },
    async redrive(topic, event_ids, include_failed) {
      const from: DeliveryStatus[] = include_failed ? ["dead", "failed"] : ["dead"];
      if (event_ids) {
        const ids = [...new Set(event_ids)];
        return committer.write((changes) =>
          from.reduce((total, status) => total + reviveBatch(topic, status, changes, ids), 0),
        );
      }
      let revived = 0;
      for (const status of from) revived += await inBatches((changes) => reviveBatch(topic, status, changes));
      return revived;
    },
  };
}

function prepare({ db }: SqliteContext) {
  const some = `SELECT seq FROM deliveries WHERE topic = ? AND status = ? AND grp = '${DEFAULT_GROUP}' LIMIT ?`;
  const fresh = `UPDATE deliveries SET status = 'pending', attempts = 0, claimed_by = NULL, lease = NULL,
    lease_until_ms = NULL, not_before_ms = ?, finished_ms = NULL WHERE grp = '${DEFAULT_GROUP}'`;
  return {
    remove: db.prepare<[string, StoredStatus, number]>(
      `DELETE FROM deliveries WHERE grp = '${DEFAULT_GROUP}' AND seq IN (${some})`,
    ),
    revive: db.prepare<[number, string, DeliveryStatus, number]>(`${fresh} AND seq IN (${some})`),
    reviveOne: db.prepare<[number, string, DeliveryStatus, string]>(
      `${fresh} AND topic = ? AND status = ? AND seq = (SELECT seq FROM events WHERE id = ?)`,
    ),
  };
}
