import type { LogLine, SourceError } from "../../contract/workflows.ts";
import type { WaitEnd } from "./activity.ts";
import type { LoadedWorkflow, LuaLimits, RunOutcome, RunRequest, WorkflowSource } from "./host.ts";

/** Main thread → worker, in batches. `key` is the workflow's name; `job` is answered by one reply. */
export type ToWorker =
  | { kind: "load"; job: number; key: string; source: WorkflowSource }
  | { kind: "unload"; job: number; key: string }
  | { kind: "run"; job: number; key: string; request: Omit<RunRequest, "workflow"> }
  | { kind: "resume"; job: number; key: string; run_id: string; end: WaitEnd; now_ms: number }
  | { kind: "drop"; key: string; run_id: string };

/** What ends a job. */
export type Reply =
  | { kind: "loaded"; job: number; loaded: LoadedWorkflow }
  | { kind: "load_failed"; job: number; error: SourceError; logs: LogLine[] }
  | { kind: "unloaded"; job: number }
  | { kind: "outcome"; job: number; outcome: RunOutcome };

/** Worker → main thread, in batches. */
export type FromWorker = Reply | { kind: "ready" } | { kind: "logs"; job: number; lines: LogLine[] };

export interface WorkerData {
  limits: LuaLimits;
  /** Int32Array of `Shared.length` numbers: what the watchdog sees while the worker is deaf. */
  shared: SharedArrayBuffer;
}

/** Places in the shared memory. */
export const Shared = {
  /** The job that computes, or 0. */
  job: 0,
  /** Counts up at each point where the job could be interrupted. */
  progress: 1,
  /** What the job had computed at that point, in ms. */
  cpuMs: 2,
  /** How much the worker's memory had grown since it was last idle, in KB, at that point or up to 10 ms before. */
  grownKb: 3,
  length: 4,
} as const;
