import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { promisesPage, readRows } from "../../scripts/promises.ts";

it("every promise of docs/promises.md names the test that proves it", () => {
  const rows = readRows(readFileSync(promisesPage, "utf8"));
  expect(rows.filter((row) => row.tests.length === 0).map((row) => row.id)).toEqual([]);
});
