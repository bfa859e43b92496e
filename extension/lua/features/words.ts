import { expectedArgument, expectedAt, namedCall } from "../calls.ts";
import type { Cursor } from "../cursor.ts";
import { eventHandler, isOn, typesOfEvent } from "../events.ts";
import { isCommand } from "../project.ts";
import type { Call, Expression } from "../syntax/ast.ts";
import { membersOf, type Type } from "../types.ts";
import { isPublishOptions } from "./live-names.ts";

/** A text that makes sense at a place. */
export interface Word {
  text: string;
  kind: "subject" | "type" | "agent" | "command" | "topic" | "module" | "value" | "field";
  detail: string;
  doc: string;
  /** Smaller ones first. */
  rank: number;
}

/** Texts that make sense where a value stands: real subjects, types, agents, commands, topics, modules, known values. */
export function wordsFor(cursor: Cursor, node: Expression): Word[] {
  const { up } = node;
  if (up?.kind === "call") return ofArgument(cursor, up, up.args.indexOf(node), node);
  return ofPlace(cursor, node);
}

/** The same for an argument that is not there yet. */
export function wordsForArgument(cursor: Cursor, call: Call, index: number): Word[] {
  return ofArgument(cursor, call, index, null);
}

function ofArgument(cursor: Cursor, call: Call, index: number, node: Expression | null): Word[] {
  const named = namedCall(call);
  const at = named ? index - named.skipped : -1;
  if (named && at >= 0) {
    const found = ofNamed(cursor, named.name, named.args, at);
    if (found) return found;
  }
  if (node) return ofPlace(cursor, node);
  const type = expectedArgument(cursor.infer, call, index);
  return type ? valuesOf(type) : [];
}

function ofNamed(cursor: Cursor, name: string, args: Expression[], at: number): Word[] | null {
  if (isOn(name) && at === 0) return patterns(cursor);
  if (isCommand(name) && at === 0) return agents(cursor);
  if (isCommand(name) && at === 1) return commands(cursor, args[0]);
  if (name.endsWith(".publish") && at === 0) return subjects(cursor);
  if (name.endsWith(".publish") && at === 1) return publishedTypes(cursor, args[0]);
  if (name === "require" && at === 0) return modules(cursor);
  return null;
}

function ofPlace(cursor: Cursor, node: Expression): Word[] {
  const { infer } = cursor;
  const { up } = node;
  if (up?.kind === "binary" && (up.operator === "==" || up.operator === "~=")) {
    return compared(cursor, up.left === node ? up.right : up.left);
  }
  if (up?.kind === "index" && up.key === node) return fieldWords(cursor, infer.typeOf(up.object));
  if (up?.kind === "field" && up.value === node && up.key?.name === "topic" && isPublishOptions(up))
    return topics(cursor);
  const asked = expectedAt(infer, node);
  return asked ? valuesOf(asked) : [];
}

/** What the other side of a comparison may be. */
function compared(cursor: Cursor, other: Expression): Word[] {
  const { infer } = cursor;
  if (other.kind === "member" && eventHandler(other.object)) {
    const shapes = typesOfEvent(infer, other.object) ?? [];
    if (other.name.name === "type")
      return shapes.map(({ type, sampled, last_ms }) => typeWord(type, sampled, last_ms));
    if (other.name.name === "subject") {
      const heard = shapes.flatMap(({ subjects: list }) => list);
      return [...new Set(heard)].map((text) => word("subject", text, "recorded", "", 0));
    }
    if (other.name.name === "topic") return topics(cursor);
  }
  const type = infer.typeOf(other);
  return valuesOf(type);
}

function valuesOf(type: Type): Word[] {
  return membersOf(type).flatMap((one) =>
    one.kind === "literal" && typeof one.value === "string" ? [word("value", one.value, "", "", 0)] : [],
  );
}

function word(kind: Word["kind"], text: string, detail: string, doc: string, rank: number): Word {
  return { kind, text, detail, doc, rank };
}

function typeWord(type: string, sampled: number, last_ms: number): Word {
  const doc = `Seen in ${sampled} recorded events, last at ${new Date(last_ms).toISOString().slice(0, 16).replace("T", " ")} UTC.`;
  return word("type", type, "type of recorded events", doc, 0);
}

function subjects({ project }: Cursor): Word[] {
  return project.host.subjects().map(({ subject, types }) => {
    const doc =
      types.length === 0 ? "" : `Types heard there: ${types.map((type) => `\`${type}\``).join(", ")}`;
    return word("subject", subject, "recorded subject", doc, 0);
  });
}

/** Subjects as they are, then `a.b.*` and `a.>` that hear several of them, then topics. */
function patterns(cursor: Cursor): Word[] {
  const exact = subjects(cursor);
  const wider = new Map<string, number>();
  for (const { text } of exact) {
    const tokens = text.split(".");
    for (let length = 1; length < tokens.length; length++) {
      const pattern = [...tokens.slice(0, length), ">"].join(".");
      wider.set(pattern, (wider.get(pattern) ?? 0) + 1);
    }
  }
  const several = [...wider].filter(([, count]) => count > 1);
  const queues = cursor.project.host
    .topics()
    .map((topic) => `topics.${topic}`)
    .filter((text) => !exact.some((one) => one.text === text));
  return [
    ...exact,
    ...several.map(([text, count]) => word("subject", text, `${count} recorded subjects`, "", 1)),
    ...queues.map((text) => word("topic", text, "what is pushed to the topic", "", 2)),
  ];
}

function agents({ project }: Cursor): Word[] {
  return (project.host.agents() ?? []).map(({ name, status, commands: list }) => {
    const doc =
      list.length === 0
        ? "It names no commands."
        : `Commands: ${list.map((one) => `\`${one.name}\``).join(", ")}`;
    return word("agent", name, status, doc, status === "online" ? 0 : 1);
  });
}

function commands({ project }: Cursor, agent: Expression | undefined): Word[] {
  if (agent?.kind !== "string") return [];
  return (project.agent(agent.value)?.commands ?? []).map(({ name, title, params }) => {
    const fields = Object.keys((params?.properties as object | undefined) ?? {});
    const detail = fields.length === 0 ? "" : `{ ${fields.join(", ")} }`;
    return word("command", name, detail, title ?? "", 0);
  });
}

function publishedTypes({ project }: Cursor, subject: Expression | undefined): Word[] {
  if (subject?.kind !== "string") return [];
  const known = project.host.types(subject.value) ?? [];
  const found = known.map(({ type, sampled, last_ms }) => typeWord(type, sampled, last_ms));
  return found.length > 0 || subject.value === ""
    ? found
    : [word("type", subject.value, "as the subject", "", 1)];
}

function topics({ project }: Cursor): Word[] {
  return project.host.topics().map((topic) => word("topic", topic, "topic", "", 0));
}

function modules({ project, file }: Cursor): Word[] {
  return project
    .modules()
    .filter(({ uri }) => uri !== file.uri)
    .map(({ name, uri }) => word("module", name, "file of the actions folder", uri, 0));
}

function fieldWords({ infer }: Cursor, type: Type): Word[] {
  return membersOf(type).flatMap((one) =>
    (infer.shapeOf(one)?.fields() ?? []).map((field) => word("field", field.name, "", field.doc, 0)),
  );
}
