import type { Json } from "../../contract/common.ts";
import type { Store } from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { SqliteContext } from "./context.ts";
import { type DeliverySql, type EventSql, eventColumns, toDelivery, toEvent } from "./rows.ts";

type EventMethods = Pick<
  Store,
  "append" | "getEvent" | "getRaw" | "getDeliveries" | "readLog" | "lastSeq" | "seqBefore"
>;
type CursorMethods = Pick<Store, "appendWithCursor" | "readCursor" | "saveCursor" | "readConnectorCursor">;

export function eventMethods({ db, committer, memory }: SqliteContext, append: AppendOne): EventMethods {
  const byId = db.prepare<[string], EventSql>(`SELECT ${eventColumns} FROM events WHERE id = ?`);
  const raw = db.prepare<[string], { raw: string }>(
    "SELECT raw FROM raws WHERE seq = (SELECT seq FROM events WHERE id = ?)",
  );
  const deliveries = db.prepare<[string], DeliverySql>(
    "SELECT * FROM deliveries WHERE seq = (SELECT seq FROM events WHERE id = ?) ORDER BY grp",
  );
  const after = db.prepare<[number, number], EventSql>(
    `SELECT ${eventColumns} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  const seqBefore = createSeqBefore({ db, memory });
  return {
    append: (drafts) => committer.write((changes) => drafts.map((draft) => append(draft, changes))),
    async getEvent(id) {
      const row = byId.get(id);
      return row ? toEvent(row) : null;
    },
    async getRaw(id) {
      const row = raw.get(id);
      return row ? (JSON.parse(row.raw) as Json) : null;
    },
    getDeliveries: async (id) => deliveries.all(id).map(toDelivery),
    readLog: async (seq, limit) => after.all(seq, limit).map(toEvent),
    lastSeq: () => memory.lastSeq,
    seqBefore: async (recorded_ms) => seqBefore(recorded_ms),
  };
}

/** The largest `seq` recorded before a time. */
export function createSeqBefore({ db, memory }: Pick<SqliteContext, "db" | "memory">) {
  const recordedAt = db.prepare<[number], { seq: number; recorded_ms: number }>(
    "SELECT seq, recorded_ms FROM events WHERE seq >= ? ORDER BY seq LIMIT 1",
  );
  // recorded_ms never falls as seq grows, so halving finds the place without an index.
  return (recorded_ms: number): number => {
    let low = 0;
    let high = memory.lastSeq;
    while (low < high) {
      const middle = Math.floor((low + high + 1) / 2);
      const row = recordedAt.get(middle);
      if (row && row.recorded_ms < recorded_ms) low = row.seq;
      else high = middle - 1;
    }
    return low;
  };
}

export function cursorMethods({ db, committer }: SqliteContext, append: AppendOne): CursorMethods {
  const read = db.prepare<[string], { cursor: number }>("SELECT cursor FROM consumers WHERE name = ?");
  const save = db.prepare(
    "INSERT INTO consumers (name, cursor, updated_ms) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET cursor = max(cursor, excluded.cursor), updated_ms = excluded.updated_ms",
  );
  const readConnector = db.prepare<[string], { cursor: string }>(
    "SELECT cursor FROM connector_cursors WHERE connector = ?",
  );
  const saveConnector = db.prepare(
    "INSERT INTO connector_cursors (connector, cursor) VALUES (?, ?) ON CONFLICT (connector) DO UPDATE SET cursor = excluded.cursor",
  );
  return {
    readCursor: async (consumer) => read.get(consumer)?.cursor ?? null,
    saveCursor: (consumer, seq, now_ms) => committer.write(() => void save.run(consumer, seq, now_ms)),
    readConnectorCursor: async (connector) => readConnector.get(connector)?.cursor ?? null,
    appendWithCursor: (connector, drafts, cursor) =>
      committer.write((changes) => {
        saveConnector.run(connector, cursor);
        return drafts.map((draft) => append(draft, changes));
      }),
  };
}
