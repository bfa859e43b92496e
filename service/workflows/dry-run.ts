import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, SourceError, Tested } from "../contract/workflows.ts";
import type { LuaHost, Operation, RunOutcome, ScratchHost, WorkflowSource } from "./lua/host.ts";
import { toLuaEvent } from "./lua-event.ts";
import { answerTo, resultOf } from "./run-commit.ts";

type TestedRun = Tested["runs"][number];

/**
 * Runs every handler that the event reaches in a state of its own and tells what it would do. Nothing is recorded
 * and nothing is carried out; `results` stand in for what `signalbox.call` would get.
 * @throws SignalboxError `workflow_load_failed`
 */
export async function dryRun(
  host: LuaHost,
  source: WorkflowSource,
  event: Event,
  reaches: (handler: Handler) => boolean,
  results: Json[],
  now_ms: number,
): Promise<TestedRun[]> {
  return host.withScratch(source, async (scratch) => {
    const runs: TestedRun[] = [];
    for (const handler of scratch.loaded.handlers.filter(reaches))
      runs.push(await runHandler(scratch, source, handler, event, results, now_ms));
    return runs;
  });
}

async function runHandler(
  scratch: ScratchHost,
  source: WorkflowSource,
  handler: Handler,
  event: Event,
  results: Json[],
  now_ms: number,
): Promise<TestedRun> {
  const run_id = `dry_${handler.id}`;
  const operations: Operation[] = [];
  const logs: LogLine[] = [];
  const left = [...results];
  let outcome = await scratch.run({
    run_id,
    handler: handler.id,
    event: toLuaEvent(event),
    now_ms,
    journal: [],
    effectKey: `dry:${event.id}:${handler.id}`,
  });
  let waiting_for: string | null = null;
  for (;;) {
    if (outcome.kind === "stopped") break;
    logs.push(...outcome.logs);
    if (outcome.kind !== "suspended") break;
    operations.push(...outcome.operations);
    const last = outcome.operations.at(-1);
    if (last?.kind === "sleep")
      outcome = await scratch.resume(run_id, { ok: true, value: null }, now_ms + last.delay_ms);
    else if (left.length > 0)
      outcome = await scratch.resume(run_id, { ok: true, value: left.shift() ?? null }, now_ms);
    else {
      waiting_for = waitOf(last);
      break;
    }
  }
  if (outcome.kind === "done") operations.push(...outcome.operations);
  return {
    handler,
    ...endOf(outcome, source),
    waiting_for,
    logs,
    effects: operations.flatMap((operation) => describe(operation, source.file)),
  };
}

function waitOf(last: Operation | undefined): string {
  if (last?.kind === "ask") return answerTo(last.question.title);
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

function describe(operation: Operation, file: string): TestedRun["effects"] {
  const line = operation.line === null ? null : `${file}:${operation.line}`;
  switch (operation.kind) {
    case "publish":
      return [
        {
          kind: "publish",
          summary: `Publish ${operation.type} on ${operation.subject}`,
          target: operation.subject,
          payload: operation.payload,
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
    case "sleep":
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
