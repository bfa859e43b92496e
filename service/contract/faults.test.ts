import { expect, it } from "vitest";
import * as z from "zod";
import "./common.ts";

const schema = z.strictObject({
  name: z.string().min(1).max(3),
  count: z.int().min(1).max(9),
  tags: z.array(z.string()).max(1),
  kind: z.enum(["a", "b"]),
  deep: z.object({ ok: z.boolean() }),
});
const good = { name: "x", count: 1, tags: [], kind: "a", deep: { ok: true } };

it.each([
  ["name: is missing", { name: undefined }],
  ["name: must be text", { name: 7 }],
  ["name: must not be empty", { name: "" }],
  ["name: must have at most 3 characters", { name: "four" }],
  ["count: must be at least 1", { count: 0 }],
  ["count: must be at most 9", { count: 10 }],
  ["count: must be a whole number", { count: 1.5 }],
  ["tags: must be a list", { tags: {} }],
  ["tags: must have at most 1 entries", { tags: ["a", "b"] }],
  ["kind: must be one of a, b", { kind: "c" }],
  ["kind: is missing", { kind: undefined }],
  ["deep.ok: must be true or false", { deep: { ok: "yes" } }],
  ["deep: must be an object", { deep: [] }],
  [": has no field nmae", { nmae: "x" }],
])("what is wrong is said so that a person can put it right: %s", (fault, change) => {
  const { error } = schema.safeParse({ ...good, ...change });
  expect(error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)).toEqual([fault]);
});
