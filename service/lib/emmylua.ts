import { type LuaType, printType, TypeReader } from "./emmylua-type.ts";

export { type LuaType, parseType, printType } from "./emmylua-type.ts";

export interface Generic {
  name: string;
  /** What it has to be, if anything. */
  parent: LuaType | null;
}

/** `public` is the same as nothing. */
export type Visibility = "private" | "protected" | "package";

interface Described {
  /** Empty when there is none. */
  description: string;
  /** Line within the comment, from 0. */
  line: number;
}

export type Tag =
  | ({ tag: "class"; name: string; generics: Generic[]; parents: LuaType[]; isExact: boolean } & Described)
  | ({
      tag: "field";
      /** A name, or the type of a key in brackets. */
      key: string | LuaType;
      optional: boolean;
      visibility: Visibility | null;
      type: LuaType;
    } & Described)
  | ({ tag: "param"; name: string; optional: boolean; type: LuaType } & Described)
  | ({ tag: "return"; returns: { type: LuaType; name: string | null }[] } & Described)
  | ({ tag: "type"; types: LuaType[] } & Described)
  | ({
      tag: "alias";
      name: string;
      generics: Generic[];
      /** Null when only `members` stand below it. */
      type: LuaType | null;
      members: { type: LuaType; description: string }[];
    } & Described)
  | ({ tag: "enum"; name: string; isKey: boolean } & Described)
  | ({ tag: "generic"; generics: Generic[] } & Described)
  | ({ tag: "overload"; type: LuaType } & Described)
  | ({ tag: "deprecated" } & Described)
  /** Any other, such as `see` and `async`, with the text behind it. */
  | ({ tag: "other"; name: string } & Described);

export type TagOf<Name extends Tag["tag"]> = Extract<Tag, { tag: Name }>;

export interface CommentProblem {
  message: string;
  /** Line within the comment, from 0; characters within that line. */
  line: number;
  from: number;
  to: number;
}

/** A run of `---` lines. */
export interface Comment {
  /** Plain lines, Markdown; those right above a field stand with the field. */
  description: string;
  tags: Tag[];
  problems: CommentProblem[];
}

/** Reads a run of lines that begin with `---`. Never throws: what can't be read stands in `problems`. */
export function parseComment(text: string): Comment {
  const reader = new CommentReader();
  for (const [index, line] of text.split("\n").entries()) reader.line(line, index);
  return reader.end();
}

/** Tags whose own description may stand in the lines above them. */
const takesLinesAbove = new Set(["field"]);

class CommentReader {
  private readonly comment: Comment = { description: "", tags: [], problems: [] };
  private readonly description: string[] = [];
  /** Plain lines after a tag: of the next field, or else of the whole. */
  private pending: string[] = [];

  line(line: string, index: number): void {
    const start = /^\s*---/.exec(line)?.[0].length;
    if (start === undefined) return;
    const found = /^[ \t]?@(\w+)[ \t]*/.exec(line.slice(start));
    if (found) this.tag(found[1] ?? "", line, start + found[0].length, index);
    else if (/^[ \t]?\|/.test(line.slice(start))) this.member(line, line.indexOf("|", start) + 1, index);
    else this.plain(line.slice(start).replace(/^ /, "").trimEnd());
  }

  end(): Comment {
    this.description.push(...this.pending);
    this.comment.description = this.description.join("\n").trim();
    return this.comment;
  }

  private plain(text: string): void {
    if (this.comment.tags.length === 0) this.description.push(text);
    else this.pending.push(text);
  }

  private tag(name: string, line: string, start: number, index: number): void {
    const reader = new TypeReader(line.trimEnd(), start);
    const read = readers[name];
    const tag: Tag = read
      ? read(reader, index)
      : { tag: "other", name, description: reader.rest(), line: index };
    this.keepProblems(reader, index);
    if (takesLinesAbove.has(tag.tag)) tag.description = joined(this.pending, tag.description);
    else this.description.push(...this.pending);
    this.pending = [];
    this.comment.tags.push(tag);
  }

  /** A line of an alias: `---| "word" # what it means`. */
  private member(line: string, start: number, index: number): void {
    const alias = this.comment.tags.at(-1);
    if (alias?.tag !== "alias") {
      this.plain(line.replace(/^\s*--- ?/, ""));
      return;
    }
    const marked = /^[ \t]*[>+]/.exec(line.slice(start))?.[0].length ?? 0;
    const reader = new TypeReader(line.trimEnd(), start + marked);
    const type = reader.type();
    this.keepProblems(reader, index);
    alias.members.push({ type: asLiteral(type), description: descriptionOf(reader) });
  }

  private keepProblems(reader: TypeReader, line: number): void {
    this.comment.problems.push(...reader.problems.map((problem) => ({ ...problem, line })));
  }
}

function joined(lines: string[], more: string): string {
  return [...lines, more].join("\n").trim();
}

/** Older files quote twice: `'"word"'`. */
function asLiteral(type: LuaType): LuaType {
  if (type.kind !== "literal" || typeof type.value !== "string") return type;
  const inner = /^"(.*)"$/.exec(type.value)?.[1];
  return inner === undefined ? type : { kind: "literal", value: inner };
}

function descriptionOf(reader: TypeReader): string {
  return reader.rest().replace(/^[#@]\s*/, "");
}

function genericsOf(reader: TypeReader): Generic[] {
  const found: Generic[] = [];
  do {
    const name = reader.word();
    if (name === null) {
      reader.problem("a name expected");
      return found;
    }
    found.push({ name, parent: reader.take(":") ? reader.type(true) : null });
  } while (reader.take(","));
  return found;
}

/** `<T, K: Parent>` behind a name. */
function bracketed(reader: TypeReader): Generic[] {
  if (!reader.take("<")) return [];
  const generics = genericsOf(reader);
  reader.expect(">");
  return generics;
}

function nameOf(reader: TypeReader, what: string): string {
  const name = reader.name();
  if (name === null) reader.problem(`${what} expected`);
  return name ?? "_";
}

type ReadTag = (reader: TypeReader, line: number) => Tag;

const readers: Record<string, ReadTag | undefined> = {
  __proto__: null as never,
  class: (reader, line) => {
    const isExact = flagOf(reader, "exact");
    const name = nameOf(reader, "a class name");
    const generics = bracketed(reader);
    const parents = reader.take(":") ? reader.types() : [];
    return { tag: "class", name, generics, parents, isExact, description: descriptionOf(reader), line };
  },
  field: readField,
  param: (reader, line) => {
    const name = reader.word();
    if (name === null) reader.problem("a parameter's name expected");
    const optional = reader.take("?");
    const type = reader.type();
    return { tag: "param", name: name ?? "_", optional, type, description: descriptionOf(reader), line };
  },
  return: (reader, line) => {
    const returns: TagOf<"return">["returns"] = [];
    do {
      const type = reader.type(true);
      const name = reader.peek("...") ? null : reader.word();
      if (name !== null) reader.take("?");
      returns.push({ type, name });
    } while (reader.take(","));
    return { tag: "return", returns, description: descriptionOf(reader), line };
  },
  type: (reader, line) => ({ tag: "type", types: reader.types(), description: descriptionOf(reader), line }),
  alias: (reader, line) => {
    const name = nameOf(reader, "an alias's name");
    const generics = bracketed(reader);
    const isAlone = reader.rest() === "" || reader.peek("#");
    const type = isAlone ? null : reader.type();
    return { tag: "alias", name, generics, type, members: [], description: descriptionOf(reader), line };
  },
  enum: (reader, line) => {
    const isKey = flagOf(reader, "key");
    const name = nameOf(reader, "an enum's name");
    return { tag: "enum", name, isKey, description: descriptionOf(reader), line };
  },
  generic: (reader, line) => ({
    tag: "generic",
    generics: genericsOf(reader),
    description: descriptionOf(reader),
    line,
  }),
  overload: (reader, line) => {
    const type = reader.type();
    if (type.kind !== "function") reader.problem("fun(…) expected");
    return { tag: "overload", type, description: descriptionOf(reader), line };
  },
  vararg: (reader, line) => {
    const type = reader.type();
    return { tag: "param", name: "...", optional: false, type, description: descriptionOf(reader), line };
  },
  deprecated: (reader, line) => ({ tag: "deprecated", description: descriptionOf(reader), line }),
};

function readField(reader: TypeReader, line: number): Tag {
  const found = /[ \t]*(public|private|protected|package)[ \t]+(?=[\w[])/y;
  found.lastIndex = reader.pos;
  const word = found.exec(reader.text)?.[1];
  if (word !== undefined) reader.pos = found.lastIndex;
  const visibility = word === undefined || word === "public" ? null : (word as Visibility);
  let key: string | LuaType;
  if (reader.take("[")) {
    key = reader.type(true);
    reader.expect("]");
  } else {
    const name = reader.word();
    if (name === null) reader.problem("a field's name expected");
    key = name ?? "_";
  }
  const optional = reader.take("?");
  const type = reader.type();
  return { tag: "field", key, optional, visibility, type, description: descriptionOf(reader), line };
}

/** `(exact)` and the like. */
function flagOf(reader: TypeReader, word: string): boolean {
  if (!reader.take("(")) return false;
  const given = reader.word();
  if (given !== word) reader.problem(`(${word}) expected`);
  reader.expect(")");
  return given === word;
}

/** The comment as `parseComment` reads it back, without `line`s. Lines are joined by a line feed, none at the end. */
export function printComment(comment: Pick<Comment, "description" | "tags">): string {
  const lines =
    comment.description === "" ? [] : comment.description.split("\n").map((line) => plainLine(line));
  for (const tag of comment.tags) lines.push(...printTag(tag));
  return lines.join("\n");
}

function plainLine(text: string): string {
  return text === "" ? "---" : `--- ${text}`;
}

function printTag(tag: Tag): string[] {
  const lines = tag.description.split("\n");
  const last = tag.tag === "other" ? tag.description : (lines.at(-1) ?? "");
  const above = tag.tag === "field" ? lines.slice(0, -1).map((line) => plainLine(line)) : [];
  const behind = last === "" ? "" : tag.tag === "other" ? ` ${last}` : ` # ${last}`;
  const members = tag.tag === "alias" ? tag.members.map(printMember) : [];
  const name = tag.tag === "other" ? tag.name : tag.tag;
  const text = textOf(tag);
  return [...above, `---@${name}${text === "" ? "" : ` ${text}`}${behind}`, ...members];
}

function printMember({ type, description }: TagOf<"alias">["members"][number]): string {
  return `---| ${printType(type)}${description === "" ? "" : ` # ${description}`}`;
}

function textOf(tag: Tag): string {
  switch (tag.tag) {
    case "class": {
      const parents = tag.parents.length === 0 ? "" : `: ${listed(tag.parents)}`;
      return `${tag.isExact ? "(exact) " : ""}${tag.name}${printBracketed(tag.generics)}${parents}`;
    }
    case "field": {
      const key = typeof tag.key === "string" ? tag.key : `[${listed([tag.key])}]`;
      const visibility = tag.visibility === null ? "" : `${tag.visibility} `;
      return `${visibility}${key}${tag.optional ? "?" : ""} ${printType(tag.type)}`;
    }
    case "param":
      return `${tag.name}${tag.optional ? "?" : ""} ${printType(tag.type)}`;
    case "return":
      return tag.returns
        .map(({ type, name }) => `${listed([type])}${name === null ? "" : ` ${name}`}`)
        .join(", ");
    case "type":
      return listed(tag.types);
    case "alias":
      return `${tag.name}${printBracketed(tag.generics)}${tag.type === null ? "" : ` ${printType(tag.type)}`}`;
    case "enum":
      return `${tag.isKey ? "(key) " : ""}${tag.name}`;
    case "generic":
      return printGenerics(tag.generics);
    case "overload":
      return printType(tag.type);
    default:
      return "";
  }
}

/** Types with commas between them, each as it is read inside a list. */
function listed(types: LuaType[]): string {
  const text = printType({ kind: "tuple", types });
  return text.slice(1, -1);
}

function printGenerics(generics: Generic[]): string {
  return generics
    .map(({ name, parent }) => (parent === null ? name : `${name}: ${listed([parent])}`))
    .join(", ");
}

function printBracketed(generics: Generic[]): string {
  return generics.length === 0 ? "" : `<${printGenerics(generics)}>`;
}

export interface PlacedComment extends Comment {
  /** Lines of the source from 0, both included. */
  from: number;
  to: number;
  /** The line of code right below it, trimmed; empty when another thing stands there. */
  below: string;
}

/**
 * All `---` comments of a Lua source, in order, such as those of an action's file. Text inside a long string that
 * looks like a comment is taken for one: whoever parses Lua anyway passes what its parser finds to `parseComment`.
 */
export function commentsIn(source: string): PlacedComment[] {
  const lines = source.split(/\r?\n/);
  const found: PlacedComment[] = [];
  let from = -1;
  for (let index = 0; index <= lines.length; index++) {
    const isComment = index < lines.length && /^\s*---(?!-)/.test(lines[index] ?? "");
    if (isComment && from < 0) from = index;
    if (isComment || from < 0) continue;
    const comment = parseComment(lines.slice(from, index).join("\n"));
    found.push({ ...comment, from, to: index - 1, below: (lines[index] ?? "").trim() });
    from = -1;
  }
  return found;
}
