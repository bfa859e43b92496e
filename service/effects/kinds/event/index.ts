import type { JsonObject } from "../../../contract/common.ts";
import type { EventLog } from "../../../events/log.ts";
import type { Store } from "../../../store/store.ts";
import { defineEffectKind, type EffectKind } from "../kind.ts";
import { maskFields } from "../mask.ts";
import { type EventPayload, eventPayload, eventSummary, eventTarget } from "./schema.ts";

/** Records an event in the name of whoever proposed it. The effect's id makes it one, however often it is tried. */
export function eventKind({ store, events }: { store: Store; events: EventLog }): EffectKind {
  return defineEffectKind<EventPayload>({
    kind: "event",
    title: "Publish an event",
    aliases: ["publish", "publish_event"],
    targetField: "subject",
    schema: eventPayload,
    familiar: "never",
    target: eventTarget,
    action: () => "publish",
    summary: eventSummary,
    redact: (payload) => maskFields(JSON.parse(JSON.stringify(payload)) as JsonObject),
    risks: ({ topic, type }) => [
      topic === undefined
        ? `Workflows that listen to ${type} run because of it.`
        : `Agents that claim from ${topic} act on it.`,
    ],
    repeatable: () => true,
    async execute({ type, subject, topic, body, payload, conversation_key }, { idempotencyKey, cause }) {
      const draft = events.draft(
        {
          ...{ type, subject, topic, body, payload, conversation_key },
          source: cause.source,
          external_id: idempotencyKey,
          origin_kind: cause.workflow === null ? "agent" : "workflow",
        },
        { id: cause.event_id, depth: cause.depth, correlation_id: cause.correlation_id },
      );
      const [appended] = await store.append([draft]);
      if (!appended) throw new Error("an append answered without its event");
      return { event_id: appended.event.id, seq: appended.event.seq };
    },
  });
}
