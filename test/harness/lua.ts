/** What the tests of Lua workflows share. */
import { onTestFinished } from "vitest";
import type { Json, JsonObject } from "../../service/contract/common.ts";
import type { LogLine, SourceError } from "../../service/contract/workflows.ts";
import type {
  JournalEntry,
  LuaHost,
  LuaLimits,
  RunOutcome,
  RunRequest,
  WorkflowSource,
} from "../../service/workflows/lua/host.ts";
import { type LuaHostOptions, openLuaHost } from "../../service/workflows/lua/pool.ts";
import { LuaWorkflow, type WorkflowRun } from "../../service/workflows/lua/workflow.ts";
import { luaWorker } from "./built.ts";

/** Wide enough for a slow machine; tests that need a limit set that one. */
export const testLimits: LuaLimits = {
  handlerTimeoutMs: 30_000,
  stallMs: 20_000,
  memoryMb: 512,
  sliceMs: 10,
};

export function source(name: string, text: string, state: JsonObject = {}): WorkflowSource {
  return { name, file: `flows/${name}.lua`, source: text, state };
}

/** A host with real threads that is closed when the test ends. */
export function testHost(limits: Partial<LuaLimits> = {}, options: Partial<LuaHostOptions> = {}): LuaHost {
  const { luaWorker: workerUrl } = luaWorker();
  const built = workerUrl === undefined ? {} : { workerUrl };
  const host = openLuaHost({ limits: { ...testLimits, ...limits }, workers: 1, ...built, ...options });
  onTestFinished(() => host.close());
  return host;
}

let lastRun = 0;

export function request(workflow: string, more: Partial<RunRequest> = {}): RunRequest {
  return {
    run_id: `run_${++lastRun}`,
    workflow,
    handler: 1,
    event: { type: "test.happened", payload: {} },
    now_ms: 1_700_000_000_000,
    journal: [],
    effectKey: "key",
    ...more,
  };
}

/** One workflow in this thread, for what needs no thread of its own. */
export function openWorkflow(text: string, state: JsonObject = {}, limits: Partial<LuaLimits> = {}) {
  const workflow = new LuaWorkflow(
    source("test", text, state),
    null,
    { ...testLimits, ...limits },
    { tick() {} },
  );
  const task = workflow.load();
  const until = () => performance.now() + 1_000;
  let loaded = task.step(until());
  while (!loaded) loaded = task.step(until());
  return {
    loaded,
    run(more: Partial<RunRequest> = {}): { run: WorkflowRun; outcome: RunOutcome } {
      const { workflow: _, ...rest } = request("test", more);
      const run = workflow.run(rest);
      return { run, outcome: finish(run) };
    },
  };
}

/** Lets a run compute up to its end or next wait. */
export function finish(run: WorkflowRun): RunOutcome {
  let outcome = run.step(performance.now() + 1_000);
  while (!outcome) outcome = run.step(performance.now() + 1_000);
  return outcome;
}

/** The body of a handler, run on `payload`: its outcome. */
export function runBody(body: string, payload: JsonObject = {}, more: Partial<RunRequest> = {}): RunOutcome {
  const opened = openWorkflow(`sekia.on("test", function(event)\n${body}\nend)`);
  if (opened.loaded.kind !== "loaded") throw new Error(JSON.stringify(opened.loaded.error));
  return opened.run({ event: { type: "test.happened", payload }, ...more }).outcome;
}

/** What a handler body returns. */
export function evaluate(body: string, payload: JsonObject = {}): Json {
  const outcome = runBody(body, payload);
  if (outcome.kind !== "done") throw new Error(JSON.stringify(outcome));
  return outcome.output;
}

/** How a handler body fails. */
export function failure(body: string, payload: JsonObject = {}): SourceError {
  const outcome = runBody(body, payload);
  if (outcome.kind !== "failed") throw new Error(`it did not fail: ${JSON.stringify(outcome)}`);
  return outcome.error;
}

export function done(outcome: RunOutcome) {
  if (outcome.kind !== "done") throw new Error(JSON.stringify(outcome));
  return outcome;
}

export function suspended(outcome: RunOutcome) {
  if (outcome.kind !== "suspended") throw new Error(JSON.stringify(outcome));
  return outcome;
}

export const messages = (logs: LogLine[]) => logs.map(({ message }) => message);

export function journalOf(
  outcome: RunOutcome,
  ends: Record<number, JournalEntry["end"]> = {},
): JournalEntry[] {
  if (outcome.kind !== "done" && outcome.kind !== "suspended") throw new Error(JSON.stringify(outcome));
  return outcome.operations.map(({ ordinal, kind }) => {
    const end = ends[ordinal];
    const entry: JournalEntry = { ordinal, kind, now_ms: 1_700_000_000_000 + ordinal };
    return end ? { ...entry, end } : entry;
  });
}
