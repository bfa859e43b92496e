import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Client } from "../client/call.ts";
import { usualTemplate, workflowFromEvent, workflowTemplates } from "../client/workflow-templates.ts";
import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Output as Reply } from "../contract/routes.ts";
import type { Run, Tested } from "../contract/workflows.ts";
import { doubtOf } from "./agent-doubt.ts";
import { printAnswer, toAnswer, waitForRun } from "./commands/ask.ts";
import type { Context } from "./context.ts";
import { given } from "./given.ts";
import { readInput } from "./input.ts";
import { jsonObject } from "./parse.ts";
import { printTable } from "./table.ts";
import { count, styled } from "./text.ts";
import { UsageError } from "./usage.ts";
import type { NewOptions, RunOptions, TestOptions } from "./workflow-options.ts";
import { printProblem, printTested, showRun } from "./workflow-view.ts";

const USUAL_WAIT_MS = 10_000;

/** The folder that the running service loads from, else the usual one. */
export async function workflowsDir(context: Context): Promise<string> {
  const client = await context.client();
  const { entries } = await client.getConfig();
  const entry = entries.find((one) => one.key === "workflows.dir");
  return typeof entry?.value === "string" ? entry.value : context.paths.workflowsDir;
}

const templates = workflowTemplates((text) => text);
export const templateNames = templates.map(({ name }) => name);

export function printTemplates({ out }: Context): void {
  const listed = templates.map(({ name, title, description }) => ({ name, title, description }));
  out.result({ templates: listed }, () =>
    printTable(out, {
      head: ["TEMPLATE", "WHAT IT DOES"],
      rows: listed.map(({ name, description }) => [name, description]),
      flexible: [1],
      empty: "",
    }),
  );
}

export async function create(context: Context, name: string | undefined, options: NewOptions): Promise<void> {
  if (options.listTemplates) return printTemplates(context);
  if (name === undefined)
    throw new UsageError("A workflow needs a name.", "Try: signalbox workflow new hello");
  const { out } = context;
  const bare = name.replace(/\.lua$/, "");
  if (!/^[\p{L}\p{N}_-]+$/u.test(bare)) {
    throw new UsageError(`${name} can't be the name of a workflow.`, "Use letters, digits, - and _.");
  }
  const text = await textOf(context, bare, options);
  const folder = await workflowsDir(context);
  const file = join(folder, `${bare}.lua`);
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new SignalboxError("conflict", `${file} is there already`, {
      hint: "Choose another name, or edit it.",
    });
  }
  out.result({ file }, () => {
    out.line(file);
    const isQueued = text.includes(`signalbox.on("topics.${bare}"`);
    const first = isQueued
      ? `signalbox push ${bare} --body "hello"`
      : `signalbox workflow test ${bare} --event ${options.event ?? "EVENT_ID"}`;
    out.remark(`\nTry it:  ${first}\n         signalbox workflow logs ${bare}`);
  });
}

async function textOf(context: Context, workflow: string, { event, template }: NewOptions): Promise<string> {
  if (event === undefined) {
    const chosen = templates.find(({ name }) => name === (template ?? usualTemplate));
    if (chosen !== undefined) return chosen.write(workflow);
    throw new UsageError(`There is no template ${template}.`, `There are ${templateNames.join(", ")}.`);
  }
  if (template !== undefined)
    throw new UsageError("A workflow begins with an event or with a template.", "Leave one of them out.");
  const client = await context.client();
  return workflowFromEvent((await client.getEvent({ event_id: event })).event, workflow);
}

export async function check(context: Context, files: readonly string[]): Promise<void> {
  const { out, io } = context;
  const chosen = files.length > 0 ? files : luaFiles(await workflowsDir(context));
  const client = await context.client();
  const results: ({ file: string } & Reply<"checkWorkflow">)[] = [];
  for (const file of chosen) {
    const source = await readInput(io, file);
    const reply = await client.checkWorkflow({ source, file: file === "-" ? "stdin.lua" : basename(file) });
    results.push({ file, ...reply });
  }
  if (results.some((result) => !result.ok)) context.exit(1);
  out.result({ results }, () => {
    if (results.length === 0) out.remark("There is no workflow to check.");
    for (const { file, ok, handlers, error } of results) {
      out.line(
        ok ? styled("green", "ok") : styled("red", "bad"),
        `  ${file}  ${count(handlers.length, "handler")}`,
      );
      if (error !== null) printProblem(out, error);
    }
  });
}

function luaFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(".lua"));
  return names.sort().map((name) => join(folder, name));
}

export async function test(context: Context, file: string, options: TestOptions): Promise<void> {
  const { out, io } = context;
  const isFile = file === "-" || file.endsWith(".lua") || existsSync(resolve(io.cwd, file));
  const workflow = isFile ? { source: await readInput(io, file), file: basename(file) } : { workflow: file };
  const client = await context.client();
  const tested = await client.testWorkflow({
    ...workflow,
    ...(await givenEvent(context, options.event)),
    answers: options.answers ?? [],
  });
  if (tested.runs.some((run) => run.status === "failed")) context.exit(1);
  out.result(tested, () => printTested(out, tested));
  if (!out.isJson()) await doubtTargets(context, tested);
}

/** A command to a mistyped agent is no error, it waits for that agent; so a dry run is the time to ask. */
async function doubtTargets({ client, out }: Context, { runs }: Tested): Promise<void> {
  const commands = runs.flatMap(({ effects }) => effects).filter(({ kind }) => kind === "command");
  if (commands.length === 0) return;
  const { agents } = await (await client()).listAgents();
  const doubts = commands.map(({ target }) => doubtOf(agents, target));
  for (const doubt of new Set(doubts)) if (doubt !== null) out.remark(styled("yellow", doubt));
}

async function givenEvent(
  { io }: Context,
  event: string,
): Promise<{ event_id: string } | { event: JsonObject }> {
  const isFile = event === "-" || existsSync(resolve(io.cwd, event));
  if (!isFile && (event.endsWith(".json") || event.includes("/"))) {
    throw new UsageError(
      `There is no file ${event}.`,
      "Give a recorded event's id, or a file with an event as JSON.",
    );
  }
  return isFile ? { event: readEvent(event, await readInput(io, event)) } : { event_id: event };
}

function readEvent(file: string, text: string): JsonObject {
  try {
    return jsonObject(text);
  } catch (error) {
    throw new UsageError(
      `${file} holds no event. ${(error as Error).message}`,
      'Write an event as the API takes it, such as {"topic":"inbox","body":"hello"}.',
    );
  }
}

export async function run(context: Context, name: string, options: RunOptions): Promise<void> {
  const client = await context.client();
  if (options.event !== undefined) {
    const reply = await client.runWorkflow({ workflow: name, event_id: options.event });
    const [first] = reply.runs;
    if (reply.runs.length !== 1 || first === undefined) {
      context.out.result(reply, () => context.out.line(`${count(reply.runs.length, "run")} queued`));
      return;
    }
    const ended = await waitForRun(client, first.run_id, options.wait ?? USUAL_WAIT_MS);
    await showRun(context, async () => ended);
    if (ended.status === "failed") context.exit(1);
    return;
  }
  const type = options.type ?? (await firstPlainPattern(client, name));
  const pushed = await client.pushEvent({
    type,
    source: "cli",
    origin_kind: "human",
    ...given({ payload: options.payload, body: options.body }),
  });
  const ended = await waitForRun(client, pushed.run_id, options.wait ?? USUAL_WAIT_MS);
  printAnswer(context, toAnswer(pushed.event_id, await ownRun(client, name, pushed.event_id, ended)));
}

/** Other workflows may listen to the same event: what this one made of it counts, where that is known. */
async function ownRun(client: Client, workflow: string, event_id: string, all: Run): Promise<Run> {
  const { runs } = await client.listRuns({ workflow, event_id, limit: 1 });
  return runs[0] ?? all;
}

async function firstPlainPattern(client: Client, name: string): Promise<string> {
  const { handlers } = await client.getWorkflow({ workflow: name });
  const plain = handlers.find(({ pattern }) => pattern !== null && !/[*>]/.test(pattern))?.pattern;
  if (plain != null) return plain;
  throw new UsageError(
    `${name} listens to no single type of event.`,
    "Say which one it is to get: --type T.",
  );
}

export async function toggle(context: Context, verb: "enable" | "disable", name: string): Promise<void> {
  const client = await context.client();
  const call = verb === "enable" ? client.enableWorkflow : client.disableWorkflow;
  const reply = await call({ workflow: name });
  context.out.result(reply, () => context.out.line(`${name} is ${reply.workflow.state}`));
}

export async function reload(context: Context): Promise<void> {
  const reply = await (await context.client()).reloadWorkflows();
  if (reply.failed > 0) context.exit(1);
  context.out.result(reply, () => {
    context.out.line(`${count(reply.workflows, "workflow")} loaded, ${reply.failed} failed`);
  });
}
