import type { Cursor } from "../cursor.ts";
import type { DocComment, FunctionBody, Statement } from "../syntax/ast.ts";
import { type Completion, item } from "./item.ts";

const tags: Record<string, string> = {
  class: "A table with these fields",
  field: "A field of the class above",
  param: "A parameter of the function below",
  return: "What the function below gives",
  type: "The type of the local below",
  alias: "A name for a type",
  enum: "The values of the table below as a type",
  generic: "A type that each call decides",
  overload: "Another way to call the function below",
  deprecated: "Not to be used any more",
  see: "Where to read on",
};
const basics = "any nil boolean number integer string table function thread userdata".split(" ");

/** In a `---` comment: its tags, the names of parameters, and types. */
export function completeComment(cursor: Cursor, doc: DocComment): Completion[] {
  const { file, offset } = cursor;
  const start = Math.max(doc.from, file.text.lastIndexOf("\n", offset - 1) + 1);
  const line = file.text.slice(start, offset).trimStart();
  if (/^---[ \t]*@?\w*$/.test(line) && line.includes("@")) {
    return Object.entries(tags).map(([name, detail]) =>
      item(cursor, name, "keyword", { detail, insert: `${name} ` }),
    );
  }
  if (/^---[ \t]*@param[ \t]+\w*$/.test(line)) return parameters(cursor, doc);
  if (
    /^---[ \t]*@(param[ \t]+[\w.]+\??|field[ \t]+\S+|return|type|alias[ \t]+\S+|class[ \t]+[^:]+:|overload)\b.*$/.test(
      line,
    )
  ) {
    return types(cursor);
  }
  return [];
}

function parameters(cursor: Cursor, doc: DocComment): Completion[] {
  const fn = functionBelow(cursor, doc);
  const given = new Set(doc.comment.tags.flatMap((tag) => (tag.tag === "param" ? [tag.name] : [])));
  return (fn?.params ?? [])
    .filter(({ name }) => !given.has(name))
    .map(({ name }) => item(cursor, name, "parameter", { insert: `${name} `, sort: "0" }));
}

function functionBelow(cursor: Cursor, doc: DocComment): FunctionBody | null {
  const statement = cursor.chunk.statement;
  const search = (one: Statement | null): FunctionBody | null => {
    if (one?.doc !== doc) return null;
    if (one.kind === "function-statement") return one.fn;
    const value = one.kind === "local" || one.kind === "assign" ? one.values[0] : null;
    return value?.kind === "function" ? value : null;
  };
  for (const node of cursor.path.toReversed()) {
    if (node.kind !== "block") continue;
    for (const one of node.statements) {
      const found = search(one);
      if (found) return found;
    }
  }
  return search(statement);
}

function types(cursor: Cursor): Completion[] {
  const { file, offset } = cursor;
  let from = offset;
  while (/[\w.]/.test(file.text[from - 1] ?? "")) from -= 1;
  const names = [...new Set(cursor.project.typeNames())];
  return [
    ...names.map((name) => {
      const [declared] = cursor.project.classes(name);
      return item(cursor, name, "class", { from, doc: declared?.comment.description ?? "", sort: "1" });
    }),
    ...basics.map((name) => item(cursor, name, "keyword", { from, sort: "0" })),
  ];
}
