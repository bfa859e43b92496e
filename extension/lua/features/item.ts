import type { Cursor } from "../cursor.ts";
import type { Word } from "./words.ts";

export type CompletionKind =
  | "local"
  | "parameter"
  | "function"
  | "method"
  | "field"
  | "global"
  | "library"
  | "keyword"
  | "snippet"
  | "class"
  | Word["kind"];

export interface Completion {
  label: string;
  kind: CompletionKind;
  /** Its type or where it comes from. */
  detail: string;
  /** Markdown. */
  doc: string;
  /** What is put in the place of `from` to `to`; of a snippet with `$1` and `${2:name}`. */
  insert: string;
  isSnippet: boolean;
  from: number;
  to: number;
  /** Sorted by this first. */
  sort: string;
  deprecated: boolean;
  /** Only the running service knows it: another language server does not offer it. */
  live: boolean;
}

export function item(
  cursor: Cursor,
  label: string,
  kind: CompletionKind,
  more: Partial<Completion> = {},
): Completion {
  return {
    ...{ label, kind, detail: "", doc: "", insert: label, isSnippet: false },
    ...{ from: cursor.wordStart, to: cursor.offset, sort: "5", deprecated: false, live: false },
    ...more,
  };
}

/** The same with its detail and text found when somebody looks at them: a large file has many names. */
export function lazily(made: Completion, describe: () => Pick<Completion, "detail" | "doc">): Completion {
  let known: Pick<Completion, "detail" | "doc"> | null = null;
  const find = () => {
    known ??= describe();
    return known;
  };
  return Object.defineProperties(made, {
    detail: { get: () => find().detail, enumerable: true },
    doc: { get: () => find().doc, enumerable: true },
  });
}
