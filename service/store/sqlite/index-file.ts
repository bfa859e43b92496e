import { chmodSync, rmSync } from "node:fs";
import Database from "better-sqlite3";
import { integer, type Prepare, statementCache, text } from "./filter.ts";
import { type Next, seqsOf, stretchOf } from "./walk.ts";

/** Events of one table. Two common words that never meet are looked through in some 2 ms. */
const STRETCH = 65_536;
/** Written into the file. One of another kind is thrown away: everything in it can be made again. */
const KIND = 1;
/** Two threads of this process write to it in turn, and a checkpoint may be under way. */
const BUSY_MS = 5_000;

const schema = `
  CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE subjects (subject TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
  PRAGMA user_version = ${KIND};
`;

/** Which log the index is of, and how far it is. */
export interface IndexState {
  /** Of the log: `meta.log_id`. */
  log_id: string;
  indexed_seq: number;
  /** The last event that was indexed: a log that was put back from a copy goes on with others. */
  indexed_id: string;
}

/**
 * The index that events are found by (words.ts), in a file of its own beside the log: it is written in larger
 * transactions, by another thread when there is much to do, and never waits for the disk. Its words lie in one FTS5
 * table for each stretch of the log, so that one look never takes long and an old stretch goes as a whole. All of it
 * can be made again from the log.
 */
export class IndexFile {
  readonly #path: string;
  #db: Database.Database;
  #prepare: Prepare;
  #stretches: number[] | null = null;

  /** @param path of the file, or `:memory:` */
  constructor(path: string) {
    this.#path = path;
    this.#db = openFile(path);
    this.#prepare = statementCache(this.#db);
  }

  /** Null when it is empty. */
  readState(): IndexState | null {
    const rows = this.#prepare("SELECT key, value FROM state").all() as { key: string; value: string }[];
    const { log_id, indexed_seq, indexed_id } = Object.fromEntries(
      rows.map(({ key, value }) => [key, value]),
    );
    if (log_id === undefined || indexed_seq === undefined || indexed_id === undefined) return null;
    return { log_id, indexed_seq: Number(indexed_seq), indexed_id };
  }

  saveState(state: IndexState): void {
    const save = this.#prepare("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)");
    for (const [key, value] of Object.entries(state)) save.run(key, String(value));
  }

  /** In one transaction. */
  write<T>(run: () => T): T {
    try {
      return this.#db.transaction(run).immediate();
    } catch (error) {
      // A table that was made is gone again.
      this.#stretches = null;
      throw error;
    }
  }

  insert(seq: number, words: string): void {
    const stretch = Math.floor(seq / STRETCH);
    if (!this.#all().includes(stretch)) this.#make(stretch);
    this.#prepare(`INSERT INTO words_${stretch} (rowid, text) VALUES (?, ?)`).run(seq, words);
  }

  remove(seq: number): void {
    const stretch = Math.floor(seq / STRETCH);
    if (this.#all().includes(stretch)) this.#prepare(`DELETE FROM words_${stretch} WHERE rowid = ?`).run(seq);
  }

  /** Removes the tables whose events are all gone, but for the one that is being filled. */
  removeEmpty(hasEvents: (low: number, high: number) => boolean): void {
    for (const stretch of this.#all().slice(0, -1)) {
      const first = stretch * STRETCH;
      if (hasEvents(first, first + STRETCH - 1)) return;
      this.#db.exec(`DROP TABLE words_${stretch}`);
      this.#stretches = null;
    }
  }

  /** So many more, or fewer, events have this subject. */
  countSubject(subject: string, by: number): void {
    this.#prepare(
      "INSERT INTO subjects (subject, n) VALUES (?, ?) ON CONFLICT (subject) DO UPDATE SET n = n + excluded.n",
    ).run(subject, by);
    if (by < 0) this.#prepare("DELETE FROM subjects WHERE subject = ? AND n <= 0").run(subject);
  }

  /** Subjects of events that begin so, `limit` at the most. */
  subjectsFrom(beginning: string, limit: number): string[] {
    const rows = this.#prepare(
      `SELECT subject FROM subjects WHERE subject >= ${text} AND subject < ${text} ORDER BY subject LIMIT ${integer}`,
    ).all(beginning, `${beginning}\u{10ffff}`, limit) as { subject: string }[];
    return rows.map((row) => row.subject);
  }

  /** Events that match, read one table at a time. */
  matching(expression: string): Next {
    const look = this.#look(expression);
    return (range, take) => {
      try {
        return look(range, take);
      } catch (error) {
        // The other thread has removed the table, as the events of it are gone.
        if (!(error as Error).message.startsWith("no such table")) throw error;
        this.refresh();
        return look(range, take);
      }
    };
  }

  #look(expression: string): Next {
    return ({ low, high, order }, take) => {
      const stretch = this.#nearest(Math.floor(low / STRETCH), Math.floor(high / STRETCH), order);
      if (stretch === undefined) return { seqs: [], reached: null };
      const first = Math.max(low, stretch * STRETCH);
      const last = Math.min(high, (stretch + 1) * STRETCH - 1);
      const table = `words_${stretch}`;
      // FTS5 ignores a bound that is no integer, and numbers of JavaScript arrive as floating point.
      const statement = this.#prepare(
        `SELECT rowid AS seq FROM ${table} WHERE ${table} MATCH ? AND rowid BETWEEN ${integer} AND ${integer} ORDER BY rowid ${order} LIMIT ${integer}`,
      );
      const found = stretchOf(seqsOf(statement.all(expression, first, last, take)), take);
      if (found.reached !== null) return found;
      const end = order === "ASC" ? last : first;
      return { ...found, reached: end === (order === "ASC" ? high : low) ? null : end };
    };
  }

  /** Another thread has written to it: there may be other tables. */
  refresh(): void {
    this.#stretches = null;
  }

  /** Throws all of it away. */
  clear(): void {
    this.#db.close();
    removeFile(this.#path);
    this.#db = openFile(this.#path);
    this.#prepare = statementCache(this.#db);
    this.#stretches = null;
  }

  close(): void {
    if (!this.#db.open) return;
    this.#db.pragma("wal_checkpoint(TRUNCATE)");
    this.#db.close();
  }

  #make(stretch: number): void {
    this.#db.exec(
      `CREATE VIRTUAL TABLE words_${stretch} USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'unicode61')`,
    );
    this.#stretches = null;
  }

  #all(): number[] {
    if (this.#stretches === null) {
      const names = this.#prepare(
        "SELECT name FROM sqlite_schema WHERE name GLOB 'words_[0-9]*' AND sql LIKE 'CREATE VIRTUAL%'",
      ).all() as { name: string }[];
      this.#stretches = names.map(({ name }) => Number(name.slice("words_".length))).sort((a, b) => a - b);
    }
    return this.#stretches;
  }

  #nearest(lowest: number, highest: number, order: "ASC" | "DESC"): number | undefined {
    const isIn = (stretch: number) => stretch >= lowest && stretch <= highest;
    return order === "ASC" ? this.#all().find(isIn) : this.#all().findLast(isIn);
  }
}

function openFile(path: string): Database.Database {
  try {
    return openOnce(path);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    removeFile(path);
    return openOnce(path);
  }
}

function openOnce(path: string): Database.Database {
  const db = new Database(path, { timeout: BUSY_MS });
  try {
    db.pragma("journal_mode = WAL");
    // What a power cut takes of it is indexed again; before a checkpoint it waits for the disk, or it could be damaged.
    db.pragma("synchronous = NORMAL");
    db.pragma("cache_size = -8000");
    db.pragma("wal_autocheckpoint = 2000");
    db.pragma("journal_size_limit = 16777216");
    if (path !== ":memory:") chmodSync(path, 0o600);
    const kind = Number(db.pragma("user_version", { simple: true }));
    if (kind === 0) db.transaction(() => db.exec(schema)).immediate();
    else if (kind !== KIND)
      throw Object.assign(new Error("another kind of index"), { code: "SQLITE_CORRUPT" });
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Such a file is of no use any more, and nothing is lost with it. */
export function isDamaged(error: unknown): boolean {
  const code = String((error as { code?: unknown }).code);
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}

function removeFile(path: string): void {
  if (path === ":memory:") return;
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
}
