import type { Infer } from "./infer.ts";
import type { Project } from "./project.ts";
import type { SourceFile } from "./source.ts";
import type { Chunk, DocComment, Node } from "./syntax/ast.ts";
import { pathTo } from "./syntax/ast.ts";
import { chunkAt, settle } from "./syntax/document.ts";

/** A place in a file, with the nodes around it. */
export interface Cursor {
  project: Project;
  file: SourceFile;
  infer: Infer;
  offset: number;
  chunk: Chunk;
  chunkIndex: number;
  /** From the statement at the top of the file inwards; empty between two. */
  path: Node[];
  /** The comment that the place is in, if any. */
  doc: DocComment | null;
  inComment: boolean;
  /** Where the word before the place begins. */
  wordStart: number;
}

export function cursorAt(project: Project, file: SourceFile, offset: number): Cursor {
  const infer = project.inferOf(file);
  const chunkIndex = chunkAt(file.tree, offset);
  const [first] = file.tree.chunks;
  const chunk = file.tree.chunks[chunkIndex] ?? first;
  if (!chunk) throw new Error("a text has one chunk at least");
  settle(chunk);
  const { statement } = chunk;
  const isIn = statement !== null && statement.from <= offset && offset <= statement.to;
  // A comment that ends the line goes on up to the line's end.
  const within = ({ from, to }: { from: number; to: number }) => from < offset && offset <= to;
  const doc = chunk.docs.find(within) ?? null;
  return {
    ...{ project, file, infer, offset, chunk, chunkIndex, doc },
    path: isIn && statement ? pathTo(statement, offset) : [],
    inComment: chunk.comments.some((span) => within(span) && !isClosedLong(file.text, span, offset)),
    wordStart: wordStart(file.text, offset),
  };
}

function isClosedLong(text: string, span: { from: number; to: number }, offset: number): boolean {
  return offset === span.to && /^--\[=*\[/.test(text.slice(span.from, span.from + 20));
}

function wordStart(text: string, offset: number): number {
  let from = offset;
  while (from > 0 && /\w/.test(text[from - 1] ?? "")) from -= 1;
  return from;
}

/** The innermost node of a kind around the place. */
export function innermost<K extends Node["kind"]>(
  path: readonly Node[],
  kind: K,
): Extract<Node, { kind: K }> | null {
  return (path.findLast((node) => node.kind === kind) as Extract<Node, { kind: K }> | undefined) ?? null;
}
