import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Results, resultKey } from "./results.ts";

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "signalbox-results-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

it("gives an answer back while it is young enough, and null after that", async () => {
  const results = new Results(folder());
  const key = resultKey("digest", { b: 1, a: 2 });
  expect(await results.read(key, 0)).toBeNull();
  await results.write(key, [null, "x"], 1_700_000_000_000);
  expect(await results.read(key, 1_699_999_999_000)).toEqual({ value: [null, "x"] });
  expect(await results.read(key, 1_700_000_001_000)).toBeNull();
  expect(resultKey("digest", { a: 2, b: 1 })).toBe(key);
  expect(resultKey("other", { a: 2, b: 1 })).not.toBe(key);
});

it("keeps within its size, the oldest answers going first", async () => {
  const dir = folder();
  const results = new Results(dir, 250);
  for (let n = 1; n <= 4; n++) await results.write(`k${n}`, "x".repeat(98), 1_700_000_000_000 + n * 1_000);
  expect(readdirSync(dir)).toHaveLength(2);
  expect(await results.read("k1", 0)).toBeNull();
  expect(await results.read("k4", 0)).toEqual({ value: "x".repeat(98) });
});
