import type { Json } from "../../service/contract/common.ts";
import type { Effect } from "../../service/contract/effects.ts";
import type { Output } from "../../service/contract/routes.ts";
import type { LogLine, Tested, Workflow } from "../../service/contract/workflows.ts";
import type { Translate } from "../models/row.ts";

type EventDetail = Output<"getEvent">;

/** What a handler did or would do with an event, told alike for both, so that only what differs differs. */
export interface HandlerActs {
  pattern: string;
  status: string;
  error: string | null;
  logs: { level: string; message: string }[];
  acts: { summary: string; payload: Json }[];
  /** Names and values that it keeps; null where that was not recorded. */
  kept: { summary: string; payload: Json }[] | null;
  waiting_for: string | null;
}

/** Of a dry run. */
export function actsTested({ runs }: Tested): HandlerActs[] {
  return runs.map(({ handler, status, error, logs, effects, waiting_for }) => {
    const told = effects.map(({ kind, summary, payload }) => ({ kind, summary, payload }));
    const publishes = told.filter(({ kind }) => kind === "publish");
    const others = told.filter(({ kind }) => kind !== "publish" && kind !== "state");
    return {
      pattern: handler.pattern ?? "",
      status,
      error: error?.message ?? null,
      logs: logs.map(shown),
      acts: [...others, ...publishes].map(({ summary, payload }) => ({ summary, payload })),
      kept: told.filter(({ kind }) => kind === "state").map(({ summary, payload }) => ({ summary, payload })),
      waiting_for,
    };
  });
}

/**
 * Of the record: the newest run of each handler of the text that is deployed; null where that text has not had the
 * event, or has not come to an end with it.
 */
export function actsRecorded(workflow: Workflow, detail: EventDetail): HandlerActs[] | null {
  const own = detail.runs
    .filter((run) => run.workflow === workflow.name && run.version === workflow.version)
    .toSorted((one, other) => (other.started_ms ?? 0) - (one.started_ms ?? 0));
  const newest = workflow.handlers.flatMap((handler) => {
    const run = own.find((one) => one.handler === handler.id);
    return run ? [{ run, pattern: handler.pattern ?? "" }] : [];
  });
  if (newest.length === 0 || newest.some(({ run }) => !ended.has(run.status))) return null;
  // Which of several handlers published an event is not recorded with it: all stand with the first.
  const published = detail.caused.filter(
    ({ source, origin_kind }) => source === `workflow:${workflow.name}` && origin_kind === "workflow",
  );
  return newest.map(({ run, pattern }, index) => ({
    pattern,
    status: run.status,
    error: run.error?.message ?? null,
    logs: run.logs.map(shown),
    acts: [
      ...detail.effects
        .filter(({ cause }) => cause.run_id === run.run_id)
        .map((effect) => ({ summary: summaryOf(effect), payload: effect.payload })),
      ...(index > 0 ? [] : published).map(({ type, subject, payload }) => ({
        summary: `Publish ${type} on ${subject}`,
        payload,
      })),
    ],
    kept: null,
    waiting_for: run.waiting_for,
  }));
}

const ended = new Set(["succeeded", "failed", "waiting", "cancelled"]);

/** As a dry run says it. */
function summaryOf({ kind, summary, action, target }: Effect): string {
  return kind === "command" ? `Send ${action} to ${target}` : summary;
}

function shown({ level, message }: LogLine): { level: string; message: string } {
  return { level, message };
}

/** One side of the comparison, as Markdown that is read, never run. */
export function sideText(title: string, handlers: readonly HandlerActs[], t: Translate): string {
  const parts = [`# ${title}`];
  if (handlers.length === 0) parts.push(t("No handler of this workflow takes this event."));
  for (const { pattern, status, error, logs, acts, kept, waiting_for } of handlers) {
    parts.push(`## ${pattern}: ${status}`);
    if (error !== null) parts.push(`- ${t("error")}: ${oneLine(error)}`);
    if (logs.length > 0)
      parts.push(logs.map(({ level, message }) => `- ${level} ${oneLine(message)}`).join("\n"));
    if (acts.length === 0) parts.push(t("Nothing outside."));
    for (const { summary, payload } of acts) parts.push(`### ${oneLine(summary)}`, fenced(payload));
    for (const { summary, payload } of kept ?? []) parts.push(`### ${oneLine(summary)}`, fenced(payload));
    if (waiting_for !== null) parts.push(t("Then waits for {0}.", oneLine(waiting_for)));
  }
  if (handlers.some(({ kept }) => kept === null)) parts.push(t("What it kept in `state` is not recorded."));
  return `${parts.join("\n\n")}\n`;
}

/** What is quoted can't begin a line of ours. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ⏎ ").trim();
}

/** The fence is longer than any within, so that nothing inside can close it. */
function fenced(value: Json): string {
  const text = JSON.stringify(value, null, 2);
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}json\n${text}\n${fence}`;
}
