import {
  applyEdits,
  createScanner,
  type Edit,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import type { Json } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";

// jsonc-parser's own `modify` moves comments to other lines and removes those beside what it removes; a person wrote
// them, so these edits touch nothing but the item and one comma.

/** jsonc-parser's SyntaxKind, whose const enum can't be imported without its types being compiled. */
const COMMA = 5;

/** The tree of a JSON text with comments. @throws SignalboxError `invalid_config` with the line */
export function readTree(text: string, file: string): Node {
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined && tree?.type === "object") return tree;
  const line = text.slice(0, first?.offset ?? 0).split("\n").length;
  const what = first === undefined ? "it is no object" : printParseErrorCode(first.error);
  throw new SignalboxError("invalid_config", `${file}:${line} can't be read: ${what}`, {
    hint: "Correct it first; nothing was changed.",
  });
}

/** Puts `item` after the last one of an object or array, on a line of its own where the others have theirs. */
export function append(text: string, container: Node, item: string): string {
  const close = container.offset + container.length - 1;
  const last = container.children?.at(-1);
  const lastEnd = last === undefined ? container.offset + 1 : last.offset + last.length;
  const comma = last === undefined ? null : commaAfter(text, lastEnd, close);
  const begin = comma === null ? lastEnd : comma + 1;
  const rest = text.slice(begin, close);
  const edits: Edit[] = [];
  if (last !== undefined && comma === null) edits.push({ offset: lastEnd, length: 0, content: "," });
  const trailing = comma === null ? "" : ",";
  const written = rest.trimEnd().length;
  if (rest.slice(written).includes("\n")) {
    const offset = begin + written + (/^[ \t]*/.exec(rest.slice(written))?.[0].length ?? 0);
    const content = `${eolOf(text)}${indentOf(text, container, last)}${item}${trailing}`;
    edits.push({ offset, length: 0, content });
  } else if (last === undefined && container.type === "object") {
    const indent = indentOf(text, container, last);
    const content = `${eolOf(text)}${indent}${item}${eolOf(text)}${lineIndent(text, container.offset)}`;
    edits.push({
      offset: begin + rest.trimEnd().length,
      length: rest.length - rest.trimEnd().length,
      content,
    });
  } else {
    const gap = last === undefined ? "" : " ";
    edits.push({ offset: begin + rest.trimEnd().length, length: 0, content: `${gap}${item}${trailing}` });
  }
  return applyEdits(text, edits);
}

/** Takes one item out of its object or array, with its comma, and its line if nothing else is on it. */
export function remove(text: string, container: Node, item: Node): string {
  const close = container.offset + container.length - 1;
  const children = container.children ?? [];
  const before = children[children.indexOf(item) - 1];
  const end = item.offset + item.length;
  const after = commaAfter(text, end, close);
  const previous = before === undefined ? null : commaAfter(text, before.offset + before.length, item.offset);
  const comma = after ?? previous;
  const range =
    wholeLines(text, item.offset, after === end ? end + 1 : end) ?? inLine(text, item, { after, previous });
  const edits: Edit[] = [{ offset: range.start, length: range.end - range.start, content: "" }];
  if (comma !== null && (comma < range.start || comma >= range.end))
    edits.push({ offset: comma, length: 1, content: "" });
  return applyEdits(text, edits);
}

export function replace(text: string, node: Node, value: Json): string {
  return applyEdits(text, [{ offset: node.offset, length: node.length, content: inline(value) }]);
}

/** On one line, spaced as people write it. */
export function inline(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${inline(one)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

/** The place of the next comma that is not in a comment; null where something else comes first. */
function commaAfter(text: string, from: number, until: number): number | null {
  const scanner = createScanner(text.slice(from, until), true);
  return (scanner.scan() as number) === COMMA ? from + scanner.getTokenOffset() : null;
}

function wholeLines(text: string, start: number, end: number): { start: number; end: number } | null {
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const next = text.indexOf("\n", end);
  if (next === -1 || lineStart === 0) return null;
  const isAlone = text.slice(lineStart, start).trim() === "" && text.slice(end, next).trim() === "";
  return isAlone ? { start: lineStart, end: next + 1 } : null;
}

/** The item with the space and the comma that go with it. */
function inLine(text: string, item: Node, commas: { after: number | null; previous: number | null }) {
  const end = item.offset + item.length;
  const { after, previous } = commas;
  const isLast = item.parent?.children?.at(-1) === item;
  if (!isLast && after !== null && text.slice(end, after).trim() === "") {
    const spaces = /^[ \t]*/.exec(text.slice(after + 1))?.[0].length ?? 0;
    return { start: item.offset, end: after + 1 + spaces };
  }
  if (!isLast) return { start: item.offset, end };
  const isNear = after === null && previous !== null && text.slice(previous + 1, item.offset).trim() === "";
  const space = text[item.offset - 1] === " " ? item.offset - 1 : item.offset;
  return { start: isNear ? previous : space, end: after === end ? end + 1 : end };
}

export function eolOf(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n";
}

function indentOf(text: string, container: Node, last: Node | undefined): string {
  if (last !== undefined && startsLine(text, last.offset)) return lineIndent(text, last.offset);
  const unit = /^([ \t]+)\S/m.exec(text)?.[1] ?? "  ";
  return lineIndent(text, container.offset) + unit;
}

function startsLine(text: string, offset: number): boolean {
  return text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset).trim() === "";
}

function lineIndent(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", offset - 1) + 1))?.[0] ?? "";
}
