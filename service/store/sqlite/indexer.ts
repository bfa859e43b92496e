import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { SignalboxError } from "../../contract/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { SqliteContext } from "./context.ts";
import { createBatch, type Gone, readLogId, removeGone } from "./index-batch.ts";
import { type IndexFile, isDamaged } from "./index-file.ts";
import type { IndexNews, IndexWork } from "./worker.ts";

/**
 * Events not yet in the index at which indexing no longer waits for a quiet moment, and gets a thread of its own, if
 * there is one to be had. Fewer are done here, in steps of about a millisecond.
 */
const INDEX_AT = 512;
/** How long it is waited for more to index at once, and then for a moment in which nothing is committed. */
const GATHER_MS = 15;
const QUIET_MS = 3;
const STEP = 96;
/** A thread without work ends: an idle one takes memory. */
const THREAD_IDLE_MS = 5_000;
/** Events behind the index that a query looks through itself. */
const LOOK_THROUGH = 64;
/** How long a query waits for the index. Only right after an upgrade is it further behind. */
const WAIT_MS = 500;

export interface Indexer {
  /**
   * Up to which `seq` the index may be asked. Events up to `seq` that lie beyond are few: a query looks through them.
   * They are more while the index is made anew or can't be written: then queries are slower, and still right.
   */
  upTo(seq: number): Promise<number>;
  /** Takes out what was taken out of the log. */
  remove(gone: Gone[]): void;
  /** Asks the index; finds out when it is damaged, and makes it anew. @throws `unavailable` */
  asked<T>(ask: () => T): T;
  close(): Promise<void>;
}

interface IndexerOptions {
  context: SqliteContext;
  index: IndexFile;
  log: Logger;
}

/**
 * Fills the index behind the commits, so that it costs them nothing. A query first looks how far it is, so nobody
 * sees the difference; after a crash it goes on where it was.
 */
export function startIndexer(options: IndexerOptions): Indexer {
  const indexer = new LogIndexer(options);
  indexer.start();
  return indexer;
}

class LogIndexer implements Indexer {
  readonly #options: IndexerOptions;
  readonly #batch: ReturnType<typeof createBatch>;
  #indexed = 0;
  #isStepping = false;
  #thread: IndexThread | null = null;
  /** A thread could not run, such as one whose file is missing. */
  #isAlone = false;
  #isRemaking = false;
  #timer: NodeJS.Timeout | undefined;
  #committedMs = 0;
  #closed = false;
  /** Called with each step, and when one fails. */
  #waiting: (() => void)[] = [];
  #problem: unknown = null;

  constructor(options: IndexerOptions) {
    this.#options = options;
    this.#batch = createBatch(options.context.db, options.index);
  }

  start(): void {
    const { context, index, log } = this.#options;
    const state = index.readState();
    if (state !== null && !this.#isOfThisLog(state)) {
      log.warn(
        { file: context.file },
        "the index is of another log, or of another time of it, and is made anew",
      );
      index.clear();
    } else this.#indexed = state?.indexed_seq ?? 0;
    context.committer.onCommit = () => this.#onCommit();
    this.#advance();
  }

  async upTo(seq: number): Promise<number> {
    const endMs = performance.now() + WAIT_MS;
    while (this.#indexed < seq - LOOK_THROUGH && performance.now() < endMs) {
      if (this.#closed) throw new SignalboxError("unavailable", "the database is closed");
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      this.#advance();
      const timer = setTimeout(resolve, WAIT_MS).unref();
      await promise;
      clearTimeout(timer);
      if (this.#problem !== null) break;
    }
    return Math.min(this.#indexed, seq);
  }

  remove(gone: Gone[]): void {
    const { context, index } = this.#options;
    // What is not there yet stays out, as it is no longer in the log by then.
    const known = gone.filter(({ seq }) => seq <= this.#indexed);
    if (known.length === 0) return;
    if (this.#thread) this.#thread.send({ gone: known });
    else this.#attempt(() => removeGone(context.db, index, known));
  }

  asked<T>(ask: () => T): T {
    try {
      return ask();
    } catch (error) {
      if (!isDamaged(error)) throw error;
      this.#remake(error);
      throw new SignalboxError("unavailable", "the index was damaged and is made anew", {
        cause: error,
        retryAfterS: 1,
      });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#tellWaiting();
    await this.#thread?.end();
    this.#options.index.close();
  }

  #onCommit(): void {
    this.#committedMs = performance.now();
    const behind = this.#options.context.memory.lastSeq - this.#indexed;
    if (behind >= INDEX_AT) this.#advance();
    else if (behind > 0) this.#timer ??= setTimeout(() => this.#onGathered(), GATHER_MS).unref();
  }

  #onGathered(): void {
    const isQuiet = performance.now() - this.#committedMs >= QUIET_MS;
    this.#timer = isQuiet ? undefined : setTimeout(() => this.#onGathered(), QUIET_MS).unref();
    if (isQuiet) this.#advance();
  }

  /** Sees to it that what is behind gets done, in whatever way. */
  #advance(): void {
    const { memory, file } = this.#options.context;
    const behind = memory.lastSeq - this.#indexed;
    if (this.#closed || this.#isRemaking || behind <= 0) return;
    if (this.#thread === null && behind >= INDEX_AT && !this.#isAlone && file !== ":memory:")
      this.#startThread();
    if (this.#thread) this.#thread.send({ upTo: memory.lastSeq });
    else if (!this.#isStepping) void this.#step();
  }

  /** In this thread, a little at a time. */
  async #step(): Promise<void> {
    const { context, index } = this.#options;
    this.#isStepping = true;
    let goesOn = true;
    while (goesOn && !this.#closed && this.#thread === null && this.#indexed < context.memory.lastSeq) {
      goesOn = this.#attempt(() => {
        const upTo = context.memory.lastSeq;
        this.#reach(index.write(() => this.#batch(this.#indexed, upTo, STEP)));
      });
      await nextTurn();
    }
    this.#isStepping = false;
  }

  #startThread(): void {
    this.#thread = new IndexThread(this.#options.context.file, {
      reached: (seq) => {
        this.#options.index.refresh();
        this.#reach(seq);
        if (this.#options.context.memory.lastSeq - seq >= INDEX_AT) this.#advance();
      },
      failed: (error) => this.#fail(error),
      broken: (error) => {
        this.#isAlone = true;
        this.#fail(error);
      },
      ended: () => {
        this.#thread = null;
        this.#advance();
      },
    });
  }

  #reach(seq: number): void {
    this.#indexed = seq;
    this.#problem = null;
    this.#tellWaiting();
  }

  #attempt(run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  /** The events are safe and the next query or commit tries again, so a full disk only delays this. */
  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#problem = error;
    this.#options.log.warn({ err: error }, "events could not be indexed; it goes on with the next one");
    if (isDamaged(error)) this.#remake(error);
    this.#tellWaiting();
  }

  #remake(error: unknown): void {
    const { log, index } = this.#options;
    log.warn({ err: error }, "the index was damaged and is made anew");
    this.#indexed = 0;
    if (this.#isRemaking) return;
    this.#isRemaking = true;
    void (this.#thread?.end() ?? Promise.resolve()).then(() => {
      this.#isRemaking = false;
      if (this.#closed) return;
      this.#attempt(() => index.clear());
      this.#advance();
    });
  }

  #tellWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #isOfThisLog(state: { log_id: string; indexed_seq: number; indexed_id: string }): boolean {
    const { db, memory } = this.#options.context;
    if (state.log_id !== readLogId(db) || state.indexed_seq > memory.lastSeq) return false;
    const id = db
      .prepare<[number], string>("SELECT id FROM events WHERE seq = ?")
      .pluck()
      .get(state.indexed_seq);
    // It may have been cleaned up since; a log that was put back from a copy has another one there, or ends before it.
    return id === undefined || id === state.indexed_id;
  }
}

interface ThreadEvents {
  reached(seq: number): void;
  failed(error: unknown): void;
  /** It could not even run. */
  broken(error: unknown): void;
  ended(): void;
}

/** The thread that indexes, while there is much to do. */
class IndexThread {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #idle: NodeJS.Timeout | undefined;

  constructor(file: string, events: ThreadEvents) {
    const entry = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./index-worker.js";
    this.#worker = new Worker(new URL(entry, import.meta.url), {
      name: "index",
      workerData: { file, path: `${file}.index` },
      env: {},
      execArgv: [],
    });
    this.#worker.unref();
    this.#worker.on("message", (news: IndexNews) => {
      if ("indexed" in news) events.reached(news.indexed);
      else events.failed(Object.assign(new Error(news.failed.message), { code: news.failed.code }));
    });
    this.#worker.on("error", (error) => events.broken(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        clearTimeout(this.#idle);
        resolve();
        events.ended();
      });
    });
  }

  send(work: IndexWork): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.end(), THREAD_IDLE_MS).unref();
    this.#worker.postMessage(work);
  }

  /** Resolves when it has let go of its files. */
  end(): Promise<void> {
    this.#worker.ref();
    this.#worker.postMessage({ end: true } satisfies IndexWork);
    return this.#exited;
  }
}
