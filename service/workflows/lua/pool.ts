import type { Json, JsonObject } from "../../contract/common.ts";
import { SignalboxError } from "../../contract/errors.ts";
import type { LogLine, SourceError } from "../../contract/workflows.ts";
import { type Logger, silentLog } from "../../lib/log.ts";
import type { WaitEnd } from "./activity.ts";
import type {
  LoadedWorkflow,
  LuaHost,
  LuaLimits,
  RunOutcome,
  RunRequest,
  ScratchHost,
  WorkflowSource,
} from "./host.ts";
import { type Down, type DownReason, type Job, LuaThread } from "./thread.ts";

export interface LuaHostOptions {
  limits: LuaLimits;
  /** Threads that workflows share. One that had to be stopped moves to a thread of its own besides. */
  workers: number;
  log?: Logger;
  /** Each log line as it is written, also of runs that are stopped later. `run_id` is null while a file loads. */
  onLog?(workflow: string, run_id: string | null, line: LogLine): void;
  /** The worker's file; the bundle has its own. */
  workerUrl?: URL;
}

/** Between two looks at threads that compute. */
const WATCH_MS = 20;
/** More than this between two looks means that the machine slept or this thread was busy: not the workflow's fault. */
const MAX_ELAPSED_MS = 3 * WATCH_MS;
const MB = 1_048_576;
/** A load whose thread others ended is tried again, but not for ever. */
const MAX_LOAD_ATTEMPTS = 5;

interface Placement {
  source: WorkflowSource;
  thread: LuaThread;
  /** False until its text has loaded in this thread. */
  isLoaded: boolean;
}

/** The embedded Lua host: workflows in worker threads, under a watchdog. Starts nothing until it is asked. */
export function openLuaHost(options: LuaHostOptions): LuaHost {
  return new LuaPool(options);
}

class LuaPool implements LuaHost {
  readonly #options: LuaHostOptions;
  readonly #log: Logger;
  readonly #shared: LuaThread[] = [];
  readonly #all = new Set<LuaThread>();
  readonly #placements = new Map<string, Placement>();
  /** Workflows that ended a thread: each has one of its own until it is unloaded. */
  readonly #offenders = new Set<string>();
  /** Suspended runs and their workflow. */
  readonly #suspended = new Map<string, string>();
  #watchdog: NodeJS.Timeout | null = null;
  #watchedMs = 0;
  #isClosed = false;

  constructor(options: LuaHostOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
  }

  async load(source: WorkflowSource): Promise<LoadedWorkflow> {
    this.#assertOpen();
    const { name } = source;
    const before = this.#placements.get(name);
    const thread = before?.thread ?? this.#place(name);
    if (!before) this.#placements.set(name, { source, thread, isLoaded: false });
    try {
      const loaded = await this.#load(thread, name, source, name);
      const placement = this.#placements.get(name);
      if (placement) {
        // The state of the version before lives on in the thread; only a first load takes it from the source.
        const state = placement.isLoaded ? placement.source.state : source.state;
        placement.source = { ...source, state: { ...state } };
        placement.isLoaded = true;
      }
      return loaded;
    } catch (error) {
      if (!this.#placements.get(name)?.isLoaded) await this.#forget(name);
      throw error;
    }
  }

  async unload(name: string): Promise<void> {
    const placement = this.#placements.get(name);
    if (!placement) return;
    this.#offenders.delete(name);
    const { thread } = placement;
    for (const [run_id, workflow] of this.#suspended) if (workflow === name) this.#suspended.delete(run_id);
    await new Promise<void>((resolve) => {
      const job = { key: name, onLogs: () => {}, onReply: () => resolve(), onDown: () => resolve() };
      this.#ask(thread, job, (number) => ({ kind: "unload", job: number, key: name }));
      this.#placements.delete(name);
    });
    await this.#closeIfOwn(thread);
  }

  async run(request: RunRequest): Promise<RunOutcome> {
    this.#assertOpen();
    const { workflow, ...rest } = request;
    const placement = this.#placements.get(workflow);
    if (!placement) throw new SignalboxError("not_found", `workflow ${workflow} is not loaded`);
    const outcome = await this.#runIn(placement.thread, workflow, rest, workflow);
    this.#note(workflow, request.run_id, outcome);
    return outcome;
  }

  async resume(run_id: string, end: WaitEnd, now_ms: number): Promise<RunOutcome> {
    this.#assertOpen();
    const workflow = this.#suspended.get(run_id);
    const placement = workflow === undefined ? undefined : this.#placements.get(workflow);
    if (workflow === undefined || !placement) {
      return { kind: "stopped", reason: "lost", message: "its Lua state is gone" };
    }
    this.#suspended.delete(run_id);
    const outcome = await this.#resumeIn(placement.thread, workflow, run_id, end, now_ms, workflow);
    this.#note(workflow, run_id, outcome);
    return outcome;
  }

  isSuspended(run_id: string): boolean {
    return this.#suspended.has(run_id);
  }

  drop(run_id: string): void {
    const workflow = this.#suspended.get(run_id);
    if (workflow === undefined) return;
    this.#suspended.delete(run_id);
    this.#placements.get(workflow)?.thread.tell({ kind: "drop", key: workflow, run_id });
  }

  async withScratch<T>(source: WorkflowSource, use: (host: ScratchHost) => Promise<T>): Promise<T> {
    this.#assertOpen();
    // A thread for this one text, so that it can hurt nothing but itself.
    const thread = this.#newThread(() => {});
    try {
      const key = source.name;
      const loaded = await this.#load(thread, key, source, null);
      return await use({
        loaded,
        run: (request) => this.#runIn(thread, key, request, null),
        resume: (run_id, end, now_ms) => this.#resumeIn(thread, key, run_id, end, now_ms, null),
      });
    } finally {
      this.#all.delete(thread);
      await thread.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#watchdog) clearInterval(this.#watchdog);
    this.#watchdog = null;
    await Promise.all([...this.#all].map((thread) => thread.close()));
    this.#placements.clear();
    this.#suspended.clear();
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new SignalboxError("unavailable", "the Lua host is closed");
  }

  /** The thread for a new workflow: its own, or the shared one with the fewest. */
  #place(name: string): LuaThread {
    if (this.#offenders.has(name)) return this.#newThread((thread, down) => this.#recover(thread, down));
    const counts = new Map(this.#shared.map((thread) => [thread, 0]));
    for (const { thread } of this.#placements.values()) {
      const count = counts.get(thread);
      if (count !== undefined) counts.set(thread, count + 1);
    }
    const [least] = [...counts].sort((a, b) => a[1] - b[1]);
    if (least && (least[1] === 0 || this.#shared.length >= this.#options.workers)) return least[0];
    const thread = this.#newThread((fallen, down) => this.#recover(fallen, down));
    this.#shared.push(thread);
    return thread;
  }

  #newThread(onDown: (thread: LuaThread, down: Down) => void): LuaThread {
    const thread = new LuaThread({
      limits: this.#options.limits,
      workerUrl: this.#options.workerUrl ?? new URL("./worker.ts", import.meta.url),
      log: this.#log,
      onDown,
    });
    this.#all.add(thread);
    return thread;
  }

  async #forget(name: string): Promise<void> {
    const thread = this.#placements.get(name)?.thread;
    this.#placements.delete(name);
    if (thread) await this.#closeIfOwn(thread);
  }

  async #closeIfOwn(thread: LuaThread): Promise<void> {
    if (this.#shared.includes(thread)) return;
    this.#all.delete(thread);
    await thread.close();
  }

  /** Loads again what lived in a thread that had to be ended; whoever caused it moves to a thread of its own. */
  #recover(thread: LuaThread, down: Down): void {
    const inIt = [...this.#placements].filter(([, placement]) => placement.thread === thread);
    const names = new Set(inIt.map(([name]) => name));
    for (const [run_id, workflow] of this.#suspended) {
      if (names.has(workflow)) this.#suspended.delete(run_id);
    }
    this.#log.warn({ workflow: down.key, reason: down.reason }, "a workflow thread was ended");
    if (down.key !== null && this.#shared.includes(thread) && names.has(down.key)) {
      this.#offenders.add(down.key);
      const offender = this.#placements.get(down.key);
      if (offender) offender.thread = this.#place(down.key);
    }
    for (const [name, placement] of inIt) {
      if (!placement.isLoaded) continue;
      this.#load(placement.thread, name, placement.source, name).catch((error: unknown) => {
        this.#log.error({ err: error, workflow: name }, "a workflow could not be loaded again");
        if (this.#placements.get(name) === placement) return this.#forget(name);
      });
    }
  }

  #load(
    thread: LuaThread,
    key: string,
    source: WorkflowSource,
    logAs: string | null,
    attempt = 1,
  ): Promise<LoadedWorkflow> {
    return new Promise((resolve, reject) => {
      const job: Job = {
        key,
        onLogs: (lines) => this.#tellLogs(logAs, null, lines),
        onReply: (reply) => {
          if (reply.kind === "loaded") resolve(reply.loaded);
          else if (reply.kind === "load_failed") reject(loadFailed(source, reply.error));
        },
        onDown: (reason, message) => {
          if (this.#isClosed) reject(new SignalboxError("unavailable", "the Lua host is closed"));
          else if (reason === "lost" && attempt < MAX_LOAD_ATTEMPTS) {
            // Another workflow ended the thread; this one has its turn in the next.
            const next = this.#placements.get(key)?.thread ?? thread;
            queueMicrotask(() => this.#load(next, key, source, logAs, attempt + 1).then(resolve, reject));
          } else {
            if (reason !== "lost" && logAs !== null) this.#offenders.add(key);
            reject(loadFailed(source, { message, file: source.file, line: null, traceback: null }));
          }
        },
      };
      this.#ask(thread, job, (number) => ({ kind: "load", job: number, key, source }));
    });
  }

  #runIn(
    thread: LuaThread,
    key: string,
    request: Omit<RunRequest, "workflow">,
    logAs: string | null,
  ): Promise<RunOutcome> {
    return new Promise((resolve) => {
      const job = this.#runJob(key, request.run_id, logAs, resolve);
      this.#ask(thread, job, (number) => ({ kind: "run", job: number, key, request }));
    });
  }

  #resumeIn(
    thread: LuaThread,
    key: string,
    run_id: string,
    end: WaitEnd,
    now_ms: number,
    logAs: string | null,
  ): Promise<RunOutcome> {
    return new Promise((resolve) => {
      const job = this.#runJob(key, run_id, logAs, resolve);
      this.#ask(thread, job, (number) => ({ kind: "resume", job: number, key, run_id, end, now_ms }));
    });
  }

  #runJob(key: string, run_id: string, logAs: string | null, resolve: (outcome: RunOutcome) => void): Job {
    return {
      key,
      onLogs: (lines) => this.#tellLogs(logAs, run_id, lines),
      onReply: (reply) => {
        if (reply.kind === "outcome") resolve(reply.outcome);
      },
      onDown: (reason, message) => resolve(downOutcome(reason, message)),
    };
  }

  #ask(thread: LuaThread, job: Job, make: Parameters<LuaThread["ask"]>[1]): void {
    thread.ask(job, make);
    if (this.#watchdog) return;
    this.#watchedMs = performance.now();
    this.#watchdog = setInterval(() => this.#watch(), WATCH_MS);
    this.#watchdog.unref();
  }

  #watch(): void {
    const nowMs = performance.now();
    const elapsedMs = Math.min(nowMs - this.#watchedMs, MAX_ELAPSED_MS);
    this.#watchedMs = nowMs;
    const rssMb = process.memoryUsage.rss() / MB;
    let isBusy = false;
    for (const thread of this.#all) {
      if (!thread.isBusy) continue;
      isBusy = true;
      thread.watch(elapsedMs, rssMb);
    }
    if (isBusy || !this.#watchdog) return;
    clearInterval(this.#watchdog);
    this.#watchdog = null;
  }

  /** Keeps what a restart of the thread needs. */
  #note(workflow: string, run_id: string, outcome: RunOutcome): void {
    if (outcome.kind === "suspended") this.#suspended.set(run_id, workflow);
    if (outcome.kind !== "suspended" && outcome.kind !== "done") return;
    const state = this.#placements.get(workflow)?.source.state;
    if (!state) return;
    for (const operation of outcome.operations) {
      if (operation.kind !== "state") continue;
      if (operation.value === undefined) delete state[operation.key];
      else assign(state, operation.key, operation.value);
    }
  }

  #tellLogs(workflow: string | null, run_id: string | null, lines: LogLine[]): void {
    if (workflow === null) return;
    for (const line of lines) this.#options.onLog?.(workflow, run_id, line);
  }
}

function assign(state: JsonObject, key: string, value: Json): void {
  Object.defineProperty(state, key, { value, enumerable: true, configurable: true, writable: true });
}

function downOutcome(reason: DownReason, message: string): RunOutcome {
  if (reason !== "crash") return { kind: "stopped", reason, message };
  const error = { message, file: null, line: null, traceback: null };
  return { kind: "failed", error, logs: [], cpu_ms: 0 };
}

function loadFailed(source: WorkflowSource, error: SourceError): SignalboxError {
  const place = error.line === null ? source.file : `${source.file}:${error.line}`;
  return new SignalboxError("workflow_load_failed", `${place}: ${error.message}`, { details: error });
}
