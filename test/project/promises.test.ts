import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  allTests,
  namesId,
  type PromiseRow,
  problemsOf,
  promisesPage,
  readRows,
  requiredIds,
  testsIn,
  withTests,
  writeRow,
} from "../../scripts/promises.ts";

const page = readFileSync(promisesPage, "utf8");

describe("docs/promises.md", () => {
  it("has one row for every required id, in at most 25 words, and names only tests that are there", () => {
    expect(problemsOf(readRows(page), allTests())).toEqual([]);
  });

  it("asks for each id once", () => {
    expect(new Set(requiredIds).size).toBe(requiredIds.length);
    expect(requiredIds).toEqual(expect.arrayContaining(["S2", "S41", "M13", "M15", "U31", "B14"]));
    expect(requiredIds).toEqual(expect.arrayContaining(["M14", "U17"]));
  });
});

describe("the check of the page", () => {
  const tests = [
    { file: "a.test.ts", name: "S22 * matches exactly one token" },
    { file: "b.test.ts", name: "says what S22 | S23 share" },
  ];
  const complete: PromiseRow[] = requiredIds.map((id) => ({ id, promise: "It works.", tests: [] }));

  function withRow(change: Partial<PromiseRow>): PromiseRow[] {
    return complete.map((row) => (row.id === "S22" ? { ...row, ...change } : row));
  }

  it("passes a page whose rows name their tests", () => {
    expect(problemsOf(withRow({ tests }), tests)).toEqual([]);
  });

  it("sees a missing row, a second one and one nobody asked for", () => {
    const rows: PromiseRow[] = [...complete.slice(1), { id: "X1", promise: "It works.", tests: [] }];
    rows.push({ id: "S3", promise: "Again.", tests: [] });
    expect(problemsOf(rows, tests)).toEqual([
      "S3 has more than one row",
      "S2 has no row",
      "X1 is not an id that is asked for",
    ]);
  });

  it("sees a test that is gone, and one that does not name the id", () => {
    const gone = { file: "a.test.ts", name: "S22 as it was called before" };
    expect(problemsOf(withRow({ tests: [gone] }), tests)).toEqual([
      "S22 stands beside a test that is not there: a.test.ts S22 as it was called before",
    ]);
    const other = { file: "a.test.ts", name: "S220 is longer" };
    expect(problemsOf(withRow({ tests: [other] }), [other])).toEqual([
      "S22 stands beside a test that does not name it: S220 is longer",
    ]);
  });

  it("sees an empty promise and a long one", () => {
    expect(problemsOf(withRow({ promise: "" }), tests)).toHaveLength(1);
    expect(problemsOf(withRow({ promise: "word ".repeat(26) }), tests)).toHaveLength(1);
  });

  it("finds tests by name in every form they are written in", () => {
    const text = `
      it("S2 plain", () => {}); test('S3 single', () => {}); it(\`S4 backticks\`, () => {});
      it.each([["a", "b"]])("S5 %s of a table", () => {}); it.concurrent("S6 \\"quoted\\"", () => {});
      describe("S7 is no test", () => { it("S8 inside", () => {}); });
      // it("S9 in a comment", () => {});
      const lua = 'it("S10 in a string")'; it(\`S11 \${lua}\`, () => {});
      it("S12 over lines",
        async () => {});
    `;
    expect(testsIn({ path: "a.test.ts", text }).map(({ name }) => name)).toEqual([
      "S2 plain",
      "S3 single",
      "S4 backticks",
      "S5 %s of a table",
      'S6 "quoted"',
      "S8 inside",
      "S12 over lines",
    ]);
  });

  it("takes an id for itself only where it stands as a word", () => {
    expect(namesId("S2 starts", "S2")).toBe(true);
    expect(namesId("first (S2, S3)", "S2")).toBe(true);
    expect(namesId("S22 starts", "S2")).toBe(false);
    expect(namesId("DNS2 starts", "S2")).toBe(false);
  });

  it("writes a row so that reading it gives the same, whatever the test's name", () => {
    for (const name of ["S22 plain", "S22 a | b", "S22 `code` inside", "S22 <b> *x* `", "`S22` first"]) {
      const row = { id: "S22", promise: "It works.", tests: [{ file: "a.test.ts", name }, ...tests] };
      expect(readRows(writeRow(row))).toEqual([row]);
    }
    expect(readRows(writeRow({ id: "S22", promise: "It works.", tests: [] }))[0]?.tests).toEqual([]);
  });

  it("fills in the test that starts with the id, keeps one chosen by hand, drops one that is gone", () => {
    const row = (named: PromiseRow["tests"]) => writeRow({ id: "S22", promise: "It works.", tests: named });
    const before = `# Page\n\n${row([])}\n`;
    expect(withTests(before, tests)).toBe(`# Page\n\n${row(tests.slice(0, 1))}\n`);
    expect(withTests(row(tests.slice(1)), tests)).toBe(row(tests.slice(1)));
    expect(withTests(row([{ file: "c.test.ts", name: "S22 gone" }]), tests.slice(1))).toBe(
      row(tests.slice(1)),
    );
    expect(withTests(row(tests), [])).toBe(row([]));
  });
});
