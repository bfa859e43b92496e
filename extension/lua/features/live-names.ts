import { nearest } from "../../../service/lib/nearest.ts";
import { namedCall } from "../calls.ts";
import type { Cursor } from "../cursor.ts";
import { isOn, typesOfEvent } from "../events.ts";
import type { Inference } from "../inference.ts";
import { agentUri, commandSpan, subjectUri, topicUri } from "../live-texts.ts";
import { isCommand } from "../project.ts";
import type { Call, Expression, Node, StringLiteral } from "../syntax/ast.ts";
import type { Place } from "../types.ts";

/** A text that stands for something the service knows: what kind of thing, and what its name is. */
export type LiveName =
  | { kind: "subject" | "topic" | "agent" | "type"; node: StringLiteral }
  | { kind: "command"; node: StringLiteral; agent: string };

/** What a text stands for; null for any other text. */
export function liveName(infer: Inference, node: Expression): LiveName | null {
  if (node.kind !== "string") return null;
  const { up } = node;
  if (up?.kind === "call") return ofArgument(up, node);
  if (up?.kind === "field" && up.value === node && up.key?.name === "topic" && isPublishOptions(up))
    return { kind: "topic", node };
  if (up?.kind !== "binary" || (up.operator !== "==" && up.operator !== "~=")) return null;
  const other = up.left === node ? up.right : up.left;
  const isType = other.kind === "member" && other.name.name === "type" && typesOfEvent(infer, other.object);
  return isType ? { kind: "type", node } : null;
}

function ofArgument(call: Call, node: StringLiteral): LiveName | null {
  const named = namedCall(call);
  const at = named?.args.indexOf(node) ?? -1;
  if (!named || at < 0) return null;
  if (isOn(named.name)) return at === 0 ? { kind: "subject", node } : null;
  if (!isCommand(named.name)) return null;
  if (at === 0) return { kind: "agent", node };
  const [agent] = named.args;
  return at === 1 && agent?.kind === "string" ? { kind: "command", node, agent: agent.value } : null;
}

export function isPublishOptions(node: Node): boolean {
  const call = node.up?.up;
  return call?.kind === "call" && namedCall(call)?.name === "signalbox.publish";
}

/** Where it is told what a name of the service stands for. */
export function livePlaces({ infer, project }: Cursor, node: Expression): Place[] {
  const found = liveName(infer, node);
  if (!found) return [];
  const { host } = project;
  const { value } = found.node;
  switch (found.kind) {
    case "agent":
      return project.agent(value) ? [{ uri: agentUri(value), from: 0, to: 0 }] : [];
    case "command": {
      const agent = project.agent(found.agent);
      const isKnown = agent?.commands.some(({ name }) => name === value);
      return agent && isKnown ? [{ uri: agentUri(agent.name), ...commandSpan(agent, value) }] : [];
    }
    case "topic":
      return host.topics().includes(value) ? [{ uri: topicUri(value), from: 0, to: 0 }] : [];
    case "subject": {
      const isHeard = (host.types(value) ?? []).length > 0;
      const topic = value.replace(/^topics\./, "");
      const isTopic = topic !== value && host.topics().includes(topic);
      return [
        ...(isHeard ? [{ uri: subjectUri(value), from: 0, to: 0 }] : []),
        ...(isTopic ? [{ uri: topicUri(topic), from: 0, to: 0 }] : []),
      ];
    }
    case "type":
      return [];
  }
}

/** A name that nobody knows and that is nearly one that somebody does. */
export interface NearMiss {
  code: "unseen-subject" | "unknown-topic" | "unseen-type";
  message: string;
  meant: string;
}

/** A new subject, topic or type may be meant: so only what is probably mistyped is told. */
export function nearMiss(infer: Inference, node: Expression): NearMiss | null {
  const found = liveName(infer, node);
  if (!found || found.node.value === "") return null;
  const { host } = infer.project;
  const { value } = found.node;
  if (found.kind === "topic")
    return near("unknown-topic", value, host.topics(), `no topic is called '${value}'`);
  if (found.kind === "type") {
    const { up } = node;
    const other = up?.kind === "binary" ? (up.left === node ? up.right : up.left) : null;
    const shapes = other?.kind === "member" ? typesOfEvent(infer, other.object) : null;
    const types = shapes?.map(({ type }) => type) ?? [];
    return near("unseen-type", value, types, `no recorded event here has the type '${value}'`);
  }
  if (found.kind !== "subject" || host.types(value)?.length !== 0) return null;
  const known = [
    ...host.subjects().map(({ subject }) => subject),
    ...host.topics().map((one) => `topics.${one}`),
  ];
  const alike = known.flatMap((subject) => fitted(value, subject));
  return near("unseen-subject", value, alike, `no recorded event has a subject like '${value}'`);
}

function near(code: NearMiss["code"], value: string, known: string[], message: string): NearMiss | null {
  const meant = known.includes(value)
    ? null
    : nearest(
        value,
        known.filter((one) => differsInOneToken(value, one)),
      );
  return meant === null ? null : { code, message: `${message}; did you mean '${meant}'?`, meant };
}

/** Long names of one beginning are near to each other as a whole: what counts is the one token that differs. */
function differsInOneToken(value: string, other: string): boolean {
  const [tokens, others] = [value.split("."), other.split(".")];
  const [index, more] = tokens.flatMap((token, at) => (token === others[at] ? [] : [at]));
  if (tokens.length !== others.length || index === undefined || more !== undefined) return false;
  return nearest(tokens[index] ?? "", [others[index] ?? ""]) !== null;
}

/** A known subject with the pattern's wildcards in their places, where it has as many tokens. */
function fitted(pattern: string, subject: string): string[] {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  const isOpen = wanted.at(-1) === ">";
  if (isOpen ? tokens.length < wanted.length : tokens.length !== wanted.length) return [];
  return [wanted.map((token, index) => (token === "*" || token === ">" ? token : tokens[index])).join(".")];
}

/** Whether the thing at a place is known to the running service alone: its names, and actions with what they take. */
export function isLivePlace({ path, infer }: Cursor): boolean {
  const last = path.at(-1);
  if (last?.kind === "string" && liveName(infer, last)) return true;
  return path.some(
    (node) =>
      (node.kind === "member" && isAction(node)) ||
      (node.kind === "call" && (isAction(node.callee) || infer.project.liveArgument(node, 2) !== null)),
  );
}

/** `actions`, or what lies in it. */
export function isAction(node: Expression): boolean {
  let base = node;
  while (base.kind === "member") base = base.object;
  return base.kind === "name" && base.local === null && (base.name === "actions" || base.name === "kit");
}
