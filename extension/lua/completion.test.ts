import { describe, expect, it } from "vitest";
import { openSandbox } from "../../service/workflows/lua/sandbox.ts";
import { compile, lua, toBytes, toDisplayText } from "../../service/workflows/lua/vm.ts";
import { place } from "./testing/fake.ts";

/**
 * `expected` has labels with commas between them: they have to be there in this order; `-label` must not be there;
 * `label = detail` asks for the detail too; `only:` before them, that there are no others.
 */
function check(source: string, expected: string): void {
  const { service, uri, offset } = place(source);
  const found = service.complete(uri, offset);
  const labels = found.map(({ label }) => label);
  const isOnly = expected.startsWith("only:");
  const wanted = expected
    .replace("only:", "")
    .split(";")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  const present = wanted.filter((one) => !one.startsWith("-"));
  const absent = wanted.filter((one) => one.startsWith("-")).map((one) => one.slice(1));
  const names = present.map((one) => one.split(" => ")[0] ?? "");
  const shown = labels.filter((label) => names.includes(label));
  expect([...new Set(shown)]).toEqual(names);
  for (const one of absent) expect(labels).not.toContain(one);
  for (const one of present) {
    const [label, detail] = one.split(" => ");
    if (detail !== undefined) expect(found.find((each) => each.label === label)?.detail).toBe(detail);
  }
  if (isOnly) expect(labels).toEqual(names);
}

const on = (body: string, pattern = "github.issue.opened") =>
  `sekia.on("${pattern}", function(event)\n${body}\nend)\n`;

describe("completion", () => {
  describe("of locals and globals", () => {
    it.each([
      ["a local above", "local total = 1\nto|", "total => integer"],
      ["a local below is not there yet", "to|\nlocal total = 1", "-total"],
      ["a local in its own statement", "local total = to|", "-total"],
      ["a parameter", "local function f(amount)\n  am|\nend", "amount => any"],
      ["a parameter outside its function", "local function f(amount) end\nam|", "-amount"],
      ["a local function in itself", "local function again()\n  ag|\nend", "again => ()"],
      [
        "a loop's variables",
        "for key, value in pairs({ a = 1 }) do\n  va|\nend",
        "key => string; value => integer",
      ],
      ["a loop's variables behind it", "for key in pairs({}) do end\nke|", "-key"],
      ["a counter", "for i = 1, 3 do\n  |\nend", "i => integer"],
      ["the inner of two of one name", 'local x = 1\ndo\n  local x = "a"\n  |\nend', "x => string"],
      ["a local of repeat in its until", "repeat\n  local ready = f()\nuntil re|", "ready"],
      ["a global of the file", "limit = 5\nli|", "limit => integer"],
      [
        "the sandbox's functions",
        "|",
        "ipairs; pcall; print; tostring; -dofile; -loadstring; -collectgarbage",
      ],
      ["S28 nothing that is removed", "|", "-os; -io; -debug; -coroutine; -package; -utf8"],
      ["the API before the rest", "s|", "sekia; signalbox; select"],
      ["older names without signalbox", "|", "array; json"],
      ["actions under both names", "|", "actions; kit"],
      ["words of Lua", "|", "local; return; while"],
      ["nothing in a comment", "-- pri|", "only:"],
      ["nothing in a long comment", "--[[ pri| ]]", "only:"],
      ["nothing in a number", "x = 12|", "only:"],
      ["nothing where a local is named", "local pri|", "only:"],
      ["nothing where a parameter is named", "local function f(pri|) end", "only:"],
      ["nothing where a loop's variable is named", "for pri| = 1, 2 do end", "only:"],
    ])("%s", (_what, source, expected) => check(source, expected));
  });

  describe("of the API", () => {
    it.each([
      ["B2 sekia has its functions", "sekia.|", "command; log; name; on; publish; schedule; -ask"],
      ["signalbox has its own", "signalbox.|", "after; ask; call; json; log; now_ms; null; state"],
      [
        "with what they take",
        "sekia.|",
        "publish => (subject: string, type: string, payload?: table<string, any>)",
      ],
      [
        "json",
        "signalbox.json.|",
        "only:decode => (text: string): value: any; encode => (value: any): text: string; null => userdata",
      ],
      ["log can be called and has levels", "signalbox.log.|", "only:debug; error; info; warn"],
      ["the state's own functions", "signalbox.state.|", "get; set"],
      ["through a local", "local s = sekia\ns.|", "on; publish"],
      ["through an alias of the API", "json.|", "only:decode; encode; null"],
      ["a half-typed name", "sekia.pu|", "publish"],
      ["S25 the levels of log", 'sekia.log("|")', "only:debug; error; info; warn"],
      ["the levels as texts", "sekia.log(|)", '"debug"; "error"; "info"; "warn"'],
      [
        "a question's fields",
        "signalbox.ask({ | })",
        "title => string · required; body => string; choices => string[]; timeout => number",
      ],
      ["a question's fields without brackets", "signalbox.ask{ | }", "title => string · required; body"],
      ["not what is there already", 'signalbox.ask{ title = "a", | }', "body; -title"],
      [
        "an action's definition",
        "define_action({ | })",
        'executor => "native" / "docker" / "envyr" · required; source => string · required; entrypoint; timeout'.replaceAll(
          " / ",
          " | ",
        ),
      ],
      ["its executors", 'define_action({ executor = "|" })', "only:docker; envyr; native"],
    ])("%s", (_what, source, expected) => check(source, expected));
  });

  describe("of texts and tables", () => {
    it.each([
      ["a text's methods", 'local s = "a"\ns:|', "find; format; gsub; lower; upper"],
      ["a text's own methods", '("a"):up|', "upper => (s: string): string"],
      ["what a method gives", 'local s = ("a"):upper()\ns:|', "rep"],
      ["string's functions", "string.|", "byte; find; gmatch; sub; -dump"],
      ["table's functions", "table.|", "concat; insert; remove; sort; unpack"],
      ["math's functions", "math.|", "floor; huge; max; pi; random"],
      [
        "a table's fields",
        "local t = { a = 1, b = { c = true } }\nt.|",
        "only:a => integer; b => { c: boolean }".replace("c: boolean", "c: boolean"),
      ],
      ["a table in a table", 'local t = { a = { b = { deep = "x" } } }\nt.a.b.|', "only:deep => string"],
      [
        "fields that are set later",
        "local t = {}\nt.count = 1\nfunction t.add(n) end\nfunction t:go() end\nt.|",
        "only:add => (n: any); count => integer; go => (self: any)".replace("go => (self: any)", "go => ()"),
      ],
      [
        "methods behind a colon",
        "local t = {}\nt.count = 1\nfunction t:go(far) end\nt:|",
        "only:go => (far: any)",
      ],
      ["deeper fields that are set later", "local t = {}\nt.a = {}\nt.a.b = 1\nt.a.|", "only:b => integer"],
      ["self's fields", "local t = { size = 1 }\nfunction t:go()\n  self.|\nend", "go; size"],
      ["fields in brackets", 'local t = { size = 1 }\nt["|"]', "only:size"],
      ["fields that are words of Lua", 'local t = { ["end"] = 1 }\nt.|', "only:end"],
      ["a global table's fields", "config = { port = 1 }\nconfig.|", "only:port => integer"],
      ["nothing for what is not known", "local x = f()\nx.|", "only:"],
      ["a list's entries", "local list = { { id = 1 } }\nlist[1].|", "only:id => integer"],
      [
        "entries in a loop",
        "local list = { { id = 1 } }\nfor _, one in ipairs(list) do\n  one.|\nend",
        "only:id => integer",
      ],
      [
        "with a metatable",
        "local base = { hello = 1 }\nlocal t = setmetatable({}, { __index = base })\nt.|",
        "only:hello => integer",
      ],
    ])("%s", (_what, source, expected) => check(source, expected));
  });

  describe("by inference", () => {
    it.each([
      ["a function's result", "local function f() return { a = 1 } end\nf().|", "only:a => integer"],
      [
        "the second result",
        'local function f() return 1, { b = "x" } end\nlocal _, t = f()\nt.|',
        "only:b => string",
      ],
      [
        "a result through two functions",
        "local function f() return { a = 1 } end\nlocal function g() return f() end\ng().|",
        "only:a => integer",
      ],
      [
        "what calls itself",
        "local function f(n) if n then return f() end return { a = 1 } end\nf().|",
        "only:a => integer",
      ],
      ["a value or its default", "local t = x or { a = 1 }\nt.|", "only:a => integer"],
      ["and", "local t = x and { a = 1 }\nt.|", "only:a => integer"],
      [
        "either of two",
        "local function f(x) if x then return { a = 1 } end return { b = 2 } end\nf().|",
        "a; b",
      ],
      ["a number's kind", "local n = 1 + 2\n|", "n => integer"],
      ["a quotient", "local n = 1 / 2\n|", "n => number"],
      ["a length", "local n = #{}\n|", "n => integer"],
      ["joined texts", "local n = 1 .. 2\n|", "n => string"],
      ["a comparison", "local n = 1 == 2\n|", "n => boolean"],
      ["tonumber may fail", 'local n = tonumber("1")\n|', "n => number?"],
      ["but not behind assert", 'local n = assert(tonumber("1"))\n|', "n => number"],
      ["pcall's results", 'local ok, n = pcall(string.len, "a")\n|', "n => integer; ok => boolean"],
      [
        "a generic's result",
        "---@generic T\n---@param x T\n---@return T\nlocal function same(x) return x end\nsame({ a = 1 }).|",
        "only:a => integer",
      ],
      ["an entry taken out", "local t = table.remove({ { id = 1 } })\nt.|", "only:id => integer"],
      [
        "sorting knows its entries",
        "local list = { { id = 1 } }\ntable.sort(list, function(a, b) return a.|\nend)",
        "only:id => integer",
      ],
      [
        "pairs of an annotated map",
        "---@type table<string, { n: integer }>\nlocal m = {}\nfor k, v in pairs(m) do v.|\nend",
        "only:n => integer",
      ],
    ])("%s", (_what, source, expected) => check(source, expected));
  });

  describe("by annotations", () => {
    const point =
      "---@class Point\n---@field x number Across\n---@field y? number\n---@field move fun(self: Point, by: number): Point\n";
    it.each([
      ["a class", `${point}---@type Point\nlocal p = f()\np.|`, "move; x => number; y => number"],
      ["a parameter", `${point}---@param p Point\nlocal function f(p)\n  p.|\nend`, "x; y"],
      ["a result", `${point}---@return Point\nlocal function f() end\nf().|`, "x; y"],
      ["a method's result", `${point}---@type Point\nlocal p\np:move(1).|`, "x; y"],
      ["a list", `${point}---@type Point[]\nlocal ps\nps[1].|`, "x; y"],
      ["an optional one", `${point}---@type Point?\nlocal p\np.|`, "x; y"],
      ["one of two", `${point}---@type Point ¦ { z: integer }\nlocal p\np.|`, "x; z"],
      [
        "a parent's fields",
        `${point}---@class Point3: Point\n---@field z number\n---@type Point3\nlocal p\np.|`,
        "x; y; z",
      ],
      ["a table's shape", "---@type { a: string, b: { c: integer } }\nlocal t\nt.b.|", "only:c => integer"],
      ["a comment behind the statement", `${point}local p = f() ---@type Point\np.|`, "x; y"],
      [
        "a class on a table",
        "---@class Counter\nlocal Counter = { n = 1 }\nfunction Counter:up() end\n---@type Counter\nlocal c\nc.|",
        "n => integer; up => ()".replace("n => integer; up", "n => integer; up"),
      ],
      [
        "an alias of words",
        '---@alias Colour "red" ¦ "green"\n---@param c Colour\nlocal function f(c) end\nf("|")',
        "only:green; red",
      ],
      [
        "an alias over lines",
        '---@alias Colour\n---¦ "red"\n---¦ "green"\n---@type Colour\nlocal c\nif c == "|" then end',
        "only:green; red",
      ],
      [
        "an enum",
        '---@enum Level\nlocal Level = { low = "l", high = "h" }\n---@param l Level\nlocal function f(l) end\nf(|)',
        '"h"; "l"',
      ],
      [
        "fields that a table has to have",
        `${point}---@type Point\nlocal p = { | }`,
        "move; x => number · required; y => number".replace("move; ", ""),
      ],
      [
        "what a function has to return",
        `${point}---@return Point\nlocal function f() return { | } end`,
        "x; y",
      ],
      [
        "a function's parameters by its type",
        `${point}---@type fun(p: Point)\nlocal f = function(p) p.|\nend`,
        "x; y",
      ],
      ["a field's function", `${point}---@type { on: fun(p: Point) }\nlocal t\nt.on(|)`, "-x"],
      [
        "a generic class",
        "---@class Box<T>\n---@field value T\n---@type Box<{ n: integer }>\nlocal b\nb.value.|",
        "only:n => integer",
      ],
      ["tags", "---@|\nlocal x", "class; field; param; return; type"],
      ["a parameter's name", "---@param |\nlocal function f(amount, rate) end", "only:amount; rate"],
      [
        "the next parameter's name",
        "---@param amount number\n---@param |\nlocal function f(amount, rate) end",
        "only:rate",
      ],
      ["types", `${point}---@type |\nlocal p`, "string; table; Point; signalbox.Event"],
      ["types with dots", "---@type signalbox.|\nlocal p", "signalbox.Event; signalbox.State"],
    ])("K25 %s", (_what, source, expected) => check(source, expected));
  });

  describe("of actions", () => {
    it.each([
      ["namespaces", "actions.|", "all; deploy; prometheus; text"],
      [
        "those of a namespace",
        "actions.prometheus.|",
        "only:old; query => (params: prometheus.Params, options?: signalbox.ActionOptions): result: prometheus.Result",
      ],
      ["under the older name", "kit.prometheus.|", "query"],
      [
        "what one call may say besides",
        'actions.prometheus.query({ query = "up" }, { | })',
        "cache => number / string; retry".replace(" / ", " ¦ "),
      ],
      [
        "the same where only the service knows it",
        'actions.deploy.run({ version = "1" }, { | })',
        "cache; retry",
      ],
      [
        "parameters of several at once",
        "actions.all({ { actions.prometheus.query, { | } } })",
        "mode; query => string · required; step",
      ],
      [
        "parameters of several by name",
        "kit.all{ up = { actions.deploy.run, { | } } }",
        "version => string · required",
      ],
      [
        "results of several by name",
        "actions.all{ up = { actions.prometheus.query, {} } }.up.|",
        "only:unit; values",
      ],
      [
        "results of several in a list",
        "local r = actions.all{ { actions.deploy.run, {} }, { actions.prometheus.query, {} } }\nr[1].|",
        "only:url => string",
      ],
      [
        "types of a schema",
        'define_action{ schema = { input = { a = "|" } } }',
        "only:any; any?; array; array?; boolean; boolean?; number; number?; object; object?; string; string?",
      ],
      [
        "of a tool, whose executor may be left out",
        "tools.define_tool{ | }",
        "source => string · required; executor",
      ],
      [
        "parameters by annotations",
        "actions.prometheus.query{ | }",
        'mode => "instant" | "range" · required; query => string · required; step => integer'.replaceAll(
          "|",
          "¦",
        ),
      ],
      ["parameters in parentheses", "actions.prometheus.query({ | })", "mode; query; step"],
      ["a parameter's words", 'actions.prometheus.query{ mode = "|" }', "only:instant; range"],
      [
        "a result's fields",
        'local r = actions.prometheus.query{ query = "up", mode = "instant" }\nr.|',
        "only:unit => string; values => number[]",
      ],
      [
        "an entry of a result",
        "local r = actions.prometheus.query{}\nlocal v = r.values[1]\n|",
        "v => number?",
      ],
      [
        "parameters by a schema in the file",
        "actions.text.shorten{ | }",
        "text => string · required; max => number",
      ],
      ["a result by a schema in the file", "actions.text.shorten{}.|", "only:short => string"],
      [
        "parameters of what only the service knows",
        "actions.deploy.run{ | }",
        "version => string · required",
      ],
      ["a result of what only the service knows", "actions.deploy.run{}.|", "only:url => string"],
      ["files that can be required", 'require("|")', "prometheus; prometheus.query; text"],
      ["what a required file gives", 'local q = require("prometheus")\nq.|', "old; query"],
    ])("K25 %s", (_what, source, expected) => check(source, expected.replaceAll("¦", "|")));
  });

  describe("by what the service knows", () => {
    it.each([
      [
        "S22 subjects, and patterns over several",
        'sekia.on("|", function() end)',
        "github.issue.closed; github.issue.opened; topics.jobs; github.>; github.issue.>; topics.alerts",
      ],
      ["subjects while the text is open", 'sekia.on("gi|', "github.issue.opened"],
      ["subjects without a text", "signalbox.on(|)", '"github.issue.opened"'],
      [
        "S27 an event's fields",
        on("  event.|"),
        "body => string; payload; subject => string; time_ms => integer",
      ],
      [
        "S27 fields of recorded payloads, the most frequent first",
        on("  event.payload.|"),
        'number => integer · 100%; state => "open" / "closed" · 100%; title => string · 100%; user => { login: string } · 100%; labels => { name: string }[] · 50%; milestone => string · 5%'.replace(
          " / ",
          " | ",
        ),
      ],
      [
        "while the line below goes on",
        on("  local x = event.payload.|\n  if x then print(x) end"),
        "number; title",
      ],
      [
        "while the block is open",
        'sekia.on("github.issue.opened", function(event)\n  if event.payload.|\n',
        "number; title",
      ],
      ["fields of fields", on("  event.payload.user.|"), "only:login => string · 100%"],
      [
        "entries of lists",
        on("  for _, label in ipairs(event.payload.labels) do\n    label.|\n  end"),
        "only:name => string · 100%",
      ],
      ["through a local", on("  local payload = event.payload\n  payload.|"), "number; title"],
      ["through another handler's name", on("  e.payload.|").replace("event)", "e)"), "number; title"],
      [
        "of all types that a pattern hears",
        on("  event.payload.|", "github.>"),
        "number => integer · 100%; state; title => string · 80%; closed_by => string · 20%".replace(
          "state; ",
          "",
        ),
      ],
      [
        "of one type, where a condition names it",
        on('  if event.type == "github.issue.closed" then\n    event.payload.|\n  end', "github.>"),
        "only:closed_by; number",
      ],
      [
        "of one type, behind an early return",
        on('  if event.type ~= "github.issue.closed" then return end\n  event.payload.|', "github.>"),
        "only:closed_by; number",
      ],
      ["nothing for a subject that nobody saw", on("  event.payload.|", "other.>"), "only:"],
      [
        "S27 types seen there",
        on('  if event.type == "|" then end', "github.>"),
        "only:github.issue.closed; github.issue.opened",
      ],
      [
        "types as texts",
        on("  if event.type == | then end", "github.>"),
        '"github.issue.closed"; "github.issue.opened"',
      ],
      ["words that a field had", on('  if event.payload.state == "|" then end'), "only:closed; open"],
      ["S24 agents", 'sekia.command("|")', "only:github-agent => online; builder => offline"],
      ["agents as texts", "sekia.command(|)", '"github-agent"; "builder"'],
      [
        "S24 an agent's commands",
        'sekia.command("github-agent", "|")',
        "only:add_label => { repo, number, label, colour }; create_comment",
      ],
      ["commands as texts", 'sekia.command("github-agent", |)', '"add_label"; "create_comment"'],
      ["of an unknown agent none", 'sekia.command("nobody", "|")', "only:"],
      [
        "a command's payload",
        'sekia.command("github-agent", "add_label", { | })',
        'label => string · required; number => integer · required; repo => string · required; colour => "red" / "green"'.replace(
          " / ",
          " | ",
        ),
      ],
      ["a whole payload", 'sekia.command("github-agent", "add_label", |)', "{ repo, number, label }"],
      ["a field's words", 'sekia.command("github-agent", "add_label", { colour = "|" })', "only:green; red"],
      ["in signalbox.call", 'signalbox.call("github-agent", "add_label", { | })', "label; number; repo"],
      ["through pcall", 'pcall(signalbox.call, "github-agent", "|")', "only:add_label; create_comment"],
      [
        "a payload through pcall",
        'pcall(signalbox.call, "github-agent", "add_label", { | })',
        "label; number; repo",
      ],
      ["through a local", 'local command = sekia.command\ncommand("|")', "github-agent; builder"],
      [
        "the choices of a question",
        'local answer = signalbox.ask{ title = "Go?", choices = { "ship", "wait" } }\nif answer == "|" then end',
        "only:ship; wait",
      ],
      ["kinds of effects", 'signalbox.effect("|")', "event; http; mail; reply; shell"],
      ["methods of a request", 'signalbox.http{ url = "https://x.y", method = "|" }', "DELETE; GET; POST"],
      ["topics", 'signalbox.publish("a", "b", {}, { topic = "|" })', "only:alerts; jobs"],
      ["S23 subjects to publish on", 'sekia.publish("|")', "github.issue.closed; github.issue.opened"],
      ["S23 types of the subject", 'sekia.publish("github.issue.opened", "|")', "only:github.issue.opened"],
      [
        "S23 fields that such events had",
        'sekia.publish("github.issue.opened", "github.issue.opened", { | })',
        "number; title",
      ],
    ])("%s", (_what, source, expected) => check(source, expected));
  });

  it.each([
    ["on at the top", "o|", "on", 'signalbox.on("\u0024{1:github.>}", function(event)\n\t$0\nend)'],
    [
      "a loop in a function",
      "local function f()\n  fo|\nend",
      "for",
      "for \u0024{1:key}, \u0024{2:value} in pairs(\u0024{3:entries}) do\n\t$0\nend",
    ],
  ])("snippets: %s", (_what, source, label, insert) => {
    const { service, uri, offset } = place(source);
    const found = service.complete(uri, offset).find((one) => one.kind === "snippet" && one.label === label);
    expect(found?.insert).toBe(insert);
  });

  it("snippets stand at the beginning of a statement only", () => {
    check("local x = fo|", "-fori; -ask");
    check("local function f()\n  |\nend", "-schedule");
  });

  it("what is chosen takes the place of what was typed, in a text of all of it", () => {
    const inText = place('sekia.on("github.is|sue.x", f)');
    const [subject] = inText.service.complete(inText.uri, inText.offset);
    expect(inText.text.slice(subject?.from, subject?.to)).toBe("github.issue.x");
    const open = place('sekia.on("git|');
    expect(open.service.complete(open.uri, open.offset)[0]).toMatchObject({ from: 10, to: 13 });
    const field = place("local t = { size = 1 }\nt.si|");
    expect(field.service.complete(field.uri, field.offset)[0]).toMatchObject({
      from: 25,
      to: 27,
      insert: "size",
    });
    const word = place('local t = { ["end"] = 1 }\nt.|');
    expect(word.service.complete(word.uri, word.offset)[0]).toMatchObject({
      insert: '["end"]',
      from: 27,
      to: 28,
    });
  });

  it("a payload's field tells how often it was there and an example, without breaking Markdown", () => {
    const { service, uri, offset } = place(on("  event.payload.|"));
    const title = service.complete(uri, offset).find(({ label }) => label === "title");
    expect(title?.doc).toBe(
      "In 100% of the newest 40 `github.issue.opened` events.\n\nFor example `\"It 'fails'\"`",
    );
  });

  it("a whole payload is filled in field by field", () => {
    const { service, uri, offset } = place('sekia.command("github-agent", "add_label", |)');
    const found = service.complete(uri, offset)[0];
    expect(found?.insert).toBe(
      '{ repo = "\u0024{1:repo}", number = \u0024{2:number}, label = "\u0024{3:label}" }',
    );
  });

  it("S28 knows the engine's sandbox: every global and every function of string, table and math, and no other", () => {
    const host = { print() {}, random: () => 0, seedRandom() {}, isEnding: () => false };
    const L = openSandbox(host);
    const program =
      'local r = {} for _, t in ipairs{{"", _G}, {"string.", string}, {"table.", table}, {"math.", math}} do for k in pairs(t[2]) do if type(k) == "string" then r[#r + 1] = t[1] .. k end end end return table.concat(r, " ")';
    expect(compile(L, program, "list")).toBe(true);
    lua.lua_pcallk(L, 0, 1, 0, 0, null as never);
    const real = toDisplayText(lua.lua_tostring(L, -1) ?? toBytes(""))
      .split(" ")
      .sort();
    const globals = place("|");
    const known = globals.service
      .complete(globals.uri, globals.offset)
      .filter(({ kind }) => kind === "function" || kind === "global" || kind === "library")
      .map(({ label }) => label)
      .filter(
        (label) => !/^(sekia|signalbox|actions|kit|tools|define_action|require|array|json)$/.test(label),
      );
    for (const library of ["string", "table", "math"]) {
      const { service, uri, offset } = place(`${library}.|`);
      known.push(...service.complete(uri, offset).map(({ label }) => `${library}.${label}`));
    }
    expect(known.sort()).toEqual(real);
  });
});
