import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import * as z from "zod";
import { jsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";

/** JSON Schema as an MCP client gets it: what a model has no use for is left out, since each session pays for it. */
export function jsonSchemaOf(schema: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override({ zodSchema, jsonSchema }) {
      if (zodSchema === jsonObject) jsonSchema.type = "object";
      // The service checks them; some clients can't compile the Unicode classes in ours.
      delete jsonSchema.pattern;
      // A newer service may answer with more than this program knows of.
      if (io === "output" && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return rest;
}

/**
 * A schema of the contract in the form that the MCP library takes. It lets every value through: `parse` is what
 * refuses one, with a code and a hint like any other error of ours.
 */
export function listed(schema: z.ZodType): StandardSchemaWithJSON {
  return {
    "~standard": {
      version: 1,
      vendor: "signalbox",
      validate: (value) => ({ value }),
      jsonSchema: {
        input: () => jsonSchemaOf(schema, "input"),
        output: () => jsonSchemaOf(schema, "output"),
      },
    },
  };
}

/** @throws SignalboxError `invalid_request`, naming each field that is wrong */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  throw new SignalboxError("invalid_request", faults.join("; "), { cause: parsed.error });
}
