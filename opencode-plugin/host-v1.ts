/** OpenCode 1.x by the client that it hands to its plugins. Its types lag behind the wire, so replies are read loosely. */
import type { PluginInput } from "@opencode-ai/plugin";
import * as z from "zod";
import { type Host, HostError, type Look } from "./host.ts";
import type { TopicSettings } from "./settings.ts";

const model = z.looseObject({ providerID: z.string(), id: z.string(), variant: z.string().optional() });

const sessionInfo = z.looseObject({
  id: z.string(),
  parentID: z.string().nullish(),
  agent: z.string().nullish(),
  model: model.nullish().catch(null),
  time: z.looseObject({ archived: z.number().nullish() }).optional(),
  revert: z.unknown().optional(),
  metadata: z
    .looseObject({ signalbox: z.looseObject({ topics: z.array(z.string()) }).nullish() })
    .nullish()
    .catch(null),
});

/** What `session.get`, `session.created` and `session.updated` say. Null when it makes no sense. */
export function readSession(info: unknown): Look | null {
  const { success, data } = sessionInfo.safeParse(info);
  if (!success) return null;
  const { model: used } = data;
  return {
    id: data.id,
    child: data.parentID != null,
    archived: data.time?.archived != null,
    reverted: data.revert != null,
    topics: data.metadata?.signalbox?.topics ?? null,
    persona: {
      agent: data.agent ?? undefined,
      model: used ? { providerID: used.providerID, modelID: used.id } : undefined,
      variant: used?.variant,
    },
  };
}

/** Reading, searching and our own tools; nothing that writes, runs or calls. */
const readOnly = [
  { permission: "*", pattern: "*", action: "deny" },
  ...["read", "list", "glob", "grep", "signalbox_*"].map((permission) => ({
    ...{ permission, pattern: "*", action: "allow" },
  })),
] as const;

type Client = PluginInput["client"];

export function hostV1({ client, directory }: PluginInput, argv: readonly string[] = process.argv): Host {
  const sessions = client.session;
  return {
    directory,
    isOneShot: argv[2] === "run",
    async look(id) {
      const { data, response } = await sessions.get({ path: { id } });
      return response.status === 404 ? null : readSession(data);
    },
    async isIdle(id) {
      const { data } = await sessions.status();
      // Only those that are not idle are listed.
      return data !== undefined && !(id in data);
    },
    async list() {
      const { data } = await sessions.list();
      return (data ?? []).flatMap((info) => readSession(info) ?? []);
    },
    async prompt(id, { persona, banner, text, event_id, topic }) {
      const parts = [
        { type: "text" as const, text: banner, ignored: true },
        { type: "text" as const, text, synthetic: true, metadata: { signalbox: { id: event_id, topic } } },
      ];
      // The variant is taken by the server, and unknown to the types.
      const body = { ...definedOf(persona), parts } as { parts: typeof parts };
      const { error, response } = await sessions.promptAsync({ path: { id }, body });
      if (error !== undefined)
        throw new HostError(`OpenCode refused the prompt: ${JSON.stringify(error)}`, response.status === 404);
    },
    create: (topic, settings) => createSession(client, topic, settings),
    async remember(id, topics) {
      const body = { metadata: { signalbox: { topics } } } as object;
      await sessions.update({ path: { id }, body });
    },
    lastText: (id) => lastText(client, id),
    async answerPermission(id, permissionID, allow) {
      await client.postSessionIdPermissionsPermissionId({
        path: { id, permissionID },
        body: { response: allow ? "once" : "reject" },
      });
    },
    async toast(message, variant) {
      await client.tui.showToast({ body: { title: "Signalbox", message, variant } });
    },
    async draft(text) {
      await client.tui.appendPrompt({ body: { text } });
    },
    async log(message, level) {
      await client.app.log({
        body: { service: "signalbox", level: level === "warning" ? "warn" : level, message },
      });
    },
  };
}

async function createSession(client: Client, topic: string, settings: TopicSettings): Promise<string> {
  const { agent, model: chosen, permission = readOnly } = settings;
  const more = {
    ...{ agent, permission, metadata: { signalbox: { topics: [topic], dedicated: true } } },
    model: chosen && { providerID: chosen.providerID, id: chosen.modelID },
  };
  const body = definedOf({ title: `[signalbox] ${topic}`, ...more });
  const { data, error } = await client.session.create({ body });
  if (data === undefined) throw new HostError(`no session for ${topic}: ${JSON.stringify(error)}`, false);
  return data.id;
}

const answer = z.array(
  z.looseObject({
    info: z.looseObject({ role: z.string() }),
    parts: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  }),
);

async function lastText(client: Client, id: string): Promise<string> {
  const { data } = await client.session.messages({ path: { id }, query: { limit: 20 } });
  const messages = answer.safeParse(data);
  const last = messages.success && messages.data.findLast(({ info }) => info.role === "assistant");
  if (!last) return "";
  return last.parts.flatMap(({ type, text }) => (type === "text" && text ? [text] : [])).join("\n");
}

function definedOf<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Partial<T>;
}
