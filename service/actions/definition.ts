import * as z from "zod";
import type { JsonObject } from "../contract/common.ts";
import { parseDuration } from "../lib/duration.ts";
import { nearest } from "../lib/nearest.ts";
import { type FieldType, fieldTypes } from "./schema.ts";

/** The two words that define one; they differ in defaults and in how failures read (B19). */
export const flavours = ["define_action", "tools.define_tool"] as const;
export type Flavour = (typeof flavours)[number];

const MAX_ITEMS = 200;
const text = z.string().min(1).max(2_000);
/** An empty table of Lua is a record in JSON, also where a list is meant. */
const listOf = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) => (isRecord(value) && Object.keys(value).length === 0 ? [] : value),
    z.array(item).max(MAX_ITEMS),
  );
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of a variable");
const host = z
  .string()
  .regex(
    /^[A-Za-z0-9*]([A-Za-z0-9.*-]*[A-Za-z0-9])?(:\d+)?$/,
    "must be a host's name such as api.example.com",
  );
/** Stays inside the source: neither absolute nor upwards. */
const inside = text.refine(
  (path) => !/^([/\\~]|[A-Za-z]:)/.test(path) && !path.split(/[/\\]/).includes(".."),
  "must be a path inside the source",
);
const durationOrSeconds = z
  .union([
    z
      .number()
      .positive()
      .max(86_400 * 366),
    z.string(),
  ])
  .transform((value, context) => {
    const ms = typeof value === "number" ? value * 1_000 : parseDuration(value);
    if (ms !== null && ms > 0) return Math.round(ms);
    context.addIssue({ code: "custom", message: 'must be seconds, or a time such as "90s", "10m" or "1h"' });
    return z.NEVER;
  });

const field = z.union([
  z.string().transform((written, context) => {
    const type = written.replace(/\?$/, "");
    if (isFieldType(type)) return { type, required: !written.endsWith("?"), description: null };
    context.addIssue({
      code: "custom",
      message: `"${written}" is no type; there are ${fieldTypes.join(", ")}`,
    });
    return z.NEVER;
  }),
  z
    .strictObject({
      type: z.string(),
      required: z.boolean().optional(),
      description: z.string().max(2_000).optional(),
    })
    .transform(({ type: written, required, description = null }, context) => {
      const type = written.replace(/\?$/, "");
      if (isFieldType(type)) return { type, required: required ?? !written.endsWith("?"), description };
      context.addIssue({
        code: "custom",
        message: `"${written}" is no type; there are ${fieldTypes.join(", ")}`,
      });
      return z.NEVER;
    }),
]);
const fields = z.record(z.string().max(200), field);

const shape = {
  source: text,
  executor: z.enum(["native", "docker", "envyr"]),
  entrypoint: inside.nullable().default(null),
  subdir: inside.nullable().default(null),
  tag: text.nullable().default(null),
  type: z.enum(["python", "node", "shell", "other"]).nullable().default(null),
  image: text.nullable().default(null),
  deps: listOf(text).default([]),
  env: listOf(variable).default([]),
  hosts: listOf(host).default([]),
  files: listOf(text).default([]),
  timeout: z.number().positive().max(86_400).default(60),
  defaults: z.record(z.string(), z.json()).default({}),
  schema: z
    .strictObject({ input: fields.nullable().default(null), output: fields.nullable().default(null) })
    .prefault({}),
  input_adapter: z.enum(["json", "args", "positional_args", "mixed"]),
  output_adapter: z.enum(["json", "text", "lines"]),
  args_order: listOf(text).default([]),
  stdin_fields: listOf(text).default([]),
  description: z.string().max(4_000).nullable().default(null),
  retry: z
    .union([
      z
        .int()
        .min(0)
        .max(10)
        .transform((attempts) => ({ attempts, delay: 1_000 })),
      z.strictObject({ attempts: z.int().min(0).max(10), delay: durationOrSeconds.prefault(1) }),
    ])
    .default({ attempts: 0, delay: 1_000 }),
  cache: durationOrSeconds.nullable().default(null),
};

const schemas = {
  define_action: z.strictObject({
    ...shape,
    input_adapter: shape.input_adapter.default("json"),
    output_adapter: shape.output_adapter.default("json"),
  }),
  "tools.define_tool": z.strictObject({
    ...shape,
    executor: shape.executor.default("docker"),
    input_adapter: shape.input_adapter.default("args"),
    output_adapter: shape.output_adapter.default("text"),
  }),
} satisfies Record<Flavour, z.ZodType>;

/** What an action file says of its action, with everything that it leaves out. Times of `retry` and `cache` in ms. */
export type ActionDefinition = z.output<(typeof schemas)["define_action"]> & { flavour: Flavour };

/** How often, at most, an action is tried and for how long its answer is kept; what one call says about it. */
export const callOptions = z.strictObject({
  retry: shape.retry.unwrap().optional(),
  cache: durationOrSeconds.optional(),
});
export type CallOptions = z.output<typeof callOptions>;

/** A definition that can't be taken; the message says which field and why. */
export class DefinitionError extends Error {}

/** @throws DefinitionError */
export function parseDefinition(flavour: Flavour, given: JsonObject): ActionDefinition {
  const parsed = schemas[flavour].safeParse(given);
  if (!parsed.success) throw new DefinitionError(`${flavour}: ${complaints(parsed.error, given).join("; ")}`);
  const definition = { ...parsed.data, flavour };
  const { input_adapter, args_order, stdin_fields } = definition;
  if (input_adapter === "positional_args" && args_order.length === 0)
    throw new DefinitionError(
      `${flavour}: input_adapter "positional_args" needs args_order, the fields in their order`,
    );
  if (input_adapter === "mixed" && stdin_fields.length === 0)
    throw new DefinitionError(
      `${flavour}: input_adapter "mixed" needs stdin_fields, the fields that go to stdin`,
    );
  return definition;
}

const missing: Record<string, string> = {
  source: "source is missing: say where its files are, a git URL or a path",
  executor: 'executor is missing: "native", "docker" or "envyr"',
};

function complaints(error: z.ZodError, given: JsonObject): string[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join(".");
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => unknownField(path === "" ? key : `${path}.${key}`, key, path));
    if (given[path] === undefined && missing[path] !== undefined) return [missing[path]];
    return [`${path === "" ? "it" : path} ${messageOf(issue)}`];
  });
}

/** A union says only that nothing fitted; what did not fit in its parts says more. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_union") {
    const inner = issue.errors.flat().find((one) => one.code === "custom");
    if (inner) return inner.message;
  }
  return issue.message.replace(/^Invalid input: /, "").replace(/^Invalid option: /, "must be ");
}

function unknownField(shown: string, key: string, path: string): string {
  const meant = path === "" ? nearest(key, Object.keys(shape)) : null;
  return `unknown field "${shown}"${meant === null ? "" : ` (did you mean "${meant}"?)`}`;
}

function isFieldType(word: string): word is FieldType {
  return (fieldTypes as readonly string[]).includes(word);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
