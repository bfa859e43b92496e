/** What OpenCode tells its plugins, as steps of sessions. Parsed loosely: the types lag behind the wire. */
import * as z from "zod";
import type { BusEvents } from "./bus-events.ts";
import { readSession } from "./host-v1.ts";
import type { Hub } from "./hub.ts";
import { type Permissions, readAsked } from "./permissions.ts";
import type { Settings } from "./settings.ts";

export interface EventParts {
  readonly hub: Hub;
  readonly permissions: Permissions;
  readonly bus: BusEvents;
  readonly settings: Settings;
}

const of = z.looseObject({ sessionID: z.string() });
const about = z.looseObject({ info: z.unknown() });
const status = of.extend({ status: z.looseObject({ type: z.string() }) });
const failure = of.extend({
  error: z.looseObject({
    name: z.string(),
    data: z.looseObject({ message: z.string().optional() }).optional(),
  }),
});
const part = z.looseObject({
  part: z.looseObject({ sessionID: z.string(), type: z.string() }),
});

/** Types of parts that only a model's turn has. */
const spoken: ReadonlySet<string> = new Set(["step-start", "reasoning", "tool"]);

export async function onEvent(
  parts: EventParts,
  event: { type: string; properties?: unknown },
): Promise<void> {
  const { hub, permissions, bus, settings } = parts;
  const { type, properties } = event;
  switch (type) {
    case "session.created":
    case "session.updated":
      return onInfo(parts, properties, type === "session.created");
    case "session.deleted": {
      const gone = readSession(about.safeParse(properties).data?.info);
      if (gone) hub.apply(gone.id, { kind: "deleted" });
      return;
    }
    case "session.status": {
      const { data } = status.safeParse(properties);
      if (data) onStatus(parts, data.sessionID, data.status.type !== "idle");
      return;
    }
    case "session.idle": {
      const { data } = of.safeParse(properties);
      if (data) onStatus(parts, data.sessionID, false);
      return;
    }
    case "session.error": {
      const { data } = failure.safeParse(properties);
      if (!data) return;
      const { name, data: more } = data.error;
      const text = more?.message ?? name;
      hub.apply(data.sessionID, { kind: "error", aborted: name === "MessageAbortedError", message: text });
      return bus.failed(data.sessionID, name, text);
    }
    case "message.part.updated": {
      const { data } = part.safeParse(properties);
      if (data && spoken.has(data.part.type)) output(hub, data.part.sessionID);
      return;
    }
    case "permission.asked":
    case "permission.updated": {
      const request = readAsked(properties);
      if (!request) return;
      await bus.asked(request);
      if (settings.approvals) await permissions.ask(request);
      return;
    }
    case "permission.replied":
      return permissions.answered(properties);
  }
}

/** Only a session that we gave something to is worth a step for every part of an answer. */
function output(hub: Hub, id: string): void {
  if (hub.session(id).inflight !== null) hub.apply(id, { kind: "output" });
}

/** A session that was made with our metadata listens from its beginning. */
function onInfo({ hub }: EventParts, properties: unknown, isNew: boolean): void {
  const look = readSession(about.safeParse(properties).data?.info);
  if (!look) return;
  const { id, topics } = look;
  const before = hub.session(id);
  hub.apply(id, { kind: "info", ...look });
  if (isNew && topics !== null && topics.length > 0 && before.topics === null && !look.child) {
    hub.apply(id, { kind: "listen", topics });
    hub.apply(id, { kind: "status", busy: false });
  }
}

function onStatus({ hub, bus }: EventParts, id: string, busy: boolean): void {
  const before = hub.session(id).phase;
  hub.apply(id, { kind: "status", busy });
  if (!busy && before === "busy") bus.idle(id);
}
