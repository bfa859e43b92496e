import type { CallOptions } from "../../actions/definition.ts";
import type { ActionLibrary, FoundAction } from "../../actions/repository.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { Handler, LogLine, SourceError } from "../../contract/workflows.ts";

/** A workflow's text, and what its Lua state starts with. */
export interface WorkflowSource {
  /** Derived from the file's name (S26). */
  name: string;
  /** Shown in errors and logs as `file:line`. */
  file: string;
  source: string;
  /** The durable key-value pairs of `signalbox.state`. */
  state: JsonObject;
  /** What `require`, `actions` and `kit` see; without one these words are not there. */
  library?: ActionLibrary;
  /** Set for a script: its text is not run when it loads, but as handler 1. */
  script?: ScriptSettings;
}

export interface ScriptSettings {
  /** What `arg` and `...` hold. */
  args: string[];
}

/** The event as a handler sees it: times in seconds as well, ids as strings. */
export type LuaEvent = JsonObject;

/**
 * What a handler did, in order. `ordinal` counts all operations of one run from 1 and is what makes a run that
 * starts again repeat nothing: the journal answers for each ordinal it knows.
 */
export type Operation =
  | {
      ordinal: number;
      line: number | null;
      kind: "publish";
      subject: string;
      type: string;
      payload: JsonObject;
      topic: string | null;
      body: string | null;
    }
  | {
      ordinal: number;
      line: number | null;
      kind: "command";
      effect_id: string;
      agent: string;
      command: string;
      payload: JsonObject;
    }
  | { ordinal: number; line: number | null; kind: "state"; key: string; value: Json | undefined }
  /** `signalbox.call`: a command whose result is waited for. */
  | {
      ordinal: number;
      line: number | null;
      kind: "call";
      effect_id: string;
      agent: string;
      command: string;
      payload: JsonObject;
    }
  /** `signalbox.ask`: a question whose answer is waited for. */
  | {
      ordinal: number;
      line: number | null;
      kind: "ask";
      effect_id: string;
      question: { title: string; body: string; choices: string[] };
      timeout_ms: number;
    }
  /** `signalbox.after(seconds)`: goes on at that time. */
  | { ordinal: number; line: number | null; kind: "sleep"; delay_ms: number }
  /** A call of an action. Without `wait` it goes on, and a `join` waits for its end. */
  | {
      ordinal: number;
      line: number | null;
      kind: "action";
      effect_id: string;
      action: string;
      params: JsonObject;
      options: CallOptions;
      wait: boolean;
    }
  /** An act that the service does itself: `signalbox.http`, `signalbox.mail`, … With `wait` it goes on at its end. */
  | {
      ordinal: number;
      line: number | null;
      kind: "effect";
      effect_id: string;
      effect_kind: string;
      payload: JsonObject;
      wait: boolean;
    }
  /** Waits for the action or effect that an operation before it started. */
  | { ordinal: number; line: number | null; kind: "join"; effect_id: string; action: string }
  /** What a script asks of this machine and a workflow can't: a file of its folder, or jq. */
  | { ordinal: number; line: number | null; kind: "local"; name: LocalName; args: Json[] };

export type LocalName = "readfile" | "writefile" | "jq";

/** What an operation of an earlier attempt came to. One that waits and has no end is still being waited for. */
export interface JournalEntry {
  ordinal: number;
  kind: Operation["kind"];
  /** `signalbox.now_ms()` after this operation. */
  now_ms: number;
  /** End of one that waits. */
  end?: { ok: true; value: Json } | { ok: false; message: string };
}

export interface RunRequest {
  run_id: string;
  workflow: string;
  /** Handler id as `load` gave it. */
  handler: number;
  /** Null for a schedule. */
  event: LuaEvent | null;
  /** When the run first began, the same in every attempt: effect ids and `signalbox.now_ms()` begin with it. */
  now_ms: number;
  /** What earlier attempts did; empty the first time. */
  journal: JournalEntry[];
  /** Makes the effect ids: `effectKey` + `:` + ordinal goes into `idFromKey("eff", now_ms, …)`. */
  effectKey: string;
  /** Text to run instead of a handler, as `signalbox repl` does. */
  code?: string;
  /** Only look whether `code` is whole. */
  check?: boolean;
}

/** How a run, or the part of it up to its first wait, ended. `operations` are those since the last answer. */
export type RunOutcome =
  | { kind: "done"; operations: Operation[]; logs: LogLine[]; output: Json; cpu_ms: number }
  /** Waits for the end of its last operation, a call or sleep. `resume` goes on. */
  | { kind: "suspended"; operations: Operation[]; logs: LogLine[]; cpu_ms: number }
  /** The handler raised an error: its operations since the last answer are void, its state changes undone. */
  | { kind: "failed"; error: SourceError; logs: LogLine[]; cpu_ms: number }
  /** Its worker had to be ended because of this run (`timeout`, `memory`), or for another reason (`lost`: run it again). */
  | { kind: "stopped"; reason: "timeout" | "memory" | "lost"; message: string };

export interface LoadedWorkflow {
  handlers: Handler[];
  /** What it printed while loading. */
  logs: LogLine[];
  /** Actions of the library, if its text used them. */
  actions: FoundAction[];
}

/**
 * Runs Lua in worker threads. A workflow's runs start in the order they were given, one after the other; one that
 * waits lets the next begin. A workflow that computes for long is interrupted for the others every time slice.
 */
export interface LuaHost {
  /**
   * Loads, or replaces once the new text has loaded without an error; runs under way end in the old state.
   * @throws SignalboxError `workflow_load_failed` with a `SourceError` in `details`
   */
  load(source: WorkflowSource): Promise<LoadedWorkflow>;
  unload(name: string): Promise<void>;
  run(request: RunRequest): Promise<RunOutcome>;
  /** Goes on with a suspended run; if its Lua state is gone, `run` it again with the journal. */
  resume(
    run_id: string,
    end: { ok: true; value: Json } | { ok: false; message: string },
    now_ms: number,
  ): Promise<RunOutcome>;
  /** Whether `resume` can find this run. */
  isSuspended(run_id: string): boolean;
  /** Forgets a suspended run. */
  drop(run_id: string): void;
  /** Loads text in a state of its own that is thrown away afterwards; for checks and dry runs. */
  withScratch<T>(source: WorkflowSource, use: (host: ScratchHost) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface ScratchHost {
  readonly loaded: LoadedWorkflow;
  run(request: Omit<RunRequest, "workflow">): Promise<RunOutcome>;
  resume(
    run_id: string,
    end: { ok: true; value: Json } | { ok: false; message: string },
    now_ms: number,
  ): Promise<RunOutcome>;
}

export interface LuaLimits {
  /** Longest time one handler may compute, waits not counted. */
  handlerTimeoutMs: number;
  /** Longest time inside one step that cannot be interrupted, such as one string pattern. */
  stallMs: number;
  /** How much the process may grow while a handler runs. */
  memoryMb: number;
  /** Time slice after which another workflow has its turn. */
  sliceMs: number;
}
