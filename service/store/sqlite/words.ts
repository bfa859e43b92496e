import { crc32 } from "node:zlib";
import type Database from "better-sqlite3";
import { integer, type Prepare } from "./filter.ts";
import { type Next, seqsOf, stretchOf } from "./walk.ts";

/**
 * The index that events are found by: their words, and a key for each value that is asked for by name, in one FTS5
 * table for each stretch of the log. A key is a token that no text can hold.
 */

/** Events of one table. Two common words that never meet are looked through in some 2 ms. */
const STRETCH = 65_536;
/** A private character, which texts lose before they are indexed or looked for. */
const MARK = "\ue1f4";

const letters = {
  type: "a",
  source: "b",
  topic: "c",
  subject: "d",
  conversation_key: "e",
  parent_id: "f",
  scope: "g",
  correlation_id: "h",
  mention: "i",
  tool: "j",
} as const;
export type Key = keyof typeof letters;

/** Values whose keys are remembered: most events have topics, types and sources of events before. */
const REMEMBERED = 10_000;
const tokens = new Map<string, string>();

/** Different values may share a key, so what is found by it is compared again. */
function tokenOf(key: Key, value: string): string {
  const named = letters[key] + value;
  let token = tokens.get(named);
  if (token === undefined) {
    if (tokens.size >= REMEMBERED) tokens.clear();
    token = `${MARK}${letters[key]}${crc32(value).toString(36)}`;
    tokens.set(named, token);
  }
  return token;
}

const columns = [
  "type",
  "source",
  "topic",
  "subject",
  "conversation_key",
  "parent_id",
  "scope",
  "correlation_id",
] as const satisfies Key[];

/** The words of an event and its keys, as they are indexed. */
export function indexedText(
  words: string,
  event: Readonly<Record<(typeof columns)[number], string | null>>,
  refs: readonly { readonly kind: "mention" | "tool"; readonly value: string }[],
): string {
  let text = plainWords(words);
  for (const column of columns) {
    const value = event[column];
    if (value !== null) text += ` ${tokenOf(column, value)}`;
  }
  for (const { kind, value } of refs) text += ` ${tokenOf(kind, value)}`;
  return text;
}

/** Without the private character that begins a key. */
export function plainWords(words: string): string {
  return words.includes(MARK) ? words.replaceAll(MARK, " ") : words;
}

/** Events with this value; with one of these, where there are several. */
export function keyExpression(key: Key, ...values: string[]): string {
  const quoted = [...new Set(values.map((value) => `"${tokenOf(key, value)}"`))];
  return quoted.length === 1 ? (quoted[0] ?? "") : `(${quoted.join(" OR ")})`;
}

/** The tables of the index. */
export interface Stretches {
  /** Inside a write. */
  insert(seq: number, text: string): void;
  remove(seq: number): void;
  /** Inside a write: removes the tables whose events are all gone, but for the one that is being filled. */
  removeEmpty(): void;
  /** What may have been made or removed by a write that was undone is looked up again. */
  forget(): void;
  /** Events that match, read one table at a time. */
  matching(expression: string): Next;
}

export function openStretches(db: Database.Database, prepare: Prepare): Stretches {
  const names = db
    .prepare<[], string>(
      "SELECT substr(name, 7) FROM sqlite_schema WHERE type = 'table' AND name GLOB 'words_[0-9]*' AND sql LIKE 'CREATE VIRTUAL%'",
    )
    .pluck();
  const hasEvents = db.prepare<[number, number]>("SELECT 1 FROM events WHERE seq BETWEEN ? AND ? LIMIT 1");
  let known: number[] | null = null;
  const all = (): number[] => {
    known ??= names
      .all()
      .map(Number)
      .sort((a, b) => a - b);
    return known;
  };
  const make = (stretch: number): void => {
    db.exec(
      `CREATE VIRTUAL TABLE words_${stretch} USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61')`,
    );
    known = [...all(), stretch].sort((a, b) => a - b);
  };
  return {
    insert(seq, text) {
      const stretch = Math.floor(seq / STRETCH);
      if (!all().includes(stretch)) make(stretch);
      prepare(`INSERT INTO words_${stretch} (rowid, text) VALUES (?, ?)`).run(seq, text);
    },
    remove(seq) {
      const stretch = Math.floor(seq / STRETCH);
      if (all().includes(stretch)) prepare(`DELETE FROM words_${stretch} WHERE rowid = ?`).run(seq);
    },
    removeEmpty() {
      for (const stretch of all().slice(0, -1)) {
        const first = stretch * STRETCH;
        if (hasEvents.get(first, first + STRETCH - 1) !== undefined) return;
        db.exec(`DROP TABLE words_${stretch}`);
        known = all().filter((one) => one !== stretch);
      }
    },
    forget() {
      known = null;
    },
    matching(expression) {
      return ({ low, high, order }, take) => {
        const stretch = nearest(all(), Math.floor(low / STRETCH), Math.floor(high / STRETCH), order);
        if (stretch === undefined) return { seqs: [], reached: null };
        const first = Math.max(low, stretch * STRETCH);
        const last = Math.min(high, (stretch + 1) * STRETCH - 1);
        const table = `words_${stretch}`;
        // FTS5 ignores a bound that is no integer, and numbers of JavaScript arrive as floating point.
        const statement = prepare(
          `SELECT rowid AS seq FROM ${table} WHERE ${table} MATCH ? AND rowid BETWEEN ${integer} AND ${integer} ORDER BY rowid ${order} LIMIT ${integer}`,
        );
        const found = stretchOf(seqsOf(statement.all(expression, first, last, take)), take);
        if (found.reached !== null) return found;
        const end = order === "ASC" ? last : first;
        return { ...found, reached: end === (order === "ASC" ? high : low) ? null : end };
      };
    },
  };
}

function nearest(
  stretches: readonly number[],
  lowest: number,
  highest: number,
  order: "ASC" | "DESC",
): number | undefined {
  const isIn = (stretch: number) => stretch >= lowest && stretch <= highest;
  return order === "ASC" ? stretches.find(isIn) : stretches.findLast(isIn);
}
