import { expectedAt } from "../calls.ts";
import { type Cursor, innermost } from "../cursor.ts";
import { localsAt } from "../scope.ts";
import type { Call, Expression, Node, TableLiteral } from "../syntax/ast.ts";
import { keywords } from "../syntax/lexer.ts";
import { type Field, membersOf, type Shape, show, showSignature, type Type, withoutNil } from "../types.ts";
import { completeComment } from "./comments.ts";
import { type Completion, item, lazily } from "./item.ts";
import { snippetsFor } from "./snippets.ts";
import { type Word, wordsFor, wordsForArgument } from "./words.ts";

/** What may be written at the place, best first. */
export function complete(cursor: Cursor): Completion[] {
  return found(cursor).sort((one, other) => {
    const [a, b] = [`${one.sort}\u0000${one.label}`, `${other.sort}\u0000${other.label}`];
    return a < b ? -1 : a > b ? 1 : 0;
  });
}

function found(cursor: Cursor): Completion[] {
  const { path, offset } = cursor;
  if (cursor.doc) return completeComment(cursor, cursor.doc);
  if (cursor.inComment) return [];
  const text = innermost(path, "string");
  if (text && offset > text.from && (!text.closed || offset < text.to)) return inText(cursor, text);
  if (isInNumber(path, offset)) return [];
  const member = path.findLast((node) => node.kind === "member");
  if (member && isAtName(member.dot, member.name, offset)) return ofMember(cursor, member.object, false);
  const call = path.findLast(
    (node) => node.kind === "call" && node.method !== null && isAtName(node.colon, node.method, offset),
  );
  if (call?.kind === "call") return ofMember(cursor, call.callee, true);
  if (isDeclaring(path, offset)) return [];
  return ofValue(cursor);
}

/** Behind a dot or colon and not behind the name that follows it. */
function isAtName(mark: number, name: { name: string; from: number; to: number }, offset: number): boolean {
  if (offset <= mark) return false;
  return offset <= name.to || (name.name === "" && offset <= name.from);
}

function isInNumber(path: readonly Node[], offset: number): boolean {
  const last = path.at(-1);
  return last?.kind === "number" && offset > last.from;
}

/** Where a new name is being made up. */
function isDeclaring(path: readonly Node[], offset: number): boolean {
  const last = path.at(-1);
  if (last?.kind !== "name" || last.to < offset) return false;
  const { up } = last;
  if (up?.kind === "local") return up.names.includes(last);
  if (up?.kind === "function") return up.params.includes(last);
  if (up?.kind === "numeric-for") return up.variable === last;
  if (up?.kind === "generic-for") return up.names.includes(last);
  return up?.kind === "function-statement" || up?.kind === "goto" || up?.kind === "label";
}

function inText(cursor: Cursor, node: Expression & { kind: "string" }): Completion[] {
  const { text } = cursor.file;
  // An open text reaches to the end of its line: only what is before the place is being written.
  const to = node.closed ? node.inner.to : Math.max(cursor.offset, wordEnd(text, cursor.offset));
  return wordsFor(cursor, node).map((word) =>
    ofWord(cursor, word, { insert: word.text, from: node.inner.from, to }),
  );
}

function wordEnd(text: string, offset: number): number {
  let to = offset;
  while (/[\w.-]/.test(text[to] ?? "")) to += 1;
  return to;
}

function ofWord(cursor: Cursor, word: Word, more: Partial<Completion>): Completion {
  const { kind, detail, doc, rank } = word;
  const live = kind !== "value" && kind !== "field";
  return item(cursor, word.text, kind, { detail, doc, sort: `0${rank}`, live, ...more });
}

function ofMember(cursor: Cursor, object: Expression, isMethod: boolean): Completion[] {
  const type = cursor.infer.typeOf(object);
  const list: Completion[] = [];
  for (const shape of shapesOf(cursor, type)) {
    for (const field of shape.fields()) {
      if (list.some(({ label }) => label === field.name)) continue;
      const made = ofField(cursor, field, isMethod);
      if (made) list.push({ ...made, live: shape.recorded || isActions(object) });
    }
  }
  return list;
}

/** `actions`, or a namespace of it. */
function isActions(object: Expression): boolean {
  const base = object.kind === "member" ? object.object : object;
  return base.kind === "name" && base.local === null && (base.name === "actions" || base.name === "kit");
}

function shapesOf(cursor: Cursor, type: Type): Shape[] {
  return membersOf(type)
    .map((one) => cursor.infer.shapeOf(one))
    .filter((shape) => shape !== null);
}

function ofField(cursor: Cursor, field: Field, isMethod: boolean): Completion | null {
  const type = field.type();
  const [signature] = type.kind === "function" ? type.signatures : [];
  if (isMethod && !signature) return null;
  // Fields that are words of Lua are written in brackets.
  const isPlain = /^[A-Za-z_]\w*$/.test(field.name) && !keywords.has(field.name);
  const shown = signature ? showSignature(signature, 1, "") : show(withoutNil(type), 1);
  const often = field.detail === "" ? "" : ` · ${field.detail}`;
  const insert = isPlain ? field.name : `["${field.name.replaceAll('"', '\\"')}"]`;
  const from = isPlain ? cursor.wordStart : cursor.wordStart - 1;
  return item(
    cursor,
    field.name,
    signature ? (isMethod || signature.isMethod ? "method" : "function") : "field",
    {
      detail: `${shown}${often}`,
      doc: field.doc || (signature?.doc ?? ""),
      insert,
      from,
      // What is there most often comes first.
      sort:
        field.detail === "" ? "1" : `1${String(1000 - Number.parseInt(field.detail, 10)).padStart(4, "0")}`,
      deprecated: field.deprecated || (signature?.deprecated ?? false),
    },
  );
}

function ofValue(cursor: Cursor): Completion[] {
  const { path, offset } = cursor;
  const list: Completion[] = [];
  const table = tableAt(path, offset);
  if (table) list.push(...ofTable(cursor, table));
  const slot = slotAt(path, offset);
  if (slot) list.push(...quoted(cursor, slot.words(cursor)), ...asked(cursor, slot));
  if (table && isAtKey(path)) list.push(...ofNames(cursor).filter(({ kind }) => kind !== "keyword"));
  else list.push(...ofNames(cursor), ...snippetsFor(cursor));
  return list;
}

/** A place for a value, with what is known of it. */
interface Slot {
  words(cursor: Cursor): Word[];
  type(cursor: Cursor): Type | null;
}

function slotAt(path: readonly Node[], offset: number): Slot | null {
  const last = path.at(-1);
  if (last && (last.kind === "missing" || last.kind === "name") && last.up && isValuePlace(last)) {
    const node = last as Expression;
    return { words: (cursor) => wordsFor(cursor, node), type: (cursor) => expectedAt(cursor.infer, node) };
  }
  const call = path.at(-1)?.kind === "call" ? (path.at(-1) as Call) : null;
  if (call?.style !== "parens" || offset <= call.argsSpan.from) return null;
  const index = call.commas.filter((comma) => comma < offset).length;
  return {
    words: (cursor) => wordsForArgument(cursor, call, index),
    type: (cursor) => cursor.project.liveArgument(call, index),
  };
}

function isValuePlace(node: Node): boolean {
  const { up } = node;
  if (!up) return false;
  if (up.kind === "call") return up.callee !== node && up.method !== node;
  return (
    up.kind === "binary" ||
    (up.kind === "field" && up.value === node) ||
    up.kind === "local" ||
    up.kind === "assign"
  );
}

function quoted(cursor: Cursor, words: Word[]): Completion[] {
  return words.map((word) => {
    const text = `"${word.text.replace(/["\\]/g, "\\$&")}"`;
    return ofWord(cursor, word, { label: text, insert: text });
  });
}

/** A table with the fields that have to be in it, where one is asked for. */
function asked(cursor: Cursor, slot: Slot): Completion[] {
  const type = slot.type(cursor);
  const shape = type?.kind === "object" ? type.shape : null;
  const fields = shape?.fields().filter((field) => !field.optional) ?? [];
  if (fields.length === 0 || !shape || shape.recorded) return [];
  const names = fields.map(({ name }) => name);
  const parts = fields.map((field, index) => `${field.name} = ${placeholder(field, index + 1)}`);
  return [
    item(cursor, `{ ${names.join(", ")} }`, "snippet", {
      detail: "with the fields it needs",
      insert: `{ ${parts.join(", ")} }`,
      isSnippet: true,
      sort: "00",
      live: true,
    }),
  ];
}

function placeholder(field: Field, index: number): string {
  const [first] = membersOf(withoutNil(field.type()));
  const isText =
    first &&
    (first.kind === "basic"
      ? first.name === "string"
      : first.kind === "literal" && typeof first.value === "string");
  return isText ? `"\${${index}:${field.name}}"` : `\${${index}:${field.name}}`;
}

/** The table whose key may be written here. */
function tableAt(path: readonly Node[], offset: number): TableLiteral | null {
  const last = path.at(-1);
  if (last?.kind === "table" && offset > last.from) return last;
  const up = last?.up;
  const isKey =
    last?.kind === "name" &&
    up?.kind === "field" &&
    (up.key === last || (up.key === null && up.computed === null));
  return isKey && up.up?.kind === "table" ? up.up : null;
}

function isAtKey(path: readonly Node[]): boolean {
  const last = path.at(-1);
  return last?.kind === "table" || (last?.kind === "name" && last.up?.kind === "field");
}

function ofTable(cursor: Cursor, table: TableLiteral): Completion[] {
  const type = expectedAt(cursor.infer, table);
  const given = new Set(table.fields.map((field) => field.key?.name));
  const live = isLive(cursor, table);
  return (type ? shapesOf(cursor, type) : []).flatMap((shape) =>
    shape
      .fields()
      .filter(
        (field) =>
          !given.has(field.name) || cursor.file.text.slice(cursor.wordStart, cursor.offset) === field.name,
      )
      .filter((field) => field.type().kind !== "function")
      .map((field) => {
        const made = ofField(cursor, field, false);
        const needed = !field.optional && !shape.recorded;
        return item(cursor, field.name, "field", {
          detail: `${made?.detail ?? ""}${needed ? " · required" : ""}`,
          doc: field.doc,
          insert: `${field.name} = `,
          sort: needed ? "00" : "01",
          deprecated: field.deprecated,
          live,
        });
      }),
  );
}

/** An argument that the running service knows more of than any file, or one of an action. */
function isLive(cursor: Cursor, table: TableLiteral): boolean {
  const { up } = table;
  if (up?.kind !== "call") return false;
  if (cursor.project.liveArgument(up, up.args.indexOf(table)) !== null) return true;
  return up.callee.kind === "member" && isActions(up.callee.object);
}

function ofNames(cursor: Cursor): Completion[] {
  const { infer, project, file } = cursor;
  const list = new Map<string, Completion>();
  const add = (name: string, kind: Completion["kind"], sort: string, type: () => Type) => {
    if (!list.has(name))
      list.set(
        name,
        lazily(item(cursor, name, kind, { sort }), () => described(type())),
      );
  };
  for (const local of localsAt(cursor.path, cursor.chunkIndex, file.tree.chunks, cursor.offset)) {
    const isFunction = local.origin.kind === "function";
    const kind = isFunction ? "function" : local.origin.kind === "parameter" ? "parameter" : "local";
    add(local.name, kind, "2", () => infer.typeOfLocal(local));
  }
  for (const name of file.linked.assigned.keys()) add(name, "global", "3", () => infer.typeOfGlobal(name));
  for (const name of project.libraryNames(file)) {
    const isApi = name === "sekia" || name === "signalbox";
    add(name, libraryKind(cursor, name), isApi ? "2" : "4", () => infer.typeOfGlobal(name));
  }
  return [...list.values(), ...[...keywords].map((word) => item(cursor, word, "keyword", { sort: "6" }))];
}

function libraryKind({ project, file }: Cursor, name: string): Completion["kind"] {
  const type = project.libraryGlobal(name, file);
  if (type === null) return "library";
  return type.kind === "function" ? "function" : type.kind === "object" ? "library" : "global";
}

function described(type: Type): Pick<Completion, "detail" | "doc"> {
  if (type.kind === "function") {
    const [signature] = type.signatures;
    if (signature) return { detail: showSignature(signature, 1, ""), doc: signature.doc };
  }
  return { detail: show(type, 1), doc: type.kind === "object" ? type.shape.doc : "" };
}
