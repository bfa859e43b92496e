import type Database from "better-sqlite3";
import type { JsonObject } from "../../contract/common.ts";
import { searchText } from "../search-text.ts";
import type { EventDraft } from "../store.ts";
import type { IndexFile } from "./index-file.ts";
import type { EventSql } from "./rows.ts";
import { indexedText } from "./words.ts";

/** One batch ends after so many characters: a few milliseconds. */
const BATCH_CHARS = 400_000;

/** Indexes up to `most` events that come after a `seq`, up to another, and answers how far it came. */
export type IndexBatch = (after: number, upTo: number, most: number) => number;

/** An event that was taken out of the log. */
export interface Gone {
  seq: number;
  subject: string;
}

/** What an event is found by; the rest of it stays unread. */
const columns =
  "seq, id, type, source, subject, topic, body, payload, conversation_key, parent_id, scope, correlation_id";
type Row = Pick<
  EventSql,
  | "seq"
  | "id"
  | "type"
  | "source"
  | "subject"
  | "topic"
  | "body"
  | "payload"
  | "conversation_key"
  | "parent_id"
  | "scope"
  | "correlation_id"
>;

/** Reads from the log and writes into its index, both by the connections of one thread. */
export function createBatch(log: Database.Database, index: IndexFile): IndexBatch {
  const next = log.prepare<[number, number, number], Row>(
    `SELECT ${columns} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
  );
  const refsOf = log.prepare<[number, number], EventDraft["refs"][number] & { seq: number }>(
    "SELECT seq, kind, value FROM refs WHERE seq > ? AND seq <= ?",
  );
  const log_id = readLogId(log);
  const read = (after: number, upTo: number, most: number) => {
    try {
      const rows = next.all(after, upTo, most);
      // Cleaned-up events leave gaps, also at the end.
      const reached = rows.length < most ? upTo : (rows.at(-1)?.seq ?? upTo);
      return { rows, reached, refs: Map.groupBy(refsOf.all(after, reached), (ref) => ref.seq) };
    } catch (error) {
      // Not the index's own damage, for which it would be made anew.
      throw new Error("the log could not be read", { cause: error });
    }
  };
  return (after, upTo, most) => {
    const { rows, refs, ...found } = read(after, upTo, most);
    let { reached } = found;
    const subjects = new Map<string, number>();
    let chars = 0;
    let indexed_id: string | undefined;
    for (const row of rows) {
      const words = indexedText(
        searchText({ ...row, payload: payloadOf(row) }),
        row,
        refs.get(row.seq) ?? [],
      );
      index.insert(row.seq, words);
      subjects.set(row.subject, (subjects.get(row.subject) ?? 0) + 1);
      indexed_id = row.id;
      chars += words.length;
      if (chars < BATCH_CHARS) continue;
      reached = row.seq;
      break;
    }
    for (const [subject, n] of subjects) index.countSubject(subject, n);
    indexed_id ??= index.readState()?.indexed_id ?? "";
    index.saveState({ log_id, indexed_seq: reached, indexed_id });
    return reached;
  };
}

/** A damaged event is told of where it is shown; its other words are found meanwhile. */
function payloadOf({ payload }: Row): JsonObject {
  try {
    return JSON.parse(payload) as JsonObject;
  } catch {
    return {};
  }
}

export function readLogId(log: Database.Database): string {
  return log.prepare<[], string>("SELECT value FROM meta WHERE key = 'log_id'").pluck().get() ?? "";
}

/** Takes events out of the index that were taken out of the log. */
export function removeGone(log: Database.Database, index: IndexFile, gone: readonly Gone[]): void {
  const some = log.prepare<[number, number]>("SELECT 1 FROM events WHERE seq BETWEEN ? AND ? LIMIT 1");
  index.write(() => {
    for (const { seq, subject } of gone) {
      index.remove(seq);
      index.countSubject(subject, -1);
    }
    index.removeEmpty((low, high) => some.get(low, high) !== undefined);
  });
}
