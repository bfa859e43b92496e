import type { LogLine } from "../../contract/workflows.ts";
import type { Meter } from "./coroutine.ts";
import type { LuaLimits, RunOutcome } from "./host.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";
import { type LoadResult, LuaWorkflow, type Task, type WorkflowRun } from "./workflow.ts";

/** Tells the watchdog which job is on the CPU. */
export interface JobMeter extends Meter {
  enter(job: number): void;
  leave(): void;
}

type Queued = Extract<ToWorker, { kind: "run" | "resume" }>;
type Load = Extract<ToWorker, { kind: "load" }>;

/** One workflow of this worker. */
interface Entry {
  key: string;
  /** Newest version that has loaded. */
  current: LuaWorkflow | null;
  loads: Load[];
  loading: { job: number; workflow: LuaWorkflow; task: Task<LoadResult> } | null;
  /** Runs and resumes in the order they were asked for. */
  queue: Queued[];
  active: { job: number; run: WorkflowRun } | null;
  suspended: Map<string, WorkflowRun>;
  isReady: boolean;
}

/**
 * Shares one thread among its workflows: each has its turn of a time slice. Within a workflow one run computes at
 * a time; one that waits lets the next begin. A load goes on beside the run under way and holds back new ones.
 */
export class Scheduler {
  readonly #limits: LuaLimits;
  readonly #meter: JobMeter;
  readonly #send: (message: FromWorker) => void;
  readonly #entries = new Map<string, Entry>();
  /** Workflows with something to do, next one first. */
  readonly #ready: Entry[] = [];

  constructor(limits: LuaLimits, meter: JobMeter, send: (message: FromWorker) => void) {
    this.#limits = limits;
    this.#meter = meter;
    this.#send = send;
  }

  accept(message: ToWorker): void {
    const entry = this.#entry(message.key);
    switch (message.kind) {
      case "load":
        entry.loads.push(message);
        break;
      case "run":
      case "resume":
        entry.queue.push(message);
        break;
      case "drop":
        entry.suspended.delete(message.run_id);
        break;
      case "unload":
        this.#unload(entry, message.job);
        return;
    }
    if (!entry.isReady && hasWork(entry)) {
      entry.isReady = true;
      this.#ready.push(entry);
    }
  }

  /** Gives the next workflow its turn. False when there is nothing to do. */
  turn(): boolean {
    const entry = this.#ready.shift();
    if (!entry) return false;
    this.#load(entry, performance.now() + this.#limits.sliceMs);
    const untilMs = performance.now() + this.#limits.sliceMs;
    while (this.#advance(entry, untilMs) && performance.now() < untilMs);
    entry.isReady = hasWork(entry);
    if (entry.isReady) this.#ready.push(entry);
    return true;
  }

  #entry(key: string): Entry {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = {
        key,
        current: null,
        loads: [],
        loading: null,
        queue: [],
        active: null,
        suspended: new Map(),
        isReady: false,
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #load(entry: Entry, untilMs: number): void {
    const next = entry.loading ? undefined : entry.loads.shift();
    if (next) {
      const workflow = new LuaWorkflow(next.source, entry.current?.state ?? null, this.#limits, this.#meter);
      entry.loading = { job: next.job, workflow, task: workflow.load() };
    }
    if (!entry.loading) return;
    const { job, workflow, task } = entry.loading;
    const result = this.#step(job, task, untilMs);
    if (!result) return;
    entry.loading = null;
    if (result.kind === "loaded") {
      entry.current = workflow;
      this.#send({ kind: "loaded", job, loaded: result.loaded });
    } else {
      this.#send({ kind: "load_failed", job, error: result.error, logs: result.logs });
    }
  }

  /** Lets the workflow's run compute, or begins the next one. False when there is no more to do in this turn. */
  #advance(entry: Entry, untilMs: number): boolean {
    entry.active ??= this.#next(entry);
    if (!entry.active) return false;
    const { job, run } = entry.active;
    const outcome = this.#step(job, run, untilMs);
    if (!outcome) return false;
    entry.active = null;
    if (outcome.kind === "suspended") entry.suspended.set(run.activity.request.run_id, run);
    this.#send({ kind: "outcome", job, outcome });
    return true;
  }

  #next(entry: Entry): Entry["active"] {
    if (entry.loading || entry.loads.length > 0) return null;
    for (let next = entry.queue.shift(); next; next = entry.queue.shift()) {
      const run = this.#begin(entry, next);
      if (run) return { job: next.job, run };
    }
    return null;
  }

  #begin(entry: Entry, next: Queued): WorkflowRun | undefined {
    if (next.kind === "run") {
      if (entry.current) return entry.current.run(next.request);
      this.#send({ kind: "outcome", job: next.job, outcome: lost("its workflow is not loaded") });
      return undefined;
    }
    const run = entry.suspended.get(next.run_id);
    if (!run) {
      this.#send({ kind: "outcome", job: next.job, outcome: lost("its Lua state is gone") });
      return undefined;
    }
    entry.suspended.delete(next.run_id);
    run.goOn(next.end, next.now_ms);
    return run;
  }

  #step<Result>(job: number, task: Task<Result>, untilMs: number): Result | undefined {
    this.#meter.enter(job);
    const result = task.step(untilMs);
    this.#meter.leave();
    const lines = task.takeNewLogs();
    if (lines.length > 0) this.#send({ kind: "logs", job, lines });
    return result;
  }

  #unload(entry: Entry, job: number): void {
    this.#entries.delete(entry.key);
    const position = this.#ready.indexOf(entry);
    if (position >= 0) this.#ready.splice(position, 1);
    const outcome = lost("its workflow was unloaded");
    if (entry.active) this.#send({ kind: "outcome", job: entry.active.job, outcome });
    for (const queued of entry.queue) this.#send({ kind: "outcome", job: queued.job, outcome });
    for (const load of [...(entry.loading ? [entry.loading] : []), ...entry.loads]) {
      const error = {
        message: "it was unloaded before it had loaded",
        file: null,
        line: null,
        traceback: null,
      };
      this.#send({ kind: "load_failed", job: load.job, error, logs: [] satisfies LogLine[] });
    }
    this.#send({ kind: "unloaded", job });
  }
}

function hasWork(entry: Entry): boolean {
  return Boolean(entry.loading || entry.active) || entry.loads.length > 0 || entry.queue.length > 0;
}

function lost(why: string): RunOutcome {
  return { kind: "stopped", reason: "lost", message: why };
}
