import type {
  Assignment,
  AssignStatement,
  Block,
  Chunk,
  DocComment,
  Expression,
  FunctionBody,
  FunctionStatement,
  Local,
  Name,
  Node,
  Origin,
  Statement,
} from "./syntax/ast.ts";
import { eachChild } from "./syntax/ast.ts";

/** What one chunk says, without looking at the others. */
export interface Bound {
  /** All locals in it, also those at the top of the file. */
  locals: Local[];
  top: Local[];
  /** Names that nothing in the chunk declares. */
  free: Name[];
  /** Assignments through free names. */
  assigned: Assignment[];
}

const known = new WeakMap<Chunk, Bound>();

export function bind(chunk: Chunk): Bound {
  let bound = known.get(chunk);
  if (!bound) {
    bound = new Binder(chunk).run();
    known.set(chunk, bound);
  }
  return bound;
}

/** The innermost declaration first. */
interface Scope {
  names: Map<string, Local>;
  block: Block | null;
  outer: Scope | null;
}

class Binder {
  private readonly chunk: Chunk;
  private readonly bound: Bound = { locals: [], top: [], free: [], assigned: [] };
  private scope: Scope = { names: new Map(), block: null, outer: null };

  constructor(chunk: Chunk) {
    this.chunk = chunk;
  }

  run(): Bound {
    const { statement } = this.chunk;
    if (statement) this.statement(statement);
    return this.bound;
  }

  private statement(node: Statement): void {
    switch (node.kind) {
      case "local":
        for (const value of node.values) this.visit(value, node);
        for (const [index, name] of node.names.entries()) {
          this.up(name, node);
          this.add(name, { kind: "value", values: node.values, index }, { after: node }, node);
        }
        return;
      case "function-statement":
        this.functionStatement(node);
        return;
      case "assign":
        for (const child of [...node.targets, ...node.values]) this.visit(child, node);
        this.assignment(node);
        return;
      case "numeric-for":
        for (const value of node.values) this.visit(value, node);
        this.inner(node.body, node, () => {
          this.up(node.variable, node);
          this.add(node.variable, { kind: "number" }, { within: node.body }, null);
        });
        return;
      case "generic-for":
        for (const value of node.values) this.visit(value, node);
        this.inner(node.body, node, () => {
          for (const [index, name] of node.names.entries()) {
            this.up(name, node);
            this.add(name, { kind: "loop", values: node.values, index }, { within: node.body }, null);
          }
        });
        return;
      case "repeat":
        // The condition sees the locals of the body.
        this.inner(
          node.body,
          node,
          () => undefined,
          () => this.visit(node.condition, node),
        );
        return;
      case "goto":
      case "label":
        this.up(node.label, node);
        return;
      default:
        eachChild(node, (child) => this.visit(child, node));
    }
  }

  private functionStatement(node: FunctionStatement & Statement): void {
    if (node.isLocal && node.target.kind === "name") {
      this.up(node.target, node);
      this.add(node.target, { kind: "function", statement: node }, { within: node }, node);
    } else {
      this.visit(node.target, node);
      this.keep(node.target, node.fn, 0, node.isMethod, node);
    }
    this.visit(node.fn, node);
  }

  private assignment(node: AssignStatement & Statement): void {
    for (const [index, target] of node.targets.entries()) {
      const last = node.values.at(-1) ?? null;
      const own = node.values[index] ?? last;
      this.keep(target, own, Math.max(0, index - node.values.length + 1), false, node);
    }
  }

  private keep(
    target: Expression,
    value: Expression | null,
    index: number,
    isMethod: boolean,
    node: Statement,
  ): void {
    const place = pathOf(target);
    if (!place) return;
    const { doc, trailing } = node;
    const assignment: Assignment = { ...place, value, index, isMethod, doc, trailing, chunk: this.chunk };
    const local = place.base.local;
    if (local === null) this.bound.assigned.push(assignment);
    else local.assigned.push(assignment);
  }

  private visit(node: Node, up: Node): void {
    this.up(node, up);
    switch (node.kind) {
      case "name":
        this.reference(node);
        return;
      case "member":
        this.visit(node.object, node);
        this.up(node.name, node);
        return;
      case "field":
        if (node.key) this.up(node.key, node);
        if (node.computed) this.visit(node.computed, node);
        this.visit(node.value, node);
        return;
      case "call":
        this.visit(node.callee, node);
        if (node.method) this.up(node.method, node);
        for (const arg of node.args) this.visit(arg, node);
        return;
      case "function":
        this.function(node);
        return;
      case "block":
        this.inner(node, up, () => undefined);
        return;
      default:
        if ("doc" in node) this.statement(node as Statement);
        else eachChild(node, (child) => this.visit(child, node));
    }
  }

  private function(fn: FunctionBody): void {
    this.inner(fn.body, fn, () => {
      if (fn.self) {
        this.up(fn.self, fn);
        this.add(fn.self, { kind: "self", fn }, { within: fn.body }, null);
      }
      for (const [index, name] of fn.params.entries()) {
        this.up(name, fn);
        this.add(name, { kind: "parameter", fn, index }, { within: fn.body }, null);
      }
    });
  }

  private inner(block: Block, up: Node, before: () => void, after: () => void = () => undefined): void {
    this.up(block, up);
    const outer = this.scope;
    this.scope = { names: new Map(), block, outer };
    before();
    for (const statement of block.statements) {
      this.up(statement, block);
      this.statement(statement);
    }
    after();
    this.scope = outer;
  }

  private add(decl: Name, origin: Origin, seen: Local["seen"], statement: Statement | null): void {
    const { block } = this.scope;
    const { doc = null, trailing = null } = statement ?? {};
    const { name } = decl;
    const local: Local = {
      ...{ name, decl, origin, block, seen, doc, trailing, chunk: this.chunk },
      ...{ inner: [], outer: [], assigned: [] },
    };
    decl.local = local;
    if (name === "") return;
    this.scope.names.set(name, local);
    this.bound.locals.push(local);
    if (block === null) this.bound.top.push(local);
  }

  private reference(name: Name): void {
    name.local = null;
    if (name.name === "") return;
    for (let scope: Scope | null = this.scope; scope; scope = scope.outer) {
      const local = scope.names.get(name.name);
      if (!local) continue;
      name.local = local;
      local.inner.push(name);
      return;
    }
    this.bound.free.push(name);
  }

  private up(node: Node, up: Node): void {
    node.up = up;
  }
}

/** The name that a chain of members begins with, and the names behind it. */
export function pathOf(target: Expression): { base: Name; path: string[]; name: Name } | null {
  if (target.kind === "name") return { base: target, path: [], name: target };
  if (target.kind !== "member") return null;
  const object = pathOf(target.object);
  return object && { base: object.base, path: [...object.path, target.name.name], name: target.name };
}

/** Names and assignments of a file that no local of it stands for, and its locals at the top by name. */
export interface Linked {
  globals: Name[];
  /** By the first name. */
  assigned: Map<string, Assignment[]>;
  top: Map<string, Local>;
}

/** Binds the free names of each chunk to the locals that chunks above it declare. */
export function link(chunks: readonly Chunk[]): Linked {
  const linked: Linked = { globals: [], assigned: new Map(), top: new Map() };
  for (const chunk of chunks) {
    for (const local of bind(chunk).top) {
      local.outer = [];
      local.assigned = local.assigned.filter((one) => one.chunk === local.chunk);
    }
  }
  for (const chunk of chunks) {
    const { free, top, assigned } = bind(chunk);
    for (const name of free) {
      const local = linked.top.get(name.name) ?? null;
      name.local = local;
      if (local) local.outer.push(name);
      else linked.globals.push(name);
    }
    for (const assignment of assigned) {
      const { base } = assignment;
      if (base.local) base.local.assigned.push(assignment);
      else linked.assigned.set(base.name, [...(linked.assigned.get(base.name) ?? []), assignment]);
    }
    for (const local of top) linked.top.set(local.name, local);
  }
  return linked;
}

/** Locals that can be seen at a place, innermost first; of two with one name only the inner. */
export function localsAt(
  path: readonly Node[],
  chunkIndex: number,
  chunks: readonly Chunk[],
  offset: number,
): Local[] {
  const found = new Map<string, Local>();
  const add = (local: Local) => {
    if (!found.has(local.name)) found.set(local.name, local);
  };
  const chunk = chunks[chunkIndex];
  const own = chunk ? bind(chunk).locals : [];
  for (const node of path.toReversed()) {
    // The condition of a repeat sees the locals of its body.
    const seen = node.kind === "repeat" ? node.body : node;
    if (seen.kind !== "block") continue;
    for (const local of own.filter(({ block }) => block === seen).toReversed()) {
      if (isSeen(local, offset)) add(local);
    }
  }
  for (const local of own.filter(({ block }) => block === null).toReversed())
    if (isSeen(local, offset)) add(local);
  for (let index = chunkIndex - 1; index >= 0; index--) {
    const above = chunks[index];
    if (above) for (const local of bind(above).top.toReversed()) add(local);
  }
  return [...found.values()];
}

function isSeen({ seen }: Local, offset: number): boolean {
  return "after" in seen ? offset > seen.after.to : offset >= seen.within.from;
}

/** The comment that speaks of a function: its own statement's, or that of the field or local it is put in. */
export function docOf(fn: FunctionBody): DocComment | null {
  const { up } = fn;
  if (!up) return null;
  if (up.kind === "field") return up.doc;
  if ("doc" in up) return (up as Statement).doc;
  return null;
}
