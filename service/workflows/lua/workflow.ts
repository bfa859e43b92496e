import type { Json } from "../../contract/common.ts";
import type { LogLine, SourceError } from "../../contract/workflows.ts";
import { type Actions, installActions } from "./actions.ts";
import { Activity, type WaitEnd } from "./activity.ts";
import { installApi } from "./api.ts";
import { Coroutine, type Meter } from "./coroutine.ts";
import { describeFailure, describeSyntaxError } from "./failure.ts";
import type { LoadedWorkflow, LuaLimits, RunOutcome, RunRequest, WorkflowSource } from "./host.ts";
import type { ApiContext, NewHandler } from "./operations.ts";
import { openSandbox, popValue, pushValue, type StoredValue } from "./sandbox.ts";
import { installScriptWords } from "./script.ts";
import { StateStore } from "./state-store.ts";
import { pushJson, readStored, ValueError } from "./values.ts";
import { compile, type LuaState, lua } from "./vm.ts";

/** Log lines kept for one answer. */
const MAX_LOG_LINES = 1_000;
const MAX_LINE_CHARS = 8_000;
/** What a script prints in one call: it goes to its reader whole. */
const MAX_PRINT_CHARS = 1_048_576;

export type LoadResult =
  | { kind: "loaded"; loaded: LoadedWorkflow }
  | { kind: "failed"; error: SourceError; logs: LogLine[] };

/** Work that is done in turns: `step` gives its result, or undefined when the turn was over first. */
export interface Task<Result> {
  step(untilMs: number): Result | undefined;
  /** Log lines since the last call, for people who watch; the result holds them all. */
  takeNewLogs(): LogLine[];
}

class Logs {
  readonly lines: LogLine[] = [];
  #fresh: LogLine[];

  constructor(fresh: LogLine[] = []) {
    this.#fresh = fresh;
  }

  /** `print`: said by a script's `print`, all of which is shown though not all of it is kept. */
  add(level: LogLine["level"], message: string, line: number | null, print = false): void {
    const time_ms = Date.now();
    const isOver = this.lines.length > MAX_LOG_LINES;
    const isLast = this.lines.length === MAX_LOG_LINES;
    const kept: LogLine = isLast
      ? { time_ms, level: "warn", message: "further lines of this run are left out", line }
      : { time_ms, level, message: message.slice(0, MAX_LINE_CHARS), line };
    if (!isOver) this.lines.push(kept);
    if (print) this.#fresh.push({ time_ms, level, message, line, print: true });
    else if (!isOver) this.#fresh.push(kept);
  }

  takeNew(): LogLine[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }
}

/** One version of a workflow: its Lua state, its handlers, and its runs that wait. One task computes at a time. */
export class LuaWorkflow {
  readonly #source: WorkflowSource;
  readonly #limits: LuaLimits;
  readonly #meter: Meter;
  readonly #handlers: NewHandler[] = [];
  readonly #L: LuaState;
  readonly #actions: Actions | null;
  /** Runs a line of the REPL; null where the text is no script. */
  readonly #evaluate: StoredValue | null;
  /** Shared with the version before, so that a reload loses no change of a run under way. */
  readonly state: StateStore;
  /** What computes just now, for the functions that Lua calls. */
  #coroutine: Coroutine | null = null;
  #activity: Activity | null = null;
  #logs = new Logs();
  #loadRandom = new Activity({ run_id: "", handler: 0, event: null, now_ms: 0, journal: [], effectKey: "" });

  constructor(source: WorkflowSource, state: StateStore | null, limits: LuaLimits, meter: Meter) {
    this.#source = source;
    this.#limits = limits;
    this.#meter = meter;
    this.state = state ?? new StateStore(source.state);
    this.#L = openSandbox({
      print: (message, line) => this.#print(message, line),
      random: () => (this.#activity ?? this.#loadRandom).random(),
      seedRandom: (seed) => (this.#activity ?? this.#loadRandom).seedRandom(seed),
      isEnding: () => this.#coroutine?.ending !== null,
    });
    const context = this.#context();
    const { library, script, file } = source;
    installApi(this.#L, context);
    this.#actions = library ? installActions(this.#L, library, context) : null;
    this.#evaluate = script ? installScriptWords(this.#L, script, file, context) : null;
  }

  /** Runs the file, which registers its handlers. */
  load(): Task<LoadResult> {
    const { file, source } = this.#source;
    const logs = new Logs();
    let coroutine: Coroutine | null = null;
    const step = (untilMs: number): LoadResult | undefined => {
      if (!coroutine) {
        if (!compile(this.#L, source, file)) {
          const error = describeSyntaxError(this.#L, file);
          lua.lua_pop(this.#L, 1);
          return { kind: "failed", error, logs: [] };
        }
        if (this.#source.script) {
          this.#handlers.push({ pattern: null, every_ms: null, line: 1, fn: popValue(this.#L) });
          return this.#loadedAs(logs);
        }
        coroutine = new Coroutine(this.#L, popValue(this.#L), this.#limits, this.#meter);
      }
      const left = this.#compute(coroutine, null, logs, untilMs);
      if (left === "sliced") return undefined;
      if (left === "done") return this.#loadedAs(logs);
      return { kind: "failed", error: this.#failure(coroutine), logs: logs.lines };
    };
    return { step, takeNewLogs: () => logs.takeNew() };
  }

  #loadedAs(logs: Logs): LoadResult {
    const actions = this.#actions?.found ?? [];
    return { kind: "loaded", loaded: { handlers: this.#described(), logs: logs.lines, actions } };
  }

  #failure(coroutine: Coroutine): SourceError {
    const modules = Object.values(this.#source.library?.modules ?? {}).map(({ file }) => file);
    return describeFailure(this.#L, coroutine.L, this.#source.file, modules);
  }

  run(request: Omit<RunRequest, "workflow">): WorkflowRun {
    return new WorkflowRun(this, request);
  }

  /** For `WorkflowRun` alone. */
  begin(request: Omit<RunRequest, "workflow">): Coroutine | SourceError {
    if (request.code !== undefined) return this.#beginLine(request.code, request.check ?? false);
    const handler = this.#handlers[request.handler - 1];
    if (!handler)
      return this.#problem(`there is no handler ${request.handler}; it has ${this.#handlers.length}`);
    const coroutine = new Coroutine(this.#L, handler.fn, this.#limits, this.#meter);
    if (this.#source.script) {
      for (const word of this.#source.script.args) coroutine.addArgument((L) => pushJson(L, word));
      return coroutine;
    }
    if (request.event === null) return coroutine;
    const event = request.event;
    try {
      coroutine.addArgument((L) => pushJson(L, event));
    } catch (error) {
      if (error instanceof ValueError) return this.#problem(error.message);
      throw error;
    }
    return coroutine;
  }

  /** A line of the REPL: an expression, whose values are printed, or statements. */
  #beginLine(code: string, isCheck: boolean): Coroutine | SourceError {
    const { file } = this.#source;
    if (!this.#evaluate) return this.#problem("only scripts run text");
    if (!compile(this.#L, `return ${code}`, file)) {
      lua.lua_pop(this.#L, 1);
      if (!compile(this.#L, code, file)) {
        const error = describeSyntaxError(this.#L, file);
        lua.lua_pop(this.#L, 1);
        return error;
      }
    }
    if (isCheck) {
      lua.lua_pop(this.#L, 1);
      compile(this.#L, "", file);
    }
    const line = popValue(this.#L);
    const coroutine = new Coroutine(this.#L, this.#evaluate, this.#limits, this.#meter);
    coroutine.addArgument((L) => pushValue(L, line));
    return coroutine;
  }

  /** For `WorkflowRun` alone: one turn, up to the next wait. */
  advance(run: WorkflowRun, coroutine: Coroutine, untilMs: number): RunOutcome | undefined {
    const { activity, logs } = run;
    const left = this.#compute(coroutine, activity, logs, untilMs);
    if (left === "sliced") return undefined;
    const cpu_ms = coroutine.cpuMs;
    if (coroutine.ending?.reason === "timeout") {
      this.state.undo();
      return { kind: "stopped", reason: "timeout", message: coroutine.ending.message };
    }
    if (left === "raised") {
      this.state.undo();
      const error = this.#failure(coroutine);
      return { kind: "failed", error, logs: logs.lines, cpu_ms };
    }
    if (left === "waiting") {
      this.state.begin();
      return { kind: "suspended", operations: activity.takeOperations(), logs: run.takeLogs(), cpu_ms };
    }
    return this.#finish(run, coroutine);
  }

  #finish({ activity, logs }: WorkflowRun, coroutine: Coroutine): RunOutcome {
    try {
      activity.assertJournalUsed();
    } catch (error) {
      this.state.undo();
      const problem = this.#problem((error as Error).message);
      return { kind: "failed", error: problem, logs: logs.lines, cpu_ms: coroutine.cpuMs };
    }
    const output = this.#readOutput(coroutine, logs);
    this.state.begin();
    const operations = activity.takeOperations();
    return { kind: "done", operations, logs: logs.lines, output, cpu_ms: coroutine.cpuMs };
  }

  /** What the handler returned. Its work is done, so a result that can't be kept is no failure. */
  #readOutput(coroutine: Coroutine, logs: Logs): Json {
    const result = lua.lua_gettop(coroutine.L) > 0 ? coroutine.L.stack[1] : undefined;
    if (!result) return null;
    try {
      return readStored(this.#L, result, "the handler's result");
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      logs.add("warn", `${error.message}; it is not kept`, null);
      return null;
    }
  }

  #compute(coroutine: Coroutine, activity: Activity | null, logs: Logs, untilMs: number) {
    this.#coroutine = coroutine;
    this.#activity = activity;
    this.#logs = logs;
    try {
      return coroutine.step(untilMs, () => activity?.isWaiting ?? false);
    } finally {
      this.#coroutine = null;
      this.#activity = null;
    }
  }

  #context(): ApiContext {
    return {
      name: this.#source.name,
      state: this.state,
      activity: () => this.#activity,
      addHandler: (handler) => this.#handlers.push(handler),
      log: (level, message, line) => this.#log(level, message, line),
      abort: (L, error) => {
        if (!this.#coroutine) throw error;
        return this.#coroutine.end(L, { reason: "broken", message: error.message });
      },
    };
  }

  #print(message: string, line: number | null): void {
    if (!this.#source.script) this.#log("info", message.slice(0, MAX_LINE_CHARS), line);
    else if (!this.#activity?.isReplaying)
      this.#logs.add("info", message.slice(0, MAX_PRINT_CHARS), line, true);
  }

  #log(level: LogLine["level"], message: string, line: number | null): void {
    if (this.#activity?.isReplaying) return;
    this.#logs.add(level, message, line);
  }

  #described(): LoadedWorkflow["handlers"] {
    return this.#handlers.map(({ pattern, every_ms, line }, index) => ({
      id: index + 1,
      kind: pattern === null ? "schedule" : "event",
      pattern,
      every_ms,
      line,
    }));
  }

  #problem(message: string): SourceError {
    return { message, file: this.#source.file, line: null, traceback: null };
  }
}

/** One run of one handler, from its start to its end, over its waits. */
export class WorkflowRun implements Task<RunOutcome> {
  readonly activity: Activity;
  logs = new Logs();
  #workflow: LuaWorkflow;
  #coroutine: Coroutine | null = null;

  constructor(workflow: LuaWorkflow, request: Omit<RunRequest, "workflow">) {
    this.#workflow = workflow;
    this.activity = new Activity(request);
  }

  step(untilMs: number): RunOutcome | undefined {
    if (!this.#coroutine) {
      this.#workflow.state.begin();
      const begun = this.#workflow.begin(this.activity.request);
      if (!(begun instanceof Coroutine)) return { kind: "failed", error: begun, logs: [], cpu_ms: 0 };
      this.#coroutine = begun;
    }
    return this.#workflow.advance(this, this.#coroutine, untilMs);
  }

  /** Call `step` afterwards. */
  goOn(end: WaitEnd, nowMs: number): void {
    this.activity.goOn(end, nowMs);
  }

  takeNewLogs(): LogLine[] {
    return this.logs.takeNew();
  }

  /** The lines of the part that ends here. */
  takeLogs(): LogLine[] {
    const { lines } = this.logs;
    // Those that nobody has watched yet go with the next part.
    this.logs = new Logs(this.logs.takeNew());
    return lines;
  }
}
