import type Database from "better-sqlite3";
import { SignalboxError } from "../../contract/errors.ts";
import type { Committed } from "../store.ts";
import { storageError } from "./errors.ts";

/** What one write changes, besides rows: kept apart until the write is known to stand. */
export class Changes implements Committed {
  events: Committed["events"] = [];
  topics = new Set<string>();
  targets = new Set<string>();
  ended: Committed["ended"] = [];
  dueMs: number | null = null;
  /** `topic\0status` → how many more or fewer. */
  counts = new Map<string, number>();

  count(topic: string, status: string, by: number): void {
    const key = `${topic}\0${status}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }

  dueAt(ms: number): void {
    this.dueMs = this.dueMs === null ? ms : Math.min(this.dueMs, ms);
  }

  add(other: Changes): void {
    for (const event of other.events) this.events.push(event);
    for (const topic of other.topics) this.topics.add(topic);
    for (const target of other.targets) this.targets.add(target);
    for (const effect of other.ended) this.ended.push(effect);
    if (other.dueMs !== null) this.dueAt(other.dueMs);
    for (const [key, by] of other.counts) this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }
}

interface Write {
  run(changes: Changes): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** State in memory that must follow a rollback. */
export interface Rewindable {
  mark(): () => void;
}

const GROUP = 1_000;
/** How long a foreign writer may hold the file before writes are refused. */
const BUSY_MS = 10_000;
const BUSY_STEP_MS = 25;

/**
 * Group commit: the writes asked for in one turn of the event loop share a transaction, each inside a savepoint of
 * its own, so that one that throws undoes itself alone. A write is answered when the transaction is on disk.
 */
export class Committer {
  readonly #db: Database.Database;
  readonly #memory: Rewindable;
  readonly #maxPending: number;
  readonly #listeners = new Set<(committed: Committed) => void>();
  readonly #statements: Record<
    "begin" | "commit" | "rollback" | "save" | "release" | "undo" | "count",
    Database.Statement
  >;
  #queue: Write[] = [];
  #scheduled = false;
  #busySince: number | null = null;
  #closed = false;
  /** Called when a group is through and nothing waits. */
  onIdle: () => void = () => {};
  onCommit: (events: number) => void = () => {};

  constructor(db: Database.Database, memory: Rewindable, maxPending: number) {
    this.#db = db;
    this.#memory = memory;
    this.#maxPending = maxPending;
    this.#statements = {
      begin: db.prepare("BEGIN IMMEDIATE"),
      commit: db.prepare("COMMIT"),
      rollback: db.prepare("ROLLBACK"),
      save: db.prepare("SAVEPOINT one"),
      release: db.prepare("RELEASE one"),
      undo: db.prepare("ROLLBACK TO one"),
      count: db.prepare(
        "INSERT INTO counts (topic, status, n) VALUES (?, ?, ?) ON CONFLICT (topic, status) DO UPDATE SET n = n + excluded.n",
      ),
    };
  }

  subscribe(listener: (committed: Committed) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  write<T>(run: (changes: Changes) => T): Promise<T> {
    if (this.#closed) return Promise.reject(new SignalboxError("unavailable", "the database is closed"));
    if (this.#queue.length >= this.#maxPending) {
      return Promise.reject(
        new SignalboxError("busy", `${this.#queue.length} writes are waiting`, { retryAfterS: 1 }),
      );
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Commits what waits, then refuses further writes. */
  close(): void {
    while (this.#queue.length > 0) this.#flush();
    this.#closed = true;
  }

  get idle(): boolean {
    return this.#queue.length === 0;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#queue.length === 0) return;
    if (!this.#begin()) return;
    const group = this.#queue.length <= GROUP ? this.#queue : this.#queue.slice(0, GROUP);
    this.#queue = this.#queue.length <= GROUP ? [] : this.#queue.slice(GROUP);
    const rewind = this.#memory.mark();
    const done = new Changes();
    let results: { ok: boolean; value: unknown }[];
    try {
      results = group.map((write) => this.#runOne(write, done, group.length > 1));
      for (const [key, by] of done.counts) {
        if (by === 0) continue;
        const at = key.indexOf("\0");
        this.#statements.count.run(key.slice(0, at), key.slice(at + 1), by);
      }
      this.#statements.commit.run();
    } catch (error) {
      if (this.#db.inTransaction) this.#statements.rollback.run();
      rewind();
      const reason = storageError(error);
      for (const write of group) write.reject(reason);
      if (this.#queue.length > 0) this.#schedule();
      return;
    }
    this.#publish(done);
    group.forEach((write, index) => {
      const result = results[index];
      if (result?.ok) write.resolve(result.value);
      else write.reject(result?.value);
    });
    this.onCommit(done.events.length);
    if (this.#queue.length > 0) this.#schedule();
    else this.onIdle();
  }

  /** False when another program holds the file: tried again later without stopping the event loop. */
  #begin(): boolean {
    try {
      this.#statements.begin.run();
      this.#busySince = null;
      return true;
    } catch (error) {
      const now = performance.now();
      this.#busySince ??= now;
      const code = (error as { code?: string }).code ?? "";
      if (code.startsWith("SQLITE_BUSY") && now - this.#busySince < BUSY_MS && !this.#closed) {
        setTimeout(() => this.#schedule(), BUSY_STEP_MS);
        return false;
      }
      this.#busySince = null;
      const reason = storageError(error);
      const failed = this.#queue;
      this.#queue = [];
      for (const write of failed) write.reject(reason);
      return false;
    }
  }

  #runOne(write: Write, done: Changes, guarded: boolean): { ok: boolean; value: unknown } {
    const changes = new Changes();
    const rewind = this.#memory.mark();
    if (guarded) this.#statements.save.run();
    try {
      const value = write.run(changes);
      if (guarded) this.#statements.release.run();
      done.add(changes);
      return { ok: true, value };
    } catch (error) {
      // A full disk or a broken file has ended the whole transaction: then nothing of the group stands.
      if (!this.#db.inTransaction) throw error;
      if (!guarded) this.#undoAll();
      else {
        this.#statements.undo.run();
        this.#statements.release.run();
      }
      rewind();
      return { ok: false, value: storageError(error) };
    }
  }

  #undoAll(): void {
    this.#statements.rollback.run();
    this.#statements.begin.run();
  }

  #publish(done: Changes): void {
    for (const listener of this.#listeners) listener(done);
  }
}
