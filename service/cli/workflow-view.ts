import type { Client } from "../client/call.ts";
import type { ProposedEffect } from "../contract/effects.ts";
import type { LogLine, Run, SourceError, Tested, Workflow } from "../contract/workflows.ts";
import type { Context } from "./context.ts";
import { statusPart } from "./event-view.ts";
import { given } from "./given.ts";
import type { Output } from "./output.ts";
import { printTable } from "./table.ts";
import { count, type Part, showAge, showTime, styled } from "./text.ts";
import type { LogOptions, RunsOptions } from "./workflow-options.ts";

const levels = ["debug", "info", "warn", "error"] as const;

export async function printWorkflows({ client, out }: Context): Promise<void> {
  const reply = await (await client()).listWorkflows();
  out.result(reply, () =>
    printTable(out, {
      head: ["WORKFLOW", "STATE", "EVENTS", "ERRORS", "LAG", "LAST RUN", "PATTERNS", "PROBLEM"],
      rows: reply.workflows.map((one) => [
        one.name,
        statePart(one),
        String(one.events),
        one.errors > 0 ? styled("red", String(one.errors)) : "0",
        String(one.lag),
        showAge(one.last_run_ms),
        one.handlers.map(patternOf).join(", "),
        one.problem === null ? "" : styled("red", where(one.problem)),
      ]),
      flexible: [0, 6, 7],
      empty: "No workflows yet. Begin with one: signalbox workflow new hello",
    }),
  );
}

function statePart({ state }: Workflow): Part {
  if (state === "active") return styled("green", state);
  return state === "disabled" ? state : styled("red", state);
}

const patternOf = (handler: Workflow["handlers"][number]) =>
  handler.pattern ?? `every ${(handler.every_ms ?? 0) / 1_000} s`;

/** The message, which names file and line where they are known. */
function where({ message, file, line }: SourceError): string {
  if (file === null || message.includes(`${file}:`)) return message;
  return `${file}${line === null ? "" : `:${line}`}: ${message}`;
}

export async function showWorkflow({ client, out }: Context, name: string): Promise<void> {
  const one = await (await client()).getWorkflow({ workflow: name });
  out.result(one, () => {
    out.fields([
      ["workflow", styled("bold", one.name)],
      ["state", statePart(one)],
      ["file", one.file],
      ["version", one.version],
      ["loaded", showAge(one.loaded_ms)],
      ["events", String(one.events)],
      ["errors", String(one.errors)],
      ["waiting", count(one.lag, "event")],
      ["last run", showAge(one.last_run_ms)],
    ]);
    if (one.problem !== null) printProblem(out, one.problem);
    for (const handler of one.handlers) {
      out.line(styled("dim", `  line ${handler.line}  `), patternOf(handler));
    }
  });
}

export function printProblem(out: Output, problem: SourceError): void {
  out.line(styled("red", where(problem)));
  if (problem.traceback !== null) out.line(styled("dim", problem.traceback));
}

export async function printRuns({ client, out }: Context, options: RunsOptions): Promise<void> {
  const { workflow, status, event, limit, before } = options;
  const query = { limit, ...given({ workflow, status, event_id: event, before }) };
  const page = await (await client()).listRuns(query);
  out.result(page, () => {
    printTable(out, {
      head: ["STARTED", "ID", "WORKFLOW", "STATUS", "EVENT", "LINE", "RESULT"],
      rows: page.runs.map((run) => [
        styled("dim", showTime(run.started_ms)),
        run.run_id,
        run.workflow ?? "",
        statusPart(run.status),
        run.event_id ?? "",
        run.line ?? "",
        run.error?.message ?? run.waiting_for ?? (run.output === null ? "" : JSON.stringify(run.output)),
      ]),
      flexible: [2, 5, 6],
      empty: "No runs yet.",
    });
    if (page.next !== null) out.remark(`There is more: --before ${page.next}`);
  });
}

/** @returns the run, as it was shown */
export async function showRun(
  { client, out }: Context,
  fetchRun: (client: Client) => Promise<Run>,
): Promise<Run> {
  const run = await fetchRun(await client());
  out.result(run, () => {
    out.fields([
      ["run", styled("bold", run.run_id)],
      ["workflow", run.workflow],
      ["status", statusPart(run.status)],
      ["event", run.event_id],
      ["line", run.line],
      ["attempts", String(run.attempts)],
      ["started", showTime(run.started_ms)],
      ["finished", run.finished_ms === null ? null : showTime(run.finished_ms)],
      ["waiting for", run.waiting_for],
      ["output", run.output === null ? null : JSON.stringify(run.output)],
    ]);
    if (run.error !== null) printProblem(out, run.error);
    for (const line of run.logs) printLog(out, line);
  });
  return run;
}

export async function printLogs(
  { client, out, io }: Context,
  name: string,
  options: LogOptions,
): Promise<void> {
  const service = await client();
  const { lines } = await service.workflowLogs({
    workflow: name,
    limit: options.limit,
    level: options.level,
  });
  if (!options.follow) {
    out.result({ lines }, () => {
      if (lines.length === 0) {
        out.remark(`No log lines. Failed runs: signalbox workflow runs ${name} --status failed`);
      }
      for (const line of lines) printLog(out, line);
    });
    return;
  }
  for (const line of lines) out.item(line, () => printLog(out, line));
  const quietest = levels.indexOf(options.level);
  for await (const line of service.streamLogs({ workflow: name }, { signal: io.signal })) {
    if (levels.indexOf(line.level) >= quietest) out.item(line, () => printLog(out, line));
  }
}

function printLog(out: Output, { time_ms, level, message, line }: LogLine): void {
  const style = level === "error" ? "red" : level === "warn" ? "yellow" : "dim";
  const at = line === null ? "" : `:${line} `;
  out.line(styled("dim", showTime(time_ms)), " ", styled(style, level.padEnd(5)), ` ${at}${message}`);
}

export function printTested(out: Output, { event, runs }: Tested): void {
  out.line(styled("bold", event.type), `  ${event.subject}  ${event.id}`);
  if (runs.length === 0) out.line("No handler listens to it.");
  for (const run of runs) {
    out.line(
      "\n",
      styled("cyan", patternOf(run.handler)),
      `  line ${run.handler.line}  `,
      statusPart(run.status),
    );
    for (const line of run.logs) printLog(out, line);
    for (const effect of run.effects) printProposed(out, effect);
    if (run.effects.length === 0 && run.error === null) out.line(styled("dim", "  would do nothing"));
    if (run.waiting_for !== null) out.line(`  then waits for ${run.waiting_for}`);
    if (run.output !== null) out.line(`  returns ${JSON.stringify(run.output)}`);
    if (run.error !== null) printProblem(out, run.error);
  }
}

/** One act that a dry run has found. */
export function printProposed(out: Output, effect: ProposedEffect): void {
  out.line(`  would ${effect.summary}`, styled("dim", effect.line === null ? "" : `  (${effect.line})`));
  out.line(styled("dim", `    ${effect.kind} → ${effect.target}  ${JSON.stringify(effect.payload)}`));
  if (effect.topic != null) out.line(styled("dim", `    topic  ${effect.topic}`));
  if (effect.body != null) out.line(styled("dim", `    body   ${effect.body}`));
}
