import { Worker } from "node:worker_threads";
import type { LogLine } from "../../contract/workflows.ts";
import type { Logger } from "../../lib/log.ts";
import type { LuaLimits } from "./host.ts";
import { type FromWorker, type Reply, Shared, type ToWorker, type WorkerData } from "./protocol.ts";

/** `crash`: the thread itself died of an error while the job computed. */
export type DownReason = "timeout" | "memory" | "crash" | "lost";

/** What waits for a reply. */
export interface Job {
  readonly key: string;
  onReply(reply: Reply): void;
  onLogs(lines: LogLine[]): void;
  /** Its thread has ended. `reason` is `lost` unless this job was what it computed. */
  onDown(reason: DownReason, message: string): void;
}

export interface Down {
  /** Workflow whose job was on the CPU. */
  key: string | null;
  reason: DownReason;
}

export interface ThreadOptions {
  limits: LuaLimits;
  workerUrl: URL;
  log: Logger;
  /** After every job has heard; nothing runs in this thread any more. */
  onDown(thread: LuaThread, down: Down): void;
}

/** Heap beyond `memoryMb` for the code itself and what waits there for the collector. */
const SPARE_HEAP_MB = 64;
/** What a handler makes lives for a moment; the usual three times sixteen would stay resident after a burst. */
const YOUNG_MB = 8;
/** Time for the worker to notice by itself, which is gentler. */
const TIMEOUT_MARGIN_MS = 1_000;
let lastJob = 0;

/**
 * One worker thread, started by its first message and again after it had to be ended. Seen from outside while it
 * computes: `watch` ends it when its job is stuck, computes for too long or takes too much memory.
 */
export class LuaThread {
  readonly #options: ThreadOptions;
  #worker: Worker | null = null;
  #shared: Int32Array = new Int32Array(Shared.length);
  #isReady = false;
  #jobs = new Map<number, Job>();
  #outbox: ToWorker[] = [];
  #ending: Promise<unknown>[] = [];
  #isClosed = false;
  #seen = { job: 0, progress: 0, stalledMs: 0 };
  /** The process's memory when a job was first seen to compute, in MB. */
  #rssAtStart = new Map<number, number>();

  constructor(options: ThreadOptions) {
    this.#options = options;
  }

  get isBusy(): boolean {
    return this.#jobs.size > 0;
  }

  /** Posts a message that is answered; `make` gets the job's number. */
  ask(job: Job, make: (job: number) => ToWorker): void {
    const number = nextJob();
    this.#jobs.set(number, job);
    this.tell(make(number));
  }

  /** Posts a message; those of one tick travel together. */
  tell(message: ToWorker): void {
    this.#worker ??= this.#start();
    this.#outbox.push(message);
    if (this.#outbox.length > 1) return;
    queueMicrotask(() => {
      const batch = this.#outbox;
      this.#outbox = [];
      if (batch.length > 0) this.#worker?.postMessage(batch);
    });
  }

  /**
   * Called every few ms while something runs.
   * @param elapsedMs since the last call, without what the machine slept
   */
  watch(elapsedMs: number, rssMb: number): void {
    const { handlerTimeoutMs, stallMs } = this.#options.limits;
    const job = Atomics.load(this.#shared, Shared.job);
    const progress = Atomics.load(this.#shared, Shared.progress);
    const cpuMs = Atomics.load(this.#shared, Shared.cpuMs);
    if (job === 0) return;
    const rssAtStart = this.#rssAtStart.get(job);
    if (rssAtStart === undefined) this.#rssAtStart.set(job, rssMb);
    if (rssAtStart === undefined || job !== this.#seen.job) {
      this.#seen = { job, progress, stalledMs: 0 };
      return;
    }
    const isStalled = progress === this.#seen.progress;
    this.#seen.progress = progress;
    this.#seen.stalledMs = isStalled ? this.#seen.stalledMs + elapsedMs : 0;
    if (this.#isTooLarge(rssMb - rssAtStart, isStalled)) {
      this.#end("memory", `took more than ${this.#options.limits.memoryMb} MB of memory`);
    } else if (this.#seen.stalledMs > stallMs) {
      this.#end("timeout", `spent more than ${stallMs} ms in one step that can't be interrupted`);
    } else if (cpuMs + this.#seen.stalledMs > handlerTimeoutMs + TIMEOUT_MARGIN_MS) {
      this.#end("timeout", `computed for more than ${handlerTimeoutMs} ms`);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#worker) this.#down("lost", "the service stops", this.#worker);
    await Promise.all(this.#ending);
  }

  /** The process grew, and this thread is the likely cause: others allocate as well. */
  #isTooLarge(grownMb: number, isStalled: boolean): boolean {
    const { memoryMb } = this.#options.limits;
    if (grownMb <= memoryMb) return false;
    const ownMb = Atomics.load(this.#shared, Shared.grownKb) / 1_024;
    return isStalled || ownMb > memoryMb / 4;
  }

  #start(): Worker {
    const { limits, workerUrl, log } = this.#options;
    const memory = new SharedArrayBuffer(Shared.length * Int32Array.BYTES_PER_ELEMENT);
    this.#shared = new Int32Array(memory);
    this.#isReady = false;
    const worker = new Worker(workerUrl, {
      name: "lua",
      workerData: { limits, shared: memory } satisfies WorkerData,
      resourceLimits: {
        maxOldGenerationSizeMb: limits.memoryMb + SPARE_HEAP_MB,
        maxYoungGenerationSizeMb: YOUNG_MB,
      },
      // Nothing of the service's surroundings, such as secrets, is in the thread's memory.
      env: {},
      execArgv: [],
    });
    worker.on("message", (batch: FromWorker[]) => {
      if (worker === this.#worker) for (const message of batch) this.#hear(message);
    });
    worker.on("error", (error: Error & { code?: string }) => {
      if (worker !== this.#worker) return;
      const isMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      if (!isMemory) log.error({ err: error }, "a workflow thread failed");
      this.#down(isMemory ? "memory" : "crash", error.message, worker);
    });
    worker.on("exit", (code) => {
      if (worker === this.#worker) this.#down("crash", `the workflow thread ended with code ${code}`, worker);
    });
    return worker;
  }

  #hear(message: FromWorker): void {
    if (message.kind === "ready") {
      this.#isReady = true;
      return;
    }
    const job = this.#jobs.get(message.job);
    if (message.kind === "logs") {
      job?.onLogs(message.lines);
      return;
    }
    this.#jobs.delete(message.job);
    this.#rssAtStart.delete(message.job);
    job?.onReply(message);
  }

  #end(reason: DownReason, message: string): void {
    if (this.#worker) this.#down(reason, message, this.#worker);
  }

  #down(reason: DownReason, message: string, worker: Worker): void {
    const culprit = this.#isReady ? Atomics.load(this.#shared, Shared.job) : 0;
    const jobs = this.#jobs;
    this.#worker = null;
    this.#jobs = new Map();
    this.#outbox = [];
    this.#seen = { job: 0, progress: 0, stalledMs: 0 };
    this.#rssAtStart.clear();
    const ended = worker.terminate();
    this.#ending.push(ended);
    void ended.then(() => this.#ending.splice(this.#ending.indexOf(ended), 1));
    const key = jobs.get(culprit)?.key ?? null;
    // One that never came up would not do so the next time either, and its jobs must not wait for it.
    const isBroken = !this.#isReady && !this.#isClosed;
    for (const [number, job] of jobs) {
      const isCulprit = number === culprit || isBroken;
      job.onDown(isCulprit ? reason : "lost", message);
    }
    if (!this.#isClosed && this.#isReady) this.#options.onDown(this, { key, reason });
  }
}

function nextJob(): number {
  // The shared memory holds 32 bits.
  lastJob = lastJob >= 0x7fffffff ? 1 : lastJob + 1;
  return lastJob;
}
