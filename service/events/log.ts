import { type Json, type JsonObject, limits } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent, OriginKind, Pushed } from "../contract/events.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { isDeeperThan } from "../lib/json-depth.ts";
import type { Appended, EventDraft, Store } from "../store/store.ts";
import { findMentions, findToolCalls } from "./refs.ts";

/** What caused an event: another one, or an effect in its chain. */
export interface Cause {
  id: string | null;
  depth: number;
  correlation_id: string | null;
}

export interface EventLog {
  /** Records one event. @throws `too_large`, `idempotency_conflict`, `busy`, `storage_full` */
  push(input: NewEvent): Promise<Pushed>;
  /** Records what is good and says what is wrong with the others; all good ones in one transaction. */
  pushAll(inputs: (NewEvent | SignalboxError)[]): Promise<(Pushed | SignalboxError)[]>;
  /** For parts that record events together with their own change. */
  draft(input: NewEvent, parent: Cause | null): EventDraft;
}

interface LogOptions {
  store: Store;
  clock: Clock;
  /** Events that may cause each other in a chain. */
  maxDepth: number;
}

export function createEventLog({ store, clock, maxDepth }: LogOptions): EventLog {
  const draft = (input: NewEvent, parent: Cause | null) =>
    createDraft(input, parent, { now_ms: clock.nowMs(), maxDepth });
  const draftOf = async (input: NewEvent) =>
    draft(input, input.parent_id === undefined ? null : await store.getEvent(input.parent_id));
  return {
    draft,
    async push(input) {
      const one = input.parent_id === undefined ? draft(input, null) : await draftOf(input);
      const [appended] = await store.append([one]);
      return toPushed(appended);
    },
    async pushAll(inputs) {
      const drafts = await Promise.all(
        inputs.map((input) => (SignalboxError.is(input) ? input : draftOf(input).catch(asSignalboxError))),
      );
      // One write an event: they share the transaction all the same, and a conflict undoes only its own.
      return Promise.all(
        drafts.map(async (one) => {
          if (SignalboxError.is(one)) return one;
          return store.append([one]).then(([appended]) => toPushed(appended), asSignalboxError);
        }),
      );
    },
  };
}

function asSignalboxError(error: unknown): SignalboxError {
  if (SignalboxError.is(error)) return error;
  throw error;
}

function toPushed(appended: Appended | undefined): Pushed {
  if (!appended) throw new Error("an append answered without its event");
  const { event, duplicate } = appended;
  return { event_id: event.id, seq: event.seq, duplicate, run_id: runIdOfEvent(event.id) };
}

/** The id under which `GET /v1/runs/:run_id` tells of all runs of one event (P4, P5). */
export function runIdOfEvent(event_id: string): string {
  return event_id.replace(/^evt_/, "run_");
}

export function eventIdOfRun(run_id: string): string {
  return run_id.replace(/^run_/, "evt_");
}

interface DraftContext {
  now_ms: number;
  maxDepth: number;
}

/** Fills in what the caller left out. @throws SignalboxError `too_large`, `invalid_request` */
function createDraft(input: NewEvent, parent: Cause | null, { now_ms, maxDepth }: DraftContext): EventDraft {
  const type = input.type ?? "message.pushed";
  const topic = input.topic ?? null;
  const body = input.body ?? null;
  const meta = input.meta ?? {};
  const payload = input.payload ?? {};
  const depth = parent === null ? 0 : parent.depth + 1;
  const sized = measured(body, payload, meta, input.raw);
  return {
    id: newId("evt"),
    schema_version: 1,
    type,
    source: input.source ?? "api",
    subject: input.subject ?? (topic === null ? type : `topics.${topic}`),
    topic,
    time_ms: input.time_ms ?? now_ms,
    body,
    payload,
    meta,
    ...keysOf(input, parent),
    scope: input.scope ?? null,
    origin_kind: input.origin_kind ?? originOf(input.source),
    depth,
    parked: depth > maxDepth || input.history === true,
    raw: input.raw ?? undefined,
    refs: [...findMentions(body, input.mentions), ...findToolCalls(body, meta, input.tool_calls ?? [])],
    not_before_ms: input.not_before_ms ?? (input.delay_ms === undefined ? null : now_ms + input.delay_ms),
    finished: input.status ?? null,
    strict: input.idempotency_key !== undefined,
    ...sized,
  };
}

function keysOf(input: NewEvent, parent: Cause | null) {
  const { external_id, idempotency_key } = input;
  if (external_id !== undefined && idempotency_key !== undefined && external_id !== idempotency_key) {
    throw new SignalboxError("invalid_request", "external_id and idempotency_key differ", {
      hint: "Give one of them: both name the event within its source.",
    });
  }
  return {
    conversation_key: input.conversation_key ?? null,
    user_key: input.user_key ?? null,
    correlation_id: input.correlation_id ?? parent?.correlation_id ?? null,
    parent_id: input.parent_id ?? parent?.id ?? null,
    external_id: external_id ?? idempotency_key ?? null,
  };
}

function originOf(source: string | undefined): OriginKind {
  if (source === "cli") return "human";
  return source?.startsWith("@") ? "agent" : "system";
}

function measured(body: string | null, payload: JsonObject, meta: JsonObject, raw: Json | undefined) {
  const payload_json = toJson(payload, "payload");
  const meta_json = toJson(meta, "meta");
  const raw_json = raw === undefined ? "" : toJson(raw, "raw");
  const texts = [body ?? "", payload_json, meta_json, raw_json];
  const chars = texts.reduce((sum, text) => sum + text.length, 0);
  // A character is at most three bytes of UTF-8 here, so only what is near the limit is counted exactly.
  const near = chars * 3 > limits.eventBytes;
  if (near && texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) > limits.eventBytes) {
    throw new SignalboxError(
      "too_large",
      `an event may hold ${limits.eventBytes} bytes of body, payload, meta and raw`,
      { hint: "Put large data in a file and send its path." },
    );
  }
  return { payload_json, meta_json };
}

function toJson(value: Json, field: string): string {
  if (isDeeperThan(value, limits.jsonDepth))
    throw new SignalboxError("invalid_request", `${field} may be nested ${limits.jsonDepth} levels deep`);
  return JSON.stringify(value);
}
