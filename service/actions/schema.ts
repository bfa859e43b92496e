import type { Json, JsonObject } from "../contract/common.ts";

/** Types that a field of `schema.input` and `schema.output` may have; with `?` after it, it may be left out. */
export const fieldTypes = ["string", "number", "boolean", "array", "object", "any"] as const;
export type FieldType = (typeof fieldTypes)[number];

export interface FieldSchema {
  readonly type: FieldType;
  readonly required: boolean;
  readonly description: string | null;
}
type FieldSchemas = Readonly<Record<string, FieldSchema>>;

/** Values against their schema, field by field; null when they fit. Fields that it does not name are let through. */
export function mismatch(fields: FieldSchemas | null, value: Json): string | null {
  if (fields === null) return null;
  if (!isRecord(value))
    return `expected a table with the fields ${Object.keys(fields).join(", ")}, got ${typeOf(value)}`;
  for (const [name, { type, required }] of Object.entries(fields)) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given === undefined || given === null) {
      if (required) return `missing required field "${name}" (expected ${type})`;
    } else if (!fits(type, given)) return `field "${name}": expected ${type}, got ${typeOf(given)}`;
  }
  return null;
}

/** The parameters that run: defaults, and over them what the caller gave (K13). */
export function mergeDefaults(defaults: JsonObject, given: JsonObject): JsonObject {
  return { ...defaults, ...given };
}

/** A value of the schema's shape, for a dry run: nobody knows what the action would answer. */
export function standIn(fields: FieldSchemas | null): JsonObject {
  const values: Record<FieldType, Json> = {
    string: "",
    number: 0,
    boolean: false,
    array: [],
    object: {},
    any: {},
  };
  const required = Object.entries(fields ?? {}).filter(([, field]) => field.required);
  return Object.fromEntries(required.map(([name, { type }]) => [name, values[type]]));
}

function fits(type: FieldType, value: Json): boolean {
  if (type === "any") return true;
  // Lua has one kind of table: an empty one is a list as well as a record.
  if (type === "array") return Array.isArray(value) || (isRecord(value) && Object.keys(value).length === 0);
  if (type === "object") return isRecord(value) || (Array.isArray(value) && value.length === 0);
  return typeof value === type;
}

function typeOf(value: Json): string {
  if (value === null) return "nil";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

function isRecord(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
