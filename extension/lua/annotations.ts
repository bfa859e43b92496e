import type { Comment, LuaType, TagOf } from "../../service/lib/emmylua.ts";
import type { Inference } from "./inference.ts";
import type { DeclaredClass, DeclaredEnum } from "./source.ts";
import {
  any,
  type BasicName,
  type Field,
  fieldOf,
  literal,
  nil,
  object,
  type Place,
  type Shape,
  type Signature,
  string,
  type Type,
  union,
} from "./types.ts";

export type Generics = ReadonlyMap<string, Type>;
export const noGenerics: Generics = new Map();

const basics = new Set([..."nil boolean number integer string table function thread userdata".split(" ")]);

/** What a written type means. Names of classes are looked up in all files. */
export function meaningOf(infer: Inference, type: LuaType, generics: Generics = noGenerics): Type {
  const of = (one: LuaType) => meaningOf(infer, one, generics);
  switch (type.kind) {
    case "name":
      return named(infer, type, generics);
    case "literal":
      return literal(type.value);
    case "array":
      return { kind: "array", element: of(type.element) };
    case "optional":
      return union([of(type.type), nil]);
    case "variadic":
      return of(type.type);
    case "union":
      return union(type.types.map(of));
    case "tuple":
      return { kind: "tuple", types: type.types.map(of) };
    case "table":
      return tableType(type, of);
    case "function":
      return { kind: "function", signatures: [signatureOf(type, of)] };
    case "unknown":
      return any;
  }
}

function tableType(type: LuaType & { kind: "table" }, of: (type: LuaType) => Type): Type {
  const list: Field[] = [];
  let index: { key: Type; value: Type } | null = null;
  for (const { key, type: value, optional } of type.fields) {
    if (typeof key !== "string") index = { key: of(key), value: of(value) };
    else list.push(fieldOf(key, () => (optional ? union([of(value), nil]) : of(value)), { optional }));
  }
  return object({ list, index: () => index, closed: index === null && list.length > 0 });
}

function signatureOf(type: LuaType & { kind: "function" }, of: (type: LuaType) => Type): Signature {
  const named = type.params.filter(({ name }) => name !== "...");
  const rest = type.params.find(({ name }) => name === "...");
  return {
    params: named.map(({ name, optional, type: one }) => ({
      name,
      optional,
      type: one ? of(one) : any,
      doc: "",
    })),
    vararg: rest ? (rest.type ? of(rest.type) : any) : null,
    returns: () => type.returns.map((one) => ({ name: one.name, type: of(one.type) })),
    doc: "",
    deprecated: false,
    generics: [],
    isMethod: named[0]?.name === "self",
    place: null,
  };
}

function named(infer: Inference, type: LuaType & { kind: "name" }, generics: Generics): Type {
  const { name } = type;
  const generic = generics.get(name);
  if (generic) return generic;
  const args = type.args.map((one) => meaningOf(infer, one, generics));
  if (name === "table" && args.length === 2)
    return { kind: "map", key: args[0] ?? any, value: args[1] ?? any };
  if (basics.has(name)) return { kind: "basic", name: name as BasicName };
  if (name === "lightuserdata") return { kind: "basic", name: "userdata" };
  return infer.guarded(`type:${name}`, any, () => {
    const { project } = infer;
    const alias = project.alias(name);
    if (alias) {
      const bound = new Map(alias.tag.generics.map((one, index) => [one.name, args[index] ?? any]));
      const own = alias.tag.type ? [alias.tag.type] : [];
      const types = [...own, ...alias.tag.members.map((member) => member.type)];
      return union(types.map((one) => meaningOf(infer, one, bound)));
    }
    const classes = project.classes(name);
    if (classes.length > 0) return { kind: "object", shape: classShape(infer, name, classes, args) };
    const words = project.enumeration(name);
    return words ? enumType(infer, words) : any;
  });
}

/** Its values, or its names with `(key)`. */
function enumType(infer: Inference, { tag, statement, file }: DeclaredEnum): Type {
  const value = statement?.kind === "local" || statement?.kind === "assign" ? statement.values[0] : undefined;
  if (value?.kind !== "table") return any;
  const inner = infer.project.inferOf(file);
  return union(
    value.fields.flatMap((field) => {
      if (!field.key) return [];
      return [tag.isKey ? literal(field.key.name) : inner.typeOf(field.value)];
    }),
  );
}

function classShape(infer: Inference, name: string, classes: DeclaredClass[], args: Type[]): Shape {
  const [first] = classes;
  let known: Map<string, Field> | null = null;
  const bound = new Map(
    first?.tag.generics.map((one, index): [string, Type] => [one.name, args[index] ?? any]) ?? [],
  );
  const fields = () => {
    known ??= infer.guarded(`fields:${name}`, new Map(), () => classFields(infer, classes, bound));
    return known;
  };
  // A class may be its own parent, by a slip or over several steps.
  const index = () => infer.guarded(`index:${name}`, null, () => classIndex(infer, classes, bound));
  return {
    name,
    doc: first?.comment.description ?? "",
    fields: () => [...fields().values()],
    field: (one) => fields().get(one) ?? null,
    index,
    get closed() {
      return index() === null;
    },
    get calls() {
      return classes.flatMap((one) =>
        one.overloads.flatMap((tag) => callsOf(meaningOf(infer, tag.type, bound))),
      );
    },
    get place(): Place | null {
      return first?.place() ?? null;
    },
    recorded: false,
  };
}

function callsOf(type: Type): Signature[] {
  return type.kind === "function" ? type.signatures : [];
}

function classFields(infer: Inference, classes: DeclaredClass[], bound: Generics): Map<string, Field> {
  const found = new Map<string, Field>();
  for (const one of classes) {
    for (const parent of one.tag.parents) {
      const type = meaningOf(infer, parent, bound);
      if (type.kind === "object") for (const field of type.shape.fields()) found.set(field.name, field);
    }
    for (const field of assignedTo(infer, one)) found.set(field.name, field);
    for (const { tag, place } of one.fields) {
      if (typeof tag.key !== "string") continue;
      const type = () => {
        const own = meaningOf(infer, tag.type, bound);
        return tag.optional ? union([own, nil]) : own;
      };
      const deprecated = /@?deprecated/i.test(tag.description.slice(0, 12));
      const more = { optional: tag.optional, doc: tag.description, deprecated };
      const field = fieldOf(tag.key, type, more);
      Object.defineProperty(field, "place", { get: place });
      found.set(tag.key, field);
    }
  }
  return found;
}

/** `---@class Foo` above `local Foo = {}`: what the table has, and what is assigned to it later. */
function assignedTo(infer: Inference, { statement, file, chunk }: DeclaredClass): Field[] {
  const target =
    statement?.kind === "local"
      ? statement.names[0]
      : statement?.kind === "assign"
        ? statement.targets[0]
        : null;
  if (target?.kind !== "name" || !chunk) return [];
  return infer.project.inferOf(file).ownFields(target);
}

function classIndex(
  infer: Inference,
  classes: DeclaredClass[],
  bound: Generics,
): { key: Type; value: Type } | null {
  for (const one of classes) {
    for (const { tag } of one.fields) {
      if (typeof tag.key === "string") continue;
      return { key: meaningOf(infer, tag.key, bound), value: meaningOf(infer, tag.type, bound) };
    }
    for (const parent of one.tag.parents) {
      const type = meaningOf(infer, parent, bound);
      if (type.kind === "object") {
        const index = type.shape.index();
        if (index) return index;
      }
      if (type.kind === "map") return { key: type.key, value: type.value };
    }
  }
  return null;
}

/** What a comment says of the function below it. */
export interface FunctionDoc {
  doc: string;
  deprecated: boolean;
  generics: Map<string, Type>;
  params: Map<string, TagOf<"param">>;
  returns: { name: string | null; type: LuaType }[] | null;
  overloads: LuaType[];
}

const plainDoc: FunctionDoc = {
  doc: "",
  deprecated: false,
  generics: new Map(),
  params: new Map(),
  returns: null,
  overloads: [],
};

export function functionDoc(comment: Comment | null): FunctionDoc {
  if (!comment) return plainDoc;
  const found: FunctionDoc = {
    doc: comment.description,
    deprecated: false,
    generics: new Map(),
    params: new Map(),
    returns: null,
    overloads: [],
  };
  for (const tag of comment.tags) {
    if (tag.tag === "param") found.params.set(tag.name, tag);
    else if (tag.tag === "return") found.returns = [...(found.returns ?? []), ...tag.returns];
    else if (tag.tag === "deprecated") {
      found.deprecated = true;
      found.doc = `${found.doc}\n\nDeprecated${tag.description === "" ? "" : `: ${tag.description}`}`.trim();
    } else if (tag.tag === "overload") found.overloads.push(tag.type);
    else if (tag.tag === "generic") {
      for (const { name } of tag.generics) found.generics.set(name, { kind: "generic", name });
    }
  }
  return found;
}

/** Types by a JSON schema, such as that of a command's payload. */
export function schemaType(schema: unknown, depth = 0): Type {
  if (typeof schema !== "object" || schema === null || depth > 8) return any;
  const given = schema as Record<string, unknown>;
  const of = (one: unknown) => schemaType(one, depth + 1);
  if ("const" in given) return constant(given.const);
  if (Array.isArray(given.enum)) return union(given.enum.map(constant));
  const choices = given.anyOf ?? given.oneOf;
  if (Array.isArray(choices)) return union(choices.map(of));
  const kinds = Array.isArray(given.type)
    ? given.type
    : [given.type ?? (given.properties ? "object" : undefined)];
  return union(
    kinds.map((kind): Type => {
      if (kind === "array") return { kind: "array", element: of(given.items) };
      if (kind === "object") return schemaObject(given, of);
      if (kind === "null") return nil;
      return basics.has(String(kind)) ? { kind: "basic", name: kind as BasicName } : any;
    }),
  );
}

function constant(value: unknown): Type {
  if (value === null) return nil;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? literal(value)
    : any;
}

function schemaObject(schema: Record<string, unknown>, of: (schema: unknown) => Type): Type {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, unknown>);
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  if (properties.length === 0) return { kind: "map", key: string, value: of(schema.additionalProperties) };
  const list = properties.map(([name, property]) => {
    const { description, deprecated } = (property ?? {}) as { description?: unknown; deprecated?: unknown };
    return fieldOf(name, () => of(property), {
      optional: !required.has(name),
      doc: typeof description === "string" ? description : "",
      deprecated: deprecated === true,
    });
  });
  const more = schema.additionalProperties;
  return object({
    list,
    index: () => (more ? { key: string, value: of(more) } : null),
    closed: !more,
  });
}
