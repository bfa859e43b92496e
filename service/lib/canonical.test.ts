import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson, type Json, sha256 } from "./canonical.ts";

describe("canonical JSON", () => {
  it("says the same of equal values, whatever the order of their keys, and means the same as JSON", () => {
    const reversed = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(reversed);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, one]) => [key, reversed(one)]),
      );
    };
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (any) => {
        const value = JSON.parse(JSON.stringify(any)) as Json;
        expect(canonicalJson(reversed(value))).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(value);
      }),
    );
  });

  it("tells different values apart, also by key order in a list and by __proto__", () => {
    const texts = ['{"a":1}', '{"a":"1"}', '{"a":[1,2]}', '{"a":[2,1]}', '{"__proto__":1}', "{}", "null"];
    expect(new Set(texts.map((text) => canonicalJson(JSON.parse(text)))).size).toBe(texts.length);
    expect(sha256("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });
});
