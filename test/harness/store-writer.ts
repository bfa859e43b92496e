import { createEventLog, type EventLog } from "../../service/events/log.ts";
import { openSqliteStore } from "../../service/store/sqlite/index.ts";
import { manualClock } from "./clock.ts";
import { sqliteOptions } from "./store.ts";

// Pushes, claims and completes for ever, and says each only after it was acknowledged. Ends when it is killed.
const [, , file = ""] = process.argv;
const clock = manualClock();
let events: EventLog;
const store = await openSqliteStore(sqliteOptions(file, clock, () => events));
events = createEventLog({ store, clock, maxDepth: 16 });

async function push(): Promise<never> {
  for (;;) {
    const { event_id } = await events.push({
      topic: "t",
      body: "written @bob bash(ls)",
      raw: { original: 1 },
    });
    process.stdout.write(`pushed ${event_id}\n`);
  }
}

async function work(): Promise<never> {
  for (;;) {
    const now_ms = clock.nowMs();
    await store.saveTopic("t", {}, now_ms);
    const [claimed] = await store.claim({
      topic: "t",
      agent: "@worker",
      limit: 1,
      lease_ms: undefined,
      now_ms,
    });
    if (!claimed) continue;
    const { id } = claimed.event;
    const settlement = { kind: "complete" } as const;
    await store.settle({ event_id: id, holder: { lease: claimed.lease }, settlement, now_ms, events: [] });
    process.stdout.write(`completed ${id}\n`);
  }
}

await Promise.all([...Array.from({ length: 16 }, push), work(), work()]);
