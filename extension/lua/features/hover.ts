import {
  callType,
  chosen,
  expectedShape,
  type NamedCall,
  namedCall,
  selfOffset,
  signaturesOf,
} from "../calls.ts";
import { type Cursor, innermost } from "../cursor.ts";
import { isOn } from "../events.ts";
import { isCommand } from "../project.ts";
import { pathOf } from "../scope.ts";
import type { Call, Expression, Name, Span, StringLiteral } from "../syntax/ast.ts";
import {
  type Field,
  membersOf,
  type Shape,
  type Signature,
  show,
  showParameter,
  showSignature,
  type Type,
} from "../types.ts";
import { wordsFor } from "./words.ts";

export interface Hover extends Span {
  /** Markdown. */
  text: string;
  /** Only the running service knows it. */
  live: boolean;
}

/** What is known of the thing at the place; null when nothing is. */
export function hover(cursor: Cursor): Hover | null {
  const { path, infer } = cursor;
  if (cursor.doc) return ofTypeName(cursor);
  const text = innermost(path, "string");
  if (text) {
    const found = ofText(cursor, text);
    return found && { ...found, live: true };
  }
  const name = path.at(-1);
  if (name?.kind !== "name" || name.name === "") return null;
  const { up } = name;
  if (up?.kind === "member" && up.name === name)
    return ofField(cursor, name, infer.typeOf(up.object), infer.typeOf(up));
  if (up?.kind === "call" && up.method === name) {
    const object = infer.typeOf(up.callee);
    return ofField(cursor, name, object, infer.memberType(object, name.name));
  }
  if (up?.kind === "field" && up.key === name)
    return ofKey(cursor, name, up.up ?? null, infer.typeOf(up.value));
  if (name.local) return ofLocal(cursor, name);
  return up?.kind === "goto" || up?.kind === "label" ? null : ofGlobal(cursor, name);
}

function card(name: Span, code: string, ...more: string[]): Hover {
  const text = [`\`\`\`lua\n${code}\n\`\`\``, ...more.filter((one) => one !== "")].join("\n\n");
  return { from: name.from, to: name.to, text, live: false };
}

function described(name: string, word: string, type: Type): { code: string; doc: string } {
  const functions = signaturesOf(type);
  const [first] = functions;
  if (type.kind === "function" && first) {
    const code = functions.map((one) => `function ${showSignature(one, 0, name)}`).join("\n");
    return { code, doc: first.doc };
  }
  const shape = type.kind === "object" ? type.shape : null;
  const fields = shape && shape.name === null ? listed(shape) : "";
  return { code: `${word}${name}: ${fields === "" ? show(type) : fields}`, doc: shape?.doc ?? "" };
}

/** A table's fields, one a line. */
function listed(shape: Shape): string {
  const fields = shape.fields();
  if (fields.length === 0) return "";
  const lines = fields
    .slice(0, 20)
    .map((field) => `  ${field.name}${field.optional ? "?" : ""}: ${show(field.type(), 1)},`);
  if (fields.length > 20) lines.push(`  -- and ${fields.length - 20} more`);
  return `{\n${lines.join("\n")}\n}`;
}

function ofLocal(cursor: Cursor, name: Name): Hover {
  const { infer } = cursor;
  const { local } = name;
  const type = infer.typeOf(name);
  const word = local?.origin.kind === "parameter" ? "(parameter) " : "local ";
  const { code, doc } = described(name.name, word, type);
  const comment = local?.doc?.comment.description ?? "";
  return card(name, type.kind === "function" ? `local ${code}` : code, comment === "" ? doc : comment);
}

function ofGlobal(cursor: Cursor, name: Name): Hover | null {
  const { infer } = cursor;
  const type = infer.typeOfGlobal(name.name);
  if (type.kind === "any" && !cursor.file.linked.assigned.has(name.name)) return null;
  const { code, doc } = described(name.name, "(global) ", type);
  return card(name, code, doc);
}

function ofField(cursor: Cursor, name: Name, object: Type, type: Type | null): Hover | null {
  const field = cursor.infer.fieldOfType(object, name.name);
  if (!field && (type === null || type.kind === "any")) return null;
  const owner = membersOf(object).find((one) => one.kind === "object" && one.shape.name !== null);
  const prefix = owner?.kind === "object" ? `${owner.shape.name}.` : "";
  const made = fieldCard(name, field, prefix, type ?? field?.type() ?? { kind: "any" });
  return { ...made, live: field !== null && field.detail !== "" };
}

function fieldCard(name: Name, field: Field | null, prefix: string, type: Type): Hover {
  const { code, doc } = described(`${prefix}${name.name}${field?.optional ? "?" : ""}`, "(field) ", type);
  return card(name, code, field?.doc || doc);
}

function ofKey(cursor: Cursor, name: Name, table: unknown, type: Type): Hover | null {
  const { infer } = cursor;
  const owner = table as Expression | null;
  const asked = owner ? expectedShape(infer, owner) : null;
  const field = asked?.field(name.name) ?? null;
  if (field) return fieldCard(name, field, asked?.name ? `${asked.name}.` : "", field.type());
  return owner ? ofField(cursor, name, infer.typeOf(owner), type) : null;
}

function ofText(cursor: Cursor, node: StringLiteral): Hover | null {
  const call = node.up?.kind === "call" ? node.up : null;
  const named = call ? namedCall(call) : null;
  if (!call || !named) return ofWord(cursor, node);
  const at = named.args.indexOf(node);
  if (isOn(named.name) && at === 0) return ofSubject(cursor, node);
  if (!isCommand(named.name)) return ofWord(cursor, node);
  if (at === 0) return ofAgent(cursor, node);
  return at === 1 ? ofCommand(cursor, node, call, named) : null;
}

/** A topic, a type, a subject that is published on. */
function ofWord(cursor: Cursor, node: StringLiteral): Hover | null {
  const word = wordsFor(cursor, node).find(({ text, kind }) => text === node.value && told.has(kind));
  return word ? card(node, `${word.kind} ${word.text}`, word.doc) : null;
}

const told = new Set(["subject", "type", "topic"]);

function ofAgent({ project }: Cursor, node: StringLiteral): Hover | null {
  const agent = project.agent(node.value);
  if (!agent) return null;
  const commands = agent.commands
    .map(({ name, title }) => `- \`${name}\`${title ? ` — ${title}` : ""}`)
    .join("\n");
  return card(node, `agent ${node.value}`, `It is ${agent.status}.`, commands);
}

function ofCommand({ project }: Cursor, node: StringLiteral, call: Call, named: NamedCall): Hover | null {
  const [agent] = named.args;
  const commands = agent?.kind === "string" ? project.agent(agent.value)?.commands : undefined;
  const spec = commands?.find(({ name }) => name === node.value);
  if (!spec) return null;
  const payload = project.liveArgument(call, named.skipped + 2);
  const fields = payload?.kind === "object" ? listed(payload.shape) : "";
  return card(node, `command ${node.value} ${fields}`.trim(), spec.title ?? "");
}

function ofSubject({ project }: Cursor, node: StringLiteral): Hover | null {
  const types = project.host.types(node.value);
  if (types === null) return null;
  if (types.length === 0) return card(node, `subject ${node.value}`, "No recorded event has such a subject.");
  const lines = types.slice(0, 12).map(({ type, sampled, subjects }) => {
    const where =
      subjects.length === 1 && subjects[0] === node.value
        ? ""
        : ` on ${subjects
            .slice(0, 3)
            .map((one) => `\`${one}\``)
            .join(", ")}`;
    return `- \`${type}\`${where} (${sampled} looked at)`;
  });
  return card(node, `subject ${node.value}`, `Types of recorded events:\n${lines.join("\n")}`);
}

function ofTypeName(cursor: Cursor): Hover | null {
  const { file, offset, project } = cursor;
  let from = offset;
  let to = offset;
  while (/[\w.]/.test(file.text[from - 1] ?? "")) from -= 1;
  while (/[\w.]/.test(file.text[to] ?? "")) to += 1;
  const name = file.text.slice(from, to).replace(/\.+$/, "");
  const [declared] = project.classes(name);
  if (!declared) return null;
  const lines = declared.fields.flatMap(({ tag }) => (typeof tag.key === "string" ? [tag.key] : []));
  return card(
    { from, to },
    `class ${name}`,
    declared.comment.description,
    lines.map((one) => `- \`${one}\``).join("\n"),
  );
}

export interface SignatureHelp {
  signatures: { label: string; doc: string; params: { label: string; doc: string }[] }[];
  active: number;
  activeParameter: number;
}

/** The call around the place, with the argument that is being written. */
export function signatureHelp(cursor: Cursor): SignatureHelp | null {
  const { path, infer, offset } = cursor;
  const call = path.findLast((node) => node.kind === "call" && isInArguments(node, offset)) as
    | Call
    | undefined;
  // A function among the arguments is a place of its own.
  const inner = path.findLast((node) => node.kind === "function");
  if (!call || (inner && inner.from > call.argsSpan.from && path.indexOf(inner) > path.indexOf(call)))
    return null;
  const signatures = signaturesOf(callType(infer, call));
  if (signatures.length === 0) return null;
  const best = chosen(infer, call, signatures);
  const name = nameOf(call);
  const index = call.commas.filter((comma) => comma < offset).length;
  return {
    signatures: signatures.map((signature) => shown(cursor, call, signature, name)),
    active: Math.max(0, best ? signatures.indexOf(best) : 0),
    activeParameter: index,
  };
}

function isInArguments(call: Call, offset: number): boolean {
  if (call.style === "none" || offset <= call.argsSpan.from) return false;
  return call.closed ? offset < call.argsSpan.to : offset <= call.argsSpan.to;
}

function shown(cursor: Cursor, call: Call, signature: Signature, name: string) {
  const offset = selfOffset(call, signature);
  const params = signature.params.slice(offset).map((param, index) => {
    const live = cursor.project.liveArgument(call, index);
    const shown = live ? { ...param, type: live, optional: false } : param;
    return { label: showParameter(shown), doc: param.doc };
  });
  if (signature.vararg) params.push({ label: `...: ${show(signature.vararg)}`, doc: "" });
  const returns = signature
    .returns()
    .map((one) => `${one.name === null ? "" : `${one.name}: `}${show(one.type)}`);
  const label = `${name}(${params.map((param) => param.label).join(", ")})${returns.length > 0 ? `: ${returns.join(", ")}` : ""}`;
  return { label, doc: signature.doc, params };
}

function nameOf(call: Call): string {
  if (call.method) return call.method.name;
  const found = pathOf(call.callee);
  return found ? [found.base.name, ...found.path].join(".") : "function";
}
