import * as z from "zod";
import { newEvent } from "../contract/events.ts";
import { routes } from "../contract/routes.ts";
import { status } from "../contract/system.ts";
import { adding, defineTool, reading, settling, type Tool } from "./tools.ts";

const nothing = z.strictObject({});
const pretty = (value: unknown) => JSON.stringify(value, null, 2);

/** Sekia's tools (B3) by their old names and arguments; `send_command` is the same in both. */
export const sekiaTools: readonly Tool[] = [
  defineTool({
    name: "get_status",
    title: "How the service is",
    description: "Tell how Signalbox is. The older name of status.",
    input: nothing,
    output: status,
    annotations: reading,
    async run(_, { client, signal }) {
      const data = await client.getStatus({}, { signal });
      return { data, text: pretty(data) };
    },
  }),
  defineTool({
    name: "list_agents",
    title: "List agents",
    description: "List agents and connectors. The older name of agents.",
    input: nothing,
    output: routes.listAgents.reply,
    annotations: reading,
    async run(_, { client, signal }) {
      const data = await client.listAgents({}, { signal });
      return { data, text: pretty(data.agents) };
    },
  }),
  defineTool({
    name: "list_workflows",
    title: "List workflows",
    description: "List loaded workflows with their handlers.",
    input: nothing,
    output: routes.listWorkflows.reply,
    annotations: reading,
    async run(_, { client, signal }) {
      const data = await client.listWorkflows({}, { signal });
      return { data, text: pretty(data.workflows) };
    },
  }),
  defineTool({
    name: "reload_workflows",
    title: "Load workflows again",
    description: "Load all workflows from disk again.",
    input: nothing,
    output: routes.reloadWorkflows.reply,
    annotations: settling,
    async run(_, { client, signal }) {
      const data = await client.reloadWorkflows({}, { signal });
      return { data, text: pretty(data) };
    },
  }),
  defineTool({
    name: "publish_event",
    title: "Publish an event",
    description: "Record an event. The older name of publish.",
    input: z.strictObject({
      source: newEvent.shape.source.unwrap().describe("Who says so; recorded as mcp:SOURCE."),
      event_type: newEvent.shape.type.unwrap().describe("Such as build.finished."),
      payload: newEvent.shape.payload.describe("Data, a JSON object."),
    }),
    output: z.object({ status: z.literal("published"), event_id: z.string(), subject: z.string() }),
    annotations: adding,
    async run({ source, event_type, payload = {} }, { client, session, signal }) {
      const parent_id = session.claims.latest();
      const event = { type: event_type, source: `mcp:${source}`, payload, origin_kind: "agent" } as const;
      const { event_id } = await client.pushEvent(parent_id ? { ...event, parent_id } : event, { signal });
      const data = { status: "published", event_id, subject: event_type } as const;
      return { data, text: pretty(data) };
    },
  }),
];
