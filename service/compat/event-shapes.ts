import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Delivery, Event } from "../contract/events.ts";
import type { RouteName } from "../contract/routes.ts";

/**
 * Events as other systems write them, read into ours and given back exactly (U1): CloudEvents, Sekia (B9),
 * my-kaiser (P13) and makiso (M1).
 */

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Rewrites a foreign shape to a new event; anything else passes unchanged and is checked as it is. */
function acceptEventShape(body: unknown): unknown {
  if (!isObject(body)) return body;
  if (typeof body.specversion === "string") return fromCloudEvent(body);
  if ("timestamp" in body && "source" in body && "payload" in body) return fromSekia(body);
  if ("metadata" in body) return fromMakiso(body);
  if ("text" in body && !("body" in body)) {
    const { text, ...rest } = body;
    return { ...rest, body: text };
  }
  return body;
}

/**
 * Kept in `meta.cloudevents`, so that the same event can be given back: attributes that are none of ours, and those
 * that had to be written otherwise.
 */
interface KeptCloudEvent {
  source: Json;
  subject: Json;
  time: Json;
  datacontenttype: Json;
  dataschema: Json;
  /** Where `data` went. */
  data: "payload" | "payload.value" | "body" | "nowhere";
  extensions: JsonObject;
}

/** @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md */
function fromCloudEvent(event: JsonObject): JsonObject {
  const {
    specversion,
    id,
    source,
    type,
    subject = null,
    time = null,
    data,
    data_base64,
    datacontenttype = null,
    dataschema = null,
    ...extensions
  } = event;
  if (specversion !== "1.0")
    throw new SignalboxError("invalid_request", `CloudEvents ${String(specversion)} is not known; 1.0 is`);
  if (data_base64 !== undefined)
    throw new SignalboxError("invalid_request", "data_base64 is not taken; send JSON or text in data");
  if (typeof id !== "string" || typeof source !== "string" || id === "" || source === "")
    throw new SignalboxError("invalid_request", "a CloudEvent has an id and a source");
  const kept: KeptCloudEvent = {
    source,
    subject,
    time,
    datacontenttype,
    dataschema,
    data: placeOf(data),
    extensions,
  };
  return clean({
    external_id: id,
    source: nameOf(source),
    type,
    time_ms: time === null ? undefined : millisecondsOf(time),
    payload: kept.data === "payload" ? data : kept.data === "payload.value" ? { value: data } : undefined,
    body: kept.data === "body" ? data : undefined,
    meta: { cloudevents: kept },
  });
}

function placeOf(data: Json | undefined): KeptCloudEvent["data"] {
  if (data === undefined) return "nowhere";
  if (typeof data === "string") return "body";
  return isObject(data) ? "payload" : "payload.value";
}

/** One that came as a CloudEvent is given back as it was; others are described by the attributes there are. */
function cloudEvent(event: Event): JsonObject {
  const kept = event.meta.cloudevents;
  if (isObject(kept) && event.external_id !== null)
    return givenBack(event, kept as unknown as KeptCloudEvent);
  return clean({
    specversion: "1.0",
    id: event.id,
    source: `signalbox:${event.source}`,
    type: event.type,
    subject: event.subject,
    time: new Date(event.time_ms).toISOString(),
    datacontenttype: "application/json",
    data: event.payload,
    body: event.body ?? undefined,
    correlationid: event.correlation_id ?? undefined,
    causationid: event.parent_id ?? undefined,
    sequence: String(event.seq),
  });
}

function givenBack(event: Event, kept: KeptCloudEvent): JsonObject {
  const data = {
    payload: event.payload,
    "payload.value": event.payload.value,
    body: event.body,
    nowhere: undefined,
  }[kept.data];
  const { source, subject, time, datacontenttype, dataschema } = kept;
  const optional = Object.entries({ subject, time, datacontenttype, dataschema }).filter(
    ([, value]) => value !== null,
  );
  return clean({
    specversion: "1.0",
    id: event.external_id,
    source,
    type: event.type,
    ...Object.fromEntries(optional),
    ...kept.extensions,
    data,
  });
}

function fromSekia(event: JsonObject): JsonObject {
  const { id, type, source, timestamp, payload, ...rest } = event;
  const time_ms = typeof timestamp === "number" ? Math.round(timestamp * 1_000) : millisecondsOf(timestamp);
  return clean({
    ...rest,
    external_id: id,
    type,
    source,
    subject: rest.subject ?? `sekia.events.${String(source)}`,
    time_ms,
    payload: payload ?? {},
  });
}

function fromMakiso(event: JsonObject): JsonObject {
  const { id, metadata, created_at, processed_at: _processed, status, source, ...rest } = event;
  const origin =
    source === "agent" || source === "webhook" || source === "human" || source === "system"
      ? source
      : undefined;
  return clean({
    ...rest,
    external_id: id ?? rest.external_id,
    meta: isObject(metadata) ? metadata : typeof metadata === "string" ? parsedObject(metadata) : undefined,
    time_ms: created_at === undefined ? undefined : millisecondsOf(created_at),
    source: source === undefined ? undefined : nameOf(source),
    origin_kind: origin,
    correlation_id: rest.correlation_id ?? undefined,
    parent_id: rest.parent_id ?? undefined,
    // One that was done with there is not to be claimed here.
    status: status === "completed" || status === "failed" ? status : undefined,
  });
}

/** The same for a request's whole body, on the routes that take events. */
export function acceptBody(route: RouteName, body: unknown): unknown {
  if (route === "pushEvent") return acceptEventShape(body);
  if (route !== "pushEvents" || typeof body !== "object" || body === null) return body;
  const given = Array.isArray(body) ? { events: body } : (body as { events?: unknown });
  return Array.isArray(given.events) ? { ...given, events: given.events.map(acceptOrExplain) } : given;
}

/** What is wrong with one event of a batch is that one's answer; the others are kept. */
function acceptOrExplain(event: unknown): unknown {
  try {
    return acceptEventShape(event);
  } catch (error) {
    if (SignalboxError.is(error)) return error;
    throw error;
  }
}

/** One of our events exactly as the other system shows it. */
export function viewEvent(
  shape: "cloudevents" | "sekia" | "kaiser" | "makiso",
  event: Event,
  delivery: Delivery | null,
  raw: Json | null,
): JsonObject {
  switch (shape) {
    case "cloudevents":
      return cloudEvent(event);
    case "sekia":
      return {
        id: event.external_id ?? event.id,
        type: event.type,
        source: event.source,
        timestamp: Math.floor(event.time_ms / 1_000),
        payload: event.payload,
      };
    case "kaiser":
      return {
        schema_version: 1,
        type: event.type,
        conversation_key: event.conversation_key,
        user_key: event.user_key,
        text: event.body ?? "",
        ...(raw === null ? {} : { raw }),
      };
    case "makiso":
      return {
        id: event.external_id ?? event.id.replace(/^evt_/, ""),
        topic: event.topic,
        body: event.body ?? "",
        metadata: event.meta,
        correlation_id: event.correlation_id,
        parent_id: event.parent_id,
        status: delivery?.status === "dead" ? "failed" : (delivery?.status ?? "completed"),
        source: event.origin_kind === "workflow" ? "system" : event.origin_kind,
        created_at: new Date(event.time_ms).toISOString(),
        processed_at: delivery?.finished_ms == null ? null : new Date(delivery.finished_ms).toISOString(),
      };
  }
}

function nameOf(source: unknown): string | undefined {
  if (typeof source !== "string" || source === "") return undefined;
  return source.replace(/[^\p{L}\p{N}_@:./+-]+/gu, "_").slice(0, 200);
}

function millisecondsOf(time: unknown): number {
  const ms = typeof time === "string" ? Date.parse(time) : typeof time === "number" ? time : Number.NaN;
  if (!Number.isFinite(ms))
    throw new SignalboxError(
      "invalid_request",
      `${String(time)} is not a time; write it as 2026-01-31T12:00:00Z`,
    );
  return Math.round(ms);
}

function parsedObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw new SignalboxError("invalid_request", "metadata is not JSON", { cause: error });
  }
  throw new SignalboxError("invalid_request", "metadata must be an object");
}

function clean(fields: Record<string, unknown>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JsonObject;
}
