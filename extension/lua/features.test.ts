import { describe, expect, it } from "vitest";
import { sourceFiles } from "../../scripts/source-files.ts";
import { createLanguageService } from "./language-service.ts";
import { liveText, topicOf, topicUri } from "./live-texts.ts";
import { ACTIONS, api, FILE, fakeHost, openService, place, scripts } from "./testing/fake.ts";

const on = (body: string, pattern = "github.issue.opened") =>
  `sekia.on("${pattern}", function(event)\n${body}\nend)\n`;

describe("hover", () => {
  /** Each piece has to be in the text. */
  function check(source: string, ...pieces: string[]): void {
    const { service, uri, offset } = place(source);
    const text = service.hover(uri, offset)?.text ?? "";
    if (pieces.length === 0) expect(text).toBe("");
    for (const piece of pieces) expect(text).toContain(piece);
  }

  it.each([
    ["a local", "local to|tal = 1", "local total: integer"],
    ["a parameter", "local function f(am|ount) end", "(parameter) amount: any"],
    [
      "a local function with its comment",
      "--- Adds up.\nlocal function su|m(a, b) return a + b end",
      "local function sum(a: any, b: any): number",
      "Adds up.",
    ],
    ["a table's fields", "local t| = { a = 1, b = 'x' }", "a: integer,", "b: string,"],
    [
      "an API function",
      "sekia.pub|lish()",
      "function sekia.publish(subject: string, type: string, payload?: table<string, any>)".replace(
        "sekia.publish",
        "publish",
      ),
      "Records a new event.",
    ],
    ["a library", "str|ing.len('a')", "(global) string"],
    ["a text's method", "local s = 'a'\ns:up|per()", "function upper"],
    ["S27 an event's field", on("  print(event.sub|ject)"), "signalbox.Event.subject: string"],
    [
      "a recorded field with how often and an example",
      on("  print(event.payload.num|ber)"),
      "number: integer",
      "In 100% of the newest 40",
      "For example `42`",
    ],
    [
      "S22 a subject",
      'sekia.on("github.|>", function() end)',
      "`github.issue.opened`",
      "`github.issue.closed`",
    ],
    [
      "a subject that nobody saw",
      'sekia.on("gith|ub.x", function() end)',
      "No recorded event has such a subject.",
    ],
    [
      "S27 a type in a condition",
      on('  if event.type == "github.issue.ope|ned" then end', "github.>"),
      "type github.issue.opened",
      "Seen in 40 recorded events",
    ],
    ["a topic", 'signalbox.publish("a", "b", {}, { topic = "jo|bs" })', "topic jobs"],
    ["S23 a subject that is published on", 'sekia.publish("topics.jo|bs", "x")', "`message.pushed`"],
    [
      "S24 an agent",
      'sekia.command("github|-agent", "x")',
      "It is online.",
      "`add_label` — Adds a label to an issue",
    ],
    [
      "S24 a command with its payload",
      'sekia.command("github-agent", "add_|label")',
      "repo: string,",
      "colour?: ",
    ],
    [
      "a command's field",
      'sekia.command("github-agent", "add_label", { re|po = "a/b" })',
      "repo: string",
      "owner/name",
    ],
    [
      "K25 an action",
      "actions.prometheus.qu|ery{}",
      "params: prometheus.Params",
      "prometheus.Result",
      "Asks Prometheus.",
    ],
    [
      "K25 an action's parameter",
      'actions.prometheus.query{ que|ry = "up" }',
      "prometheus.Params.query: string",
      "PromQL",
    ],
    ["a class in a comment", "---@type prometheus.Par|ams\nlocal p", "class prometheus.Params", "`query`"],
    ["a deprecated function", "table.get|n({})", "Deprecated: `#list` is the same"],
    ["a narrowed value", 'local n = tonumber("1")\nif n then print(n|) end', "local n: number"],
    ["a value that may be nil", 'local n = tonumber("1")\nprint(n|)', "local n: number?"],
    [
      "behind an early return",
      'local n = tonumber("1")\nif not n then return end\nprint(n|)',
      "local n: number",
    ],
    ["with nil asked for", 'local n = tonumber("1")\nif n ~= nil then print(n|) end', "local n: number"],
    [
      "in the other branch",
      'local n = tonumber("1")\nif n == nil then f() else print(n|) end',
      "local n: number",
    ],
    ["behind assert", 'local n = tonumber("1")\nassert(n, "no number")\nprint(n|)', "local n: number"],
    [
      "by type()",
      '---@type string ¦ integer ¦ nil\nlocal x\nif type(x) == "number" then print(x|) end',
      "local x: integer",
    ],
    [
      "in the branch where type() is another",
      '---@type string ¦ integer\nlocal x\nif type(x) == "string" then f() else print(x|) end',
      "local x: integer",
    ],
    [
      "behind a return by type()",
      '---@type string ¦ { a: integer }\nlocal x\nif type(x) ~= "table" then return end\nprint(x|)',
      "a: integer",
    ],
    [
      "a rest of arguments",
      "---@param ... string\nlocal function f(...)\n  local fir|st = ...\nend",
      "local first: string",
    ],
    ["behind and", 'local n = tonumber("1")\nlocal m = n and n| + 1', "local n: number"],
  ])("tells of %s", (_what, source, ...pieces) => check(source, ...pieces));

  it.each([
    ["an unknown topic", 'signalbox.publish("a", "b", {}, { topic = "ma|il" })'],
    ["a word of Lua", "loc|al x = 1"],
    ["an unknown global", "fo|o()"],
    ["a comment", "-- so|me words"],
    ["a plain text", "local x = 'so|me words'"],
    ["an empty file", "|"],
  ])("tells nothing of %s", (_what, source) => check(source));
});

describe("signature help", () => {
  it.each([
    [
      "the first argument",
      "sekia.publish(|)",
      "sekia.publish(subject: string, type: string, payload?: table<string, any>)",
      0,
    ],
    ["the second argument", 'sekia.publish("a", |)', "sekia.publish(", 1],
    ["while the call is open", 'sekia.publish("a", "b", |', "sekia.publish(", 2],
    ["a method, without itself", "('a'):rep(|)", "rep(n: integer, separator?: string): string", 0],
    ["a local function", "local function f(a, b) end\nf(1, |)", "f(a: any, b: any)", 1],
    ["an inner call", "print(math.max(1, |))", "math.max(x: number, ...: number): number", 1],
    [
      "K25 an action",
      "actions.prometheus.query(|)",
      "actions.prometheus.query(params: prometheus.Params, options?: signalbox.ActionOptions): result: prometheus.Result",
      0,
    ],
    [
      "a command with its payload",
      'sekia.command("github-agent", "add_label", |)',
      "payload: { repo: string, number: integer, label: string",
      2,
    ],
  ])("%s", (_what, source, label, active) => {
    const { service, uri, offset } = place(source);
    const help = service.signature(uri, offset);
    expect(help?.signatures[help.active]?.label).toContain(label);
    expect(help?.activeParameter).toBe(active);
  });

  it("offers every way to call, the fitting one first in sight", () => {
    const short = place("table.insert({}, |)");
    const help = short.service.signature(short.uri, short.offset);
    expect(help?.signatures.map(({ label }) => label)).toEqual([
      "table.insert(list: table, position: integer, value: any)",
      "table.insert(list: table, value: any)",
    ]);
    expect(help?.active).toBe(1);
  });

  it("is not shown in the body of a function that is an argument", () => {
    const { service, uri, offset } = place(on("  local x = |"));
    expect(service.signature(uri, offset)).toBeNull();
  });
});

describe("going to a definition", () => {
  function check(source: string, expected: string): void {
    const { service, uri, offset } = place(source);
    const [found] = service.definition(uri, offset);
    if (!found) {
      expect("").toBe(expected);
      return;
    }
    const text = service.text(found.uri) ?? "";
    const line = text.slice(0, found.from).split("\n").length;
    const name = found.uri === FILE ? "" : `${found.uri.split("/").slice(3).join("/")}:`;
    expect(`${name}${line}:${text.slice(found.from, found.to).split("\n")[0]}`).toBe(expected);
  }

  it.each([
    ["a local", "local total = 1\nprint(to|tal)", "1:total"],
    ["the inner of two", "local x = 1\ndo\n  local x = 2\n  print(x|)\nend", "3:x"],
    ["a parameter", "local function f(amount)\n  return amo|unt\nend", "1:amount"],
    ["a local function", "local function f() end\nf|()", "1:f"],
    ["a global of the file", "limit = 5\nprint(lim|it)", "1:limit"],
    ["a table's field", "local t = {\n  size = 1,\n}\nprint(t.si|ze)", "2:size"],
    ["a field that is set later", "local t = {}\nfunction t.go() end\nt.g|o()", "2:go"],
    ["a method", "local t = {}\nfunction t:go() end\nt:g|o()", "2:go"],
    ["a class's field", "---@class P\n---@field x number\n---@type P\nlocal p\nprint(p.x|)", "2:x"],
    ["a class", "---@class P\n\n---@type P|\nlocal p", "1:P"],
    ["an API function", "sekia.o|n('a', f)", "types/signalbox.lua:41:on"],
    ["a library function", "string.le|n('a')", "sandbox.lua:104:len"],
    ["a required file", 'require("prometheus.qu|ery")', "actions/prometheus/query.lua:1:"],
    [
      "K25 an action, in its own file",
      "actions.prometheus.qu|ery{}",
      "actions/prometheus/query.lua:13:define_action({",
    ],
    [
      "K25 an action's parameter",
      'actions.prometheus.query{ query = "a" }.val|ues',
      "actions/prometheus/query.lua:7:values",
    ],
    ["nothing", "print(unkno|wn)", ""],
  ])("%s", (_what, source, expected) => {
    if (expected.includes("signalbox.lua") || expected.includes("sandbox.lua")) {
      const { service, uri, offset } = place(source);
      const [found] = service.definition(uri, offset);
      const text = service.text(found?.uri ?? "") ?? "";
      expect(text.slice(found?.from, found?.to)).toBe(expected.split(":").at(-1));
    } else check(source, expected);
  });
});

describe("going to what the service knows", () => {
  /** The first line there, or the address where the text is made elsewhere. */
  function lead(source: string): string[] {
    const { service, uri, offset } = place(source);
    return service.definition(uri, offset).map(({ uri: to, from }) => {
      const text = liveText(to, fakeHost);
      return text === null ? to : (text.slice(from).split("\n")[0] ?? "");
    });
  }

  it.each([
    [
      "S24 an agent: its commands",
      'sekia.command("github|-agent", "x")',
      ["--- The agent github-agent, online: its commands and what they take, as it registered them."],
    ],
    [
      "S24 a command: what it takes",
      'sekia.command("github-agent", "add_|label")',
      ["github-agent.add_label"],
    ],
    [
      "S24 a command in signalbox.call",
      'pcall(signalbox.call, "github-agent", "create|_comment")',
      ["github-agent.create_comment"],
    ],
    ["an unknown agent: nowhere", 'sekia.command("no|body", "x")', []],
    ["an unknown command: nowhere", 'sekia.command("github-agent", "x|x")', []],
    [
      "S22 a subject: its types",
      'sekia.on("github.|>", print)',
      ["--- Recorded events that github.> hears."],
    ],
    ["a subject that nobody saw: nowhere", 'sekia.on("no.|one", print)', []],
    [
      "a topic: its prompt",
      'signalbox.publish("a", "b", {}, { topic = "jo|bs" })',
      ["signalbox-lua:/topics/jobs.lua"],
    ],
    [
      "a topic that is heard: its prompt",
      'signalbox.on("topics.al|erts", print)',
      ["signalbox-lua:/topics/alerts.lua"],
    ],
    ["an unknown topic: nowhere", 'signalbox.publish("a", "b", {}, { topic = "ma|il" })', []],
  ])("%s", (_what, source, expected) => expect(lead(source)).toEqual(expected));

  it("S24 an agent's text has each command with its fields, and can be read as annotations", () => {
    const text = liveText("signalbox-lua:/agents/github-agent.lua", fakeHost) ?? "";
    expect(text).toContain(
      '--- Adds a label to an issue\n---@class github-agent.add_label\n---@field repo string owner/name\n---@field number integer\n---@field label string\n---@field colour? "red" | "green"',
    );
    expect(liveText("signalbox-lua:/subjects/github.%3E.lua", fakeHost)).toContain(
      "---@class events.github.issue.opened.payload",
    );
    expect(liveText("signalbox-lua:/agents/nobody.lua", fakeHost)).toBeNull();
    expect(topicOf(topicUri("a/b c"))).toBe("a/b c");
    expect(topicOf("signalbox-lua:/sandbox.lua")).toBeNull();
  });
});

describe("beside another language server", () => {
  it.each([
    ["an agent", 'sekia.command("github|-agent", "x")', true],
    ["a subject", 'sekia.on("github.|>", print)', true],
    ["a topic", 'signalbox.publish("a", "b", {}, { topic = "jo|bs" })', true],
    ["an action", "actions.prometheus.qu|ery{}", true],
    ["an action's arguments", "actions.prometheus.query(|)", true],
    ["a command's payload", 'sekia.command("github-agent", "add_label", { | })', true],
    ["a local", "local total = 1\nprint(to|tal)", false],
    ["a plain text", 'print("so|me")', false],
    ["the API", "sekia.o|n()", false],
    ["a local that is called actions", "local actions = {}\nactions.a.b|()", false],
  ])("%s is told by the service alone: %s", (_what, source, expected) => {
    const { service, uri, offset } = place(source);
    expect(service.isLive(uri, offset)).toBe(expected);
  });

  it.each([
    ["an action's parameter", "actions.prometheus.query{}", true],
    ["an action that is not there", "actions.prometheus.qery{}", true],
    ["a command's field", 'sekia.command("github-agent", "add_label", {})', true],
    ["an agent", 'sekia.command("github-agnt", "add_label", {})', true],
    ["what the sandbox has not", "os.time()", true],
    ["an unknown global", "prnt('a')", false],
    ["a wrong level", "sekia.log('warm', 'x')", false],
    ["an unused local", "local unused = 1", false],
  ])("a diagnostic of %s is the service's own: %s", (_what, source, expected) => {
    const { service, uri } = place(`${source}|`);
    expect(service.diagnostics(uri).map(({ live }) => live)).toEqual([expected]);
  });

  it("completes nothing that it does as well", () => {
    const { service, uri, offset } = place("local total = 1\n|");
    expect(service.complete(uri, offset).filter(({ live }) => live)).toEqual([]);
  });
});

describe("references and renaming", () => {
  /** The places as the text with each one in brackets. */
  function marked(source: string): string {
    const { service, uri, offset, text } = place(source);
    return service
      .references(uri, offset)
      .toReversed()
      .reduce((all, { from, to }) => `${all.slice(0, from)}[${all.slice(from, to)}]${all.slice(to)}`, text);
  }

  it.each([
    ["of a local", "local x| = 1\nprint(x, { x = x.x })", "local [x] = 1\nprint([x], { x = [x].x })"],
    ["from a use", "local x = 1\nprint(x|)", "local [x] = 1\nprint([x])"],
    [
      "not of one that hides it",
      "local x| = 1\ndo local x = x end\nprint(x)",
      "local [x] = 1\ndo local x = [x] end\nprint([x])",
    ],
    [
      "of the hiding one",
      "local x = 1\ndo\n  local x| = x\n  print(x)\nend",
      "local x = 1\ndo\n  local [x] = x\n  print([x])\nend",
    ],
    [
      "in inner functions",
      "local n| = 0\nlocal function up() n = n + 1 end",
      "local [n] = 0\nlocal function up() [n] = [n] + 1 end",
    ],
    [
      "of a parameter",
      "local function f(a|, b) return a + b end\nlocal a",
      "local function f([a], b) return [a] + b end\nlocal a",
    ],
    [
      "of a local function, in itself too",
      "local function f|() return f() end\nf()",
      "local function [f]() return [f]() end\n[f]()",
    ],
    ["of a loop's variable", "for i| = 1, i do print(i) end", "for [i] = 1, i do print([i]) end"],
    ["in repeat's until", "repeat local ok| = f() until ok", "repeat local [ok] = f() until [ok]"],
    ["of a global", "limit| = 1\nprint(limit)", "[limit] = 1\nprint([limit])"],
    ["not of a field", "local t = {}\nt.x| = 1", "local t = {}\nt.x = 1"],
  ])("%s", (_what, source, expected) => expect(marked(source)).toBe(expected));

  function renamed(source: string, to: string): string {
    const { service, uri, offset, text } = place(source);
    const answer = service.rename(uri, offset, to);
    if ("problem" in answer) return answer.problem;
    return answer.edits
      .toReversed()
      .reduce((all, edit) => all.slice(0, edit.from) + to + all.slice(edit.to), text);
  }

  it.each([
    ["a local", "local x| = 1\nprint(x)", "y", "local y = 1\nprint(y)"],
    ["to itself", "local x| = 1", "x", "local x = 1"],
    [
      "beside another of the new name, elsewhere",
      "do local y = 1 print(y) end\nlocal x| = 1",
      "y",
      "do local y = 1 print(y) end\nlocal y = 1",
    ],
    ["a field keeps its name", "local x| = { x = 1 }\nreturn x.x", "y", "local y = { x = 1 }\nreturn y.x"],
  ])("renames %s", (_what, source, to, expected) => expect(renamed(source, to)).toBe(expected));

  it.each([
    ["what is no name", "local x| = 1", "1x", /is no name/],
    ["a word of Lua", "local x| = 1", "end", /is a word of Lua/],
    ["a global", "lim|it = 1", "y", /is global/],
    ["a field", "local t = {}\nt.x| = 1", "y", /Only the names of locals/],
    ["self", "local t = {}\nfunction t:f() return se|lf end", "me", /Lua's own word/],
    [
      "what is there already",
      "local y = 1\nlocal x| = 2\nprint(x, y)",
      "y",
      /There is a `y` already: line 1/,
    ],
    [
      "what would be hidden",
      "local x| = 1\ndo local y = 2 print(x, y) end",
      "y",
      /There is a `y` already: line 2/,
    ],
    ["what would hide", "local y = 1\ndo local x| = 2 print(y) end", "y", /There is a `y` already: line 1/],
    ["a global that is used", "local x| = 1\nprint(x)", "print", /`print` in line 2 would then mean this/],
  ])("refuses %s", (_what, source, to, expected) => expect(renamed(source, to)).toMatch(expected));
});

describe("diagnostics", () => {
  /** `code line:words`, a line each, without what is only unused. */
  function found(source: string): string[] {
    const { service, uri, text } = place(`${source}|`);
    return service
      .diagnostics(uri)
      .filter(({ code }) => code !== "unused-local" || source.includes("unused"))
      .map(({ code, from, message }) => `${code} ${text.slice(0, from).split("\n").length}: ${message}`);
  }

  it.each([
    ["a mistake of the language", "local x =", ["syntax 1: a value expected near the end"]],
    ["an unknown global", "prnt('a')", ["unknown-global 1: unknown global 'prnt'; did you mean 'print'?"]],
    [
      "S28 a removed library",
      "os.time()",
      [
        "removed-global 1: There is no os: signalbox.now_ms() tells the time, and an agent's command or an action reaches the system.",
      ],
    ],
    [
      "S28 a removed function",
      "x = load('a')",
      ["removed-global 1: There is no load: a workflow can't make code while it runs."],
    ],
    ["nothing for a global of the file", "limit = 1\nprint(limit)", []],
    ["nothing for the API and actions", "print(sekia, signalbox, actions, kit, json, array, json.null)", []],
    [
      "B19 words of scripts, which workflows have not",
      "print(arg[1], readfile('x'), json.pretty({}))",
      [
        "unknown-global 1: unknown global 'arg'",
        "unknown-global 1: unknown global 'readfile'",
        "undefined-field 1: 'json' has no field 'pretty'",
      ],
    ],
    [
      "a definition without its executor",
      'define_action{ source = "." }',
      ["missing-field 1: 'executor' missing"],
    ],
    [
      "a wrong type in a schema",
      'define_action{ source = ".", executor = "native", schema = { input = { a = "strng", b = "any?", c = { type = "numbr" } } } }',
      [
        expect.stringMatching(/^wrong-type 1: 'a' has to be .*, not "strng"; did you mean "string"\?$/),
        expect.stringMatching(/^wrong-type 1: 'type' has to be .*, not "numbr"; did you mean "number"\?$/),
      ],
    ],
    ["nothing for a tool without one", 'tools.define_tool{ source = "." }', []],
    [
      "a wrong executor",
      'define_action{ source = ".", executor = "dcoker" }',
      [
        'wrong-type 1: \'executor\' has to be "native" | "docker" | "envyr", not "dcoker"; did you mean "docker"?',
      ],
    ],
    [
      "K25 a wrong parameter in one of several calls",
      'actions.all({ { actions.prometheus.query, { query = 5, mode = "instant" } } })',
      ["wrong-type 1: 'query' has to be string, not integer"],
    ],
    ["an unused local", "local unused = 1", ["unused-local 1: 'unused' is not used"]],
    ["nothing for one with _", "local _unused = 1", []],
    ["nothing for parameters", "local function unused(a, b) end\nunused(1, 2)", []],
    [
      "S22 a function that the API has not",
      "sekia.onn('a', print)",
      ["undefined-field 1: 'sekia' has no field 'onn'; did you mean 'on'?"],
    ],
    [
      "a function that a library has not",
      "string.trim('a')",
      ["undefined-field 1: 'string' has no field 'trim'"],
    ],
    [
      "S27 a field that events have not",
      on("  print(event.subjct)"),
      ["undefined-field 2: 'signalbox.Event' has no field 'subjct'; did you mean 'subject'?"],
    ],
    [
      "a field that a class has not",
      "---@class P\n---@field size number\n---@type P\nlocal p = f and f\nprint(p.sice)",
      [
        "unknown-global 4: unknown global 'f'",
        "unknown-global 4: unknown global 'f'",
        "undefined-field 5: 'P' has no field 'sice'; did you mean 'size'?",
      ],
    ],
    [
      "a recorded field, spelled nearly right",
      on("  print(event.payload.titel)"),
      ["unseen-field 2: no recorded event has 'titel' here; did you mean 'title'?"],
    ],
    ["nothing for a field that nobody saw yet", on("  print(event.payload.something_else)"), []],
    [
      "S24 an unknown agent",
      'sekia.command("github-agnt", "add_label", {})',
      ["unknown-agent 1: no agent 'github-agnt' has registered; did you mean 'github-agent'?"],
    ],
    [
      "S24 an unknown command",
      'sekia.command("github-agent", "add_lable", {})',
      ["unknown-command 1: 'github-agent' has no command 'add_lable'; did you mean 'add_label'?"],
    ],
    [
      "S22 a subject that is probably mistyped",
      'sekia.on("github.isue.opened", print)',
      [
        "unseen-subject 1: no recorded event has a subject like 'github.isue.opened'; did you mean 'github.issue.opened'?",
      ],
    ],
    [
      "S22 a pattern that is probably mistyped",
      'signalbox.on("githb.issue.*", print)\nsignalbox.on("gihtub.>", print)',
      [
        "unseen-subject 1: no recorded event has a subject like 'githb.issue.*'; did you mean 'github.issue.*'?",
        "unseen-subject 2: no recorded event has a subject like 'gihtub.>'; did you mean 'github.>'?",
      ],
    ],
    [
      "S22 a topic that is probably mistyped",
      'signalbox.on("topics.alrts", print)\nsignalbox.publish("a", "b", {}, { topic = "jbos" })',
      [
        "unseen-subject 1: no recorded event has a subject like 'topics.alrts'; did you mean 'topics.alerts'?",
        "unknown-topic 2: no topic is called 'jbos'; did you mean 'jobs'?",
      ],
    ],
    [
      "S27 a type that is probably mistyped",
      on('  if event.type == "github.issue.opend" then print(1) end', "github.>"),
      [
        "unseen-type 2: no recorded event here has the type 'github.issue.opend'; did you mean 'github.issue.opened'?",
      ],
    ],
    [
      "nothing for new subjects, topics and types",
      on('  if event.type == "github.issue.labeled" then print(1) end', "github.>") +
        'signalbox.on("topics.inbox", print)\nsignalbox.on("mail.>", print)\nsignalbox.publish("a", "b", {}, { topic = "mail" })',
      [],
    ],
    ["nothing for an agent that names no commands", 'sekia.command("builder", "anything", {})', []],
    [
      "a missing field",
      'sekia.command("github-agent", "add_label", { repo = "a/b", number = 1 })',
      ["missing-field 1: 'label' missing"],
    ],
    [
      "several missing fields",
      'sekia.command("github-agent", "add_label", {})',
      ["missing-field 1: 'repo', 'number', 'label' missing"],
    ],
    [
      "an unknown field",
      'sekia.command("github-agent", "add_label", { repo = "a", number = 1, label = "x", lable = "y" })',
      ["unknown-field 1: there is no field 'lable' here; did you mean 'label'?"],
    ],
    [
      "a field of the wrong type",
      'sekia.command("github-agent", "add_label", { repo = "a", number = "1", label = "x" })',
      ["wrong-type 1: 'number' has to be integer, not string"],
    ],
    [
      "a field of the wrong word",
      'sekia.command("github-agent", "add_label", { repo = "a", number = 1, label = "x", colour = "gren" })',
      ['wrong-type 1: \'colour\' has to be "red" | "green", not "gren"; did you mean "green"?'],
    ],
    [
      "nothing for what is not known",
      on(
        '  sekia.command("github-agent", "add_label", { repo = event.payload.repo, number = event.payload.number, label = event.body })',
      ),
      [],
    ],
    [
      "K25 an action's missing parameter",
      'actions.prometheus.query{ query = "up" }',
      ["missing-field 1: 'mode' missing"],
    ],
    [
      "K25 an action's wrong parameter",
      'actions.prometheus.query{ query = 5, mode = "instant" }',
      ["wrong-type 1: 'query' has to be string, not integer"],
    ],
    [
      "K25 an action that is not there",
      "actions.prometheus.qery{}",
      ["undefined-field 1: 'this table' has no field 'qery'; did you mean 'query'?"],
    ],
    ["a deprecated action", "actions.prometheus.old{}", ["deprecated 1: 'old' is deprecated: use query"]],
    [
      "a deprecated function",
      "print(table.getn({}))",
      ["deprecated 1: 'getn' is deprecated: `#list` is the same"],
    ],
    [
      "a wrong argument",
      "sekia.publish(5, 'a.b')",
      ["wrong-type 1: 'subject' has to be string, not integer"],
    ],
    ["a missing argument", "sekia.publish('a')", ["missing-argument 1: 'type' missing"]],
    [
      "S25 a wrong level",
      "sekia.log('warm', 'x')",
      [
        'wrong-type 1: \'level\' has to be "debug" | "info" | "warn" | "error", not "warm"; did you mean "warn"?',
      ],
    ],
    [
      "a wrong argument of one's own function",
      "---@param n number\nlocal function f(n) return n end\nf('a')",
      ["wrong-type 3: 'n' has to be number, not string"],
    ],
    ["a question without its title", "signalbox.ask{ body = 'x' }", ["missing-field 1: 'title' missing"]],
    [
      "a comment that can't be read",
      "---@param\nlocal function f() end\nf()",
      ["annotation 1: a parameter's name expected", "annotation 1: a type expected"],
    ],
    ["nothing that a comment silences", "---@diagnostic disable-next-line: unknown-global\nprnt('a')", []],
    ["nothing in a file that silences it", "---@diagnostic disable: unknown-global\n\nprnt('a')", []],
    ["nothing for methods of texts", "local s = 'a'\nprint(s:upper(), ('x'):rep(3), #s)", []],
    ["nothing for a field that was set", "local t = {}\nt.a = 1\nprint(t.a, t.b)", []],
    [
      "nothing for pcall with arguments",
      'print(pcall(signalbox.call, "github-agent", "add_label", { repo = "a", number = 1, label = "x" }))',
      [],
    ],
  ])("%s", (_what, source, expected) => expect(found(source)).toEqual(expected));

  it("say nothing about the workflows that come along, and what documentation shows", () => {
    const service = openService({ ...fakeHost, agents: () => null });
    for (const { path, text } of sourceFiles(/^workflows\/[^/]*\.lua$/)) {
      service.set(FILE, text, "workflow");
      const known = service.diagnostics(FILE);
      expect([path, known]).toEqual([path, []]);
    }
    for (const name of ["init.lua", "prometheus/query.lua", "text.lua"]) {
      expect(service.diagnostics(`${ACTIONS}${name}`)).toEqual([]);
    }
  });

  it("B19 say nothing about words of scripts in a script, and know what they give", () => {
    const service = openService();
    const script = [
      "local name, rows = arg[1], jq({}, '.a')",
      "pp(rows)",
      "writefile(name, json.pretty(keys(pluck(rows, 'a'))) .. inspect(count(rows)) .. readfile(name))",
      "",
    ].join("\n");
    service.set("file:///somewhere/count.lua", script, "script");
    expect(service.diagnostics("file:///somewhere/count.lua")).toEqual([]);
    expect(service.hover("file:///somewhere/count.lua", script.indexOf("pluck"))?.text).toContain(
      "One field of each entry of a list.",
    );
    expect(service.hover("file:///somewhere/count.lua", script.indexOf("json"))?.text).toContain("encode");
  });

  it("say nothing of actions while none are known", () => {
    const service = createLanguageService({ host: { ...fakeHost, actions: () => [] }, api, scripts });
    service.set(FILE, "actions.some.thing{}", "workflow");
    expect(service.diagnostics(FILE)).toEqual([]);
  });

  it.each([
    ["did you mean", "prnt('a')", "Change to 'print'", "print('a')"],
    [
      "of an agent",
      'sekia.command("github-agnt", "x", {})',
      "Change to 'github-agent'",
      'sekia.command("github-agent", "x", {})',
    ],
    ["of a word", "sekia.log('warm', 'x')", "Change to 'warn'", "sekia.log('warn', 'x')"],
    [
      "of a recorded field",
      on("  print(event.payload.titel)"),
      "Change to 'title'",
      on("  print(event.payload.title)"),
    ],
    [
      "adds a field",
      'sekia.command("github-agent", "add_label", { repo = "a", number = 1 })',
      "Add the field 'label'",
      'sekia.command("github-agent", "add_label", { repo = "a", number = 1, label = "" })',
    ],
    [
      "adds fields to an empty table",
      "actions.prometheus.query{}",
      "Add the fields 'query', 'mode'",
      'actions.prometheus.query{ query = "", mode = "instant" }',
    ],
    [
      "adds a field on a line of its own",
      'actions.prometheus.query{\n  query = "up",\n}',
      "Add the field 'mode'",
      'actions.prometheus.query{\n  query = "up",\n  mode = "instant",\n}',
    ],
    [
      "of a topic",
      'signalbox.publish("a", "b", {}, { topic = "jbos" })',
      "Change to 'jobs'",
      'signalbox.publish("a", "b", {}, { topic = "jobs" })',
    ],
    [
      "of a pattern",
      "signalbox.on('githb.issue.*', print)",
      "Change to 'github.issue.*'",
      "signalbox.on('github.issue.*', print)",
    ],
    [
      "of a command",
      'sekia.command("github-agent", "add_lable", { repo = "a", number = 1, label = "x" })',
      "Change to 'add_label'",
      'sekia.command("github-agent", "add_label", { repo = "a", number = 1, label = "x" })',
    ],
    [
      "of a command's field",
      'sekia.command("github-agent", "create_comment", {})\nsekia.command("github-agent", "add_label", { rpo = "a", number = 1, label = "x" })',
      "Change to 'repo'",
      'sekia.command("github-agent", "create_comment", {})\nsekia.command("github-agent", "add_label", { repo = "a", number = 1, label = "x" })',
    ],
    ["of an unused local", "local unused = 1", "Rename to '_unused'", "local _unused = 1"],
  ])("a fix %s", (_what, source, title, expected) => {
    const { service, uri, text } = place(`${source}|`);
    const found = service.fixes(uri, { from: 0, to: text.length }).find(({ fix }) => fix.title === title);
    const changed = (found?.fix.edits ?? [])
      .toReversed()
      .reduce((all, edit) => all.slice(0, edit.from) + edit.text + all.slice(edit.to), text);
    expect(changed).toBe(expected);
  });
});

describe("a file's outline", () => {
  const source = [
    "--- Counts.",
    "--- Twice.",
    "local limit = 5",
    "local M = {}",
    "function M.add(a, b)",
    "  local function inner() end",
    "  return a",
    "end",
    "function M:go() end",
    'sekia.on("a.>", function(event)',
    "  local x = 1",
    "end)",
    "signalbox.schedule(60, function() end)",
    "-- one",
    "-- two",
    "return M",
    "|",
  ].join("\n");

  it("has handlers, functions and the locals at its top", () => {
    const { service, uri } = place(source);
    const names = service
      .symbols(uri)
      .map(({ name, kind, children }) => [name, kind, children.map((one) => one.name)]);
    expect(names).toEqual([
      ["limit", "variable", []],
      ["M", "variable", []],
      ["M.add", "function", ["inner"]],
      ["M.go", "method", []],
      ["a.>", "event", []],
      ["every 60 s", "event", []],
    ]);
  });

  it("is found from all files", () => {
    const { service } = place(source);
    expect(service.find("mad").map(({ symbol }) => symbol.name)).toEqual(["M.add"]);
    expect(service.find("query").map(({ uri, symbol }) => [uri, symbol.name])).toEqual([
      [`${ACTIONS}prometheus/init.lua`, "M.query"],
    ]);
  });

  it("folds blocks and comments", () => {
    const { service, uri } = place(source);
    expect(service.folds(uri)).toEqual([
      { from: 0, to: 1, isComment: true },
      { from: 4, to: 6, isComment: false },
      { from: 9, to: 10, isComment: false },
      { from: 13, to: 14, isComment: true },
    ]);
  });

  it("S22 tells each handler with its pattern and line, as the engine counts them", () => {
    const { service, uri, text } = place(source);
    const found = service
      .handlers(uri)
      .map(({ from, ...rest }) => ({ ...rest, to: 0, line: text.slice(0, from).split("\n").length }));
    expect(found).toEqual([
      { kind: "event", pattern: "a.>", every: null, id: 1, to: 0, line: 10 },
      { kind: "schedule", pattern: null, every: 60, id: 2, to: 0, line: 13 },
    ]);
  });

  it("colours each name by what it is", () => {
    const { service, uri, text } = place(
      'local x = 1\nlocal function f(a) return a.b, x end\nsekia.log("info", ("a"):upper())\nprint(f{ k = y })|',
    );
    const tokens = service
      .tokens(uri)
      .map(({ from, to, type, modifiers }) => `${text.slice(from, to)} ${[type, ...modifiers].join(" ")}`);
    expect(tokens).toEqual([
      "x variable declaration",
      "f function declaration",
      "a parameter declaration",
      "a parameter",
      "b property",
      "x variable",
      "sekia namespace defaultLibrary",
      "log function defaultLibrary",
      "upper method",
      "print function defaultLibrary",
      "f function",
      "k property",
      "y variable",
    ]);
  });
});
