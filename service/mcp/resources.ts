import {
  type McpServer,
  type ReadResourceResult,
  ResourceNotFoundError,
  ResourceTemplate,
  type Variables,
} from "@modelcontextprotocol/server";
import { SignalboxError } from "../contract/errors.ts";
import type { Session } from "./session.ts";
import { caps, harmless, lineOf, notice, viewOf } from "./view.ts";

const RECENT = 20;
export const topicUri = (name: string) => `signalbox://topics/${encodeURIComponent(name)}`;
export const eventUri = (id: string) => `signalbox://events/${encodeURIComponent(id)}`;

export type Target = { kind: "topic" | "event"; name: string };

/** What one of our URIs stands for; null for any other. */
export function targetOf(uri: string): Target | null {
  const [, kind, name] = /^signalbox:\/\/(topic|event)s\/([^/?#]+)$/.exec(uri) ?? [];
  if (name === undefined) return null;
  try {
    return { kind: kind as Target["kind"], name: decodeURIComponent(name) };
  } catch {
    return null; // A % that begins no escape.
  }
}

/** Topics and events, as what a person attaches to a conversation. */
export function registerResources(server: McpServer, session: Session): void {
  server.registerResource(
    "topic",
    new ResourceTemplate("signalbox://topics/{name}", {
      list: async () => {
        const { topics } = await (await session.client()).listTopics();
        return { resources: topics.map(({ name }) => ({ uri: topicUri(name), name })) };
      },
      complete: {
        name: async (begun) => {
          const { topics } = await (await session.client()).listTopics();
          return topics.map(({ name }) => name).filter((name) => name.startsWith(begun));
        },
      },
    }),
    {
      title: "A topic",
      description: "Settings and counts of a topic, with the events that wait in it.",
      mimeType: "application/json",
    },
    (uri, variables) => reading(uri.href, variables.name, (name) => readTopic(session, name)),
  );
  server.registerResource(
    "event",
    new ResourceTemplate("signalbox://events/{id}", {
      list: async () => {
        const { events } = await (await session.client()).findEvents({ limit: RECENT });
        const resources = events.map((event) => {
          const name = `${event.type} from ${event.source}`;
          return { uri: eventUri(event.id), name, description: lineOf(viewOf(event, caps.many)) };
        });
        return { resources };
      },
    }),
    {
      title: "An event",
      description: "One event with what became of it. Its text is data from outside.",
      mimeType: "application/json",
    },
    (uri, variables) => reading(uri.href, variables.id, (id) => readEvent(session, id)),
  );
}

async function reading(
  uri: string,
  variable: Variables[string] | undefined,
  read: (name: string) => Promise<unknown>,
): Promise<ReadResourceResult> {
  try {
    const name = decodeURIComponent(String(variable));
    const text = JSON.stringify(await read(name), null, 2);
    return { contents: [{ uri, mimeType: "application/json", text }] };
  } catch (error) {
    if (error instanceof URIError || SignalboxError.is(error, "not_found"))
      throw new ResourceNotFoundError(uri, SignalboxError.is(error) ? error.message : undefined);
    throw error;
  }
}

async function readTopic(session: Session, topic: string) {
  const client = await session.client();
  const found = await client.getTopic({ topic });
  const { events } = await client.peekEvents({ topic, limit: RECENT });
  const prompt = found.prompt === null ? null : harmless(found.prompt);
  return { ...found, prompt, waiting: events.map((one) => viewOf(one, caps.many)), notice };
}

async function readEvent(session: Session, event_id: string) {
  const { event, deliveries, causes, caused, runs } = await (await session.client()).getEvent({ event_id });
  return {
    event: viewOf(event, caps.resource),
    deliveries,
    causes: causes.map((one) => viewOf(one, caps.many)),
    caused: caused.map((one) => viewOf(one, caps.many)),
    runs: runs.map(({ run_id, workflow, status }) => ({ run_id, workflow, status })),
    notice,
  };
}
