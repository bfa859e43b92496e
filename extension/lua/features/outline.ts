import { namedCall } from "../calls.ts";
import { isOn } from "../events.ts";
import { pathOf } from "../scope.ts";
import type { SourceFile } from "../source.ts";
import { type Call, eachChild, type Node, type Span, type Statement } from "../syntax/ast.ts";

export interface OutlineSymbol extends Span {
  name: string;
  detail: string;
  kind: "event" | "function" | "method" | "variable" | "class";
  /** The name in it. */
  selection: Span;
  children: OutlineSymbol[];
}

/** A call of `on` or `schedule` that sets a handler. */
export interface HandlerPlace extends Span {
  kind: "event" | "schedule";
  /** Null for schedules and for patterns that are not plain text. */
  pattern: string | null;
  /** Seconds as written, for schedules. */
  every: number | null;
  /** Order in the file, from 1, as the engine counts. */
  id: number;
}

/** Handlers, functions, methods, and locals at the top of the file, as they are nested. */
export function outline(file: SourceFile): OutlineSymbol[] {
  const list = file.settled().flatMap(({ statement }) => (statement ? symbolsOf(statement, true) : []));
  const classes = file.classes.map((one): OutlineSymbol => {
    const { from, to } = one.place();
    return {
      name: one.tag.name,
      detail: "class",
      kind: "class",
      from,
      to,
      selection: { from, to },
      children: [],
    };
  });
  return [...list, ...classes].sort((one, other) => one.from - other.from);
}

function symbolsOf(node: Node, isTop: boolean): OutlineSymbol[] {
  if (node.kind === "call") {
    const handler = handlerCall(node);
    if (handler) return [ofHandler(node, handler)];
  }
  if (node.kind === "function-statement") {
    const name = nameOf(node.target) ?? "function";
    const kind = node.isMethod ? "method" : "function";
    return [symbol(node, name, kind, node.target, paramsOf(node), inside(node.fn.body))];
  }
  if (node.kind === "local" || node.kind === "assign") return ofAssignment(node, isTop);
  return inside(node);
}

function inside(node: Node): OutlineSymbol[] {
  const found: OutlineSymbol[] = [];
  eachChild(node, (child) => found.push(...symbolsOf(child, false)));
  return found;
}

function ofAssignment(node: Statement & { kind: "local" | "assign" }, isTop: boolean): OutlineSymbol[] {
  const targets = node.kind === "local" ? node.names : node.targets;
  return targets.flatMap((target, index) => {
    const value = node.values[index];
    const name = nameOf(target);
    const children = value ? inside(value) : [];
    if (name === null || name === "") return children;
    if (value?.kind === "function") return [symbol(node, name, "function", target, "", inside(value.body))];
    return isTop ? [symbol(node, name, "variable", target, "", children)] : children;
  });
}

function ofHandler(
  node: Call,
  { pattern, every }: { pattern: string | null; every: number | null },
): OutlineSymbol {
  const name = pattern ?? (every === null ? "handler" : `every ${every} s`);
  const [first] = node.args;
  return symbol(
    node,
    name,
    "event",
    first ?? node,
    pattern === null ? "schedule" : "handler",
    node.args.flatMap(inside),
  );
}

function symbol(
  node: Span,
  name: string,
  kind: OutlineSymbol["kind"],
  selection: Span,
  detail: string,
  children: OutlineSymbol[],
): OutlineSymbol {
  const { from, to } = node;
  return { name, kind, detail, from, to, selection: { from: selection.from, to: selection.to }, children };
}

function nameOf(target: Node): string | null {
  if (target.kind !== "name" && target.kind !== "member") return null;
  const found = pathOf(target);
  return found ? [found.base.name, ...found.path].join(".") : null;
}

function paramsOf(node: Statement & { kind: "function-statement" }): string {
  const names = node.fn.params.map(({ name }) => name);
  return `(${[...names, ...(node.fn.vararg ? ["..."] : [])].join(", ")})`;
}

function handlerCall(
  node: Call,
): { kind: HandlerPlace["kind"]; pattern: string | null; every: number | null } | null {
  const name = namedCall(node)?.name;
  const [first] = node.args;
  if (isOn(name))
    return { kind: "event", pattern: first?.kind === "string" ? first.value : null, every: null };
  if (name !== "sekia.schedule" && name !== "signalbox.schedule") return null;
  return { kind: "schedule", pattern: null, every: first?.kind === "number" ? first.value : null };
}

/** Every handler in the order of the text. */
export function handlers(file: SourceFile): HandlerPlace[] {
  const found: HandlerPlace[] = [];
  const visit = (node: Node) => {
    const handler = node.kind === "call" ? handlerCall(node) : null;
    if (handler) found.push({ ...handler, from: node.from, to: node.to, id: found.length + 1 });
    eachChild(node, visit);
  };
  for (const { statement } of file.settled()) if (statement) visit(statement);
  return found;
}

export interface Fold {
  /** Lines from 0, both included. */
  from: number;
  to: number;
  isComment: boolean;
}

/** Blocks, tables, calls and comments over several lines. */
export function folds(file: SourceFile): Fold[] {
  const lines = lineStarts(file.text);
  const found: Fold[] = [];
  const add = (span: Span, isComment: boolean, keepsLast: boolean) => {
    const from = lineOf(lines, span.from);
    const to = lineOf(lines, span.to) - (keepsLast ? 1 : 0);
    if (to > from && found.at(-1)?.from !== from) found.push({ from, to, isComment });
  };
  const visit = (node: Node) => {
    if (folded.has(node.kind)) add(node, false, true);
    eachChild(node, visit);
  };
  for (const { statement, docs, comments } of file.settled()) {
    for (const doc of docs) add(doc, true, false);
    for (const run of runs(file.text, comments)) add(run, true, false);
    if (statement) visit(statement);
  }
  return found;
}

const folded = new Set<Node["kind"]>([
  ..."function function-statement if while numeric-for generic-for repeat do table call".split(" "),
] as Node["kind"][]);

/** Comments on lines right below each other, as one. */
function runs(text: string, comments: readonly Span[]): Span[] {
  const found: Span[] = [];
  for (const { from, to } of comments) {
    const last = found.at(-1);
    if (last && /^\s*$/.test(text.slice(last.to, from)) && text.slice(last.to, from).split("\n").length === 2)
      last.to = to;
    else found.push({ from, to });
  }
  return found;
}

export function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

export function lineOf(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
