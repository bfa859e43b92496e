import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { errorKinds } from "../service/contract/errors.ts";

const readmeFile = fileURLToPath(new URL("../README.md", import.meta.url));
const BEGIN = "<!-- errors:begin -->";
const END = "<!-- errors:end -->";

/** Every error code with its status and hint as a Markdown table, in the order of the contract. */
export function errorsTable(): string {
  const rows = Object.entries(errorKinds).map(
    ([code, { status, hint }]) => `| \`${code}\` | ${status} | ${hint.replaceAll("|", "\\|")} |`,
  );
  return ["| code | HTTP status | what to do |", "|---|---|---|", ...rows].join("\n");
}

/** The same page with a fresh table between its markers. */
export function withErrorsTable(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`README.md has lost its markers ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n${errorsTable()}\n${page.slice(end)}`;
}

function main(): void {
  const page = readFileSync(readmeFile, "utf8");
  const fresh = withErrorsTable(page);
  if (process.argv.includes("--write")) writeFileSync(readmeFile, fresh);
  else if (fresh !== page) {
    console.error(
      "README.md: the errors table is not up to date; run `node scripts/errors-table.ts --write`",
    );
    process.exitCode = 1;
  }
}

if (import.meta.main) main();
