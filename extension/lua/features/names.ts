import { namedCall } from "../calls.ts";
import { type Cursor, innermost } from "../cursor.ts";
import { localsAt } from "../scope.ts";
import type { SourceFile } from "../source.ts";
import { type Local, type Name, type Node, pathTo, type Span } from "../syntax/ast.ts";
import { chunkAt, settle } from "../syntax/document.ts";
import { keywords } from "../syntax/lexer.ts";
import type { Place } from "../types.ts";
import { livePlaces } from "./live-names.ts";

/** Where the thing at the place is written first. */
export function definition(cursor: Cursor): Place[] {
  const { path, infer, file, project } = cursor;
  if (cursor.doc) return ofTypeName(cursor);
  const text = innermost(path, "string");
  if (text?.up?.kind === "call" && namedCall(text.up)?.name === "require") {
    const found = project.requiredFile(file, text.value);
    return found ? [{ uri: found.uri, from: 0, to: 0 }] : [];
  }
  if (text) return livePlaces(cursor, text);
  const name = path.at(-1);
  if (name?.kind !== "name") return [];
  const { up } = name;
  if (up?.kind === "member" && up.name === name)
    return ofField(cursor, infer.fieldOfType(infer.typeOf(up.object), name.name));
  if (up?.kind === "call" && up.method === name)
    return ofField(cursor, infer.fieldOfType(infer.typeOf(up.callee), name.name));
  if (up?.kind === "field" && up.key === name) return [{ uri: file.uri, from: name.from, to: name.to }];
  if (name.local) return [placeOf(file, name.local)];
  return ofGlobal(cursor, name.name);
}

function ofField(cursor: Cursor, field: { place: Place | null; type(): unknown } | null): Place[] {
  if (!field) return [];
  if (field.place && !isRequire(cursor, field.place)) return [field.place];
  const type = field.type() as { kind: string; signatures?: { place: Place | null }[] };
  const place = type.signatures?.[0]?.place;
  return [place ?? field.place].filter((one) => one !== null && one !== undefined);
}

/** `M.query = require("…")`: the file itself says more than the line that loads it. */
function isRequire({ project }: Cursor, place: Place): boolean {
  const file = project.file(place.uri);
  if (!file) return false;
  return /^[^\n]*=\s*require\b/.test(file.text.slice(place.to, place.to + 200));
}

function ofGlobal({ project, file }: Cursor, name: string): Place[] {
  const own = file.linked.assigned.get(name)?.find(({ path }) => path.length === 0);
  if (own) return [file.place(own.chunk, own.name)];
  const found = project.libraryAssignments(name, file);
  const [first] = found?.assigned ?? [];
  return found && first ? [found.library.place(first.chunk, first.base)] : [];
}

function ofTypeName({ file, offset, project }: Cursor): Place[] {
  let from = offset;
  let to = offset;
  while (/[\w.]/.test(file.text[from - 1] ?? "")) from -= 1;
  while (/[\w.]/.test(file.text[to] ?? "")) to += 1;
  const name = file.text.slice(from, to);
  return [...project.classes(name), project.alias(name), project.enumeration(name)].flatMap((one) =>
    one ? [one.place()] : [],
  );
}

function placeOf(file: SourceFile, local: Local): Place {
  return file.place(local.chunk, local.decl);
}

/** All places in the file that stand for the same local or global, in order. */
export function references(cursor: Cursor): Span[] {
  const name = nameAt(cursor);
  if (!name) return [];
  const { file } = cursor;
  file.settled();
  const { linked } = file;
  const found = name.local
    ? [name.local.decl, ...name.local.inner, ...name.local.outer]
    : linked.globals.filter((one) => one.name === name.name && one.local === null);
  return found.map(({ from, to }) => ({ from, to })).sort((one, other) => one.from - other.from);
}

function nameAt({ path }: Cursor): Name | null {
  const name = path.at(-1);
  if (name?.kind !== "name" || name.name === "") return null;
  const { up } = name;
  const isField = (up?.kind === "member" && up.name === name) || (up?.kind === "field" && up.key === name);
  const isOther = (up?.kind === "call" && up.method === name) || up?.kind === "goto" || up?.kind === "label";
  return isField || isOther ? null : name;
}

/** The local at the place, to be renamed; or why it can't be. */
export function renameable(cursor: Cursor): { span: Span; name: string } | { problem: string } {
  const name = nameAt(cursor);
  if (!name)
    return { problem: "Only the names of locals, parameters and local functions can be changed here." };
  if (!name.local) return { problem: `\`${name.name}\` is global: others may use it under this name.` };
  if (name.local.origin.kind === "self") return { problem: "`self` is Lua's own word." };
  return { span: { from: name.from, to: name.to }, name: name.name };
}

/** The places that change; or why the new name can't be. */
export function rename(cursor: Cursor, to: string): { edits: Span[] } | { problem: string } {
  const may = renameable(cursor);
  if ("problem" in may) return may;
  if (!/^[A-Za-z_]\w*$/.test(to))
    return { problem: `\`${to}\` is no name: letters, digits and _ only, a letter first.` };
  if (keywords.has(to)) return { problem: `\`${to}\` is a word of Lua.` };
  const local = nameAt(cursor)?.local;
  if (!local || to === may.name) return { edits: [] };
  const edits = references(cursor);
  const clash = clashOf(cursor, local, to, edits);
  return clash === null ? { edits } : { problem: clash };
}

/** Whether the new name would mean something else somewhere, or something else would mean it. */
function clashOf(cursor: Cursor, local: Local, to: string, places: Span[]): string | null {
  const { file, project } = cursor;
  const line = (offset: number) => file.text.slice(0, offset).split("\n").length;
  for (const { from } of places) {
    const other = seenAt(file, from).find((one) => one.name === to && one !== local);
    if (other) return `There is a \`${to}\` already: line ${line(placeOf(file, other).from)}.`;
  }
  // Another name of that spelling, which would then stand for this local.
  const others = namesSpelled(file, to);
  for (const other of others) {
    if (other.local !== null && !isOutside(local, other)) continue;
    if (seenAt(file, other.from).includes(local))
      return `\`${to}\` in line ${line(other.from)} would then mean this.`;
  }
  const isGlobal = project.libraryNames(file).includes(to) && others.length > 0;
  return isGlobal ? `\`${to}\` is used here as the global.` : null;
}

/** Declared around the local, so that the local would hide it. */
function isOutside(local: Local, other: Name): boolean {
  return other.local !== null && other.local !== local && other.local.decl.from < local.decl.from;
}

function seenAt(file: SourceFile, offset: number): Local[] {
  const { chunks } = file.tree;
  const index = chunkAt(file.tree, offset + 1);
  const chunk = chunks[index];
  if (!chunk) return [];
  settle(chunk);
  const path: Node[] = chunk.statement ? pathTo(chunk.statement, offset) : [];
  const declared = path.at(-1);
  const own = declared?.kind === "name" && declared.local?.decl === declared ? [declared.local] : [];
  return [...own, ...localsAt(path, index, chunks, offset)];
}

function namesSpelled(file: SourceFile, name: string): Name[] {
  const globals = file.linked.globals.filter((one) => one.name === name);
  const locals = file.locals().filter((one) => one.name === name);
  return [...globals, ...locals.flatMap((one) => [one.decl, ...one.inner, ...one.outer])];
}
