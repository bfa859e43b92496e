import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorsTable, withErrorsTable } from "../../scripts/errors-table.ts";
import { repository } from "../../scripts/source-files.ts";
import { errorKinds } from "../../service/contract/errors.ts";

const readme = readFileSync(join(repository, "README.md"), "utf8");

/** The rows between the markers as cells. */
function rowsOf(page: string): string[][] {
  const section = page.split("<!-- errors:begin -->")[1]?.split("<!-- errors:end -->")[0] ?? "";
  return section
    .trim()
    .split("\n")
    .slice(2)
    .map((row) =>
      row
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll("\\|", "|")),
    );
}

describe("README", () => {
  it("lists every error code with its HTTP status and hint (`node scripts/errors-table.ts --write`)", () => {
    const expected = Object.entries(errorKinds).map(([code, { status, hint }]) => [
      `\`${code}\``,
      String(status),
      hint,
    ]);
    expect(rowsOf(readme)).toEqual(expected);
  });

  it("keeps what stands around the table when it is written again", () => {
    const page = "before\n<!-- errors:begin -->\nold\n<!-- errors:end -->\nafter\n";
    const fresh = withErrorsTable(page);
    expect(fresh).toBe(`before\n<!-- errors:begin -->\n${errorsTable()}\n<!-- errors:end -->\nafter\n`);
    expect(withErrorsTable(fresh)).toBe(fresh);
    expect(() => withErrorsTable("no markers")).toThrow("errors:begin");
  });
});
