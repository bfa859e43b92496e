import type { Comment, Tag, TagOf } from "../../service/lib/emmylua.ts";
import { bind, type Linked, link } from "./scope.ts";
import type { Chunk, DocComment, Local, Statement } from "./syntax/ast.ts";
import { type Edit, parse, reparse, settle, type Tree } from "./syntax/document.ts";
import type { Place } from "./types.ts";

/** What a file is. Scripts and files of the actions folder have words that workflows have not. */
export type Role = "workflow" | "script" | "actions" | "library" | "script-library";

/** What a comment declares, and the statement right below it. */
export interface Declared<T extends Tag["tag"]> {
  tag: TagOf<T>;
  comment: Comment;
  file: SourceFile;
  place(): Place;
}
export interface DeclaredClass extends Declared<"class"> {
  fields: { tag: TagOf<"field">; place(): Place }[];
  overloads: TagOf<"overload">[];
  /** `local Foo = {}` below it: what is assigned to that are fields too. */
  statement: Statement | null;
  chunk: Chunk;
}
export interface DeclaredEnum extends Declared<"enum"> {
  statement: Statement | null;
}

interface Declarations {
  classes: DeclaredClass[];
  aliases: Declared<"alias">[];
  enums: DeclaredEnum[];
}

/** One Lua text as it is now. */
export class SourceFile {
  readonly uri: string;
  readonly role: Role;
  tree: Tree;
  /** Grows with each edit. */
  version = 0;
  private links: Linked | null = null;
  private readonly declarations = new WeakMap<Chunk, Declarations>();

  constructor(uri: string, text: string, role: Role) {
    this.uri = uri;
    this.role = role;
    this.tree = parse(text);
  }

  get text(): string {
    return this.tree.source;
  }

  edit(edit: Edit): void {
    this.tree = reparse(this.tree, edit);
    this.version += 1;
    this.links = null;
  }

  get linked(): Linked {
    return this.link();
  }

  /** Tells each name of the file what it stands for, unless that was done since the last edit. */
  link(): Linked {
    this.links ??= link(this.tree.chunks);
    return this.links;
  }

  /** The chunks with all places in them up to date. */
  settled(): Chunk[] {
    for (const chunk of this.tree.chunks) settle(chunk);
    return this.tree.chunks;
  }

  /** All locals of the file, with their references. */
  locals(): Local[] {
    const { chunks } = this.tree;
    this.link();
    return chunks.flatMap((chunk) => bind(chunk).locals);
  }

  get classes(): DeclaredClass[] {
    return this.tree.chunks.flatMap((chunk) => this.declared(chunk).classes);
  }

  get aliases(): Declared<"alias">[] {
    return this.tree.chunks.flatMap((chunk) => this.declared(chunk).aliases);
  }

  get enums(): DeclaredEnum[] {
    return this.tree.chunks.flatMap((chunk) => this.declared(chunk).enums);
  }

  /** A span of it as a place, for nodes that may have moved. */
  place(chunk: Chunk, span: { from: number; to: number }): Place {
    settle(chunk);
    return { uri: this.uri, from: span.from, to: span.to };
  }

  private declared(chunk: Chunk): Declarations {
    let found = this.declarations.get(chunk);
    if (!found) {
      found = { classes: [], aliases: [], enums: [] };
      for (const doc of chunk.docs) this.readDoc(chunk, doc, found);
      this.declarations.set(chunk, found);
    }
    return found;
  }

  private readDoc(chunk: Chunk, doc: DocComment, into: Declarations): void {
    // Most comments declare nothing: their text tells before anything is read.
    if (!/@(class|alias|enum)/.test(doc.text)) return;
    const { comment } = doc;
    const statement = chunk.statement?.doc === doc ? chunk.statement : null;
    let current: DeclaredClass | null = null;
    for (const tag of comment.tags) {
      const place = () => this.placeOfTag(chunk, doc, tag);
      const base = { comment, file: this, place };
      if (tag.tag === "class") {
        current = { ...base, tag, fields: [], overloads: [], statement, chunk };
        into.classes.push(current);
      } else if (tag.tag === "field") current?.fields.push({ tag, place });
      else if (tag.tag === "overload") current?.overloads.push(tag);
      else if (tag.tag === "alias") into.aliases.push({ ...base, tag });
      else if (tag.tag === "enum") into.enums.push({ ...base, tag, statement });
    }
  }

  /** The name within the tag's line. */
  private placeOfTag(chunk: Chunk, doc: DocComment, tag: Tag): Place {
    settle(chunk);
    const lines = doc.text.split("\n");
    const before = lines.slice(0, tag.line).reduce((sum, line) => sum + line.length + 1, 0);
    const line = lines[tag.line] ?? "";
    const name = nameOf(tag);
    const column = name === null ? -1 : line.indexOf(name, line.indexOf("@") + tag.tag.length + 1);
    const from = doc.from + before + Math.max(0, column);
    return { uri: this.uri, from, to: from + (column < 0 ? line.trimEnd().length : (name ?? "").length) };
  }
}

function nameOf(tag: Tag): string | null {
  if (tag.tag === "field") return typeof tag.key === "string" ? tag.key : null;
  return "name" in tag ? tag.name : null;
}
