import type { Json, JsonObject } from "../../service/contract/common.ts";

/** One question of a form that a JSON Schema asks for. */
export interface Field {
  readonly name: string;
  readonly kind: "text" | "number" | "integer" | "boolean" | "choice" | "json";
  readonly isRequired: boolean;
  readonly description: string;
  readonly choices: readonly Json[];
  readonly preset: Json | undefined;
}

/** The fields of an object's schema; null where it is none that can be asked field by field. */
export function fieldsOf(schema: JsonObject | null): readonly Field[] | null {
  const properties = schema?.properties;
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) return null;
  const required = Array.isArray(schema?.required) ? schema.required : [];
  return Object.entries(properties).map(([name, property]) =>
    fieldOf(name, property, required.includes(name)),
  );
}

function fieldOf(name: string, property: Json, isRequired: boolean): Field {
  const schema: JsonObject =
    typeof property === "object" && property !== null && !Array.isArray(property) ? property : {};
  const choices = Array.isArray(schema.enum) ? schema.enum : [];
  return {
    name,
    kind: choices.length > 0 ? "choice" : kindOf(schema.type),
    isRequired,
    description: typeof schema.description === "string" ? schema.description : "",
    choices,
    preset: schema.default,
  };
}

function kindOf(type: Json | undefined): Field["kind"] {
  if (type === "string") return "text";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  return "json";
}

/** What was typed as the value that the schema asks for; undefined leaves the field out. @throws Error in words */
export function readField(field: Field, typed: string): Json | undefined {
  if (typed === "" && !field.isRequired) return undefined;
  if (field.kind === "text") return typed;
  if (field.kind === "number" || field.kind === "integer") {
    const number = Number(typed);
    if (typed.trim() === "" || !Number.isFinite(number)) throw new Error("must be a number");
    if (field.kind === "integer" && !Number.isSafeInteger(number)) throw new Error("must be a whole number");
    return number;
  }
  try {
    return JSON.parse(typed) as Json;
  } catch {
    throw new Error('must be JSON, such as {"a": 1} or ["b"]');
  }
}
