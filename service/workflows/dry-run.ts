import type { JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, SourceError, Tested } from "../contract/workflows.ts";
import { describeAct } from "../effects/kinds/schemas.ts";
import type { WaitEnd } from "./lua/activity.ts";
import type { LuaHost, Operation, RunOutcome, RunRequest, ScratchHost, WorkflowSource } from "./lua/host.ts";
import { toLuaEvent } from "./lua-event.ts";
import { answerTo, resultOf } from "./run-commit.ts";

type TestedRun = Tested["runs"][number];

/**
 * Runs every handler that the event reaches in a state of its own and tells what it would do. Nothing is recorded
 * and nothing is carried out; `answers` stand in for what calls, questions and actions would get.
 * @throws SignalboxError `workflow_load_failed`
 */
export async function dryRun(
  host: LuaHost,
  source: WorkflowSource,
  event: Event,
  reaches: (handler: Handler) => boolean,
  answers: readonly WaitEnd[],
  now_ms: number,
): Promise<TestedRun[]> {
  return host.withScratch(source, async (scratch) => {
    const runs: TestedRun[] = [];
    for (const handler of scratch.loaded.handlers.filter(reaches))
      runs.push(await runHandler(scratch, source, handler, event, answers, now_ms));
    return runs;
  });
}

async function runHandler(
  scratch: ScratchHost,
  source: WorkflowSource,
  handler: Handler,
  event: Event,
  answers: readonly WaitEnd[],
  now_ms: number,
): Promise<TestedRun> {
  const left = [...answers];
  const run = await runDry(
    scratch,
    {
      ...{ run_id: `dry_${handler.id}`, handler: handler.id, event: toLuaEvent(event), now_ms, journal: [] },
      effectKey: `dry:${event.id}:${handler.id}`,
    },
    () => left.shift(),
  );
  return {
    handler,
    ...endOf(run.outcome, source),
    waiting_for: run.waiting_for,
    logs: run.logs,
    effects: run.operations.flatMap((operation) => describeOperation(operation, source.file)),
  };
}

/**
 * Runs a handler without doing anything outside; waits for time are over at once. `answer` says what the others come
 * to; the run ends at the first that it has nothing for.
 */
export async function runDry(
  scratch: ScratchHost,
  request: Omit<RunRequest, "workflow">,
  answer: (operation: Operation) => WaitEnd | undefined | Promise<WaitEnd | undefined>,
): Promise<{ outcome: RunOutcome; operations: Operation[]; logs: LogLine[]; waiting_for: string | null }> {
  const { run_id, now_ms } = request;
  const operations: Operation[] = [];
  const logs: LogLine[] = [];
  let outcome = await scratch.run(request);
  for (;;) {
    if (outcome.kind === "stopped") return { outcome, operations, logs, waiting_for: null };
    logs.push(...outcome.logs);
    if (outcome.kind === "failed") return { outcome, operations, logs, waiting_for: null };
    operations.push(...outcome.operations);
    if (outcome.kind === "done") return { outcome, operations, logs, waiting_for: null };
    const last = outcome.operations.at(-1);
    const isSleep = last?.kind === "sleep";
    const end = isSleep ? { ok: true as const, value: null } : last && (await answer(last));
    if (!end) return { outcome, operations, logs, waiting_for: waitOf(last) };
    outcome = await scratch.resume(run_id, end, isSleep ? now_ms + last.delay_ms : now_ms);
  }
}

function waitOf(last: Operation | undefined): string {
  if (last?.kind === "ask") return answerTo(last.question.title);
  if (last?.kind === "action" || last?.kind === "join") return `result of ${last.action}`;
  if (last?.kind === "effect") return `result of: ${describeAct(last.effect_kind, last.payload).summary}`;
  return last?.kind === "call" ? resultOf(last.agent, last.command) : "nothing";
}

function endOf(outcome: RunOutcome, source: WorkflowSource): Pick<TestedRun, "status" | "output" | "error"> {
  if (outcome.kind === "done") return { status: "succeeded", output: outcome.output, error: null };
  if (outcome.kind === "suspended") return { status: "waiting", output: null, error: null };
  const error: SourceError =
    outcome.kind === "failed"
      ? outcome.error
      : { message: outcome.message, file: source.file, line: null, traceback: null };
  return { status: "failed", output: null, error };
}

/** What a person reads of it: what would happen outside, nothing where it is a wait. */
export function describeOperation(operation: Operation, file: string): TestedRun["effects"] {
  const line = operation.line === null ? null : `${file}:${operation.line}`;
  switch (operation.kind) {
    case "publish":
      return [
        {
          kind: "publish",
          summary: `Publish ${operation.type} on ${operation.subject}`,
          target: operation.subject,
          payload: operation.payload,
          topic: operation.topic,
          body: operation.body,
          line,
        },
      ];
    case "state": {
      const gone = operation.value === undefined;
      return [
        {
          kind: "state",
          summary: gone ? `Forget ${operation.key}` : `Remember ${operation.key}`,
          target: operation.key,
          payload: operation.value ?? null,
          line,
        },
      ];
    }
    case "ask": {
      const { title, choices } = operation.question;
      const summary = `Ask a person: ${title} (${choices.join(", ")})`;
      return [{ kind: "ask", summary, target: "person", payload: { ...operation.question }, line }];
    }
    case "action": {
      const { action: target, params } = operation;
      return [{ kind: "action", summary: `Run ${target}`, target, payload: params, line }];
    }
    case "effect": {
      const { effect_kind: kind, payload } = operation;
      return [{ kind, ...describeAct(kind, payload), payload, line }];
    }
    case "sleep":
    case "join":
    case "local":
      return [];
    default:
      return [
        {
          kind: "command",
          summary: `Send ${operation.command} to ${operation.agent}`,
          target: operation.agent,
          payload: operation.payload,
          line,
        },
      ];
  }
}

/** An event as a test file or a caller gives it: what is left out is filled in. */
export function madeUpEvent(given: JsonObject, now_ms: number): Event {
  const text = (key: string) => (typeof given[key] === "string" ? (given[key] as string) : null);
  const record = (key: string): JsonObject => {
    const value = given[key];
    if (value === undefined || value === null) return {};
    if (typeof value === "object" && !Array.isArray(value)) return value;
    throw new SignalboxError("invalid_request", `${key} of the event must be an object`);
  };
  const type = text("type") ?? "message.pushed";
  const topic = text("topic");
  return {
    id: text("id") ?? "evt_00000000000000000000000000",
    seq: 0,
    schema_version: 1,
    type,
    source: text("source") ?? "test",
    subject: text("subject") ?? (topic === null ? type : `topics.${topic}`),
    topic,
    time_ms: typeof given.time_ms === "number" ? given.time_ms : now_ms,
    recorded_ms: now_ms,
    body: text("body"),
    payload: record("payload"),
    meta: record("meta"),
    conversation_key: text("conversation_key"),
    user_key: text("user_key"),
    correlation_id: text("correlation_id"),
    parent_id: text("parent_id"),
    external_id: text("external_id"),
    scope: text("scope"),
    origin_kind: "system",
    depth: 0,
    parked: false,
  };
}
