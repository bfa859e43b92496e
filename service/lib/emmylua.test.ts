import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Comment,
  commentsIn,
  type LuaType,
  parseComment,
  parseType,
  printComment,
  printType,
  type Tag,
} from "./emmylua.ts";

const name = (text: string, ...args: LuaType[]): LuaType => ({ kind: "name", name: text, args });

describe("types", () => {
  it.each<[string, string]>([
    ["string", "string"],
    ["signalbox.Event", "signalbox.Event"],
    ["string[]", "string[]"],
    ["string [] what it is", "string"],
    ["table<string,any>", "table<string, any>"],
    ["{a:string,b?:integer}", "{ a: string, b?: integer }"],
    ["{ [string]: any; }", "{ [string]: any }"],
    ["{}", "{}"],
    ["[string,integer]", "[string, integer]"],
    ["fun()", "fun()"],
    ["fun(a:string, b?:integer, ...:any):boolean", "fun(a: string, b?: integer, ...: any): boolean"],
    ["fun(self)", "fun(self)"],
    ["fun(): string, string?", "fun(): string, string?"],
    ["fun(f: fun(): string, n: integer)", "fun(f: fun(): string, n: integer)"],
    ["fun(): ok: boolean, why: string", "fun(): ok: boolean, why: string"],
    ["async fun(a: T): T", "fun(a: T): T"],
    ["string|nil", "string | nil"],
    ["(string|integer)[]", "(string | integer)[]"],
    ["(fun(): string)|nil", "(fun(): string) | nil"],
    ["fun(): string|nil", "fun(): string | nil"],
    ["string?", "string?"],
    ["string[]?", "string[]?"],
    ["\"a\"|'b'|1|-2.5|true", '"a" | "b" | 1 | -2.5 | true'],
    ["T...", "T..."],
    ["`T`", "T"],
  ])("%s", (text, printed) => {
    const { type, problems } = parseType(text);
    expect(printType(type)).toBe(printed);
    expect(problems).toEqual([]);
  });

  it.each<[string, string, string]>([
    ["", "unknown", "a type expected"],
    ["{ a: string", "{ a: string }", "'}' expected"],
    ["fun(a: string", "fun(a: string)", "')' expected"],
    ["table<string, ", "table<string>", "'>' expected"],
    ["{ = }", "{}", "a field's name expected"],
    ["string | ", "string | unknown", "a type expected"],
  ])("what is half typed is read as far as it goes: %s", (text, printed, problem) => {
    const { type, problems } = parseType(text);
    expect(printType(type)).toBe(printed);
    expect(problems.map(({ message }) => message)).toContain(problem);
  });

  it("leave what follows them", () => {
    expect(parseType("string The name of it").rest).toBe("The name of it");
    expect(parseType("fun(): string The callback").rest).toBe("The callback");
  });
});

const tagged = (text: string) => {
  const { tags, problems } = parseComment(text);
  return { tags: tags.map(({ line: _line, ...tag }) => tag), problems };
};

describe("comments", () => {
  it("K25 a class with its fields, their optional mark, key types and the lines above them", () => {
    const comment = parseComment(
      [
        "--- What a query takes.",
        "---@class (exact) Query<T>: Base, Other",
        "---@field query string PromQL",
        "--- How far apart",
        "--- two points are.",
        "---@field public step? integer # seconds",
        "---@field [string] any",
        "---@field private cache table<string, T>",
      ].join("\n"),
    );
    expect(comment.problems).toEqual([]);
    expect(comment.description).toBe("What a query takes.");
    expect(comment.tags).toMatchObject([
      { tag: "class", name: "Query", isExact: true, parents: [name("Base"), name("Other")] },
      { tag: "field", key: "query", optional: false, description: "PromQL", line: 2 },
      { key: "step", optional: true, description: "How far apart\ntwo points are.\nseconds", line: 5 },
      { key: name("string"), type: name("any") },
      { key: "cache", visibility: "private", type: name("table", name("string"), name("T")) },
    ]);
  });

  it("K25 params and results, with names, defaults and descriptions", () => {
    const { tags, problems } = tagged(
      [
        "---@param params prometheus.Query Named fields",
        "---@param retries? integer",
        "---@param ... string",
        "---@return prometheus.Result result What came back",
        "---@return string?, string err",
        "---@return string # only words",
      ].join("\n"),
    );
    expect(problems).toEqual([]);
    expect(tags).toEqual([
      {
        tag: "param",
        name: "params",
        optional: false,
        type: name("prometheus.Query"),
        description: "Named fields",
      },
      { tag: "param", name: "retries", optional: true, type: name("integer"), description: "" },
      { tag: "param", name: "...", optional: false, type: name("string"), description: "" },
      {
        tag: "return",
        returns: [{ type: name("prometheus.Result"), name: "result" }],
        description: "What came back",
      },
      {
        tag: "return",
        returns: [
          { type: { kind: "optional", type: name("string") }, name: null },
          { type: name("string"), name: "err" },
        ],
        description: "",
      },
      { tag: "return", returns: [{ type: name("string"), name: null }], description: "only words" },
    ]);
  });

  it("aliases over several lines, enums, generics, overloads, deprecation and others", () => {
    const { tags, problems } = tagged(
      [
        "---@alias Level",
        '---| "debug" # rarely wanted',
        "---|> '\"info\"'",
        "---@alias Id string | integer",
        "---@enum (key) Colour",
        "---@generic T: table, K",
        "---@overload fun(message: any)",
        "---@deprecated use the other",
        "---@diagnostic disable-next-line: unused-local",
      ].join("\n"),
    );
    expect(problems).toEqual([]);
    expect(tags).toMatchObject([
      {
        tag: "alias",
        name: "Level",
        type: null,
        members: [
          { type: { value: "debug" }, description: "rarely wanted" },
          { type: { value: "info" }, description: "" },
        ],
      },
      { tag: "alias", name: "Id", type: { kind: "union" } },
      { tag: "enum", name: "Colour", isKey: true },
      {
        tag: "generic",
        generics: [
          { name: "T", parent: name("table") },
          { name: "K", parent: null },
        ],
      },
      { tag: "overload", type: { kind: "function" } },
      { tag: "deprecated", description: "use the other" },
      { tag: "other", name: "diagnostic", description: "disable-next-line: unused-local" },
    ]);
  });

  it("a mistake costs its own tag only, and says where it stands", () => {
    const { tags, problems } = parseComment("---@param\n---@field x {a: \n---@return string");
    expect(tags.map(({ tag }) => tag)).toEqual(["param", "field", "return"]);
    expect(problems.map(({ message, line }) => [line, message])).toEqual([
      [0, "a parameter's name expected"],
      [0, "a type expected"],
      [1, "a type expected"],
      [1, "'}' expected"],
    ]);
    expect(problems[2]).toMatchObject({ from: 15, to: 15 });
  });

  it("K25 are found in an action's file with what stands below them", () => {
    const source = [
      "---@class Query",
      "---@field query string",
      "",
      "--- Asks Prometheus.",
      "---@param params Query",
      "---@return table",
      "return define_action({",
      '  source = "https://example.com/q.git", ---not one',
      "})",
    ].join("\r\n");
    expect(commentsIn(source)).toMatchObject([
      { from: 0, to: 1, below: "" },
      { from: 3, to: 5, below: "return define_action({", description: "Asks Prometheus." },
    ]);
  });
});

const word = fc
  .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/)
  .filter((text) => !/^(fun|async|true|false)$/.test(text));
const typeName = fc.array(word, { minLength: 1, maxLength: 2 }).map((parts) => parts.join("."));
const text = fc.stringMatching(/^[a-z`][a-zA-Z0-9 ,.|?'"`<>()[\]{}#-]{0,20}$/).map((line) => line.trim());
const description = fc.oneof(fc.constant(""), text);
const { type } = fc.letrec<{ type: LuaType }>((tie) => ({
  type: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    typeName.map((one): LuaType => ({ kind: "name", name: one, args: [] })),
    fc
      .oneof(
        fc.string(),
        fc.integer(),
        fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
        fc.boolean(),
      )
      .map((value): LuaType => ({ kind: "literal", value })),
    fc.record({ kind: fc.constant("array" as const), element: tie("type") }),
    fc.record({ kind: fc.constant("optional" as const), type: tie("type") }),
    fc.record({ kind: fc.constant("variadic" as const), type: tie("type") }),
    fc.record({
      kind: fc.constant("union" as const),
      types: fc.array(tie("type"), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("tuple" as const), types: fc.array(tie("type"), { maxLength: 3 }) }),
    fc.record({
      kind: fc.constant("name" as const),
      name: typeName,
      args: fc.array(tie("type"), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({
      kind: fc.constant("table" as const),
      fields: fc.array(
        fc.record({ key: fc.oneof(word, tie("type")), optional: fc.boolean(), type: tie("type") }),
        { maxLength: 3 },
      ),
    }),
    fc.record({
      kind: fc.constant("function" as const),
      params: fc.array(
        fc.record({
          name: fc.oneof(word, fc.constant("...")),
          optional: fc.boolean(),
          type: fc.option(tie("type")),
        }),
        { maxLength: 3 },
      ),
      returns: fc.array(fc.record({ name: fc.option(word), type: tie("type") }), { maxLength: 3 }),
    }),
  ),
}));
const generics = fc.array(fc.record({ name: word, parent: fc.option(type) }), { maxLength: 2 });
const someGenerics = fc.array(fc.record({ name: word, parent: fc.option(type) }), {
  minLength: 1,
  maxLength: 2,
});
const line = fc.constant(0);
const tag: fc.Arbitrary<Tag> = fc.oneof(
  fc.record({
    tag: fc.constant("class" as const),
    name: typeName,
    generics,
    parents: fc.array(type, { maxLength: 2 }),
    isExact: fc.boolean(),
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("field" as const),
    key: fc.oneof(
      word.filter((one) => !/^(public|private|protected|package)$/.test(one)),
      type,
    ),
    optional: fc.boolean(),
    visibility: fc.constantFrom(null, "private" as const, "protected" as const, "package" as const),
    type,
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("param" as const),
    name: fc.oneof(word, fc.constant("...")),
    optional: fc.boolean(),
    type,
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("return" as const),
    returns: fc.array(fc.record({ type, name: fc.option(word) }), { minLength: 1, maxLength: 2 }),
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("type" as const),
    types: fc.array(type, { minLength: 1, maxLength: 2 }),
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("alias" as const),
    name: typeName,
    generics,
    type: fc.option(type),
    members: fc.array(
      fc.record({
        type: word.map((value): LuaType => ({ kind: "literal", value })),
        description,
      }),
      { maxLength: 2 },
    ),
    description,
    line,
  }),
  fc.record({
    tag: fc.constant("enum" as const),
    name: typeName,
    isKey: fc.boolean(),
    description,
    line,
  }),
  fc.record({ tag: fc.constant("generic" as const), generics: someGenerics, description, line }),
  fc.record({
    tag: fc.constant("overload" as const),
    type: type.filter((one) => one.kind === "function"),
    description,
    line,
  }),
  fc.record({ tag: fc.constant("deprecated" as const), description, line }),
  fc.record({
    tag: fc.constant("other" as const),
    name: fc.constantFrom("see", "async", "nodiscard"),
    description,
    line,
  }),
);
const comment = fc.record({
  description: fc
    .array(
      text.filter((one) => !one.startsWith("|")),
      { maxLength: 3 },
    )
    .map((lines) => lines.join("\n")),
  tags: fc.array(tag, { maxLength: 5 }),
});

describe("whatever is written", () => {
  it("a printed type is read back as the same", () => {
    fc.assert(
      fc.property(type, (one) => {
        expect(parseType(printType(one))).toEqual({ type: one, rest: "", problems: [] });
      }),
      { numRuns: 2_000 },
    );
  });

  it("a printed comment is read back as the same", () => {
    const plain = ({ description, tags }: Pick<Comment, "description" | "tags">) => ({
      description,
      tags: tags.map(({ line: _line, ...one }) => one),
    });
    fc.assert(
      fc.property(comment, (one) => {
        const read = parseComment(printComment(one));
        expect(read.problems).toEqual([]);
        expect(plain(read)).toEqual(plain(one));
      }),
      { numRuns: 1_000 },
    );
  });

  it("no text is too odd to be read, and none takes long", () => {
    const soup = fc
      .array(
        fc.oneof(
          fc.constantFrom(..."<>()[]{}|?,:;@#\"'`-. ".split(""), "fun", "---@", "...", "\n"),
          fc.string(),
        ),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(
        fc.constantFrom("class", "field", "param", "return", "alias", "type"),
        soup,
        (which, rest) => {
          const read = parseComment(`---@${which} ${rest}`);
          expect(read.tags.length).toBeGreaterThan(0);
          expect(() => printComment(read)).not.toThrow();
        },
      ),
      { numRuns: 2_000 },
    );
    expect(parseType("(".repeat(100_000)).problems.length).toBeGreaterThan(0);
    expect(printType(parseType("x[]".repeat(1)).type)).toBe("x[]");
  });
});
