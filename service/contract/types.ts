import * as z from "zod";
import { pageLimit, subjectPattern, text } from "./common.ts";

export const valueKind = z.enum(["string", "integer", "number", "boolean", "null", "object", "array"]);
export type ValueKind = z.infer<typeof valueKind>;

/** What values at one place of a payload look like. */
export interface ValueShape {
  /** Kinds that were seen, most frequent first. */
  kinds: ValueKind[];
  /** Every value seen, when they are few and come again, as with a status. */
  values?: (string | number)[] | undefined;
  /** JSON of one value, secrets masked and long text cut. */
  sample?: string | undefined;
  /** Of objects. */
  fields?: Record<string, FieldShape> | undefined;
  /** Of arrays: all entries together. */
  items?: ValueShape | undefined;
}
export interface FieldShape extends ValueShape {
  /** In how many of the objects it was, above 0 and up to 1. */
  presence: number;
}

const plainShape = {
  kinds: z.array(valueKind),
  values: z.array(z.union([z.string(), z.number()])).optional(),
  sample: z.string().optional(),
};
export const valueShape: z.ZodType<ValueShape> = z
  .object({
    ...plainShape,
    get fields() {
      return z.record(z.string(), fieldShape).optional();
    },
    get items() {
      return valueShape.optional();
    },
  })
  .meta({ id: "ValueShape" });
export const fieldShape: z.ZodType<FieldShape> = z
  .object({
    ...plainShape,
    presence: z.number().min(0).max(1),
    get fields() {
      return z.record(z.string(), fieldShape).optional();
    },
    get items() {
      return valueShape.optional();
    },
  })
  .meta({ id: "FieldShape" });

/** One type of event, as its newest ones are. */
export const typeShape = z.object({
  type: z.string(),
  /** Where it was heard, newest first. */
  subjects: z.array(z.string()),
  /** Events that were looked at. */
  sampled: z.int(),
  last_ms: z.int(),
  payload: valueShape,
});
export type TypeShape = z.infer<typeof typeShape>;

export const typeQuery = z.strictObject({
  subject: subjectPattern.optional(),
  type: text(500).optional(),
  /** Newest events that are looked at. */
  limit: pageLimit.default(200),
});
export type TypeQuery = z.infer<typeof typeQuery>;

export const typeRoutes = {
  listTypes: {
    method: "GET",
    path: "/v1/types",
    summary: "Tell what payloads of recorded events look like, type by type.",
    query: typeQuery,
    reply: z.object({ types: z.array(typeShape) }),
  },
} as const;
