import { type Comment, parseComment } from "../../../service/lib/emmylua.ts";

/** Characters (UTF-16, as editors count) from the beginning of the file. Nodes move when text before them changes. */
export interface Span {
  from: number;
  to: number;
}

interface NodeBase extends Span {
  /** The node right above; set by the binder. A statement at the top has none. */
  up?: Node;
}

/** A run of `---` lines, read when somebody asks. */
export class DocComment implements Span {
  from: number;
  to: number;
  /** The lines as they stand, without what is before the first `---`. */
  readonly text: string;
  private read: Comment | null = null;

  constructor(text: string, from: number, to: number) {
    this.text = text;
    this.from = from;
    this.to = to;
  }

  get comment(): Comment {
    this.read ??= parseComment(this.text);
    return this.read;
  }
}

export interface Name extends NodeBase {
  kind: "name";
  /** Empty where one is missing. */
  name: string;
  /** The local it stands for; null for a global. Set by the binder. */
  local: Local | null;
}

export interface StringLiteral extends NodeBase {
  kind: "string";
  /** Escapes resolved, as far as they are valid. */
  value: string;
  /** Without its quotes. */
  inner: Span;
  closed: boolean;
}

export interface FunctionBody extends NodeBase {
  kind: "function";
  params: Name[];
  vararg: boolean;
  /** Parentheses of the parameters. */
  head: Span;
  body: Block;
  /** `function a:b()` has `self` without naming it. */
  self: Name | null;
}

/** `object.name`; `name` has no text while it is typed. */
export interface Member extends NodeBase {
  kind: "member";
  object: Expression;
  name: Name;
  /** Where the dot stands. */
  dot: number;
}

export interface Index extends NodeBase {
  kind: "index";
  object: Expression;
  key: Expression;
}

export interface Call extends NodeBase {
  kind: "call";
  callee: Expression;
  /** `object:method(…)`: `callee` is the object. */
  method: Name | null;
  /** Where the colon stands, or would. */
  colon: number;
  args: Expression[];
  /** From the opening parenthesis, or the one argument without any, to the end of the closing one. */
  argsSpan: Span;
  style: "parens" | "string" | "table" | "none";
  closed: boolean;
  /** Commas between the arguments. */
  commas: number[];
}

export interface TableField extends NodeBase {
  kind: "field";
  key: Name | null;
  /** `[key] = value`. */
  computed: Expression | null;
  value: Expression;
  doc: DocComment | null;
}

export interface TableLiteral extends NodeBase {
  kind: "table";
  fields: TableField[];
  closed: boolean;
}

export type Expression =
  | Name
  | StringLiteral
  | FunctionBody
  | Member
  | Index
  | Call
  | TableLiteral
  | ({ kind: "nil" | "true" | "false" | "vararg" | "missing" } & NodeBase)
  | ({ kind: "number"; value: number; isInteger: boolean } & NodeBase)
  | ({ kind: "binary"; operator: string; left: Expression; right: Expression } & NodeBase)
  | ({ kind: "unary"; operator: string; operand: Expression } & NodeBase)
  | ({ kind: "paren"; inner: Expression } & NodeBase);

export interface Block extends NodeBase {
  kind: "block";
  statements: Statement[];
}

export interface LocalStatement extends NodeBase {
  kind: "local";
  names: Name[];
  values: Expression[];
}

export interface AssignStatement extends NodeBase {
  kind: "assign";
  targets: Expression[];
  values: Expression[];
}

export interface FunctionStatement extends NodeBase {
  kind: "function-statement";
  isLocal: boolean;
  /** A name, or a chain of members; the last one is a method where `isMethod`. */
  target: Name | Member;
  isMethod: boolean;
  fn: FunctionBody;
}

export interface IfStatement extends NodeBase {
  kind: "if";
  clauses: { condition: Expression; body: Block }[];
  otherwise: Block | null;
}

export interface NumericFor extends NodeBase {
  kind: "numeric-for";
  variable: Name;
  values: Expression[];
  body: Block;
}

export interface GenericFor extends NodeBase {
  kind: "generic-for";
  names: Name[];
  values: Expression[];
  body: Block;
}

export type Statement = { doc: DocComment | null; trailing: DocComment | null } & (
  | LocalStatement
  | AssignStatement
  | FunctionStatement
  | IfStatement
  | NumericFor
  | GenericFor
  | ({ kind: "expression"; expression: Expression } & NodeBase)
  | ({ kind: "do"; body: Block } & NodeBase)
  | ({ kind: "while"; condition: Expression; body: Block } & NodeBase)
  | ({ kind: "repeat"; body: Block; condition: Expression } & NodeBase)
  | ({ kind: "return"; values: Expression[] } & NodeBase)
  | ({ kind: "break" } & NodeBase)
  | ({ kind: "goto"; label: Name } & NodeBase)
  | ({ kind: "label"; label: Name } & NodeBase)
);

export type Node = Expression | Statement | Block | TableField;

export interface SyntaxProblem extends Span {
  message: string;
}

/**
 * One statement at the top of a file with the comments before it, or a piece that is none. A chunk follows from the
 * text behind its `start` alone, so what an edit does not touch is kept.
 */
export interface Chunk {
  /** Where the chunk before it ends. */
  start: number;
  /** Where its last token ends, or the comment behind that. */
  end: number;
  /** How far the text was looked at to tell all this. */
  reach: number;
  /** How far the places inside have to be moved (see `settle`). */
  pending: number;
  statement: Statement | null;
  docs: DocComment[];
  /** Comments that are not `---`. */
  comments: Span[];
  problems: SyntaxProblem[];
}

/** Where a local's value comes from. */
export type Origin =
  | { kind: "value"; values: Expression[]; index: number }
  | { kind: "function"; statement: FunctionStatement & Statement }
  | { kind: "parameter"; fn: FunctionBody; index: number }
  | { kind: "self"; fn: FunctionBody }
  | { kind: "number" }
  | { kind: "loop"; values: Expression[]; index: number };

export interface Local {
  name: string;
  decl: Name;
  origin: Origin;
  /** The block that sees it; null for the whole file below it. */
  block: Block | null;
  /** Seen behind this node, or from its beginning on. */
  seen: { after: Node } | { within: Node };
  chunk: Chunk;
  doc: DocComment | null;
  trailing: DocComment | null;
  /** Names that stand for it, without its declaration: those of its own chunk, and those of later ones. */
  inner: Name[];
  outer: Name[];
  /** `local t` with later `t.a.b = …` and `function t.c() end`. */
  assigned: Assignment[];
}

/** `a.b.c = value` and `function a.b.c() end`. */
export interface Assignment {
  base: Name;
  /** Empty for the name itself. */
  path: string[];
  /** The last name of it. */
  name: Name;
  value: Expression | null;
  /** Which result of the value, for `a, b = f()`. */
  index: number;
  isMethod: boolean;
  doc: DocComment | null;
  trailing: DocComment | null;
  chunk: Chunk;
}

/** Calls `see` with each node right below, in the order of the text. Makes no lists: it runs over whole files. */
export function eachChild(node: Node, see: (child: Node) => void): void {
  switch (node.kind) {
    case "function":
      node.params.forEach(see);
      see(node.body);
      return;
    case "member":
      see(node.object);
      see(node.name);
      return;
    case "index":
      see(node.object);
      see(node.key);
      return;
    case "call":
      see(node.callee);
      if (node.method) see(node.method);
      node.args.forEach(see);
      return;
    case "table":
      node.fields.forEach(see);
      return;
    case "field":
      if (node.key) see(node.key);
      if (node.computed) see(node.computed);
      see(node.value);
      return;
    case "binary":
      see(node.left);
      see(node.right);
      return;
    case "unary":
      see(node.operand);
      return;
    case "paren":
      see(node.inner);
      return;
    case "block":
      node.statements.forEach(see);
      return;
    default:
      eachOfStatement(node, see);
  }
}

function eachOfStatement(node: Node, see: (child: Node) => void): void {
  switch (node.kind) {
    case "local":
      node.names.forEach(see);
      node.values.forEach(see);
      return;
    case "assign":
      node.targets.forEach(see);
      node.values.forEach(see);
      return;
    case "function-statement":
      see(node.target);
      see(node.fn);
      return;
    case "if":
      for (const { condition, body } of node.clauses) {
        see(condition);
        see(body);
      }
      if (node.otherwise) see(node.otherwise);
      return;
    case "numeric-for":
      see(node.variable);
      node.values.forEach(see);
      see(node.body);
      return;
    case "generic-for":
      node.names.forEach(see);
      node.values.forEach(see);
      see(node.body);
      return;
    case "expression":
      see(node.expression);
      return;
    case "do":
      see(node.body);
      return;
    case "while":
      see(node.condition);
      see(node.body);
      return;
    case "repeat":
      see(node.body);
      see(node.condition);
      return;
    case "return":
      node.values.forEach(see);
      return;
    case "goto":
    case "label":
      see(node.label);
      return;
  }
}

/** Calls `see` for the node and all below it, from the outside in; `false` leaves out what is below. */
export function walk(node: Node, see: (node: Node) => boolean | undefined): void {
  if (see(node) === false) return;
  eachChild(node, (child) => walk(child, see));
}

/** The nodes that hold the place, from the outside in. A place right behind a node is in it. */
export function pathTo(root: Node, offset: number): Node[] {
  const path: Node[] = [root];
  let node = root;
  for (;;) {
    const next = childAt(node, offset);
    if (!next) return path;
    path.push(next);
    node = next;
  }
}

/** Of two that touch at the place, the one that ends there: it is still being typed. */
function childAt(node: Node, offset: number): Node | null {
  let found: Node | null = null;
  eachChild(node, (child) => {
    if (child.from > offset || offset > child.to) return;
    if (found === null || found.from === offset) found = child;
  });
  return found;
}
