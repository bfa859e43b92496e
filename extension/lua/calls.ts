import { functionDoc, meaningOf, schemaType } from "./annotations.ts";
import type { Inference } from "./inference.ts";
import { docOf, pathOf } from "./scope.ts";
import type {
  Call,
  DocComment,
  Expression,
  FunctionBody,
  Node,
  Statement,
  TableField,
  TableLiteral,
} from "./syntax/ast.ts";
import {
  any,
  boolean,
  type Field,
  fieldOf,
  fits,
  literal,
  membersOf,
  nil,
  object,
  type Parameter,
  type Shape,
  type Signature,
  type Type,
  union,
} from "./types.ts";

/** A call of a global function by its full name, also when `pcall` or `xpcall` makes it or a local stands for it. */
export interface NamedCall {
  name: string;
  args: Expression[];
  /** How many arguments of the written call come before those. */
  skipped: number;
  call: Call;
}

export function namedCall(call: Call): NamedCall | null {
  if (call.method) return null;
  const name = globalName(call.callee);
  if (name === "pcall" || name === "xpcall") {
    const [first] = call.args;
    const inner = first ? globalName(first) : null;
    const skipped = name === "pcall" ? 1 : 2;
    if (inner) return { name: inner, args: call.args.slice(skipped), skipped, call };
  }
  return name === null ? null : { name, args: call.args, skipped: 0, call };
}

/** `sekia.on`, also for a local that was set to it. */
function globalName(node: Expression, depth = 0): string | null {
  const found = pathOf(node);
  if (!found || depth > 5) return null;
  const { local, name } = found.base;
  if (!local) return [name, ...found.path].join(".");
  if (local.origin.kind !== "value") return null;
  const value = local.origin.values[local.origin.index];
  const base = value ? globalName(value, depth + 1) : null;
  return base === null ? null : [base, ...found.path].join(".");
}

/** What is called: a method's own type, or the callee's. */
export function callType(infer: Inference, node: Expression): Type {
  if (node.kind === "call" && node.method) {
    return infer.memberType(infer.typeOf(node.callee), node.method.name) ?? any;
  }
  return infer.typeOf(node.kind === "call" ? node.callee : node);
}

export function signaturesOf(type: Type): Signature[] {
  return membersOf(type).flatMap((one) => {
    if (one.kind === "function") return one.signatures;
    return one.kind === "object" ? one.shape.calls : [];
  });
}

/** How many parameters the colon gives by itself. */
export function selfOffset(call: Call, signature: Signature): number {
  const takesSelf = signature.isMethod || signature.params[0]?.name === "self";
  if (call.method) return takesSelf || isTextMethod(signature) ? 1 : 0;
  return 0;
}

function isTextMethod(signature: Signature): boolean {
  return signature.params[0]?.name === "s";
}

/** The signature that the arguments fit best. */
export function chosen(infer: Inference, call: Call, signatures: Signature[]): Signature | null {
  const [first] = signatures;
  if (signatures.length <= 1) return first ?? null;
  let best = first ?? null;
  let most = Number.NEGATIVE_INFINITY;
  for (const signature of signatures) {
    const score = scoreOf(infer, call, signature);
    if (score > most) {
      most = score;
      best = signature;
    }
  }
  return best;
}

function scoreOf(infer: Inference, call: Call, signature: Signature): number {
  const offset = selfOffset(call, signature);
  const params = signature.params.slice(offset);
  const required = params.filter(({ optional }) => !optional).length;
  let score = call.args.length > params.length && !signature.vararg ? -2 : 0;
  if (call.args.length < required) score -= 1;
  for (const [index, arg] of call.args.entries()) {
    const param = params[index];
    if (!param) continue;
    // A function's own parameters follow from the signature: only that it is one counts here.
    if (arg.kind === "function")
      score += param.type.kind === "function" ? 2 : param.type.kind === "any" ? 0 : -3;
    else if (arg.kind !== "missing") score += fits(infer.typeOf(arg), param.type) ? 1 : -2;
  }
  return score;
}

/** All results of a call, in order. */
export function returnsOfCall(infer: Inference, call: Call): Type[] {
  return infer.guarded(["call", call], [], () => {
    const special = specialReturns(infer, call);
    if (special) return special;
    const signature = chosen(infer, call, signaturesOf(callType(infer, call)));
    if (!signature) return [any];
    const types = signature.returns().map(({ type }) => type);
    return signature.generics.length === 0 ? types : bound(infer, call, signature, types);
  });
}

function specialReturns(infer: Inference, call: Call): Type[] | null {
  if (call.method || call.callee.kind === "function") return null;
  const name = globalName(call.callee);
  const [first, second] = call.args;
  switch (name) {
    case "require":
      return [first?.kind === "string" ? infer.project.required(infer.file, first.value) : any];
    case "define_action":
    case "tools.define_tool":
      return [actionType(infer, call)];
    case "actions.all":
    case "kit.all":
      return resultsOfAll(infer, first);
    case "signalbox.ask":
      return choicesOf(first);
    case "pcall":
    case "xpcall": {
      if (!first) return [boolean];
      const [signature] = signaturesOf(infer.typeOf(first));
      return [boolean, ...(signature?.returns().map(({ type }) => type) ?? [any])];
    }
    case "setmetatable":
      return first ? [withIndex(infer, infer.typeOf(first), second)] : null;
    default:
      return null;
  }
}

/** The answer to a question is one of its choices, where they are written there. */
function choicesOf(question: Expression | undefined): Type[] | null {
  const choices = question?.kind === "table" ? tableIn(question, "choices")?.fields : undefined;
  if (!choices?.every(({ value }) => value.kind === "string") || choices.length === 0) return null;
  return [union(choices.map(({ value }) => literal(value.kind === "string" ? value.value : "")))];
}

/** A table that looks in another one for what it has not. */
function withIndex(infer: Inference, type: Type, meta: Expression | undefined): Type {
  const index = meta ? infer.fieldOfType(infer.typeOf(meta), "__index")?.type() : null;
  if (index?.kind !== "object" || type.kind !== "object") return type;
  if (type.shape.fields().length === 0) return index;
  const own = type.shape.fields();
  const rest = index.shape.fields().filter(({ name }) => !own.some((field) => field.name === name));
  return object({ list: [...own, ...rest] });
}

/** The signature's parameters with each generic replaced by what the arguments say it is. */
export function boundParameter(
  infer: Inference,
  call: Call,
  signature: Signature,
  index: number,
): Type | null {
  const type = signature.params[index]?.type;
  if (!type) return null;
  return signature.generics.length === 0 ? type : (bound(infer, call, signature, [type])[0] ?? null);
}

/** Types with each generic replaced by what the arguments say it is. */
function bound(infer: Inference, call: Call, signature: Signature, types: Type[]): Type[] {
  const found = new Map<string, Type>();
  const offset = selfOffset(call, signature);
  if (offset === 1 && signature.params[0]) learn(signature.params[0].type, infer.typeOf(call.callee), found);
  for (const [index, arg] of call.args.entries()) {
    const param = signature.params[index + offset];
    // What a function gives may rest on what its parameters are, which is asked here.
    if (param && (arg.kind !== "function" || found.size < signature.generics.length)) {
      learn(param.type, infer.typeOf(arg), found);
    }
  }
  return types.map((type) => replaced(type, found));
}

function learn(param: Type, given: Type, found: Map<string, Type>): void {
  if (param.kind === "generic") {
    if (!found.has(param.name)) found.set(param.name, given);
    return;
  }
  if (param.kind === "array" && given.kind === "array") learn(param.element, given.element, found);
  else if (param.kind === "map" && given.kind === "map") {
    learn(param.key, given.key, found);
    learn(param.value, given.value, found);
  } else if (param.kind === "function" && given.kind === "function") {
    const result = param.signatures[0]?.returns()[0]?.type;
    const own = given.signatures[0]?.returns()[0]?.type;
    if (result && own) learn(result, own, found);
  } else if (param.kind === "union") {
    const rest = membersOf(given).filter((type) => type.kind !== "basic" || type.name !== "nil");
    for (const one of param.types) learn(one, union(rest), found);
  }
}

function replaced(type: Type, found: Map<string, Type>): Type {
  const of = (one: Type) => replaced(one, found);
  switch (type.kind) {
    case "generic":
      return found.get(type.name) ?? any;
    case "array":
      return { kind: "array", element: of(type.element) };
    case "map":
      return { kind: "map", key: of(type.key), value: of(type.value) };
    case "union":
      return union(type.types.map(of));
    case "function":
      return {
        kind: "function",
        signatures: type.signatures.map((one) => ({
          ...one,
          params: one.params.map((param) => ({ ...param, type: of(param.type) })),
          returns: () => one.returns().map((each) => ({ ...each, type: of(each.type) })),
        })),
      };
    default:
      return type;
  }
}

/** An action by the comment above its definition (K25), or else by the `schema` in it (B19). */
function actionType(infer: Inference, call: Call): Type {
  const definition = call.args.find((arg): arg is TableLiteral => arg.kind === "table");
  const doc = functionDoc(docAbove(call)?.comment ?? null);
  const [tag] = doc.params.values();
  const schema = definition ? tableIn(definition, "schema") : null;
  const input = tag ? meaningOf(infer, tag.type, doc.generics) : schemaTable(schema, "input");
  const written = definition ? textIn(definition, "description") : null;
  const output = schemaTable(schema, "output");
  const signature: Signature = {
    params: [
      {
        name: tag?.name ?? "params",
        type: input ?? any,
        optional: tag?.optional ?? false,
        doc: tag?.description ?? "",
      },
      callOptions(infer),
    ],
    vararg: null,
    returns: () =>
      doc.returns?.map(({ name, type }) => ({ name, type: meaningOf(infer, type, doc.generics) })) ?? [
        { name: null, type: output ?? any },
      ],
    doc: doc.doc === "" ? (written ?? "") : doc.doc,
    deprecated: doc.deprecated,
    generics: [],
    isMethod: false,
    place: { uri: infer.file.uri, from: call.from, to: call.to },
  };
  return { kind: "function", signatures: [signature] };
}

/** What each action takes besides its parameters. */
export function callOptions(infer: Inference): Parameter {
  const type = meaningOf(infer, { kind: "name", name: "signalbox.ActionOptions", args: [] });
  return { name: "options", type, optional: true, doc: "For this call alone" };
}

function docAbove(node: Node): DocComment | null {
  for (let at: Node | undefined = node; at; at = at.up) {
    if (at.kind === "field" && at.doc) return at.doc;
    if (at.kind === "function") return docOf(at);
    if ("doc" in at && at.kind !== "field") return (at as Statement).doc;
  }
  return null;
}

function tableIn(definition: TableLiteral, name: string): TableLiteral | null {
  const value = definition.fields.find((field) => field.key?.name === name)?.value;
  return value?.kind === "table" ? value : null;
}

function textIn(definition: TableLiteral, name: string): string | null {
  const value = definition.fields.find((field) => field.key?.name === name)?.value;
  return value?.kind === "string" ? value.value : null;
}

/** `{ query = "string", step = "string?" }`. */
function schemaTable(schema: TableLiteral | null, which: string): Type | null {
  const fields = schema ? tableIn(schema, which)?.fields : null;
  if (!fields) return null;
  const list: Field[] = [];
  for (const { key, value } of fields) {
    if (!key) continue;
    const word = value.kind === "string" ? value.value : value.kind === "table" ? "object" : "any";
    const optional = word.endsWith("?");
    const type = schemaType({ type: word.replace(/\?$/, "").replace(/^table$/, "object") });
    list.push(fieldOf(key.name, optional ? union([type, nil]) : type, { optional }));
  }
  return object({ list, closed: true });
}

/** What has to stand at a value's place, as far as it is known. */
export function expectedAt(infer: Inference, node: Expression): Type | null {
  const { up } = node;
  if (!up) return null;
  if (up.kind === "paren") return expectedAt(infer, up);
  if (up.kind === "call" && up.args.includes(node)) return expectedArgument(infer, up, up.args.indexOf(node));
  if (up.kind === "field" && up.value === node) return expectedInTable(infer, up);
  if (up.kind === "local" && up.values.includes(node))
    return infer.typeInDoc(up.doc, up.values.indexOf(node));
  if (up.kind === "assign" && up.values.includes(node)) {
    const target = up.targets[up.values.indexOf(node)];
    const type = target ? infer.typeOf(target) : null;
    return type?.kind === "object" && type.shape.name === null ? null : type;
  }
  if (up.kind === "return") return expectedReturn(infer, up, up.values.indexOf(node));
  if (up.kind === "binary" && (up.operator === "or" || up.operator === "and")) return expectedAt(infer, up);
  return null;
}

function expectedInTable(infer: Inference, field: TableField): Type | null {
  const together = inActionsAll(infer, field);
  if (together) return together;
  const owner = field.up?.kind === "table" ? expectedAt(infer, field.up) : null;
  if (!owner) return null;
  if (!field.key) return elementOf(owner);
  const named = infer.fieldOfType(owner, field.key.name)?.type();
  return named ?? membersOf(owner).find((one) => one.kind === "map")?.value ?? null;
}

/** `actions.all{ { actions.a.b, params, options }, … }`: what the action takes at that place. */
function inActionsAll(infer: Inference, field: TableField): Type | null {
  const entry = field.up;
  const call = entry?.up?.up?.up;
  if (entry?.kind !== "table" || call?.kind !== "call" || !isActionsAll(call)) return null;
  const [first] = entry.fields;
  const at = entry.fields.filter(({ key, computed }) => !key && !computed).indexOf(field);
  const [signature] = first && at > 0 ? signaturesOf(infer.typeOf(first.value)) : [];
  return signature?.params[at - 1]?.type ?? null;
}

function isActionsAll(call: Call): boolean {
  const name = namedCall(call)?.name;
  return name === "actions.all" || name === "kit.all";
}

/** Its results, in the places of the calls. */
function resultsOfAll(infer: Inference, calls: Expression | undefined): Type[] | null {
  if (calls?.kind !== "table" || calls.fields.length === 0) return null;
  const results = calls.fields.map(({ key, value }) => {
    const action = value.kind === "table" ? value.fields[0]?.value : undefined;
    const [signature] = action ? signaturesOf(infer.typeOf(action)) : [];
    return { name: key?.name ?? null, type: signature?.returns()[0]?.type ?? any };
  });
  const named = results.flatMap(({ name, type }) => (name === null ? [] : [fieldOf(name, type)]));
  if (named.length === results.length) return [object({ list: named })];
  return [{ kind: "tuple", types: results.map(({ type }) => type) }];
}

function elementOf(type: Type): Type | null {
  for (const one of membersOf(type)) {
    if (one.kind === "array") return one.element;
    if (one.kind === "map") return one.value;
  }
  return null;
}

/** What has to stand at an argument's place, also where there is none yet. */
export function expectedArgument(infer: Inference, call: Call, index: number): Type | null {
  const live = infer.project.liveArgument(call, index);
  if (live) return live;
  const named = namedCall(call);
  if (named && named.skipped > 0 && index >= named.skipped) {
    const [first] = call.args;
    const [signature] = first ? signaturesOf(infer.typeOf(first)) : [];
    return signature?.params[index - named.skipped]?.type ?? null;
  }
  const signature = chosen(infer, call, signaturesOf(callType(infer, call)));
  if (!signature) return null;
  return signature.params[index + selfOffset(call, signature)]?.type ?? signature.vararg;
}

function expectedReturn(infer: Inference, node: Node, index: number): Type | null {
  for (let at: Node | undefined = node; at; at = at.up) {
    if (at.kind !== "function") continue;
    const doc = functionDoc(docOf(at as FunctionBody)?.comment ?? null);
    const type = doc.returns?.[index]?.type;
    return type ? meaningOf(infer, type, doc.generics) : null;
  }
  return null;
}

/** The shape of a table that has to stand there. */
export function expectedShape(infer: Inference, node: Expression): Shape | null {
  const type = expectedAt(infer, node);
  for (const one of type ? membersOf(type) : []) if (one.kind === "object") return one.shape;
  return null;
}
