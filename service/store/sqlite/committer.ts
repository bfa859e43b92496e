import type Database from "better-sqlite3";
import { SignalboxError } from "../../contract/errors.ts";
import type { Committed } from "../store.ts";
import { Changes } from "./changes.ts";
import { storageError } from "./errors.ts";

export { Changes } from "./changes.ts";

interface Write {
  run(changes: Changes): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** In a transaction of its own, since it takes long and others should not wait for its end. */
  alone: boolean;
}

type Outcome = { ok: true; value: unknown } | { ok: false; error: unknown };

/** State in memory that must follow a rollback. */
export interface Rewindable {
  mark(): () => void;
}

interface CommitterOptions {
  db: Database.Database;
  /** Named in errors. */
  file: string;
  memory: Rewindable;
  /** Writes that may wait; more are refused as `busy`. */
  maxPending: number;
  /** How long another program may hold the file before writes are refused as `busy`. */
  busyMs: number;
}

/** A transaction takes no further writes after so many, or after so long. */
const GROUP = 1_000;
const GROUP_MS = 20;
const BUSY_STEP_MS = 25;

/**
 * Group commit: the writes asked for in one turn of the event loop share a transaction, and are answered when it is
 * on disk. One that throws undoes itself alone.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #listeners = new Set<(committed: Committed) => void>();
  readonly #statements: ReturnType<typeof prepare>;
  #queue: Write[] = [];
  #scheduled = false;
  #busySince: number | null = null;
  #closing: { done: Promise<void>; finish: () => void } | null = null;
  /** Why the last transaction was not committed; null when it was. */
  problem: Error | null = null;
  /** Called in each transaction after its writes; what it returns is called when that is committed. */
  beforeCommit: (changes: Changes) => () => void = () => () => {};
  /** Called after each commit, before those who subscribed. */
  onCommit: () => void = () => {};

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#statements = prepare(options.db);
  }

  subscribe(listener: (committed: Committed) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  write<T>(run: (changes: Changes) => T): Promise<T> {
    return this.#enqueue(run, false);
  }

  /** In a transaction that it shares with nobody: for batches that take milliseconds. */
  writeAlone<T>(run: (changes: Changes) => T): Promise<T> {
    return this.#enqueue(run, true);
  }

  /** Resolves when what waits is committed; further writes are refused from now on. */
  close(): Promise<void> {
    if (!this.#closing) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = { done: promise, finish: resolve };
      if (this.#queue.length === 0) resolve();
    }
    return this.#closing.done;
  }

  #enqueue<T>(run: (changes: Changes) => T, alone: boolean): Promise<T> {
    if (this.#closing) return Promise.reject(new SignalboxError("unavailable", "the database is closed"));
    if (this.#queue.length >= this.#options.maxPending) {
      const waiting = `${this.#queue.length} writes are waiting`;
      return Promise.reject(new SignalboxError("busy", waiting, { retryAfterS: 1 }));
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run, resolve: resolve as (value: unknown) => void, reject, alone });
      if (this.#busySince === null) this.#schedule();
    });
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
    if (this.#queue.length > 0 && this.#begin()) this.#commitGroup();
    if (this.#queue.length > 0) {
      if (this.#busySince === null) this.#schedule();
      return;
    }
    this.#closing?.finish();
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
      if (code.startsWith("SQLITE_BUSY") && now - this.#busySince < this.#options.busyMs) {
        setTimeout(() => this.#schedule(), BUSY_STEP_MS);
        return false;
      }
      this.#busySince = null;
      const failed = this.#queue;
      this.#queue = [];
      this.#rejectAll(failed, error);
      return false;
    }
  }

  #commitGroup(): void {
    const group: Write[] = [];
    const rewind = this.#options.memory.mark();
    let done: { outcomes: Outcome[]; changes: Changes };
    let afterCommit: () => void;
    try {
      done = this.#runPlain(group) ?? this.#runGuarded(group, rewind);
      afterCommit = this.beforeCommit(done.changes);
      for (const [topic, status, by] of done.changes.counted()) this.#statements.count.run(topic, status, by);
      this.#statements.commit.run();
      this.problem = null;
    } catch (error) {
      if (this.#options.db.inTransaction) this.#statements.rollback.run();
      rewind();
      this.#rejectAll(group, error);
      return;
    }
    group.forEach((write, index) => {
      const outcome = done.outcomes[index];
      if (outcome?.ok) write.resolve(outcome.value);
      else write.reject(storageError(outcome?.error, this.#options.file));
    });
    afterCommit();
    this.onCommit();
    for (const listener of this.#listeners) listener(done.changes);
  }

  /** Most writes succeed, and savepoints cost more than some writes. Null when one threw. Fills `group`. */
  #runPlain(group: Write[]): { outcomes: Outcome[]; changes: Changes } | null {
    const changes = new Changes();
    const outcomes: Outcome[] = [];
    const begun = performance.now();
    let failed = false;
    for (const write of this.#queue) {
      const full = group.length >= GROUP || performance.now() - begun > GROUP_MS;
      if (group.length > 0 && (write.alone || group[0]?.alone || full)) break;
      group.push(write);
      if (failed) continue;
      try {
        outcomes.push({ ok: true, value: write.run(changes) });
      } catch {
        // Run again under a savepoint, where it throws the same.
        failed = true;
      }
    }
    this.#queue.splice(0, group.length);
    return failed ? null : { outcomes, changes };
  }

  /** From the start, each write in a savepoint, so that those that throw leave the others alone. */
  #runGuarded(group: Write[], rewind: () => void): { outcomes: Outcome[]; changes: Changes } {
    const { begin, rollback, save, release, undo } = this.#statements;
    const { db, memory } = this.#options;
    if (db.inTransaction) rollback.run();
    rewind();
    begin.run();
    const all = new Changes();
    const outcomes = group.map((write): Outcome => {
      const back = memory.mark();
      const changes = new Changes();
      save.run();
      try {
        const value = write.run(changes);
        release.run();
        all.add(changes);
        return { ok: true, value };
      } catch (error) {
        // A full disk or a broken file has ended the whole transaction: then nothing of the group stands.
        if (!db.inTransaction) throw error;
        undo.run();
        release.run();
        back();
        return { ok: false, error };
      }
    });
    return { outcomes, changes: all };
  }

  #rejectAll(writes: Write[], error: unknown): void {
    const reason = storageError(error, this.#options.file);
    this.problem = reason instanceof Error ? reason : new Error(String(reason));
    for (const write of writes) write.reject(reason);
  }
}

function prepare(db: Database.Database) {
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    save: db.prepare("SAVEPOINT one"),
    release: db.prepare("RELEASE one"),
    undo: db.prepare("ROLLBACK TO one"),
    count: db.prepare<[string, string, number]>(
      "INSERT INTO counts (topic, status, n) VALUES (?, ?, ?) ON CONFLICT (topic, status) DO UPDATE SET n = n + excluded.n",
    ),
  };
}
