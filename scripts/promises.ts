import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repository, type SourceFile, sourceFiles } from "./source-files.ts";

export const promisesPage = join(repository, "docs/promises.md");

/**
 * Ids of what Signalbox has to do by now, in their own order. docs/promises.md has a row for each; S1 is met by the
 * older commands of U27.
 */
export const requiredIds: readonly string[] = [
  ...range("S", 2, 41),
  ...range("M", 1, 23),
  ...range("P", 3, 8),
  ...range("P", 13, 14),
  ...range("R", 6, 8),
  ...range("U", 1, 6),
  "U9",
  ...range("U", 12, 18),
  ...["R3", "R11", "R12", "U11", "B16"],
  ...range("R", 47, 50),
  ...range("R", 53, 54),
  ...["R57", "R58"],
  ...range("R", 65, 72),
  ...["U7", "U8", "B17"],
  ...range("K", 1, 27),
  ...["B19", "U20"],
  ...["U21", "U22", "U26", "U27", "U29", "U30", "U31"],
  ...["B2", "B6", "B7", "B11", "B13", "B14"],
];

export interface NamedTest {
  file: string;
  name: string;
}

export interface PromiseRow {
  id: string;
  promise: string;
  /** What the page names as its proof, one or several; empty while nobody has filled it in. */
  tests: NamedTest[];
}

/** Whether the id stands in the test's name as a word: `S2` is not in `S22 …`. */
export function namesId(name: string, id: string): boolean {
  return new RegExp(`(?<!\\w)${id}(?!\\w)`).test(name);
}

/** Every test of a source text that is named by a plain string, whether by `it` or `test`, also with `.each`. */
export function testsIn({ path, text }: SourceFile): NamedTest[] {
  const found: NamedTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTestFunction(node.expression)) {
      const name = node.arguments[0];
      if (name !== undefined && ts.isStringLiteralLike(name)) found.push({ file: path, name: name.text });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest));
  return found;
}

/** All tests of the repository, file by file; those of the suites that adapters pass stand in conformance. */
export function allTests(): NamedTest[] {
  return sourceFiles(/\.test\.ts$|^test\/conformance\//).flatMap(testsIn);
}

/** `it`, `it.concurrent`, `it.each(table)`, … as what is called with the name. */
function isTestFunction(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return callee.text === "it" || callee.text === "test";
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) {
    return isTestFunction(callee.expression);
  }
  return ts.isTaggedTemplateExpression(callee) && isTestFunction(callee.tag);
}

const rowPattern = /^\| ([A-Z]\d+) \| (.*?) \| ?(.*?) ?\|$/;
const proofPattern = /^`([^`]+)` (`+) ?(.*?) ?\2$/;

/** The rows of the page, in its order. */
export function readRows(page: string): PromiseRow[] {
  return page.split("\n").flatMap((line) => {
    const [, id, promise, cell] = rowPattern.exec(line) ?? [];
    if (id === undefined || promise === undefined || cell === undefined) return [];
    return [{ id, promise, tests: cell.split("<br>").flatMap(readProof) }];
  });
}

function readProof(cell: string): NamedTest[] {
  const [, file, , name] = proofPattern.exec(cell) ?? [];
  return file === undefined || name === undefined ? [] : [{ file, name: name.replaceAll("\\|", "|") }];
}

/** A row as it stands on the page. */
export function writeRow({ id, promise, tests }: PromiseRow): string {
  return `| ${id} | ${promise} | ${tests.map((test) => writeProof(test)).join("<br>")}${tests.length > 0 ? " " : ""}|`;
}

// A name with backticks in it stands between two of them, as Markdown asks.
function writeProof({ file, name }: NamedTest): string {
  const escaped = name.replaceAll("|", "\\|");
  return `\`${file}\` ${name.includes("`") ? `\`\` ${escaped} \`\`` : `\`${escaped}\``}`;
}

/** The same page with each row's tests: those it names as far as they are there, or else the one that fits best. */
export function withTests(page: string, tests: readonly NamedTest[]): string {
  return page
    .split("\n")
    .map((line) => {
      const [found] = readRows(line);
      return found === undefined ? line : writeRow({ ...found, tests: bestTests(found, tests) });
    })
    .join("\n");
}

function bestTests({ id, tests: named }: PromiseRow, tests: readonly NamedTest[]): NamedTest[] {
  const fitting = tests.filter((candidate) => namesId(candidate.name, id));
  const kept = named.filter((test) => fitting.some((candidate) => isSame(candidate, test)));
  if (kept.length > 0) return kept;
  const first = fitting.find(({ name }) => name.startsWith(`${id} `)) ?? fitting[0];
  return first === undefined ? [] : [first];
}

function isSame(one: NamedTest, other: NamedTest): boolean {
  return one.file === other.file && one.name === other.name;
}

/** What is wrong with the page, a sentence each; rows that name no test yet are not among it. */
export function problemsOf(rows: readonly PromiseRow[], tests: readonly NamedTest[]): string[] {
  const ids = rows.map(({ id }) => id);
  const problems = ids
    .filter((id, index) => ids.indexOf(id) !== index)
    .map((id) => `${id} has more than one row`);
  problems.push(...requiredIds.filter((id) => !ids.includes(id)).map((id) => `${id} has no row`));
  for (const { id, promise, tests: named } of rows) {
    if (!requiredIds.includes(id)) problems.push(`${id} is not an id that is asked for`);
    const words = promise.split(" ").filter(Boolean).length;
    if (words === 0 || words > 25) problems.push(`${id} is promised in ${words} words, not in 1 to 25`);
    for (const test of named) {
      if (!namesId(test.name, id))
        problems.push(`${id} stands beside a test that does not name it: ${test.name}`);
      if (!tests.some((candidate) => isSame(candidate, test))) {
        problems.push(`${id} stands beside a test that is not there: ${test.file} ${test.name}`);
      }
    }
  }
  return problems;
}

function range(letter: string, first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`);
}

function main(): void {
  const tests = allTests();
  let page = readFileSync(promisesPage, "utf8");
  if (process.argv.includes("--write")) {
    page = withTests(page, tests);
    writeFileSync(promisesPage, page);
  }
  const rows = readRows(page);
  for (const id of requiredIds) {
    for (const { file, name } of tests.filter((test) => namesId(test.name, id)))
      console.log(`${id}\t${file}\t${name}`);
  }
  const untested = requiredIds.filter((id) => !tests.some((test) => namesId(test.name, id)));
  const unproven = rows.filter((row) => row.tests.length === 0).map(({ id }) => id);
  console.log(`\nno test names: ${untested.join(" ") || "-"}`);
  console.log(`rows without a test: ${unproven.join(" ") || "-"}`);
  for (const problem of problemsOf(rows, tests)) console.log(problem);
}

if (import.meta.main) main();
