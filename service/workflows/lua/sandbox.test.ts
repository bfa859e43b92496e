import { describe, expect, it } from "vitest";
import { done, evaluate, failure, messages, openWorkflow, runBody } from "../../../test/harness/lua.ts";

describe("the sandbox", () => {
  it("S28 holds base, table, string and math and nothing that reaches out", () => {
    const names = evaluate(
      `local names = {} for name in pairs(_G) do names[#names + 1] = name end table.sort(names) return names`,
    );
    expect(names).toEqual([
      "_G",
      "_VERSION",
      "array",
      "assert",
      "error",
      "getmetatable",
      "ipairs",
      "json",
      "math",
      "next",
      "pairs",
      "pcall",
      "print",
      "rawequal",
      "rawget",
      "rawlen",
      "rawset",
      "sekia",
      "select",
      "setmetatable",
      "signalbox",
      "string",
      "table",
      "tonumber",
      "tostring",
      "type",
      "unpack",
      "xpcall",
    ]);
  });

  it.each([
    "os",
    "io",
    "debug",
    "package",
    "coroutine",
    "utf8",
    "require",
    "dofile",
    "load",
    "loadfile",
    "loadstring",
    "collectgarbage",
  ])("S28 %s is not there", (name) => {
    expect(evaluate(`return { ${name} == nil, _G["${name}"] == nil }`)).toEqual([true, true]);
  });

  it("S28 string.dump is gone, and bytecode does not load", () => {
    expect(evaluate("return string.dump == nil")).toBe(true);
    expect(openWorkflow("\x1bLua bytecode").loaded).toMatchObject({
      kind: "failed",
      error: { message: expect.stringContaining("attempt to load a binary chunk") },
    });
  });

  it("U30 no metatable leads to a library or to the host", () => {
    expect(
      evaluate(
        `return { getmetatable(""), getmetatable(signalbox.state), getmetatable(signalbox.null), getmetatable(array{}) }`,
      ),
    ).toEqual([false, false, false, false]);
    expect(failure("setmetatable(array{}, {})").message).toBe("cannot change a protected metatable");
    expect(failure("rawset(signalbox.state, 'x', 1)").message).toContain("table expected, got userdata");
    expect(failure("signalbox.state.constructor()").message).toContain("attempt to call a nil value");
    expect(
      evaluate("return { tostring(signalbox.state.__index), tostring(signalbox.state.__proto__) }"),
    ).toEqual(["nil", "nil"]);
  });

  it("S28 what one workflow does to string means nothing to another", () => {
    openWorkflow("string.upper = function() return 'mine' end");
    expect(evaluate('return { ("x"):upper(), string.upper("y") }')).toEqual(["X", "Y"]);
  });

  it("U5 the words of Lua 5.1 are there", () => {
    expect(
      evaluate("return { unpack({ 1, 2, 3 }), math.pow(2, 10), table.getn({ 1, 2 }), setfenv == nil }"),
    ).toEqual([1, 1024, 2, true]);
    expect(evaluate("return select('#', unpack({ 1, 2, 3 }))")).toBe(3);
  });

  it("U5 both Lua interfaces live in one state", () => {
    expect(evaluate("return { sekia.name, signalbox.name, _VERSION }")).toEqual(["test", "test", "Lua 5.3"]);
  });

  it("print writes one line of level info, its words parted by tabs", () => {
    const outcome = done(runBody('print("a", 1, nil, true, 2^31)\nprint()'));
    expect(outcome.logs).toMatchObject([
      { level: "info", message: "a\t1\tnil\ttrue\t2147483648", line: 2 },
      { level: "info", message: "", line: 3 },
    ]);
  });

  it("B14 pcall and xpcall catch errors, give back all results and keep the error's value", () => {
    const body = `
      local t = {}
      local a = { pcall(error, t) }
      local b = { pcall(function(...) return ... end, 1, 2, 3) }
      local c = { xpcall(function() error("x", 0) end, function(m) return "handled " .. m end) }
      local d = { xpcall(function(...) return ... end, print, 4, 5) }
      return { a[2] == t, b, c, d, { pcall(pcall, error, "e") } }`;
    expect(evaluate(body)).toEqual([
      true,
      [true, 1, 2, 3],
      [false, "handled x"],
      [true, 4, 5],
      [true, false, "e"],
    ]);
  });

  it("B14 an error caught in a handler does not disarm the limits", () => {
    const opened = openWorkflow(
      'sekia.on("x", function() pcall(error, "x") while true do end end)',
      {},
      { handlerTimeoutMs: 50 },
    );
    expect(opened.run().outcome).toMatchObject({ kind: "stopped", reason: "timeout" });
  });

  it("math.random is the same in every attempt of a run, and differs between runs", () => {
    const body = "local r = {} for i = 1, 5 do r[i] = math.random(1000000) end return r";
    const first = done(runBody(body, {}, { effectKey: "a" })).output;
    expect(done(runBody(body, {}, { effectKey: "a" })).output).toEqual(first);
    expect(done(runBody(body, {}, { effectKey: "b" })).output).not.toEqual(first);
    expect(
      evaluate(
        "math.randomseed(7) local a = math.random() math.randomseed(7) return a == math.random() and a < 1",
      ),
    ).toBe(true);
    expect(failure("math.random(0)").message).toContain("interval is empty");
  });

  it("a string that would be huge raises an error before it is made", () => {
    expect(failure('string.rep("x", 1e8)').message).toContain("more than 16777216 bytes");
    expect(failure('string.rep("x", 1e6, "yyyyyyyyyyyyyyyyyyyy")').message).toContain(
      "more than 16777216 bytes",
    );
    expect(failure('local s = "x" while true do s = s .. s end').message).toContain("string is too long");
    expect(
      failure('local s = string.rep("x", 1e6) local t = {} for i = 1, 20 do t[i] = s end table.concat(t)')
        .message,
    ).toContain("more than 16777216 bytes");
  });
});

describe("errors", () => {
  it("S21 carry file, line and traceback", () => {
    const error = failure("local function inner()\n  error('broken')\nend\ninner()\nreturn 1");
    expect(error).toMatchObject({ message: "broken", file: "flows/test.lua", line: 3 });
    expect(error.traceback).toMatch(/flows\/test\.lua:3: in .*inner[\s\S]*flows\/test\.lua:5:/);
  });

  it.each([
    ["error({ code = 42 })", '{"code":42}'],
    ["error({ code = 42, message = 'no luck' })", "no luck (42)"],
    ["error({ message = 'no luck' })", "no luck"],
    ["error(nil)", "a nil was raised as an error"],
    ["error(print)", "a function was raised as an error"],
    ["error(7)", "7"],
    ["error({ print })", "a table was raised as an error"],
    ["error(setmetatable({}, { __tostring = function() while true do end end }))", "{}"],
    ["error('\\xff')", "\ufffd"],
  ])("%s is described sensibly", (code, message) => {
    expect(failure(code)).toMatchObject({ message, line: 2, file: "flows/test.lua" });
  });

  it("a syntax error names file and line", () => {
    expect(openWorkflow("local a = 1\nlocal b = = 2").loaded).toMatchObject({
      kind: "failed",
      error: {
        message: expect.stringContaining("unexpected symbol near '='"),
        file: "flows/test.lua",
        line: 2,
      },
    });
  });

  it("deep recursion is an error that can be caught, in Lua and through library functions", () => {
    expect(failure("local function f() return 1 + f() end f()").message).toContain("stack overflow");
    const nested = "local function f() return string.gsub('x', 'x', f) end return pcall(f)";
    expect(evaluate(nested)).toBe(false);
    expect(
      evaluate(
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return { pcall(function() return t[1] end) }",
      ),
    ).toEqual([false, expect.stringContaining("overflow")]);
  });

  it("log lines have a limit, and the last one says so", () => {
    const outcome = done(runBody("for i = 1, 3000 do print(i) end"));
    expect(outcome.logs).toHaveLength(1_001);
    expect(messages(outcome.logs).at(-1)).toBe("further lines of this run are left out");
  });
});
