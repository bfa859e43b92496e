import type { JsonObject } from "../contract/common.ts";
import type { Event } from "../contract/events.ts";

/** The event as Lua sees it (S27): Sekia's fields and ours. */
export function toLuaEvent(event: Event): JsonObject {
  return {
    id: event.id,
    seq: event.seq,
    type: event.type,
    source: event.source,
    subject: event.subject,
    topic: event.topic,
    timestamp: Math.floor(event.time_ms / 1_000),
    time_ms: event.time_ms,
    body: event.body,
    payload: event.payload,
    meta: event.meta,
    conversation_key: event.conversation_key,
    user_key: event.user_key,
    correlation_id: event.correlation_id,
    parent_id: event.parent_id,
    scope: event.scope,
    origin_kind: event.origin_kind,
  };
}
