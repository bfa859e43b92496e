import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { better, defineQueue, defineWorker } from "plainjob";
import type { PushPeer, QueuePeer } from "../peer.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const TYPE = "event";

/** plainjob on the same driver, with its own settings (WAL, synchronous NORMAL). */
export async function openPlainjob(file: string): Promise<QueuePeer & PushPeer> {
  const db = new Database(file);
  const queue = defineQueue({ connection: better(db), logger: silent });
  return {
    async push(event) {
      queue.add(TYPE, event);
    },
    add: (events) => void queue.addMany(TYPE, events),
    claimAndComplete() {
      const claimed = queue.getAndMarkJobAsProcessing(TYPE);
      if (!claimed) return false;
      const job = queue.getJobById(claimed.id);
      if (!job) return false;
      JSON.parse(job.data);
      queue.markJobAsDone(job.id);
      return true;
    },
    async drain(workers, count) {
      let done = 0;
      const running: { worker: ReturnType<typeof defineWorker>; end: Promise<void> }[] = [];
      await new Promise<void>((resolve) => {
        for (let index = 0; index < workers; index++) {
          const onJob = (job: { data: string }) => {
            JSON.parse(job.data);
            done += 1;
            if (done === count) setImmediate(resolve);
          };
          const worker = defineWorker(TYPE, onJob, { queue, logger: silent, pollIntervall: 10 });
          running.push({ worker, end: worker.start() });
        }
      });
      await Promise.all(running.map(({ worker }) => worker.stop()));
    },
    bytes() {
      db.pragma("wal_checkpoint(TRUNCATE)");
      return statSync(file).size;
    },
    close: () => queue.close(),
  };
}
