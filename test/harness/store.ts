import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { NewEvent } from "../../service/contract/events.ts";
import { createEventLog, type EventLog } from "../../service/events/log.ts";
import { silentLog } from "../../service/lib/log.ts";
import { matchesSubject } from "../../service/lib/subject.ts";
import { openSqliteStore, type SqliteStoreOptions } from "../../service/store/sqlite/index.ts";
import type { Appended, Store } from "../../service/store/store.ts";
import { type ManualClock, manualClock } from "./clock.ts";

/** A store on real files with a clock that the test turns. */
export interface OpenedStore {
  readonly store: Store;
  readonly events: EventLog;
  readonly clock: ManualClock;
  /** Closes it and opens the same data again. */
  reopen(): Promise<void>;
  /** Deliveries by topic and status as they are, not as they were counted. */
  countDeliveries(): Promise<{ topic: string; status: string; n: number }[]>;
  close(): Promise<void>;
}

/** Opens a new, empty store. */
export type OpenStore = () => Promise<OpenedStore>;

export interface SqliteOpened extends OpenedStore {
  readonly folder: string;
  readonly file: string;
}

export const testTopics = { lease_ms: 10_000, max_attempts: 3 };

export function sqliteOptions(file: string, clock: ManualClock, events: () => EventLog): SqliteStoreOptions {
  return {
    file,
    durability: "normal",
    maxPending: 100_000,
    clock,
    topicDefaults: testTopics,
    subjectMatches: matchesSubject,
    describeDead: (event, topic, attempts, error) =>
      events().draft(
        { type: "signalbox.delivery.dead", payload: { event_id: event.id, topic, attempts, error } },
        event,
      ),
    log: silentLog,
  };
}

export async function openSqlite(changed: Partial<SqliteStoreOptions> = {}): Promise<SqliteOpened> {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-store-"));
  const file = changed.file ?? join(folder, "signalbox.db");
  const clock = manualClock();
  let events: EventLog;
  const options = { ...sqliteOptions(file, clock, () => events), ...changed };
  const open = async () => {
    const opened = await openSqliteStore(options);
    events = createEventLog({ store: opened, clock, maxDepth: 16 });
    return opened;
  };
  let store = await open();
  return {
    folder,
    file,
    clock,
    get store() {
      return store;
    },
    get events() {
      return events;
    },
    async reopen() {
      await store.close();
      store = await open();
    },
    async countDeliveries() {
      const db = new Database(file, { readonly: true });
      try {
        const sql = `SELECT topic, CASE status WHEN 'delayed' THEN 'pending' ELSE status END AS status, count(*) AS n
          FROM deliveries GROUP BY 1, 2 ORDER BY 1, 2`;
        return db.prepare<[], { topic: string; status: string; n: number }>(sql).all();
      } finally {
        db.close();
      }
    },
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Records one event and answers with all of it. */
export async function append(opened: OpenedStore, input: NewEvent): Promise<Appended> {
  const parent = input.parent_id === undefined ? null : await opened.store.getEvent(input.parent_id);
  const [appended] = await opened.store.append([opened.events.draft(input, parent)]);
  if (!appended) throw new Error("nothing was appended");
  return appended;
}
