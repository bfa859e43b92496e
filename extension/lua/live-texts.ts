import { eventAnnotations } from "../../service/client/event-annotations.ts";
import type { TypeShape } from "../../service/contract/types.ts";
import { schemaType } from "./annotations.ts";
import type { LiveAgent, LuaHost } from "./host.ts";
import { show, withoutNil } from "./types.ts";

/** Addresses of texts about what only the service knows: they are where its names lead to. */
const AGENT = "signalbox-lua:/agents/";
const SUBJECT = "signalbox-lua:/subjects/";
const TOPIC = "signalbox-lua:/topics/";

export const agentUri = (name: string) => `${AGENT}${encodeURIComponent(name)}.lua`;
export const subjectUri = (pattern: string) => `${SUBJECT}${encodeURIComponent(pattern)}.lua`;
export const topicUri = (topic: string) => `${TOPIC}${encodeURIComponent(topic)}.lua`;

/** The topic that an address is of; null for any other. */
export function topicOf(uri: string): string | null {
  return uri.startsWith(TOPIC) ? nameIn(uri, TOPIC) : null;
}

/** The text at an address; null when it is none of these, or when nothing is known of it. */
export function liveText(uri: string, host: Pick<LuaHost, "agents" | "types">): string | null {
  if (uri.startsWith(AGENT)) {
    const agent = host.agents()?.find(({ name }) => name === nameIn(uri, AGENT));
    return agent ? agentText(agent) : null;
  }
  if (!uri.startsWith(SUBJECT)) return null;
  const types = host.types(nameIn(uri, SUBJECT));
  return types ? subjectText(nameIn(uri, SUBJECT), types) : null;
}

function nameIn(uri: string, base: string): string {
  return decodeURIComponent(uri.slice(base.length, -".lua".length));
}

/** An agent's commands as classes, one for each payload. */
export function agentText({ name, status, commands }: LiveAgent): string {
  const parts = commands.map(({ name: command, title, params }) => {
    const type = schemaType(params ?? null);
    const fields = type.kind === "object" ? type.shape.fields() : [];
    return [
      ...(title ? [`--- ${oneLine(title)}`] : []),
      `---@class ${name}.${command}`,
      ...fields.map((field) => {
        const shown = show(withoutNil(field.type()), 1);
        return `---@field ${field.name}${field.optional ? "?" : ""} ${shown} ${oneLine(field.doc)}`.trimEnd();
      }),
    ].join("\n");
  });
  const head = `--- The agent ${name}, ${status}: its commands and what they take, as it registered them.`;
  return `${[head, ...parts].join("\n\n")}\n`;
}

/** Where a command stands in its agent's text. */
export function commandSpan(agent: LiveAgent, command: string): { from: number; to: number } {
  const from = agentText(agent).indexOf(`---@class ${agent.name}.${command}\n`);
  const start = from < 0 ? 0 : from + "---@class ".length;
  return { from: start, to: from < 0 ? 0 : start + agent.name.length + 1 + command.length };
}

function subjectText(pattern: string, types: readonly TypeShape[]): string {
  return `--- Recorded events that ${oneLine(pattern)} hears.\n${eventAnnotations(types).replace(/^---@meta.*\n/, "")}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
