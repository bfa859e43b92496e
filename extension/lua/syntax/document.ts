import { type Chunk, eachChild, type Node, type Span } from "./ast.ts";
import { parseChunk } from "./parser.ts";

/** A change of the text: the characters `from` to `to` became `text`. */
export interface Edit extends Span {
  text: string;
}

/** A text as chunks. An edit reads only those anew that it touches; the others are moved. */
export interface Tree {
  source: string;
  chunks: Chunk[];
  /** Tokens that were cut to get here from the tree before; a measure of the work, for tests. */
  tokens: number;
}

export function parse(source: string): Tree {
  const tree: Tree = { source, chunks: [], tokens: 0 };
  readFrom(tree, 0, () => false);
  return tree;
}

/** The tree after an edit. Takes over the chunks of the one before, which must not be used any more. */
export function reparse(before: Tree, edit: Edit): Tree {
  const source = before.source.slice(0, edit.from) + edit.text + before.source.slice(edit.to);
  const delta = edit.text.length - (edit.to - edit.from);
  const touched = before.chunks.findIndex((chunk) => chunk.reach >= edit.from);
  const first = touched < 0 ? Math.max(0, before.chunks.length - 1) : touched;
  const tree: Tree = { source, chunks: before.chunks.slice(0, first), tokens: 0 };
  let next = before.chunks.findIndex((chunk) => chunk.start > edit.to);
  if (next < 0) next = before.chunks.length;
  const start = before.chunks[first]?.start ?? 0;
  const isMet = readFrom(tree, start, (position) => {
    while ((before.chunks[next]?.start ?? Number.POSITIVE_INFINITY) + delta < position) next += 1;
    return before.chunks[next] !== undefined && before.chunks[next]?.start === position - delta;
  });
  const kept = isMet ? before.chunks.slice(next) : [];
  if (delta !== 0) for (const chunk of kept) shift(chunk, delta);
  tree.chunks.push(...kept);
  return tree;
}

/** Reads chunks until `isKnown` says that what follows has been read before; false at the end of the text. */
function readFrom(tree: Tree, start: number, isKnown: (position: number) => boolean): boolean {
  let position = start;
  for (;;) {
    if (position > start && isKnown(position)) return true;
    const { chunk, isLast, tokens } = parseChunk(tree.source, position);
    tree.tokens += tokens;
    tree.chunks.push(chunk);
    if (isLast) return false;
    position = chunk.end;
  }
}

/** The chunk's own place at once; what is in it when somebody asks, which most never do between two edits. */
function shift(chunk: Chunk, delta: number): void {
  chunk.start += delta;
  chunk.end += delta;
  chunk.reach += delta;
  chunk.pending += delta;
}

/** Brings the places inside a chunk up to date. Whoever reads them calls it first. */
export function settle(chunk: Chunk): Chunk {
  const delta = chunk.pending;
  if (delta === 0) return chunk;
  chunk.pending = 0;
  for (const span of [...chunk.docs, ...chunk.comments, ...chunk.problems]) move(span, delta);
  if (chunk.statement) moveNode(chunk.statement, delta);
  return chunk;
}

/** The index of the chunk that holds the place; one that ends there holds it too. */
export function chunkAt(tree: Tree, offset: number): number {
  let low = 0;
  let high = tree.chunks.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tree.chunks[middle]?.end ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function move(span: Span, delta: number): void {
  span.from += delta;
  span.to += delta;
}

// Comments stand in their chunk's list, where each is moved once.
function moveNode(node: Node, delta: number): void {
  move(node, delta);
  if (node.kind === "member") node.dot += delta;
  else if (node.kind === "string") move(node.inner, delta);
  else if (node.kind === "function") {
    move(node.head, delta);
    if (node.self) move(node.self, delta);
  } else if (node.kind === "call") {
    move(node.argsSpan, delta);
    node.colon += delta;
    node.commas = node.commas.map((comma) => comma + delta);
  }
  eachChild(node, (child) => moveNode(child, delta));
}
