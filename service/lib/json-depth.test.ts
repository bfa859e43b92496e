import { expect, it } from "vitest";
import { isDeeperThan } from "./json-depth.ts";

const nested = (levels: number) => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);

it("depth counts arrays and objects within each other, not plain values", () => {
  expect(isDeeperThan("text", 0)).toBe(false);
  expect(isDeeperThan(null, 0)).toBe(false);
  expect(isDeeperThan([], 0)).toBe(true);
  expect(isDeeperThan({ a: [{ b: 1 }] }, 3)).toBe(false);
  expect(isDeeperThan({ a: 1, b: [{ b: 1 }] }, 2)).toBe(true);
  expect(isDeeperThan([1, "a", { b: {} }], 2)).toBe(true);
});

it("a value of any depth is looked at no deeper than asked", () => {
  expect(isDeeperThan(nested(100), 100)).toBe(false);
  expect(isDeeperThan(nested(101), 100)).toBe(true);
  expect(isDeeperThan(nested(1_000_000), 100)).toBe(true);
});

it("a key named __proto__ is a key like any other", () => {
  expect(isDeeperThan(JSON.parse('{"__proto__":{"a":{}}}'), 2)).toBe(true);
});
