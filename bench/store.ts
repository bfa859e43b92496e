import type { NewEvent } from "../service/contract/events.ts";
import { createEventLog, type EventLog } from "../service/events/log.ts";
import { systemClock } from "../service/lib/clock.ts";
import { silentLog } from "../service/lib/log.ts";
import type { Closeable } from "../service/lib/scope.ts";
import { matchesSubject } from "../service/lib/subject.ts";
import { openSqliteStore } from "../service/store/sqlite/index.ts";
import { readMigrations } from "../service/store/sqlite/migrate.ts";
import type { Store } from "../service/store/store.ts";

const PAGE = 1_000;
/** Read once: the sources may change while the bench runs, and the service beside it does not. */
const migrations = readMigrations();

/** The store by itself, in this process: what the service is built on. */
export interface BareStore extends Closeable {
  readonly store: Store;
  readonly log: EventLog;
  /** Records them all and waits for the full text. */
  fill(count: number, make: (index: number) => NewEvent, from?: number): Promise<void>;
}

export async function openStore(file: string): Promise<BareStore> {
  let log: EventLog;
  const store = await openSqliteStore({
    file,
    durability: "normal",
    migrations,
    maxPending: 20_000,
    clock: systemClock,
    log: silentLog,
    topicDefaults: { lease_ms: 600_000, max_attempts: 5 },
    subjectMatches: matchesSubject,
    describeDead: (event, topic) => log.draft({ type: "signalbox.delivery.dead", payload: { topic } }, event),
  });
  log = createEventLog({ store, clock: systemClock, maxDepth: 16 });
  return {
    store,
    log,
    async fill(count, make, from = 0) {
      for (let at = 0; at < count; at += PAGE) {
        const page = Math.min(PAGE, count - at);
        await store.append(
          Array.from({ length: page }, (_, index) => log.draft(make(from + at + index), null)),
        );
      }
      await store.searchEvents({ text: "nothingiscalledthis", order: "recent", limit: 1 });
    },
    close: () => store.close(),
  };
}
