import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Scope } from "../service/lib/scope.ts";
import type { LuaHost } from "../service/workflows/lua/host.ts";
import { openLuaHost } from "../service/workflows/lua/pool.ts";
import { openBareFengari } from "./fengari-bare.ts";
import { makeIssue, makePayload, RULE, ruleInJavaScript } from "./handler.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import type { ThreadJob } from "./lua-thread.ts";
import { alternate, type Comparison, compare, inFlight, rate } from "./measure.ts";

const SIZES = [100, 1_000, 10_000, 100_000];
const IN_FLIGHT = 32;

/** What a handler costs, and what its data costs on the way in and out. */
export const lua: Line = {
  name: "lua",
  title: "4. Lua",
  async run(context, scope) {
    const ask = startThread(scope);
    const rows = [...(await calls(context, scope, ask)), ...(await conversions(context, ask))];
    return { rows, skipped: [] };
  },
};

type Ask = (job: ThreadJob) => Promise<number>;

function startThread(scope: Scope): Ask {
  const thread = new Worker(new URL("./lua-thread.ts", import.meta.url));
  scope.defer(async () => void (await thread.terminate()));
  return async (job) => {
    thread.postMessage(job);
    const [figure] = await once(thread, "message");
    return Number(figure);
  };
}

async function calls(context: BenchContext, scope: Scope, ask: Ask): Promise<Row[]> {
  context.progress("lua: calls");
  const host = openLuaHost({
    workers: 1,
    limits: { handlerTimeoutMs: 30_000, stallMs: 1_000, memoryMb: 256, sliceMs: 10 },
  });
  scope.use(host);
  await host.load({ name: "bench", file: "bench.lua", source: RULE, state: {} });
  const bare = openBareFengari();
  const count = context.scaled(20_000);
  const each = (work: (index: number) => unknown) =>
    rate(count, () => {
      for (let index = 0; index < count; index++) work(index);
    });
  const figures = await alternate(context.rounds, {
    thread: () => ask({ what: "call", count, chars: 0 }),
    host: () => rate(count, () => inFlight(count, IN_FLIGHT, (index) => runInHost(host, index))),
    bare: () => each((index) => bare(makeIssue(index))),
    native: () => each((index) => ruleInJavaScript(makeIssue(index))),
  });
  const inThread = "handler calls in the sandbox, with data and command";
  const throughHost = `handler calls through the worker thread, ${IN_FLIGHT} in flight`;
  const bareName = "bare fengari, same rule and data";
  return [
    callRow(inThread, compare(figures.thread, figures.bare), bareName),
    callRow(throughHost, compare(figures.host, figures.bare), bareName),
    callRow(throughHost, compare(figures.host, figures.native), "the rule in JavaScript"),
  ];
}

function callRow(what: string, { ours, theirs, ratio, spread }: Comparison, name: string): Row {
  return { what, unit: "calls/s", ours, peer: { name, value: theirs }, ratio, spread, bar: null };
}

let lastRun = 0;

async function runInHost(host: LuaHost, index: number): Promise<void> {
  const outcome = await host.run({
    run_id: `run_${++lastRun}`,
    workflow: "bench",
    handler: 1,
    event: { type: "github.issue.opened", payload: { ...makeIssue(index) } },
    now_ms: 1_700_000_000_000,
    journal: [],
    effectKey: "key",
  });
  if (outcome.kind !== "done") throw new Error(JSON.stringify(outcome));
}

/** Against a round trip through JSON text, which is what a separate process would pay. */
async function conversions(context: BenchContext, ask: Ask): Promise<Row[]> {
  const rows: Row[] = [];
  for (const chars of SIZES) {
    context.progress(`lua: a payload of ${chars} characters`);
    const count = Math.max(20, context.scaled(Math.round(2_000_000 / (chars + 400))));
    const payload = makePayload(chars);
    const json = () =>
      rate(count, () => {
        for (let index = 0; index < count; index++) JSON.parse(JSON.stringify(payload));
      });
    const figures = await alternate(context.rounds, {
      ours: () => ask({ what: "both", count, chars }),
      into: () => ask({ what: "in", count, chars }),
      json,
    });
    const microseconds = (rates: number[]) => rates.map((value) => 1_000_000 / value);
    const { ours, theirs, ratio, spread } = compare(microseconds(figures.ours), microseconds(figures.json));
    const into = compare(microseconds(figures.into), microseconds(figures.json)).ours;
    rows.push({
      what: `an empty handler, ${chars.toLocaleString("en-US")} characters of payload in and out`,
      note: `in alone ${into.toFixed(0)} µs`,
      unit: "µs",
      ours,
      peer: { name: "JSON text and back", value: theirs },
      ratio,
      spread,
      bar: null,
    });
  }
  return rows;
}
