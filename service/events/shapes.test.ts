import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json, JsonObject } from "../contract/common.ts";
import { typeShape, type ValueShape } from "../contract/types.ts";
import { shapesOf } from "./shapes.ts";

const events = (...payloads: JsonObject[]) =>
  payloads.map((payload, index) => ({ type: "a.b", subject: "x.y", recorded_ms: 100 - index, payload }));
const shape = (...payloads: JsonObject[]) => shapesOf(events(...payloads))[0]?.payload;

describe("the shape of payloads", () => {
  it("tells kinds, how often a field is there, and the newest value", () => {
    expect(shape({ n: 1, title: "new" }, { n: 2.5 }, { n: null, title: "old", tags: ["x", 1] })).toEqual({
      kinds: ["object"],
      fields: {
        n: { kinds: ["number", "null"], presence: 1, sample: "1" },
        title: { kinds: ["string"], presence: 2 / 3, sample: '"new"' },
        tags: {
          kinds: ["array"],
          presence: 1 / 3,
          items: { kinds: ["integer", "string"], sample: '"x"' },
        },
      },
    });
  });

  it("tells a field's words when they are few and come again", () => {
    const states = ["open", "closed", "open", "open", "closed", "open"].map((state, id) => ({
      state,
      title: `t${id}`,
    }));
    expect(shape(...states)?.fields).toMatchObject({ state: { values: ["closed", "open"] } });
    expect(shape(...states)?.fields?.title).not.toHaveProperty("values");
  });

  it("leaves out names that are data, such as ids", () => {
    const users = Object.fromEntries(Array.from({ length: 200 }, (_, id) => [`user_${id}`, id]));
    expect(shape({ users })?.fields?.users).toEqual({ kinds: ["object"], presence: 1 });
  });

  it("masks secrets by name and by looks, and cuts what is long", () => {
    const key = ["ghp", "_0123456789abcdef0123"].join("");
    const found = shape({
      password: "hunter2",
      auth: { user: "me" },
      note: `use ${key}`,
      text: "x".repeat(500),
      pin_token: 4711,
    });
    const told = JSON.stringify(found);
    for (const secret of ["hunter2", key, "4711", '\\"me\\"']) expect(told).not.toContain(secret);
    expect(found?.fields?.text?.sample).toHaveLength(62);
  });

  it("keeps types apart, in the order of the newest, with where and when they were heard", () => {
    const found = shapesOf([
      { type: "b", subject: "s.2", recorded_ms: 9, payload: {} },
      { type: "a", subject: "s.1", recorded_ms: 8, payload: {} },
      { type: "b", subject: "s.1", recorded_ms: 7, payload: {} },
    ]);
    expect(found).toMatchObject([
      { type: "b", subjects: ["s.2", "s.1"], sampled: 2, last_ms: 9 },
      { type: "a", subjects: ["s.1"], sampled: 1, last_ms: 8 },
    ]);
  });
});

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>;
const payload = fc.dictionary(
  fc.constantFrom("a", "b", "c", "d", "__proto__", "toString"),
  json,
) as fc.Arbitrary<JsonObject>;

function fits(value: Json, { kinds, fields, items }: ValueShape): boolean {
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const isNumber =
    kind === "number" &&
    kinds.some((one) => one === "number" || (one === "integer" && Number.isInteger(value)));
  if (!isNumber && !kinds.some((one) => one === kind)) return false;
  if (Array.isArray(value))
    return value.slice(0, 20).every((item) => items === undefined || fits(item, items));
  if (typeof value !== "object" || value === null || fields === undefined) return true;
  return Object.entries(value as JsonObject).every(([name, field]) => {
    const known = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return name === "__proto__" || (known !== undefined && fits(field, known));
  });
}

describe("whatever payloads hold", () => {
  it("each of them fits the shape, and the shape is one of the contract", () => {
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 8 }), (payloads) => {
        const [found] = shapesOf(events(...payloads));
        expect(typeShape.parse(found)).toEqual(found);
        for (const one of payloads) expect(fits(one, found!.payload)).toBe(true);
        for (const [name, { presence }] of Object.entries(found?.payload.fields ?? {})) {
          expect(presence).toBe(payloads.filter((one) => Object.hasOwn(one, name)).length / payloads.length);
        }
      }),
    );
  });

  it("their order changes samples only", () => {
    const plain = (shapes: unknown) =>
      JSON.parse(JSON.stringify(shapes, (key, value) => (key === "sample" ? undefined : value)));
    const sorted = (value: unknown): unknown =>
      JSON.stringify(value, (_key, one) =>
        typeof one === "object" && one !== null && !Array.isArray(one)
          ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
          : one,
      );
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 6 }), (payloads) => {
        const forwards = shape(...payloads);
        const backwards = shape(...payloads.toReversed());
        expect(sorted(plain(forwards))).toEqual(sorted(plain(backwards)));
      }),
    );
  });
});
