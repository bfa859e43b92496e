/**
 * Measures how the extension bears a large log and many agents in the real editor, and prints a table for
 * docs/vscode.md. Run by hand, on a quiet machine: `npm run measure:editor`. `--events`, `--agents`, `--rate` (events a
 * second) and `--seconds` make it smaller or larger.
 */
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { describeMachine } from "../bench/machine.ts";
import { cpuOf, memoryOf } from "../bench/process-usage.ts";
import type { Client } from "../service/client/index.ts";
import { type Editor, openView, startEditor } from "../test/harness/editor.ts";
import { eventually } from "../test/harness/eventually.ts";

const { values: flags } = parseArgs({
  options: {
    events: { type: "string", default: "100000" },
    agents: { type: "string", default: "1000" },
    rate: { type: "string", default: "500" },
    seconds: { type: "string", default: "12" },
  },
});
const [events, agents, rate, seconds] = [flags.events, flags.agents, flags.rate, flags.seconds].map(
  Number,
) as [number, number, number, number];

const FILL_BATCH = 1_000;
const TICK_MS = 50;
const TYPED = "the quick brown fox jumps over the lazy dog ";
const KEY_PAUSE_MS = 60;
/** Agents beat every so often, as the SDK does. */
const BEAT_EVERY_MS = 30_000;

const editor = await startEditor({ size: { width: 1280, height: 900 } });
try {
  await openView(editor, "events");
  await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  const client = await editor.client();
  const { pid } = await client.getInfo();
  await watchHost(editor);
  await watchWindow(editor.page);
  const session = await editor.page.context().newCDPSession(editor.page);
  // Time on the processor, which what else runs on the machine does not stretch.
  await session.send("Performance.setTimeDomain", { timeDomain: "threadTicks" });
  await session.send("Performance.enable");
  const windowCpu = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return (metrics.find(({ name }) => name === "TaskDuration")?.value ?? 0) * 1_000;
  };
  await openText(editor);
  const begin = await hostMemory(editor);
  await fill(client);
  const filled = await hostMemory(editor);
  const phases = [
    await phase("views hidden, nothing happens", { views: false, burst: false }),
    await phase("views hidden, burst", { views: false, burst: true }),
    await phase("Events and Agents open, nothing happens", { views: true, burst: false }),
    await phase("Events and Agents open, burst", { views: true, burst: true }),
  ];
  const end = await hostMemory(editor);
  print(phases, { begin, filled, end });
  client.close();

  async function phase(name: string, { views, burst }: { views: boolean; burst: boolean }): Promise<Phase> {
    if (views) await showViews(editor);
    else
      await editor.call(async (api) => void (await api.commands.executeCommand("workbench.view.explorer")));
    await untilQuiet(editor);
    await resetCounts(editor);
    const cpu = {
      service: cpuOf(pid) ?? 0,
      host: await hostCpu(editor),
      window: await windowCpu(),
      at: performance.now(),
    };
    const abort = new AbortController();
    const beating = beatAll(client, abort.signal);
    const pushed = burst ? pushAtRate(client, abort.signal) : Promise.resolve(0);
    const latencies = await typeFor(editor.page, seconds * 1_000);
    abort.abort();
    const [count] = await Promise.all([pushed, beating]);
    const span = (performance.now() - cpu.at) / 1_000;
    const { requests } = await hostCounts(editor);
    const seen = await windowCounts(editor.page);
    return {
      name,
      events: count,
      span,
      requests,
      ...seen,
      latencies,
      windowCpu: ((await windowCpu()) - cpu.window) / 10 / span,
      hostCpu: ((await hostCpu(editor)) - cpu.host) / 10 / span,
      serviceCpu: ((cpuOf(pid) ?? 0) - cpu.service) / 10 / span,
      serviceMb: memoryOf(pid) ?? 0,
    };
  }
} finally {
  await editor.close();
}

interface Phase {
  name: string;
  events: number;
  span: number;
  requests: Record<string, number>;
  longTasks: number;
  longMs: number;
  longestMs: number;
  drawn: number;
  latencies: number[];
  windowCpu: number;
  hostCpu: number;
  serviceCpu: number;
  serviceMb: number;
}

async function fill(client: Client): Promise<void> {
  const commands = ["review", "deploy", "rest"].map((name) => ({
    name,
    title: `Do ${name}`,
    params: { type: "object", properties: { what: { type: "string" }, count: { type: "integer" } } },
  }));
  const names = Array.from({ length: agents }, (_, index) => `agent-${String(index).padStart(4, "0")}`);
  for (let at = 0; at < names.length; at += 20)
    await Promise.all(names.slice(at, at + 20).map((name) => client.registerAgent({ name, commands })));
  for (let at = 0; at < events; at += FILL_BATCH)
    await client.pushEvents({ events: Array.from({ length: FILL_BATCH }, (_, index) => made(at + index)) });
  console.error(`filled with ${events} events and ${agents} agents`);
}

function made(index: number) {
  return {
    type: "load.made",
    source: `agent-${String(index % agents).padStart(4, "0")}`,
    body: `Event ${index} of the load, with a sentence that a list can show`,
    payload: { index, words: ["some", "words", "that", "stand", "in", "a", "payload"] },
    correlation_id: `load-${Math.floor(index / 10)}`,
  };
}

async function pushAtRate(client: Client, signal: AbortSignal): Promise<number> {
  let count = 0;
  const begin = performance.now();
  while (!signal.aborted) {
    const due = Math.floor(((performance.now() - begin) / 1_000) * rate) - count;
    if (due > 0)
      await client.pushEvents({ events: Array.from({ length: due }, (_, index) => made(count + index)) });
    count += Math.max(due, 0);
    await pause(TICK_MS);
  }
  return count;
}

async function beatAll(client: Client, signal: AbortSignal): Promise<void> {
  let at = 0;
  while (!signal.aborted) {
    await client.beat({ agent: `agent-${String(at % agents).padStart(4, "0")}` });
    at += 1;
    await pause(BEAT_EVERY_MS / agents);
  }
}

function pause(ms: number): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function showViews(shown: Editor): Promise<void> {
  await openView(shown, "agents");
  await openView(shown, "events");
  for (const name of [/Events/, /Agents/])
    await shown.page.getByRole("tree", { name }).getByRole("treeitem").first().waitFor();
}

/** Until the extension asks nothing of the service but what its clock makes it ask. */
async function untilQuiet(shown: Editor): Promise<void> {
  let before = -1;
  await eventually(
    async () => {
      await pause(700);
      const { requests } = await hostCounts(shown);
      const total = Object.values(requests).reduce((sum, one) => sum + one, 0);
      const isQuiet = total - before < 10;
      before = total;
      return isQuiet;
    },
    Boolean,
    120_000,
  );
}

async function openText(shown: Editor): Promise<void> {
  await shown.call(async (api) => {
    const document = await api.workspace.openTextDocument({ language: "plaintext", content: "" });
    await api.window.showTextDocument(document);
  });
  await shown.page.locator(".monaco-editor .view-lines").first().waitFor();
}

/** Types with pauses; how long each character took until it stood in the window's document, in milliseconds. */
async function typeFor(page: Page, forMs: number): Promise<number[]> {
  await page.locator(".monaco-editor .view-lines").first().click();
  const end = performance.now() + forMs;
  for (let at = 0; performance.now() < end; at += 1) {
    const key = TYPED[at % TYPED.length] ?? " ";
    await page.keyboard.type(key);
    if (at % 60 === 59) await page.keyboard.press("Enter");
    await pause(KEY_PAUSE_MS);
  }
  return page.evaluate(() => (globalThis as unknown as Watched).measured.latencies);
}

interface Element {
  closest?(selector: string): object | null;
}

/** As much of the page as is watched here; this program is not checked against a browser's types. */
interface Watched {
  measured: { longTasks: number[]; drawn: number; latencies: number[]; pressedAt: number | null };
  document: {
    body: object;
    addEventListener(name: string, on: (event: { timeStamp: number }) => void, first: boolean): void;
  };
  MutationObserver: new (
    on: (changes: readonly { target: Element }[]) => void,
  ) => { observe(target: object, what: object): void };
  requestAnimationFrame(on: () => void): void;
}

/** Long tasks, changes to rows of the side bar, and the time from a key to the frame that shows it. */
async function watchWindow(page: Page): Promise<void> {
  await page.evaluate(() => {
    const window = globalThis as unknown as Watched;
    window.measured = { longTasks: [], drawn: 0, latencies: [], pressedAt: null };
    const { measured } = window;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) measured.longTasks.push(duration);
      // Node's types know the entries of Node alone.
    }).observe({ type: "longtask" as "measure" });
    const observer = new window.MutationObserver((changes) => {
      for (const { target } of changes) {
        const { pressedAt } = measured;
        if (pressedAt !== null && target.closest?.(".view-lines")) {
          measured.pressedAt = null;
          window.requestAnimationFrame(() => measured.latencies.push(performance.now() - pressedAt));
        }
        if (target.closest?.(".part.sidebar .monaco-list-rows")) measured.drawn += 1;
      }
    });
    observer.observe(window.document.body, { childList: true, subtree: true });
    const pressed = ({ timeStamp }: { timeStamp: number }) => {
      measured.pressedAt ??= timeStamp;
    };
    window.document.addEventListener("keydown", pressed, true);
  });
}

async function windowCounts(
  page: Page,
): Promise<Pick<Phase, "longTasks" | "longMs" | "longestMs" | "drawn">> {
  const { longTasks, drawn } = await page.evaluate(() => (globalThis as unknown as Watched).measured);
  return {
    longTasks: longTasks.length,
    longMs: longTasks.reduce((sum, one) => sum + one, 0),
    longestMs: Math.max(0, ...longTasks),
    drawn,
  };
}

async function watchHost(shown: Editor): Promise<void> {
  await shown.call((_api, _arg, load) => {
    const { subscribe } = load("node:diagnostics_channel") as typeof import("node:diagnostics_channel");
    const counted: Record<string, number> = {};
    (globalThis as { counted?: object }).counted = counted;
    subscribe("http.client.request.start", (message) => {
      const { path } = (message as { request: { path: string } }).request;
      const route = path.replace(/\?.*/, "");
      counted[route] = (counted[route] ?? 0) + 1;
    });
  });
}

function hostCounts(shown: Editor): Promise<{ requests: Record<string, number> }> {
  return shown.call(() => ({
    requests: { ...(globalThis as { counted?: Record<string, number> }).counted },
  }));
}

async function resetCounts(shown: Editor): Promise<void> {
  await shown.call(() => {
    const { counted = {} } = globalThis as { counted?: Record<string, number> };
    for (const key of Object.keys(counted)) delete counted[key];
  });
  await shown.page.evaluate(() => {
    Object.assign((globalThis as unknown as Watched).measured, {
      longTasks: [],
      drawn: 0,
      latencies: [],
      pressedAt: null,
    });
  });
}

/** Milliseconds on the processor. */
function hostCpu(shown: Editor): Promise<number> {
  return shown.call(() => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  });
}

/** In MB, after the garbage is gone where the host can be asked for it. */
function hostMemory(shown: Editor): Promise<number> {
  return shown.call((_api, _arg, load) => {
    const { setFlagsFromString } = load("node:v8") as typeof import("node:v8");
    const { runInNewContext } = load("node:vm") as typeof import("node:vm");
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    return process.memoryUsage().heapUsed / 2 ** 20;
  });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function print(phases: readonly Phase[], memory: { begin: number; filled: number; end: number }): void {
  const { cpu, cores, memoryGb, system } = describeMachine("");
  console.log(`${new Date().toISOString().slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGb} GB, ${system}`);
  console.log(
    `${events} events and ${agents} agents recorded; a burst is ${rate} events/s for ${seconds} s\n`,
  );
  console.log(
    "| | events | requests | nodes drawn | long tasks | longest ms | key p50 ms | key p95 ms | window CPU % | host CPU % | service CPU % |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|---|");
  for (const one of phases) {
    const requests = Object.values(one.requests).reduce((sum, count) => sum + count, 0);
    const cells = [
      one.name,
      one.events,
      requests,
      one.drawn,
      `${one.longTasks} (${Math.round(one.longMs)} ms)`,
      Math.round(one.longestMs),
      quantile(one.latencies, 0.5).toFixed(1),
      quantile(one.latencies, 0.95).toFixed(1),
      Math.round(one.windowCpu),
      Math.round(one.hostCpu),
      Math.round(one.serviceCpu),
    ];
    console.log(`| ${cells.join(" | ")} |`);
    console.error(JSON.stringify(one.requests));
  }
  console.log(
    `\nHeap of the extension host: ${memory.begin.toFixed(0)} MB before, ${memory.filled.toFixed(0)} MB after ${events} events were recorded while the window was open, ${memory.end.toFixed(0)} MB at the end.`,
  );
}
