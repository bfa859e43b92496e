import type { ConnectorCommand, ConnectorContext } from "../../../connectors/connector.ts";
import type { JsonObject } from "../../../contract/common.ts";
import { SignalboxError } from "../../../contract/errors.ts";
import type { Event } from "../../../contract/events.ts";
import type { EventLog } from "../../../events/log.ts";
import type { Store } from "../../../store/store.ts";
import { defineEffectKind, type EffectContext, type EffectKind } from "../kind.ts";
import { maskFields } from "../mask.ts";
import { type ReplyPayload, replyPayload, replySummary } from "./schema.ts";

/** A connector that can answer where its events come from. */
export interface Answerer {
  readonly agent: string;
  readonly commands: Readonly<Record<string, ConnectorCommand<unknown>>>;
  readonly context: ConnectorContext<unknown>;
  /** The command that answers this event, or null where it has no place to answer at. */
  replyTo(event: Event, body: string): { command: string; payload: JsonObject } | null;
}

interface ReplyParts {
  store: Store;
  events: EventLog;
  /** By the source of its events; undefined where there is none. */
  answererOf(source: string): Answerer | undefined;
}

/** Answers an event where it came from: by its connector's own command, else in the log. */
export function replyKind(parts: ReplyParts): EffectKind {
  return defineEffectKind<ReplyPayload>({
    kind: "reply",
    title: "Answer an event",
    targetField: "event_id",
    schema: replyPayload,
    familiar: "never",
    target: ({ event_id }) => event_id,
    action: () => "send",
    summary: replySummary,
    redact: (payload) => maskFields(JSON.parse(JSON.stringify(payload)) as JsonObject),
    risks: (_payload, { command, source }) => [
      command === null || command === undefined
        ? `The answer is recorded here, for whoever listens to the conversation.`
        : `Everybody who can read this at ${source} sees it.`,
    ],
    repeatable: () => false,
    async bind({ event_id, body }) {
      const event = await requireEvent(parts.store, event_id);
      const answerer = parts.answererOf(event.source);
      const found = answerer?.replyTo(event, body) ?? null;
      const command = found && answerer ? { agent: answerer.agent, ...found } : null;
      return { source: event.source, conversation: event.conversation_key, command };
    },
    async execute(payload, context) {
      const event = await requireEvent(parts.store, payload.event_id);
      const answerer = parts.answererOf(event.source);
      const found = answerer?.replyTo(event, payload.body) ?? null;
      if (!answerer || !found) return record(parts, event, payload, context);
      const command = answerer.commands[found.command];
      if (!command) throw new Error(`${answerer.agent} answers by ${found.command}, which it has not`);
      const { idempotencyKey, attempt } = context;
      const checked = command.params.parse(found.payload) as JsonObject;
      return command.run(checked, { ...answerer.context, idempotencyKey, attempt });
    },
  });
}

/** @throws SignalboxError `not_found` */
async function requireEvent(store: Store, id: string): Promise<Event> {
  const event = await store.getEvent(id);
  if (!event) throw new SignalboxError("not_found", `there is no event ${id}`);
  return event;
}

async function record(
  { store, events }: ReplyParts,
  event: Event,
  { body, payload }: ReplyPayload,
  { idempotencyKey, cause }: EffectContext,
): Promise<JsonObject> {
  const draft = events.draft(
    {
      type: "message.replied",
      source: cause.source,
      subject: `replies.${event.topic ?? event.source}`,
      body,
      payload: { ...payload, reply_to: event.id },
      conversation_key: event.conversation_key ?? undefined,
      external_id: idempotencyKey,
      origin_kind: cause.workflow === null ? "agent" : "workflow",
    },
    event,
  );
  const [appended] = await store.append([draft]);
  if (!appended) throw new Error("an append answered without its event");
  return { event_id: appended.event.id, seq: appended.event.seq };
}
