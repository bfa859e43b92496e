import { functionDoc, meaningOf } from "./annotations.ts";
import { returnsOfCall } from "./calls.ts";
import { contextOfFunction, payloadAt } from "./events.ts";
import type { Declarations, Inference } from "./inference.ts";
import { narrowed } from "./narrow.ts";
import { docOf } from "./scope.ts";
import type { SourceFile } from "./source.ts";
import type {
  Assignment,
  DocComment,
  Expression,
  FunctionBody,
  Local,
  Name,
  Node,
  TableLiteral,
} from "./syntax/ast.ts";
import {
  any,
  boolean,
  canBeNil,
  type Field,
  fieldOf,
  integer,
  literal,
  membersOf,
  nil,
  number,
  object,
  type Shape,
  type Signature,
  string,
  type Type,
  union,
  withoutNil,
} from "./types.ts";
import { alternative, alwaysReturns, entriesOf, indexOf, returnsIn, widened } from "./values.ts";

/** Deeper questions are answered with `any`, so that no file can take long. */
const MAX_DEPTH = 40;

const comparing = new Set(["==", "~=", "<", ">", "<=", ">="]);

/** What the values in one file are. Answers are kept until a file changes that they may rest on. */
export class Infer implements Inference {
  readonly project: Declarations;
  readonly file: SourceFile;
  private readonly known = new Map<Node, Type>();
  private readonly open = new Set<unknown>();
  /** Expressions looked at; a measure of the work, for tests. */
  count = 0;

  constructor(project: Declarations, file: SourceFile) {
    this.project = project;
    this.file = file;
  }

  forget(): void {
    this.known.clear();
    this.globals.clear();
  }

  /** `fallback` when the answer to `key` rests on itself. */
  guarded<Value>(key: unknown, fallback: Value, answer: () => Value): Value {
    if (this.open.has(key) || this.open.size > MAX_DEPTH) return fallback;
    this.open.add(key);
    try {
      return answer();
    } finally {
      this.open.delete(key);
    }
  }

  typeOf(node: Expression): Type {
    const known = this.known.get(node);
    if (known) return known;
    const isTop = this.open.size === 0;
    const type = this.guarded(node, any, () => this.find(node));
    // An answer inside another one may rest on a fallback.
    if (isTop || type.kind !== "any") this.known.set(node, type);
    return type;
  }

  private find(node: Expression): Type {
    this.count += 1;
    switch (node.kind) {
      case "nil":
        return nil;
      case "true":
      case "false":
        return literal(node.kind === "true");
      case "number":
        return node.isInteger ? integer : number;
      case "string":
        return literal(node.value);
      case "name":
        return narrowed(node, node.local ? this.typeOfLocal(node.local) : this.typeOfGlobal(node.name));
      case "paren":
        return this.typeOf(node.inner);
      case "member":
        return this.typeOfMember(node);
      case "index":
        return this.typeOfIndex(node);
      case "call":
        return returnsOfCall(this, node)[0] ?? nil;
      case "function":
        return { kind: "function", signatures: this.signaturesOf(node, docOf(node)) };
      case "table":
        return this.typeOfTable(node);
      case "vararg":
        return this.varargType(node);
      case "unary":
        return this.typeOfUnary(node);
      case "binary":
        return this.typeOfBinary(node);
      default:
        return any;
    }
  }

  private typeOfUnary(node: Expression & { kind: "unary" }): Type {
    if (node.operator === "not") return boolean;
    if (node.operator === "#") return integer;
    const operand = this.typeOf(node.operand);
    return operand.kind === "basic" && operand.name === "number" ? number : integer;
  }

  private typeOfBinary(node: Expression & { kind: "binary" }): Type {
    const { operator } = node;
    if (operator === "..") return string;
    if (comparing.has(operator)) return boolean;
    const left = this.typeOf(node.left);
    const right = this.typeOf(node.right);
    if (operator === "and") return canBeNil(left) ? union([right, nil]) : left.kind === "any" ? right : right;
    if (operator === "or") return alternative(left, right);
    const isWhole = [left, right].every((type) => type.kind === "basic" && type.name === "integer");
    return isWhole && operator !== "/" && operator !== "^" ? integer : number;
  }

  typeOfLocal(local: Local): Type {
    return this.guarded(local, any, () => {
      const written = this.writtenType(local);
      return this.withAssigned(written ?? this.originType(local), local.assigned, []);
    });
  }

  /** By `---@type` or `---@class` above or behind it. */
  private writtenType(local: Local): Type | null {
    const index = local.origin.kind === "value" ? local.origin.index : 0;
    for (const doc of [local.doc, local.trailing]) {
      const type = local.origin.kind === "value" ? this.typeInDoc(doc, index) : null;
      if (type) return type;
    }
    return null;
  }

  typeInDoc(doc: DocComment | null, index: number): Type | null {
    const tags = doc?.comment.tags ?? [];
    const written = tags.findLast((tag) => tag.tag === "type");
    if (written) {
      const type = written.types[index];
      return type ? meaningOf(this, type) : null;
    }
    const own = tags.findLast((tag) => tag.tag === "class");
    return own && index === 0 ? meaningOf(this, { kind: "name", name: own.name, args: [] }) : null;
  }

  private originType(local: Local): Type {
    const { origin } = local;
    switch (origin.kind) {
      case "value":
        return this.valueAt(origin.values, origin.index, local.doc);
      case "function":
        return { kind: "function", signatures: this.signaturesOf(origin.statement.fn, local.doc) };
      case "number":
        return integer;
      case "parameter":
        return this.parameterType(origin.fn, origin.index);
      case "self":
        return this.selfType(origin.fn);
      case "loop":
        return this.loopType(origin.values, origin.index);
    }
  }

  /** Of several values, the one at the index; the last one may give several. */
  valueAt(values: Expression[], index: number, doc: DocComment | null = null): Type {
    const value = values[index];
    if (value?.kind === "function") return { kind: "function", signatures: this.signaturesOf(value, doc) };
    if (value) {
      const type = this.typeOf(value);
      // What was written as one word may become another.
      return type.kind === "literal" ? widened(type) : type;
    }
    const last = values.at(-1);
    if (last?.kind === "call") return returnsOfCall(this, last)[index - values.length + 1] ?? nil;
    return last?.kind === "vararg" ? this.varargType(last) : nil;
  }

  /** `...` by the comment above the function that it is of. */
  private varargType(node: Node): Type {
    for (let at = node.up; at; at = at.up) {
      if (at.kind !== "function") continue;
      const doc = functionDoc(docOf(at)?.comment ?? null);
      const tag = doc.params.get("...");
      return tag ? meaningOf(this, tag.type, doc.generics) : any;
    }
    return any;
  }

  private parameterType(fn: FunctionBody, index: number): Type {
    const param = fn.params[index];
    const doc = functionDoc(docOf(fn)?.comment ?? null);
    const tag = param ? doc.params.get(param.name) : undefined;
    if (tag) {
      const type = meaningOf(this, tag.type, doc.generics);
      return tag.optional ? union([type, nil]) : type;
    }
    return contextOfFunction(this, fn)?.params[index]?.type ?? any;
  }

  private selfType(fn: FunctionBody): Type {
    const up = fn.up;
    if (up?.kind !== "function-statement" || up.target.kind !== "member") return any;
    return this.typeOf(up.target.object);
  }

  private loopType(values: Expression[], index: number): Type {
    const [call] = values;
    if (call?.kind !== "call") return any;
    const name = call.callee.kind === "name" && !call.callee.local ? call.callee.name : "";
    const [list] = call.args;
    if ((name === "pairs" || name === "ipairs") && list) {
      const entry = entriesOf(this.typeOf(list));
      if (index === 0) return name === "ipairs" ? integer : entry.key;
      return withoutNil(entry.value);
    }
    const [iterator] = returnsOfCall(this, call);
    if (iterator?.kind !== "function") return any;
    return withoutNil(iterator.signatures[0]?.returns()[index]?.type ?? any);
  }

  typeOfGlobal(name: string): Type {
    return this.guarded(`global:${name}`, any, () => {
      const live = this.project.liveGlobal(name);
      if (live) return live;
      const own = this.file.linked.assigned.get(name) ?? [];
      const type = own.length > 0 ? this.assignedType(own) : null;
      return this.project.libraryGlobal(name, this.file) ?? type ?? any;
    });
  }

  /** What assignments to a global make of it. */
  assignedType(assigned: Assignment[]): Type {
    const own = assigned.filter(({ path }) => path.length === 0);
    const [first] = own;
    const base = first ? this.typeOfAssignment(first) : any;
    return this.withAssigned(base, assigned, []);
  }

  typeOfAssignment(one: Assignment): Type {
    const written = this.typeInDoc(one.doc, one.index) ?? this.typeInDoc(one.trailing, one.index);
    if (written) return written;
    if (one.value?.kind === "function") {
      return { kind: "function", signatures: this.signaturesOf(one.value, one.doc) };
    }
    if (one.value === null) return any;
    const type = one.index === 0 ? this.typeOf(one.value) : (returnsOf(this, one.value)[one.index] ?? nil);
    const calls = one.doc?.comment.tags.some(({ tag }) => tag === "overload");
    if (calls) return this.callable(type, one.doc);
    return type.kind === "literal" ? widened(type) : type;
  }

  /** A table that can be called, as `---@overload` above it says. */
  private callable(type: Type, doc: DocComment | null): Type {
    const { overloads, doc: text, deprecated } = functionDoc(doc?.comment ?? null);
    const calls = overloads.flatMap((one) => {
      const read = meaningOf(this, one);
      return read.kind === "function"
        ? read.signatures.map((each) => ({ ...each, doc: text, deprecated }))
        : [];
    });
    const shape = type.kind === "object" ? type.shape : null;
    return object({
      list: shape?.fields() ?? [],
      ...(shape ? { index: shape.index } : {}),
      calls,
      doc: text,
    });
  }

  /** The type with the fields that assignments through a name add to it. */
  private withAssigned(type: Type, assigned: Assignment[], prefix: string[]): Type {
    const deeper = assigned.filter(
      ({ path }) => path.length > prefix.length && prefix.every((name, index) => path[index] === name),
    );
    if (deeper.length === 0) return type;
    const isOpen =
      type.kind === "any" || (type.kind === "basic" && (type.name === "table" || type.name === "nil"));
    const shape = type.kind === "object" ? type.shape : null;
    if (!isOpen && (!shape || shape.name !== null)) return type;
    const list = new Map((shape?.fields() ?? []).map((field) => [field.name, field]));
    for (const [name, ones] of Map.groupBy(deeper, ({ path }) => path[prefix.length] ?? "")) {
      list.set(name, this.assignedField(name, ones, [...prefix, name], list.get(name)));
    }
    const known = shape ? { doc: shape.doc, index: shape.index, calls: shape.calls } : {};
    return object({ ...known, list: [...list.values()] });
  }

  private assignedField(name: string, ones: Assignment[], path: string[], base?: Field): Field {
    const own = ones.filter((one) => one.path.length === path.length);
    const [first] = own;
    const doc = first?.doc?.comment;
    const field = fieldOf(
      name,
      () => {
        const types = own.slice(0, 4).map((one) => this.typeOfAssignment(one));
        const known = types.filter((type) => type.kind !== "basic" || type.name !== "nil");
        const type = base ? base.type() : known.length > 0 ? union(known) : (types[0] ?? any);
        return this.withAssigned(type, ones, path);
      },
      {
        doc: doc ? functionDoc(doc).doc : (base?.doc ?? ""),
        deprecated: doc ? functionDoc(doc).deprecated : false,
      },
    );
    if (first) Object.defineProperty(field, "place", { get: () => this.file.place(first.chunk, first.name) });
    return field;
  }

  /** What a name's table has: by its value and by later assignments. */
  ownFields(target: Name): Field[] {
    const { local } = target;
    if (!local) {
      const type = this.assignedType(this.file.linked.assigned.get(target.name) ?? []);
      return type.kind === "object" ? type.shape.fields() : [];
    }
    const type = this.withAssigned(this.originType(local), local.assigned, []);
    return type.kind === "object" && type.shape.name === null ? type.shape.fields() : [];
  }

  private typeOfMember(node: Expression & { kind: "member" }): Type {
    const live = payloadAt(this, node);
    if (live) return live;
    const type = this.memberType(this.typeOf(node.object), node.name.name);
    return narrowed(node, type ?? any);
  }

  /** Null when it is known that there is no such field. */
  memberType(type: Type, name: string): Type | null {
    const field = this.fieldOfType(type, name);
    if (field) return field.type();
    let isKnown = false;
    for (const one of membersOf(type)) {
      const index = indexOf(one);
      if (index) return union([index.value, nil]);
      isKnown ||= one.kind === "object" && one.shape.closed;
    }
    return isKnown ? null : any;
  }

  fieldOfType(type: Type, name: string): Field | null {
    for (const one of membersOf(type)) {
      const field = this.shapeOf(one)?.field(name);
      if (field) return field;
    }
    return null;
  }

  /** Where its fields are; those of texts are the string library's. */
  shapeOf(type: Type): Shape | null {
    if (type.kind === "object") return type.shape;
    const isText =
      (type.kind === "basic" && type.name === "string") ||
      (type.kind === "literal" && typeof type.value === "string");
    if (!isText) return null;
    const library = this.project.libraryGlobal("string", this.file);
    return library?.kind === "object" ? library.shape : null;
  }

  private typeOfIndex(node: Expression & { kind: "index" }): Type {
    const type = this.typeOf(node.object);
    const key = node.key.kind === "string" ? node.key.value : null;
    if (key !== null) {
      const found = this.memberType(type, key);
      if (found) return found;
    }
    for (const one of membersOf(type)) {
      if (one.kind === "tuple" && node.key.kind === "number") return one.types[node.key.value - 1] ?? nil;
      const index = indexOf(one);
      if (index) return union([index.value, nil]);
    }
    return any;
  }

  private typeOfTable(node: TableLiteral): Type {
    const named = node.fields.filter((field) => field.key !== null || field.computed?.kind === "string");
    const listed = node.fields.filter((field) => field.key === null && field.computed === null);
    if (named.length === 0 && listed.length > 0) {
      const types = listed.slice(0, 20).map((field) => widened(this.typeOf(field.value)));
      return { kind: "array", element: union(types) };
    }
    const list = named.map((field) => {
      const name = field.key?.name ?? (field.computed?.kind === "string" ? field.computed.value : "");
      const doc = field.doc?.comment;
      const made = fieldOf(
        name,
        () => this.typeInDoc(field.doc, 0) ?? this.valueAt([field.value], 0, field.doc),
        { doc: doc?.description ?? "", deprecated: doc ? functionDoc(doc).deprecated : false },
      );
      const { uri } = this.file;
      const place = field.key ?? field.computed ?? field;
      Object.defineProperty(made, "place", { get: () => ({ uri, from: place.from, to: place.to }) });
      return made;
    });
    if (list.length === 0 && node.fields.length === 0) return object({ list: [] });
    return object({ list });
  }

  /** Ways to call a function; those of `---@overload` behind its own. */
  signaturesOf(fn: FunctionBody, comment: DocComment | null): Signature[] {
    const doc = functionDoc(comment?.comment ?? null);
    const context = doc.params.size === 0 && doc.returns === null ? contextOfFunction(this, fn) : null;
    const params = fn.params.map((param, index) => {
      const tag = doc.params.get(param.name);
      const type = tag ? meaningOf(this, tag.type, doc.generics) : (context?.params[index]?.type ?? any);
      return { name: param.name, type, optional: tag?.optional ?? false, doc: tag?.description ?? "" };
    });
    if (fn.self) params.unshift({ name: "self", type: any, optional: false, doc: "" });
    const rest = doc.params.get("...");
    const own: Signature = {
      params,
      vararg: fn.vararg ? (rest ? meaningOf(this, rest.type, doc.generics) : any) : null,
      returns: () =>
        doc.returns?.map(({ name, type }) => ({ name, type: meaningOf(this, type, doc.generics) })) ??
        this.returnedBy(fn).map((type) => ({ name: null, type })),
      doc: doc.doc,
      deprecated: doc.deprecated,
      generics: [...doc.generics.keys()],
      isMethod: fn.self !== null,
      place: null,
    };
    const overloads = doc.overloads.flatMap((type) => {
      const read = meaningOf(this, type, doc.generics);
      return read.kind === "function" ? read.signatures : [];
    });
    return [own, ...overloads.map((one) => ({ ...one, doc: doc.doc, generics: own.generics }))];
  }

  /** By its return statements. */
  private returnedBy(fn: FunctionBody): Type[] {
    return this.guarded(fn.body, [], () => {
      const found: Type[][] = [];
      for (const values of returnsIn(fn.body.statements)) {
        const last = values.at(-1);
        const types = values.map((value) => widened(this.typeOf(value)));
        if (last?.kind === "call") types.splice(-1, 1, ...returnsOfCall(this, last));
        found.push(types);
      }
      const most = Math.max(0, ...found.map((types) => types.length));
      if (!alwaysReturns(fn.body.statements) && most > 0) found.push([]);
      return Array.from({ length: most }, (_, index) => union(found.map((types) => types[index] ?? nil)));
    });
  }

  private readonly globals = new Map<string, Type>();

  /** The same for a library, which stays as it is. */
  assignedTypeOf(name: string, assigned: Assignment[]): Type {
    const known = this.globals.get(name);
    if (known) return known;
    const type = this.guarded(`library:${name}`, any, () => this.assignedType(assigned));
    if (this.open.size === 0) this.globals.set(name, type);
    return type;
  }
}

function returnsOf(infer: Infer, value: Expression): Type[] {
  return value.kind === "call" ? returnsOfCall(infer, value) : [infer.typeOf(value)];
}
