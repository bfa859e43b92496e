import type { Span } from "./syntax/ast.ts";

/** A place in a file. */
export interface Place extends Span {
  uri: string;
}

export type BasicName =
  | "nil"
  | "boolean"
  | "number"
  | "integer"
  | "string"
  | "table"
  | "function"
  | "thread"
  | "userdata";

/** What is known of a value. */
export type Type =
  | { kind: "any" }
  | { kind: "basic"; name: BasicName }
  | { kind: "literal"; value: string | number | boolean }
  | { kind: "array"; element: Type }
  | { kind: "map"; key: Type; value: Type }
  | { kind: "tuple"; types: Type[] }
  | { kind: "object"; shape: Shape }
  | { kind: "function"; signatures: Signature[] }
  | { kind: "union"; types: Type[] }
  | { kind: "generic"; name: string };

export interface Field {
  name: string;
  type(): Type;
  optional: boolean;
  /** Markdown. */
  doc: string;
  place: Place | null;
  deprecated: boolean;
  /** Shown behind its type: how often it was there. */
  detail: string;
}

/** A table or class with named fields. They are looked at when somebody asks. */
export interface Shape {
  /** A class's name. */
  name: string | null;
  doc: string;
  fields(): Field[];
  field(name: string): Field | null;
  /** What any other key gives. */
  index(): { key: Type; value: Type } | null;
  /** A field that it has not is a mistake. */
  closed: boolean;
  /** Ways to call it. */
  calls: Signature[];
  place: Place | null;
  /** Where the fields come from, for diagnostics: those of recorded events are a guess. */
  recorded: boolean;
}

export interface Parameter {
  name: string;
  type: Type;
  optional: boolean;
  doc: string;
}

export interface Signature {
  params: Parameter[];
  vararg: Type | null;
  returns(): { name: string | null; type: Type }[];
  doc: string;
  deprecated: boolean;
  generics: string[];
  /** The first parameter is `self`, given by a colon. */
  isMethod: boolean;
  place: Place | null;
}

export const any: Type = { kind: "any" };
export const nil: Type = { kind: "basic", name: "nil" };
export const string: Type = { kind: "basic", name: "string" };
export const number: Type = { kind: "basic", name: "number" };
export const integer: Type = { kind: "basic", name: "integer" };
export const boolean: Type = { kind: "basic", name: "boolean" };

export function literal(value: string | number | boolean): Type {
  return { kind: "literal", value };
}

export function object(given: Partial<Shape> & { list: Field[] }): Type {
  const { list, ...rest } = given;
  const byName = new Map(list.map((field) => [field.name, field]));
  return {
    kind: "object",
    shape: {
      name: null,
      doc: "",
      fields: () => [...byName.values()],
      field: (name) => byName.get(name) ?? null,
      index: () => null,
      closed: false,
      calls: [],
      place: null,
      recorded: false,
      ...rest,
    },
  };
}

export function fieldOf(name: string, type: Type | (() => Type), more: Partial<Field> = {}): Field {
  return {
    name,
    type: typeof type === "function" ? type : () => type,
    optional: false,
    doc: "",
    place: null,
    deprecated: false,
    detail: "",
    ...more,
  };
}

/** One type for several, flat and without doubles; `any` swallows all. */
export function union(types: readonly Type[]): Type {
  const flat: Type[] = [];
  const seen = new Set<unknown>();
  for (const type of types.flatMap((one) => (one.kind === "union" ? one.types : [one]))) {
    if (type.kind === "any") return any;
    const key = keyOf(type);
    if (seen.has(key)) continue;
    seen.add(key);
    flat.push(type);
  }
  const [only] = flat;
  if (flat.length <= 1) return only ?? nil;
  return { kind: "union", types: flat.slice(0, 30) };
}

/** The same for the same type, as far as that can be told without asking what fields and results are. */
function keyOf(type: Type): unknown {
  switch (type.kind) {
    case "object":
      return type.shape.name === null ? type.shape : `class ${type.shape.name}`;
    case "function":
      return type.signatures;
    case "array": {
      const key = keyOf(type.element);
      return typeof key === "string" ? `${key}[]` : type;
    }
    case "basic":
    case "generic":
      return type.name;
    case "literal":
      return `= ${JSON.stringify(type.value)}`;
    default:
      return type;
  }
}

export function membersOf(type: Type): Type[] {
  return type.kind === "union" ? type.types : [type];
}

export function isNil(type: Type): boolean {
  return type.kind === "basic" && type.name === "nil";
}

export function canBeNil(type: Type): boolean {
  return membersOf(type).some(isNil);
}

export function withoutNil(type: Type): Type {
  if (!canBeNil(type)) return type;
  const rest = membersOf(type).filter((one) => !isNil(one));
  return rest.length === 0 ? any : union(rest);
}

/** The type in EmmyLua's words; large shapes are cut. */
export function show(type: Type, depth = 0): string {
  switch (type.kind) {
    case "any":
      return "any";
    case "basic":
    case "generic":
      return type.name;
    case "literal":
      return typeof type.value === "string" ? JSON.stringify(type.value) : String(type.value);
    case "array":
      return type.element.kind === "union" || type.element.kind === "function"
        ? `(${show(type.element, depth)})[]`
        : `${show(type.element, depth)}[]`;
    case "map":
      return `table<${show(type.key, depth)}, ${show(type.value, depth)}>`;
    case "tuple":
      return `[${type.types.map((one) => show(one, depth)).join(", ")}]`;
    case "object":
      return showShape(type.shape, depth);
    case "function": {
      const [signature] = type.signatures;
      return signature && depth < 3 ? showSignature(signature, depth + 1) : "function";
    }
    case "union":
      return showUnion(type.types, depth);
  }
}

function showUnion(types: Type[], depth: number): string {
  const rest = types.filter((type) => !isNil(type));
  const shown = rest.slice(0, 8).map((type) => {
    const text = show(type, depth);
    return type.kind === "function" ? `(${text})` : text;
  });
  if (rest.length > 8) shown.push("…");
  if (rest.length === types.length) return shown.join(" | ");
  return shown.length === 1 ? `${shown[0]}?` : `${shown.join(" | ")} | nil`;
}

function showShape(shape: Shape, depth: number): string {
  if (shape.name !== null) return shape.name;
  const fields = shape.fields();
  if (fields.length === 0) {
    const index = shape.index();
    return index ? `table<${show(index.key, depth + 1)}, ${show(index.value, depth + 1)}>` : "table";
  }
  if (depth >= 2) return "table";
  const shown = fields
    .slice(0, 6)
    .map(
      (field) => `${field.name}${field.optional ? "?" : ""}: ${show(withoutNil(field.type()), depth + 1)}`,
    );
  return `{ ${shown.join(", ")}${fields.length > 6 ? ", …" : ""} }`;
}

export function showParameter({ name, type, optional }: Parameter, depth = 0): string {
  return `${name}${optional ? "?" : ""}: ${show(optional ? withoutNil(type) : type, depth)}`;
}

export function showSignature(signature: Signature, depth = 0, name = "fun"): string {
  const params = signature.params
    .slice(signature.isMethod && name !== "fun" ? 1 : 0)
    .map((param) => showParameter(param, depth));
  if (signature.vararg) params.push(`...: ${show(signature.vararg, depth)}`);
  const returns = signature
    .returns()
    .map((one) => `${one.name === null ? "" : `${one.name}: `}${show(one.type, depth)}`);
  return `${name}(${params.join(", ")})${returns.length > 0 ? `: ${returns.join(", ")}` : ""}`;
}

/** Whether a value of one type may stand where the other is asked for. What is not known passes. */
export function fits(given: Type, asked: Type): boolean {
  if (given.kind === "any" || asked.kind === "any" || given.kind === "generic" || asked.kind === "generic")
    return true;
  if (given.kind === "union") return given.types.some((one) => fits(one, asked));
  if (asked.kind === "union") return asked.types.some((one) => fits(given, one));
  if (asked.kind === "literal")
    return given.kind === "literal" ? given.value === asked.value : basicOf(given) === basicOf(asked);
  const one = basicOf(given);
  const other = basicOf(asked);
  if (one === other) return true;
  // Every number of the sandbox is a double.
  if (one === "integer" || one === "number") return other === "number" || other === "integer";
  if (given.kind === "object" && given.shape.calls.length > 0 && other === "function") return true;
  return false;
}

export function basicOf(type: Type): string {
  switch (type.kind) {
    case "basic":
      return type.name;
    case "literal":
      return typeof type.value === "number" ? "number" : typeof type.value;
    case "function":
      return "function";
    case "any":
    case "generic":
    case "union":
      return "any";
    default:
      return "table";
  }
}

/** Kinds that a mistake can be told by: any text and any number are alike. */
export function kindName(type: Type): string {
  const words = new Set(membersOf(type).map((one) => basicOf(one)));
  return [...words].join(" or ");
}
