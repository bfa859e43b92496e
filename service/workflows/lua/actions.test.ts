import { describe, expect, it } from "vitest";
import {
  done,
  finish,
  journalOf,
  messages,
  request,
  source,
  suspended,
  testLimits,
} from "../../../test/harness/lua.ts";
import type { ActionLibrary } from "../../actions/repository.ts";
import type { Json, JsonObject } from "../../contract/common.ts";
import type { RunRequest } from "./host.ts";
import { LuaWorkflow } from "./workflow.ts";

const until = () => performance.now() + 1_000;

function library(files: Record<string, string>): ActionLibrary {
  const modules = Object.entries(files).map(([file, text]) => [
    file.replace(/\/init\.lua$|\.lua$/, "").replaceAll("/", "."),
    { file, source: text },
  ]);
  return { modules: Object.fromEntries(modules), problem: null };
}

/** A repository as Kael's design shows it: root, namespace, action. */
const prometheus = library({
  "init.lua": `local M = {}\nM.prometheus = require("prometheus")\nM.shell = require("shell")\nreturn M`,
  "prometheus/init.lua": `local M = {}\nM.query = require("prometheus.query")\nreturn M`,
  "prometheus/query.lua": `return define_action({
    source = "git@github.com:someone/prometheus-tools.git",
    executor = "docker",
    entrypoint = "query.py",
    subdir = "tools",
    defaults = { endpoint = "http://prometheus:9090", step = "5m" },
    env = { "AWS_PROFILE" },
    timeout = 60,
    schema = { input = { query = "string", range = "string?" } },
  })`,
  "shell.lua": `return { greet = tools.define_tool({ source = "./scripts" }), helper = function(a) return a * 2 end }`,
});

function load(
  text: string,
  from: ActionLibrary = prometheus,
  script?: { args: string[] },
  limits = testLimits,
) {
  const workflow = new LuaWorkflow(
    { ...source("test", text), library: from, ...(script ? { script } : {}) },
    null,
    limits,
    { tick() {} },
  );
  const task = workflow.load();
  let loaded = task.step(until());
  while (!loaded) loaded = task.step(until());
  return { workflow, loaded };
}

function handler(body: string, from?: ActionLibrary) {
  const { workflow, loaded } = load(`sekia.on("test", function(event)\n${body}\nend)`, from);
  if (loaded.kind !== "loaded") throw new Error(JSON.stringify(loaded.error));
  return (more: Partial<RunRequest> = {}) => {
    const { workflow: _, ...rest } = request("test", more);
    const run = workflow.run(rest);
    return {
      outcome: finish(run),
      goOn(value: Json) {
        run.goOn({ ok: true, value }, 1);
        return finish(run);
      },
      fail(message: string) {
        run.goOn({ ok: false, message }, 1);
        return finish(run);
      },
    };
  };
}

const failed = (files: Record<string, string>) => {
  const { loaded } = load("for _ in pairs(actions) do break end", library(files));
  if (loaded.kind !== "failed") throw new Error("it loaded");
  return loaded.error;
};

describe("an actions repository", () => {
  it("K3 K4 B19 is loaded from init.lua over its namespaces, and says what it defines", () => {
    const { loaded } = load("for _ in pairs(actions) do break end");
    if (loaded.kind !== "loaded") throw new Error(JSON.stringify(loaded.error));
    expect(loaded.loaded.actions.map(({ name, file, line }) => [name, file, line])).toEqual([
      ["prometheus.query", "prometheus/query.lua", 1],
      ["shell.greet", "shell.lua", 1],
    ]);
    expect(loaded.loaded.actions[0]?.definition).toMatchObject({
      source: "git@github.com:someone/prometheus-tools.git",
      executor: "docker",
      entrypoint: "query.py",
      subdir: "tools",
      env: ["AWS_PROFILE"],
      timeout: 60,
      input_adapter: "json",
      output_adapter: "json",
      schema: { input: { query: { type: "string", required: true }, range: { required: false } } },
    });
    expect(loaded.loaded.actions[1]?.definition).toMatchObject({
      executor: "docker",
      input_adapter: "args",
      output_adapter: "text",
    });
  });

  it("is not run by a workflow that does not use it", () => {
    const broken = library({ "init.lua": "error('boom')" });
    expect(load(`sekia.on("test", function() end)`, broken).loaded.kind).toBe("loaded");
  });

  it.each([
    ["a missing source", `define_action({ executor = "native" })`, /source is missing: say where/],
    ["a missing executor", `define_action({ source = "." })`, /executor is missing: "native", "docker"/],
    ["an unknown executor", `define_action({ source = ".", executor = "vm" })`, /executor must be/],
    [
      "an unknown field",
      `define_action({ source = ".", executor = "native", entypoint = "a" })`,
      /unknown field "entypoint" \(did you mean "entrypoint"\?\)/,
    ],
    [
      "a subdir outside",
      `define_action({ source = ".", executor = "native", subdir = "../.." })`,
      /subdir must be a path inside the source/,
    ],
    [
      "an unknown type",
      `define_action({ source = ".", executor = "native", schema = { input = { a = "text" } } })`,
      /schema.input.a "text" is no type; there are string/,
    ],
    [
      "positional arguments without an order",
      `tools.define_tool({ source = ".", input_adapter = "positional_args" })`,
      /needs args_order/,
    ],
    ["no table", `define_action("x")`, /needs a table/],
  ])("K5 K6 K8 refuses %s, naming file and line", (_, text, message) => {
    const error = failed({ "init.lua": `return { a = require("a") }`, "a.lua": `\nreturn ${text}` });
    expect(error).toMatchObject({ file: "a.lua", line: 2 });
    expect(error.message).toMatch(message);
  });

  it("says which module is missing, which requires itself, and which does not compile", () => {
    expect(failed({ "init.lua": `return require("gone.away")` })).toMatchObject({
      file: "init.lua",
      line: 1,
      message:
        "module 'gone.away' not found: the actions repository has neither gone/away.lua nor gone/away/init.lua",
    });
    expect(failed({ "init.lua": `return require("a")`, "a.lua": `return require("a")` }).message).toMatch(
      /module 'a' requires itself/,
    );
    expect(failed({ "init.lua": `return require("a")`, "a.lua": "return {" })).toMatchObject({
      file: "a.lua",
      line: 1,
    });
    expect(failed({ "init.lua": "return 1" }).message).toMatch(/must return a table/);
    expect(failed({ "init.lua": "return { all = {} }" }).message).toMatch(/actions.all is a function/);
  });

  it("S28 require sees the repository and nothing else", () => {
    const { loaded } = load(
      `for _, name in ipairs({ "os", "io", "/etc/passwd", "../secret", "package", "constructor", "__proto__" }) do
        assert(not pcall(require, name), name)
      end
      assert(os == nil and io == nil and package == nil and load == nil)`,
    );
    expect(loaded).toMatchObject({ kind: "loaded" });
  });

  it("a module that computes without end is stopped like any other text", () => {
    const endless = library({ "init.lua": "while true do end" });
    const { loaded } = load("local a = actions.x", endless, undefined, {
      ...testLimits,
      handlerTimeoutMs: 50,
    });
    expect(loaded).toMatchObject({
      kind: "failed",
      error: { message: expect.stringMatching(/computed for more/) },
    });
  });

  it("shared Lua functions of the repository are there as well, and its tables can be gone through", () => {
    const run = handler(`
      local names = {}
      for name in pairs(actions) do names[#names + 1] = name end
      table.sort(names)
      return { kit.shell.helper(21), names, require("shell").helper(2) }`);
    expect(done(run().outcome).output).toEqual([42, ["prometheus", "shell"], 4]);
  });

  it("can't be changed by a workflow", () => {
    const run = handler(`actions.prometheus2 = 1`);
    expect(run().outcome).toMatchObject({ kind: "failed", error: { message: /can't be changed here/ } });
    const other = handler(`return getmetatable(actions)`);
    expect(done(other().outcome).output).toBe(false);
  });
});

describe("a call of an action", () => {
  const query = `return actions.prometheus.query({ query = "up", step = "1m" })`;

  it("K12 K13 K19 waits for its answer, with defaults below what was given, and gives it as a table", () => {
    const run = handler(`local rows = actions.prometheus.query({ query = "up", step = "1m" })
      table.insert(rows, { value = 3 })
      local sum = 0
      for _, row in ipairs(rows) do sum = sum + row.value end
      return { #rows, sum, rows }`)();
    const [operation] = suspended(run.outcome).operations;
    expect(operation).toMatchObject({
      kind: "action",
      action: "prometheus.query",
      params: { endpoint: "http://prometheus:9090", step: "1m", query: "up" },
      wait: true,
      line: 2,
    });
    expect(done(run.goOn([{ value: 1 }, { value: 2 }])).output).toEqual([
      3,
      6,
      [{ value: 1 }, { value: 2 }, { value: 3 }],
    ]);
  });

  it("K16 K17 raises what went wrong without a place before it, and pcall gets it", () => {
    const message = "prometheus.query failed: connection refused";
    expect(handler(query)().fail(message)).toMatchObject({ kind: "failed", error: { message } });
    const caught = handler(`local ok, why = pcall(actions.prometheus.query, { query = "up" })
      if not ok then return { why, "fallback" } end`)();
    expect(done(caught.fail(message)).output).toEqual([message, "fallback"]);
  });

  it("K18 an answer with an error in it is an answer", () => {
    const run = handler(`local found = actions.prometheus.query({ query = "up" })
      return found.error`)();
    expect(done(run.goOn({ error: "no such tenant" })).output).toBe("no such tenant");
  });

  it("K19 takes {} and nothing as parameters, and answers as parameters of the next", () => {
    const run = handler(`local first = actions.shell.greet({})
      actions.shell.greet()
      actions.prometheus.query({ query = "up", data = first })`)();
    expect(suspended(run.outcome).operations[0]).toMatchObject({ params: {} });
    expect(suspended(run.goOn([1, { a: 2 }])).operations[0]).toMatchObject({ params: {} });
  });

  it("B19 refuses parameters that do not fit the schema before anything happens", () => {
    const run = handler(`local _, a = pcall(actions.prometheus.query, {})
      local _, b = pcall(actions.prometheus.query, { query = 1 })
      return { a, b }`)();
    expect(done(run.outcome)).toMatchObject({
      operations: [],
      output: [
        'Schema Validation Failure: missing required field "query" (expected string)',
        'Schema Validation Failure: field "query": expected string, got number',
      ],
    });
  });

  it("takes retry and cache for one call", () => {
    const run = handler(`actions.prometheus.query({ query = "up" }, { retry = 2, cache = "1h" })`)();
    expect(suspended(run.outcome).operations[0]).toMatchObject({
      options: { retry: { attempts: 2, delay: 1_000 }, cache: 3_600_000 },
    });
    expect(handler(`actions.prometheus.query({ query = "up" }, { cach = 1 })`)().outcome).toMatchObject({
      kind: "failed",
      error: { message: /bad options for prometheus.query/ },
    });
  });

  it("is answered by the journal when the handler is run again", () => {
    const run = handler(query);
    const first = suspended(run().outcome);
    const journal = journalOf(first, { 1: { ok: true, value: [7] } });
    expect(done(run({ journal }).outcome)).toMatchObject({ operations: [], output: [7] });
  });

  it("while the file loads, or of an action that init.lua does not return, says why it can't be", () => {
    expect(load(`actions.prometheus.query({ query = "up" })`).loaded).toMatchObject({
      kind: "failed",
      error: { message: expect.stringMatching(/prometheus.query works only in a handler/) },
    });
    const own = handler(`define_action({ source = ".", executor = "native" })({})`);
    expect(own().outcome).toMatchObject({ error: { message: /in no table that init.lua/ } });
  });

  it("without a repository says how to get one", () => {
    const none = { modules: {}, problem: "there is no actions repository: signalbox actions init" };
    expect(handler("actions.a.b({})", none)().outcome).toMatchObject({
      error: { message: none.problem, line: 2 },
    });
  });
});

describe("actions.all", () => {
  const two = `return actions.all({
    { actions.prometheus.query, { query = "a" } },
    { actions.prometheus.query, { query = "b" }, { cache = "1m" } },
  })`;

  it("starts all at once and gives the answers in their places", () => {
    const run = handler(two)();
    const first = suspended(run.outcome);
    expect(first.operations.map(({ kind }) => kind)).toEqual(["action", "action", "join"]);
    expect(first.operations[0]).toMatchObject({ wait: false, params: { query: "a" } });
    const [a, b, join] = first.operations as unknown as JsonObject[];
    expect(join?.effect_id).toBe(a?.effect_id);
    const second = suspended(run.goOn("A"));
    expect(second.operations).toMatchObject([{ kind: "join", effect_id: b?.effect_id }]);
    expect(done(run.goOn("B")).output).toEqual(["A", "B"]);
  });

  it("takes names, and replays from the journal", () => {
    const run = handler(`return actions.all({
      x = { actions.shell.greet, {} }, y = { actions.shell.greet } })`);
    const first = run();
    const journal = journalOf(first.outcome, { 3: { ok: true, value: 1 } });
    const again = run({ journal });
    expect(suspended(again.outcome).operations).toMatchObject([{ kind: "join", ordinal: 4 }]);
    expect(done(again.goOn(2)).output).toEqual({ x: 1, y: 2 });
  });

  it("waits for all and then raises the first failure", () => {
    const run = handler(`local ok, why = pcall(function() ${two} end) return why`)();
    suspended(run.fail("prometheus.query failed: no"));
    expect(done(run.goOn("B")).output).toBe("prometheus.query failed: no");
  });

  it("refuses what is no call", () => {
    for (const bad of ["{ 1 }", "{ { print } }", `{ { actions.shell.greet }, x = { actions.shell.greet } }`])
      expect(handler(`actions.all(${bad})`)().outcome).toMatchObject({
        kind: "failed",
        error: { message: /actions.all/ },
      });
  });
});

describe("a script", () => {
  function script(text: string, args: string[] = []) {
    const { workflow, loaded } = load(text, prometheus, { args });
    if (loaded.kind !== "loaded") throw new Error(JSON.stringify(loaded.error));
    return (more: Partial<RunRequest> = {}) => {
      const { workflow: _, ...rest } = request("test", { event: null, ...more });
      const run = workflow.run(rest);
      return { run, outcome: finish(run) };
    };
  }

  it("K20 B19 runs its text with arg and ..., and prints tab-separated", () => {
    const { run, outcome } = script(
      `print(arg[0], arg[1], select(2, ...), #arg)
      print(1.5, nil, true)`,
      ["a b", "c"],
    )();
    expect(done(outcome).operations).toEqual([]);
    expect(run.takeNewLogs()).toMatchObject([
      { message: "flows/test.lua\ta b\tc\t2", print: true },
      { message: "1.5\tnil\ttrue", print: true },
    ]);
  });

  it("B19 has pp, inspect, keys, pluck, count and json.pretty", () => {
    const { outcome } = script(`
      local rows = { { id = 1, name = "a" }, { id = 2 } }
      local deep = { 1, "x\\n", { a = { b = {} } }, [true] = 1 }
      deep.me = deep
      return { keys({ b = 1, a = 2 }), pluck(rows, "name"), count({ 1, 2, x = 3 }), inspect(rows), inspect(deep),
        json.pretty({ a = 1 }) }`)();
    expect(done(outcome).output).toEqual([
      ["a", "b"],
      ["a"],
      3,
      '{\n  {\n    id = 1,\n    name = "a"\n  },\n  {\n    id = 2\n  }\n}',
      '{\n  1,\n  "x\\n",\n  {\n    a = {\n      b = {}\n    }\n  },\n  [true] = 1,\n  me = <itself>\n}',
      '{\n  "a": 1\n}',
    ]);
  });

  it("B19 asks the machine for files and jq, and a workflow can't", () => {
    const { outcome } = script(`return readfile("a.txt")`)();
    expect(suspended(outcome).operations).toMatchObject([
      { kind: "local", name: "readfile", args: ["a.txt"] },
    ]);
    const write = script(`writefile("a.json", { x = { 1 } })`)();
    expect(suspended(write.outcome).operations[0]).toMatchObject({
      args: ["a.json", '{\n  "x": [\n    1\n  ]\n}\n'],
    });
    const jq = script(`return jq({ a = 1 }, ".a")`)();
    expect(suspended(jq.outcome).operations[0]).toMatchObject({ name: "jq", args: [{ a: 1 }, ".a"] });
    expect(
      done(handler(`return { readfile == nil, writefile == nil, jq == nil, arg == nil }`)().outcome).output,
    ).toEqual([true, true, true, true]);
  });

  it("K22 a line of the REPL shows its values, and globals stay for the next", () => {
    const evaluate = script("");
    const lines = (code: string) => {
      const { run, outcome } = evaluate({ code });
      return outcome.kind === "done" ? run.takeNewLogs().map(({ message }) => message) : outcome;
    };
    expect(lines("x = 20")).toEqual([]);
    expect(lines("x + 1, 'a'")).toEqual(["21", '"a"']);
    expect(lines("local y = x print(y)")).toEqual(["20"]);
    expect(lines("x.y.z")).toMatchObject({ kind: "failed", error: { message: /attempt to index/ } });
    expect(lines("for i = 1, 2 do")).toMatchObject({ kind: "failed", error: { message: /near <eof>/ } });
  });

  it("K20 prints more than a log keeps, all of it", () => {
    const { run, outcome } = script(`for i = 1, 3000 do print(i) end`)();
    expect(messages(done(outcome).logs)).toHaveLength(1_001);
    expect(run.takeNewLogs()).toHaveLength(3_000);
  });
});
