import type { CommandSpec } from "../../contract/agents.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { Delivery, DeliveryStatus, Event, ListedEvent } from "../../contract/events.ts";
import type { TopicSettings } from "../../contract/topics.ts";
import type { AgentRow, EffectRow, RunRow, WorkflowRow } from "../store.ts";
import { checkSum } from "./sums.ts";

/** Rows as SQLite gives them, and how they become the contract's objects. Names are the same on both sides. */

export const eventColumns =
  "seq, id, schema_version, type, source, subject, topic, time_ms, recorded_ms, body, payload, meta, conversation_key, user_key, correlation_id, parent_id, external_id, scope, origin_kind, depth, parked, sum";

export const eventColumnsOf = (alias: string) =>
  eventColumns.replace(/\w+/g, (column) => `${alias}.${column}`);

export type EventSql = Omit<Event, "payload" | "meta" | "parked"> & {
  payload: string;
  meta: string;
  parked: number;
  /** Null for an event from before there were checksums. */
  sum: number | null;
};

/** @throws an error of a damaged database when it is not as it was written */
export function toEvent(row: EventSql): Event {
  checkSum(row);
  return {
    id: row.id,
    seq: row.seq,
    schema_version: row.schema_version,
    type: row.type,
    source: row.source,
    subject: row.subject,
    topic: row.topic,
    time_ms: row.time_ms,
    recorded_ms: row.recorded_ms,
    body: row.body,
    payload: parse(row.payload) as JsonObject,
    meta: parse(row.meta) as JsonObject,
    conversation_key: row.conversation_key,
    user_key: row.user_key,
    correlation_id: row.correlation_id,
    parent_id: row.parent_id,
    external_id: row.external_id,
    scope: row.scope,
    origin_kind: row.origin_kind,
    depth: row.depth,
    parked: row.parked === 1,
  };
}

export type ListedSql = EventSql & { status: StoredStatus | null };

export function toListed(row: ListedSql): ListedEvent {
  const event = toEvent(row) as ListedEvent;
  event.status = row.status === null ? null : toStatus(row.status);
  return event;
}

/** To everybody else a delayed delivery is a pending one with a `not_before_ms`. */
export type StoredStatus = DeliveryStatus | "delayed";

export function toStatus(status: StoredStatus): DeliveryStatus {
  return status === "delayed" ? "pending" : status;
}

export function toStored(status: DeliveryStatus): StoredStatus[] {
  return status === "pending" ? ["pending", "delayed"] : [status];
}

export interface DeliverySql {
  seq: number;
  grp: string;
  topic: string;
  status: StoredStatus;
  not_before_ms: number | null;
  claimed_by: string | null;
  lease: string | null;
  lease_until_ms: number | null;
  attempts: number;
  last_error: string | null;
  finished_ms: number | null;
}

export function toDelivery(row: DeliverySql): Delivery {
  return {
    group: row.grp,
    status: toStatus(row.status),
    claimed_by: row.claimed_by,
    lease_until_ms: row.lease_until_ms,
    not_before_ms: row.not_before_ms,
    attempts: row.attempts,
    last_error: row.last_error,
    finished_ms: row.finished_ms,
  };
}

export interface TopicSql extends Omit<TopicSettings, "paused" | "allow"> {
  name: string;
  paused: number;
  /** JSON list. */
  allow: string;
  created_ms: number;
}

export interface AgentSql {
  name: string;
  kind: "agent" | "connector";
  version: string;
  capabilities: string;
  commands: string;
  registered_ms: number | null;
  last_beat_ms: number | null;
  last_event_ms: number | null;
  events_processed: number;
  errors: number;
  online: number;
}

export function toAgent(row: AgentSql): AgentRow {
  return {
    ...row,
    capabilities: parse(row.capabilities) as string[],
    commands: parse(row.commands) as CommandSpec[],
    online: row.online === 1,
  };
}

export interface EffectSql extends Omit<EffectRow, "payload" | "bound" | "cause" | "policy" | "result"> {
  /** Order of insertion. */
  seq: number;
  payload: string;
  bound: string | null;
  event_id: string | null;
  run_id: string | null;
  workflow: string | null;
  version: string | null;
  line: string | null;
  source: string;
  policy_decision: EffectRow["policy"]["decision"];
  policy_rule: string;
  result: string | null;
}

export function toEffect(row: EffectSql): EffectRow {
  const {
    seq: _seq,
    event_id,
    run_id,
    workflow,
    version,
    line,
    source,
    policy_decision,
    policy_rule,
    payload,
    bound,
    result,
    ...rest
  } = row;
  return {
    ...rest,
    payload: parse(payload) as JsonObject,
    bound: parse(bound) as JsonObject | null,
    cause: { event_id, run_id, workflow, version, line, source },
    policy: { decision: policy_decision, rule: policy_rule },
    result: parse(result),
  };
}

export interface RunSql extends Omit<RunRow, "journal" | "output" | "error" | "logs"> {
  journal: string | null;
  output: string | null;
  error: string | null;
  logs: string;
}

export function toRun(row: RunSql): RunRow {
  return {
    ...row,
    journal: (parse(row.journal) ?? []) as unknown as RunRow["journal"],
    output: parse(row.output),
    error: parse(row.error) as unknown as RunRow["error"],
    logs: parse(row.logs) as unknown as RunRow["logs"],
  };
}

export type WorkflowSql = Omit<WorkflowRow, "disabled"> & { disabled: number };

export function toWorkflow(row: WorkflowSql): WorkflowRow {
  return { ...row, disabled: row.disabled === 1 };
}

/** Text that this adapter wrote itself, so it is not checked again. */
function parse(text: string | null): Json {
  return text === null ? null : (JSON.parse(text) as Json);
}
