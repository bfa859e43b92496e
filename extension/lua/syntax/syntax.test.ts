import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sourceFiles } from "../../../scripts/source-files.ts";
import { compile, lauxlib } from "../../../service/workflows/lua/vm.ts";
import type { Node } from "./ast.ts";
import { parse, reparse, settle, type Tree } from "./document.ts";

/** Whether the engine itself loads the text. */
function loads(source: string): boolean {
  const L = lauxlib.luaL_newstate();
  return compile(L, source, "x");
}

/** What is said of a text, without the links between its nodes. */
function plain(tree: Tree): unknown {
  const bare = (_key: string, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const { up: _up, local: _local, ...rest } = value as Node & { local?: unknown };
    return rest;
  };
  return JSON.parse(JSON.stringify(tree.chunks.map(settle), bare));
}

const problemsOf = (source: string) => parse(source).chunks.flatMap(({ problems }) => problems);
const shapeOf = (source: string) =>
  parse(source).chunks.flatMap(({ statement }) => (statement ? [statement.kind] : []));

const valid = [
  "local a, b = 1, 'x' -- words",
  "a.b.c, d[1] = f(), ...",
  "f 'text' { list } :method(1, 2)",
  "local function f(a, ...) return ..., a end",
  "function a.b:c() self.x = 1 end",
  "for i = 1, 10, 2 do break end",
  "for k, v in pairs(t) do print(k, v) end",
  "while x do repeat local y = 1 until y end",
  "if a then elseif b then else end",
  "do ::top:: goto top end",
  "return 1 + 2 * 3 ^ -4 .. 'a' .. 'b', not #a == ~b // 2 << 1;",
  "x = { 1, 2; a = 3, ['b'] = 4, f() }",
  "x = [[long\ntext]] .. [==[a]]b]==] --[[ comment\n]] y = 0x1F + 1e3 + .5",
  "x = '\\n\\65\\x41\\u{48}\\z\n   next'",
  "a\n.b\n.c()",
  "f(function() return function() end end)",
  "goto continue ::continue::",
  "local t = {} ; ; local u",
  "a = b(c)(d)[e].f:g{}",
  "return",
];

describe("the syntax", () => {
  it.each(valid)("takes what the engine takes: %s", (source) => {
    expect(loads(source)).toBe(true);
    expect(problemsOf(source)).toEqual([]);
  });

  it.each([
    ["x = ", "a value expected near the end"],
    ["if x the end", "'then' expected near 'the'"],
    ["for i = 1 do end", "',' expected near 'do'"],
    ["f(1, 2", "')' expected near the end"],
    ["local 1 = 2", "a name expected near '1'"],
    ["x", "'=' or a call expected near the end"],
    ["x = 'abc", "unfinished string, ' expected"],
    ["x = [[abc", "unfinished long text"],
    ["end", "'end' closes nothing"],
    ["break", "break outside a loop"],
    ["function f() return ... end", "'...' stands outside a function that takes any number of arguments"],
    ["return 1 x = 2", "nothing may follow return"],
    ["x = 3y", "malformed number near '3y'"],
    ["x = 'a\\qb'", "invalid escape sequence"],
    ["f() = 1", "this can't be assigned to"],
    ["x = $", "unexpected character '$'"],
    ["function f() if x then end", "'end' missing: it has to close this 'function'"],
    [`x = ${"(".repeat(300)}`, "nested too deep"],
  ])("refuses what the engine refuses, and says why: %s", (source, message) => {
    expect(loads(source)).toBe(false);
    expect(problemsOf(source)[0]?.message).toBe(message);
  });

  it("takes every workflow that is here", () => {
    const files = sourceFiles(/\.lua$/);
    expect(files.length).toBeGreaterThan(4);
    for (const { text, path } of files) expect([path, problemsOf(text)]).toEqual([path, []]);
  });

  it.each([
    ["a dot without its field", "on(function(e)\n  local x = e.\n  if x then f() end\nend)\ng()"],
    ["a text without its end", 'on(function(e)\n  if e.type == "\nend)\ng()'],
    ["a table without its end", "on(function(e)\n  f({\n    x = e.\nend)\ng()"],
    ["a block without its end", "on(function(e)\n  if e then\n    f()\nend)\ng()"],
    ["a function without its end", "on(function(e)\n  f()\n\ng()"],
    ["a call without its end", "on(function(e)\n  f(e,\nend)\ng()"],
    ["a condition without its value", "on(function(e)\n  if e ==\n    f()\n  end\nend)\ng()"],
    ["a word that is not finished", "on(function(e)\n  ret\nend)\ng()"],
    ["a for without its list", "on(function(e)\n  for k, v in\n  end\nend)\ng()"],
  ])("what follows a mistake keeps its meaning: %s", (_what, source) => {
    expect(problemsOf(source).length).toBeGreaterThan(0);
    expect(shapeOf(source)).toEqual(["expression", "expression"]);
  });
});

const word = fc.constantFrom(
  ..."a b f x.y and or not local function end if then else elseif for in do while repeat until return break nil".split(
    " ",
  ),
  ...[
    "=",
    "==",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    ".",
    ":",
    "..",
    "...",
    "::",
    "+",
    "-",
    "#",
    "1",
    "'s'",
  ],
  ...["\n", "\n", "--- doc\n", "-- note\n", "function() end", "local x = 1\n", "f(a)\n", "[[x]]"],
);
const soup = fc.array(word, { maxLength: 25 }).map((words) => words.join(" "));
const program = fc.array(fc.constantFrom(...valid.filter((one) => !one.startsWith("return"))), {
  maxLength: 6,
});

describe("whatever is typed", () => {
  it("is read; and what the engine takes has no problem here, what it refuses has one", () => {
    fc.assert(
      fc.property(soup, (source) => {
        // Labels are looked at by the engine alone.
        fc.pre(!/goto|::/.test(source));
        expect([source, problemsOf(source).length === 0]).toEqual([source, loads(source)]);
      }),
      { numRuns: 3_000 },
    );
  });

  it("an edit gives what reading the whole text gives", () => {
    const text = fc.oneof(
      soup,
      program.map((lines) => lines.join("\n")),
    );
    fc.assert(
      fc.property(
        text,
        fc.array(fc.tuple(fc.nat(), fc.nat(20), fc.oneof(word, soup)), { maxLength: 6 }),
        (first, edits) => {
          let tree = parse(first);
          for (const [at, length, put] of edits) {
            const from = at % (tree.source.length + 1);
            const to = Math.min(tree.source.length, from + length);
            tree = reparse(tree, { from, to, text: put });
            expect(plain(tree)).toEqual(plain(parse(tree.source)));
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it("an edit in one function costs what the function costs, not what the file costs", () => {
    const body = (index: number) =>
      `local function step_${index}(event)\n  local n = (event.payload.n or 0) + ${index}\n  return { n = n, list = { 1, 2 } }\nend\n`;
    const source = Array.from({ length: 1_250 }, (_, index) => body(index)).join("");
    const whole = parse(source);
    const at = source.indexOf("step_600");
    const all = whole.tokens;
    const edited = reparse(whole, { from: at, to: at, text: "x" });
    expect(edited.tokens / all).toBeLessThan(0.01);
    expect(plain(edited)).toEqual(plain(parse(edited.source)));
  });
});
