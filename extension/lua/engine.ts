import type { Handler, Run, Workflow } from "../../service/contract/workflows.ts";
import type { Translate } from "../models/row.ts";
import type { HandlerPlace } from "./features/outline.ts";

const DAY_MS = 24 * 3_600_000;

/** What became of one handler lately. */
export interface HandlerStats {
  /** Runs begun within 24 hours. */
  events: number;
  errors: number;
  /** There were more than were looked at. */
  isCut: boolean;
  last_ms: number | null;
}

/** The engine's handler of a place in the text: on the same line, or else by its order. */
export function handlerAt(workflow: Workflow, place: HandlerPlace, line: number): Handler | null {
  const onLine = workflow.handlers.filter((handler) => handler.line === line && handler.kind === place.kind);
  return (
    onLine[0] ?? workflow.handlers.find(({ id, kind }) => id === place.id && kind === place.kind) ?? null
  );
}

/** @param runs of the workflow, newest first, `looked` of them at most */
export function statsOf(
  runs: readonly Run[],
  handler: Handler,
  now_ms: number,
  looked: number,
): HandlerStats {
  const own = runs.filter((run) => run.handler === handler.id);
  const recent = own.filter(({ started_ms }) => started_ms !== null && started_ms > now_ms - DAY_MS);
  const oldest = runs.at(-1)?.started_ms ?? 0;
  return {
    events: recent.length,
    errors: recent.filter(({ status }) => status === "failed").length,
    isCut: runs.length >= looked && oldest > now_ms - DAY_MS,
    last_ms: own.find(({ started_ms }) => started_ms !== null)?.started_ms ?? null,
  };
}

/** `12 events in 24 h · 1 error · last run 5 min ago`. */
export function statsText(
  { events, errors, isCut, last_ms }: HandlerStats,
  now_ms: number,
  t: Translate,
): string {
  const count = `${events}${isCut ? "+" : ""}`;
  const parts = [events === 1 && !isCut ? t("1 event in 24 h") : t("{0} events in 24 h", count)];
  if (errors > 0) parts.push(errors === 1 ? t("1 error") : t("{0} errors", errors));
  parts.push(last_ms === null ? t("never run") : t("last run {0}", ago(now_ms - last_ms, t)));
  return parts.join(" · ");
}

function ago(ms: number, t: Translate): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return t("just now");
  if (minutes < 60) return t("{0} min ago", minutes);
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? t("{0} h ago", hours) : t("{0} days ago", Math.floor(hours / 24));
}

/** An error of the engine, at a line of the text from 1. */
export interface EngineProblem {
  line: number;
  message: string;
  severity: "error" | "warning";
  /** The event whose handling failed. */
  event_id: string | null;
}

/**
 * Errors of the text as it is saved: why it does not load, and the newest failure on each line of those runs that it
 * itself has had.
 * @param digest hex SHA-256 of the text
 */
export function engineProblems(
  workflow: Workflow | null,
  runs: readonly Run[],
  digest: string,
): EngineProblem[] {
  const found: EngineProblem[] = [];
  if (workflow?.problem && (workflow.state === "failed" || workflow.version !== digest)) {
    const { message, line } = workflow.problem;
    found.push({ line: line ?? 1, message, severity: "error", event_id: null });
  } else if (workflow?.problem) {
    const { message, line } = workflow.problem;
    found.push({ line: line ?? 1, message, severity: "warning", event_id: null });
  }
  for (const run of runs) {
    const line = run.error?.line;
    if (run.status !== "failed" || run.version !== digest || !run.error || !line) continue;
    if (found.some((one) => one.line === line)) continue;
    found.push({ line, message: run.error.message, severity: "error", event_id: run.event_id });
  }
  return found;
}
