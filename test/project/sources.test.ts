import { describe, expect, it } from "vitest";
import { sourceFiles } from "../../scripts/source-files.ts";

const testFiles = sourceFiles(/\.test\.ts$/);

/** Places, as `file:line`, where a text has what it must not have. */
function places(path: string, text: string, pattern: RegExp): string[] {
  return text.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}`] : []));
}

// Put together here, so that this file does not find itself.
const folders = ["work", "root"].join("|");
// A user called x or you is nobody's: tests of paths and the documentation need one.
const machinePath = new RegExp(`(?<![\\w.~\\]})-])/((${folders})/|(${"ho"}me|Users)/(?!(x|you)\\b)[a-z<])`);
const registryWords = ["regis" + "try", "artifact" + "ory", "verdac" + "cio", "npmmir" + "ror"].join("|");
const registryHost = new RegExp(`https?://[^\\s"'\`/]*(${registryWords})|resolved": *"http`);
const leftOutTest = /\b(it|test|describe|suite)(\.\w+)*\.(skip|only|todo)\b|\bcontext\.skip\(|\bctx\.skip\(/;
const sleeping = new RegExp(
  [
    "(?<![.\\w\"'`])sle" + "ep\\(",
    "await (setTime" + "out|delay)\\(",
    "setTime" + "out\\((resolve|res|r|done)\\b",
  ].join("|"),
);

describe("sources", () => {
  it("are found, tests among them", () => {
    expect(sourceFiles(/^service\/.*\.ts$/).length).toBeGreaterThan(20);
    expect(testFiles.map((file) => file.path)).toContain("test/project/sources.test.ts");
    expect(sourceFiles(/node_modules\//)).toEqual([]);
  });

  it("hold no path of a machine", () => {
    const found = sourceFiles(/./).flatMap(({ path, text }) => places(path, text, machinePath));
    expect(found).toEqual([]);
  });

  it("hold no host of a package registry", () => {
    const found = sourceFiles(/./).flatMap(({ path, text }) => places(path, text, registryHost));
    expect(found).toEqual([]);
  });

  it("leave out no test: none is skipped, run alone or still to do", () => {
    const found = testFiles.flatMap(({ path, text }) => places(path, text, leftOutTest));
    expect(found).toEqual([]);
  });

  it("wait in tests for a condition, never for a time", () => {
    const found = testFiles.flatMap(({ path, text }) => places(path, text, sleeping));
    expect(found).toEqual([]);
  });
});

describe("each of these checks finds what is planted", () => {
  it.each([
    ["a path", machinePath, ["", "work", "main"].join("/")],
    ["a home", machinePath, `"${["", "home", "ada"].join("/")}"`],
    ["a home that begins like the stand-in's", machinePath, ["", "home", "xaver"].join("/")],
    ["a root's home", machinePath, `cd ${["", "root", ".config"].join("/")}`],
    ["a registry", registryHost, ["https:", "", "regis" + "try.example.org", "zod"].join("/")],
    ["a resolved address", registryHost, ['"resolved": ', '"https://example.org/zod.tgz"'].join("")],
    ["a skipped test", leftOutTest, ["it", "skip('x')"].join(".")],
    ["an only test", leftOutTest, ["describe.concurrent", "only('x')"].join(".")],
    ["a test to do", leftOutTest, ["test", "todo('x')"].join(".")],
    ["a sleep", sleeping, ["await sle", "ep(50)"].join("")],
    ["a bare timer", sleeping, ["new Promise((resolve) => setTime", "out(resolve, 50))"].join("")],
  ])("%s", (_what, pattern, line) => {
    expect(places("file.ts", `first\n${line}`, pattern)).toEqual(["file.ts:2"]);
  });

  it.each([
    ["a relative path", machinePath, ["node_modules", "root", "x"].join("/")],
    ["a stand-in's home", machinePath, ["", "home", "x", ".config"].join("/")],
    ["a route", machinePath, "GET /v1/workflows"],
    ["a word that ends the same", machinePath, ["~", "work", "x"].join("/")],
    ["a package page", registryHost, "https://www.npmjs.com/package/zod"],
    ["a timer that is a limit", sleeping, ["setTime", "out(() => reject(error), 50)"].join("")],
  ])("and passes %s", (_what, pattern, line) => {
    expect(places("file.ts", line, pattern)).toEqual([]);
  });
});
