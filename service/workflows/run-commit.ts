import { basename } from "node:path";
import type { JsonObject } from "../contract/common.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, SourceError } from "../contract/workflows.ts";
import { describeAct } from "../effects/kinds/schemas.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import type { EventLog } from "../events/log.ts";
import { idFromKey } from "../lib/ids.ts";
import type { EffectDraft, EventDraft, JournalStep, RunCommit, RunRow } from "../store/store.ts";
import type { Operation, RunOutcome } from "./lua/host.ts";

/** The version of a workflow that a run belongs to. */
export interface RunningWorkflow {
  name: string;
  file: string;
  digest: string;
  /** Where the Lua host has it, if not under its name. */
  key?: string;
  /** Where its actions come from, if not from the repository that is set. */
  repository?: string;
  /** Who is behind its effects and events, if not `workflow:` and its name. */
  source?: string;
}

/** What makes a handler run. */
export interface RunCause {
  workflow: RunningWorkflow;
  handler: Handler;
  /** Null for a due schedule. */
  event: Event | null;
  /** For a schedule: when it was due. */
  due_ms: number;
  /** Distinguishes a run that a person asked for from the one that the event caused. */
  again?: string;
  /** Text to run instead of the handler. */
  code?: string;
}

/** Makes what a commit is made of. */
export interface Drafts {
  events: EventLog;
  ledger: EffectLedger;
}

type Ended = Extract<RunOutcome, { kind: "done" | "suspended" }>;

/** Log lines kept of one run. */
const LOG_LINES = 200;
const LOG_CHARS = 4_000;

const atRest = { waiting_for: null, waiting_effect: null, wake_ms: null } as const;

/** The run that a cause has or would have. */
export function newRun(cause: RunCause, now_ms: number): RunRow {
  const { workflow, handler, event, due_ms } = cause;
  const what = event === null ? `at:${due_ms}` : event.id;
  const cause_key = `${workflow.name}:${handler.id}:${what}${cause.again === undefined ? "" : `:${cause.again}`}`;
  return {
    run_id: idFromKey("run", event?.recorded_ms ?? due_ms, cause_key),
    cause_key,
    workflow: workflow.name,
    handler: handler.id,
    seq: event?.seq ?? null,
    event_id: event?.id ?? null,
    status: "queued",
    attempts: 0,
    version: workflow.digest,
    line: `${basename(workflow.file)}:${handler.line}`,
    started_ms: now_ms,
    finished_ms: null,
    now_ms,
    ...atRest,
    journal: [],
    output: null,
    error: null,
    logs: [],
  };
}

/** The id of the effect that a run's operation makes, as the Lua API names it. */
export function effectIdOf(row: RunRow, ordinal: number): string {
  return idFromKey("eff", row.started_ms ?? 0, `${row.run_id}:${ordinal}`);
}

/** All that a handler did up to its end or its next wait, to be recorded at once. */
export function commitOf(
  drafts: Drafts,
  cause: RunCause,
  row: RunRow,
  outcome: Ended,
  now_ms: number,
): RunCommit {
  const { operations } = outcome;
  const parts = {
    events: operations.flatMap((operation) => eventOf(drafts, cause, row, operation)),
    effects: operations.flatMap((operation) => effectOf(drafts, cause, row, operation)),
    state: operations.flatMap((operation) =>
      operation.kind === "state" ? [{ key: operation.key, value: operation.value }] : [],
    ),
  };
  if (outcome.kind === "done") {
    const { output } = outcome;
    return {
      run: { ...row, ...atRest, status: "succeeded", finished_ms: now_ms, output, journal: [] },
      ...parts,
    };
  }
  const steps = operations.map(
    (operation): JournalStep => ({
      ordinal: operation.ordinal,
      kind: operation.kind,
      now_ms: row.now_ms ?? now_ms,
      ...(operation.kind === "join" ? { effect_id: operation.effect_id } : {}),
    }),
  );
  const waiting = waitOf(operations.at(-1), now_ms);
  return { run: { ...row, status: "waiting", journal: [...row.journal, ...steps], ...waiting }, ...parts };
}

/** A run that failed, with the event that tells of it. What it asked for since its last wait is not in it. */
export function failureOf(
  drafts: Drafts,
  cause: RunCause,
  row: RunRow,
  error: SourceError,
  now_ms: number,
): RunCommit {
  const { run_id, workflow, handler, line } = row;
  const told = drafts.events.draft(
    {
      type: "signalbox.run.failed",
      source: cause.workflow.source ?? `workflow:${workflow}`,
      body: `${workflow} failed: ${error.message}`,
      payload: {
        run_id,
        workflow,
        handler,
        line: error.line === null ? line : `${basename(cause.workflow.file)}:${error.line}`,
        message: error.message,
      },
      external_id: `${run_id}:failed:${row.attempts}`,
      origin_kind: "system",
    },
    cause.event,
  );
  const run: RunRow = { ...row, ...atRest, status: "failed", finished_ms: now_ms, error };
  return { run, events: [told], effects: [], state: [] };
}

export function cancellationOf(row: RunRow, now_ms: number): RunCommit {
  const run: RunRow = { ...row, ...atRest, status: "cancelled", finished_ms: now_ms };
  return { run, events: [], effects: [], state: [] };
}

/** What goes on: at work again, with the end of its last wait in the journal. */
export function resumedOf(row: RunRow, end: NonNullable<JournalStep["end"]>, now_ms: number): RunRow {
  const last = row.journal.at(-1);
  const journal = last ? [...row.journal.slice(0, -1), { ...last, now_ms, end }] : [];
  return { ...row, ...atRest, status: "running", journal, now_ms };
}

function eventOf(
  { events }: Drafts,
  { workflow, event }: RunCause,
  row: RunRow,
  operation: Operation,
): EventDraft[] {
  if (operation.kind !== "publish") return [];
  const { subject, type, payload, topic, body } = operation;
  const input = {
    subject,
    type,
    payload,
    topic: topic ?? undefined,
    body: body ?? undefined,
    source: workflow.source ?? `workflow:${workflow.name}`,
    external_id: `${row.run_id}:${operation.ordinal}`,
    origin_kind: "workflow" as const,
  };
  return [
    events.draft(input, event && { id: event.id, depth: event.depth, correlation_id: correlation(event) }),
  ];
}

function effectOf(
  { ledger }: Drafts,
  { workflow, event }: RunCause,
  row: RunRow,
  operation: Operation,
): EffectDraft[] {
  const asked = proposedBy(operation, workflow);
  if (asked === null) return [];
  const draft = ledger.draft({
    ...asked,
    cause: {
      event_id: row.event_id,
      run_id: row.run_id,
      workflow: workflow.name,
      version: row.version,
      line: operation.line === null ? row.line : `${basename(workflow.file)}:${operation.line}`,
      source: workflow.source ?? `workflow:${workflow.name}`,
    },
    idempotency_key: `${row.run_id}:${operation.ordinal}`,
    correlation_id: event && correlation(event),
    depth: event?.depth ?? 0,
  });
  return [draft];
}

/** What an operation wants done outside; null where it does not. */
function proposedBy(operation: Operation, { repository }: RunningWorkflow) {
  switch (operation.kind) {
    case "command":
    case "call": {
      const { effect_id: id, agent: target, command: action, payload } = operation;
      return { id, target, action, payload };
    }
    case "ask": {
      const { effect_id: id, question, timeout_ms } = operation;
      return {
        ...{ id, kind: "ask" as const, target: "person", action: "answer", payload: { ...question } },
        ...{ summary: question.title, expires_in_ms: timeout_ms },
      };
    }
    case "action": {
      const { effect_id: id, action: target, params, options } = operation;
      const from = repository === undefined ? {} : { repository };
      const payload = { action: target, params, ...from, ...options } as JsonObject;
      return { id, kind: "action", target, action: "run", payload };
    }
    case "effect": {
      const { effect_id: id, effect_kind: kind, payload } = operation;
      return { id, kind, payload };
    }
    default:
      return null;
  }
}

function correlation(event: Event): string {
  return event.correlation_id ?? event.id;
}

function waitOf(
  operation: Operation | undefined,
  now_ms: number,
): Pick<RunRow, "wake_ms" | "waiting_for" | "waiting_effect"> {
  if (operation?.kind === "sleep") {
    const wake_ms = now_ms + operation.delay_ms;
    return { wake_ms, waiting_for: `time: ${new Date(wake_ms).toISOString()}`, waiting_effect: null };
  }
  if (operation?.kind === "call")
    return effectWait(operation.effect_id, resultOf(operation.agent, operation.command));
  if (operation?.kind === "ask") return effectWait(operation.effect_id, answerTo(operation.question.title));
  if (operation?.kind === "action" || operation?.kind === "join")
    return effectWait(operation.effect_id, `result of ${operation.action}`);
  if (operation?.kind === "effect")
    return effectWait(
      operation.effect_id,
      `result of: ${describeAct(operation.effect_kind, operation.payload).summary}`,
    );
  if (operation?.kind === "local") return { ...atRest, waiting_for: operation.name };
  throw new Error("a handler stopped without saying what it waits for");
}

/** What people read that a run waits for. */
export const resultOf = (agent: string, command: string) => `result of ${agent}.${command}`;
export const answerTo = (title: string) => `answer to: ${title}`;

function effectWait(waiting_effect: string, waiting_for: string) {
  return { wake_ms: null, waiting_for, waiting_effect };
}

/** The newest of many lines are left out, and long ones cut, since a row of the database is no log file. */
export function trimLogs(lines: LogLine[]): LogLine[] {
  const kept = lines.slice(0, LOG_LINES);
  const last = kept.at(-1);
  if (last && lines.length > LOG_LINES) {
    kept[LOG_LINES - 1] = {
      ...last,
      level: "warn",
      message: `${lines.length - LOG_LINES + 1} more lines left out`,
    };
  }
  return kept.map((line) =>
    line.message.length <= LOG_CHARS ? line : { ...line, message: `${line.message.slice(0, LOG_CHARS)}…` },
  );
}
