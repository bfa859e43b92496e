/** Measures the sandbox in a thread of its own, since loading it changes fengari for the whole thread. */
import { parentPort } from "node:worker_threads";
import type { JsonObject } from "../service/contract/common.ts";
import type { RunOutcome, RunRequest } from "../service/workflows/lua/host.ts";
import { LuaWorkflow } from "../service/workflows/lua/workflow.ts";
import { makeIssue, makePayload, RULE } from "./handler.ts";

export interface ThreadJob {
  /** `call`: the rule. `in`: a payload goes in. `both`: and comes back. */
  what: "call" | "in" | "both";
  count: number;
  /** Characters of the payload. */
  chars: number;
}

const CONVERT = `
sekia.on("in", function(event) end)
sekia.on("both", function(event) return event.payload end)
`;

const rule = open(RULE);
const convert = open(CONVERT);
let runs = 0;

/** Calls a second. */
parentPort?.on("message", ({ what, count, chars }: ThreadJob) => {
  const payload = makePayload(chars);
  const begun = performance.now();
  for (let index = 0; index < count; index++) {
    if (what === "call") run(rule, 1, "github.issue.opened", { ...makeIssue(index) });
    else run(convert, what === "in" ? 1 : 2, what, payload);
  }
  parentPort?.postMessage((count * 1_000) / (performance.now() - begun));
});

function open(source: string): LuaWorkflow {
  const limits = { handlerTimeoutMs: 30_000, stallMs: 20_000, memoryMb: 512, sliceMs: 10 };
  const workflow = new LuaWorkflow({ name: "bench", file: "bench.lua", source, state: {} }, null, limits, {
    tick() {},
  });
  const loading = workflow.load();
  let loaded = loading.step(performance.now() + 1_000);
  while (!loaded) loaded = loading.step(performance.now() + 1_000);
  if (loaded.kind !== "loaded") throw new Error(JSON.stringify(loaded.error));
  return workflow;
}

function run(workflow: LuaWorkflow, handler: number, type: string, payload: JsonObject): void {
  const request: Omit<RunRequest, "workflow"> = {
    run_id: `run_${++runs}`,
    handler,
    event: { type, payload },
    now_ms: 1_700_000_000_000,
    journal: [],
    effectKey: "key",
  };
  const started = workflow.run(request);
  let outcome: RunOutcome | undefined;
  while (!outcome) outcome = started.step(performance.now() + 1_000);
  if (outcome.kind !== "done") throw new Error(JSON.stringify(outcome));
}
