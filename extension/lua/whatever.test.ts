import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FILE, fakeHost, openService, place } from "./testing/fake.ts";

const lines = [
  'sekia.on("github.>", function(event)',
  '  if event.type == "github.issue.opened" then',
  "    local title, n = event.payload.title, event.payload.number or 0",
  "  end",
  "end)",
  "---@class Point: Point",
  "---@field x number",
  "---@type Point[]",
  "local list = { { x = 1 }, nil, f() }",
  "for _, one in ipairs(list) do print(one.x) end",
  "local function again(a, ...) return again(a.b, ...), { a = a } end",
  "local M = setmetatable({}, { __index = M })",
  "M.self = M",
  "function M:go(x) self.x = x return self:go(x) end",
  'sekia.command("github-agent", "add_label", { repo = "a" })',
  'local r = actions.prometheus.query{ query = "up" }',
  'local t = require("prometheus")',
  "a.b.c = function(x) return x end",
  "local a <const> = 1",
  "return M, again",
];
const source = fc.array(fc.constantFrom(...lines), { maxLength: 8 }).map((some) => some.join("\n"));
const piece = fc.oneof(
  fc.constantFrom(
    ..."( ) { } [ ] . : , = \" ' end if function --- ---@ ---@type actions. event. \n local".split(" "),
  ),
  fc.constantFrom(...lines),
);
const edits = fc.array(fc.tuple(fc.nat(), fc.nat(12), piece), { minLength: 1, maxLength: 5 });

/** Everything that can be asked about a place, as plain data. */
function ask(service: ReturnType<typeof openService>, offset: number) {
  return {
    completions: service
      .complete(FILE, offset)
      .map(({ label, detail, doc, insert, from, to }) => ({ label, detail, doc, insert, from, to })),
    hover: service.hover(FILE, offset),
    signature: service.signature(FILE, offset),
    definition: service.definition(FILE, offset),
    references: service.references(FILE, offset),
    rename: service.rename(FILE, offset, "other"),
    symbols: service.symbols(FILE),
    folds: service.folds(FILE),
    tokens: service.tokens(FILE),
    diagnostics: service.diagnostics(FILE),
    handlers: service.handlers(FILE),
  };
}

describe("whatever is typed", () => {
  it("has an answer, and after edits the same as the whole text has", () => {
    const edited = openService();
    const fresh = openService();
    fc.assert(
      fc.property(source, edits, fc.nat(), (first, changes, at) => {
        edited.set(FILE, first, "workflow");
        let text = first;
        for (const [position, length, put] of changes) {
          const from = position % (text.length + 1);
          const to = Math.min(text.length, from + length);
          edited.edit(FILE, [{ from, to, text: put }]);
          text = text.slice(0, from) + put + text.slice(to);
          edited.complete(FILE, from + put.length);
        }
        expect(edited.text(FILE)).toBe(text);
        fresh.set(FILE, text, "workflow");
        const offset = at % (text.length + 1);
        expect(ask(edited, offset)).toEqual(ask(fresh, offset));
      }),
      { numRuns: 400 },
    );
  }, 120_000);

  it("places lie within the text", () => {
    const service = openService();
    fc.assert(
      fc.property(source, piece, (first, put) => {
        const text = `${first}${put}`;
        service.set(FILE, text, "workflow");
        for (const { from, to } of [
          ...service.diagnostics(FILE),
          ...service.tokens(FILE),
          ...service.handlers(FILE),
        ]) {
          expect(from).toBeGreaterThanOrEqual(0);
          expect(to).toBeGreaterThanOrEqual(from);
          expect(to).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("beside another Lua server", () => {
  it.each([
    ["subjects", 'sekia.on("|", print)', true],
    ["agents", 'sekia.command("|")', true],
    ["recorded fields", 'sekia.on("github.issue.opened", function(event)\n  event.payload.|\nend)', true],
    ["a command's fields", 'sekia.command("github-agent", "add_label", { | })', true],
    ["actions", "actions.prometheus.|", true],
    ["an action's parameters", "actions.prometheus.query{ | }", true],
    ["the API", "sekia.|", false],
    ["an event's fields", 'sekia.on("a", function(event)\n  event.|\nend)', false],
    ["locals and globals", "|", false],
    ["methods of texts", "local s = 'a'\ns:|", false],
  ])("%s are offered by us as well: %s → %s", (_what, text, expected) => {
    const { service, uri, offset } = place(text);
    const found = service.complete(uri, offset);
    expect(found.length).toBeGreaterThan(0);
    const own = found.filter(
      ({ kind }) => kind !== "keyword" && kind !== "snippet" && (kind !== "local" || !expected),
    );
    const asked = expected ? own.filter(({ sort }) => sort < "2") : own;
    expect(new Set(asked.map(({ live }) => live))).toEqual(new Set([expected]));
  });

  it("we warn of what the service alone knows", () => {
    const service = openService(fakeHost);
    const text = [
      "prnt(os)",
      'sekia.command("nobody", "x", {})',
      'sekia.command("github-agent", "add_label", { repo = 1 })',
      "signalbox.ask{ body = 'x' }",
    ].join("\n");
    service.set(FILE, text, "workflow");
    const found = service.diagnostics(FILE).map(({ code, live }) => `${code} ${live}`);
    expect(found).toEqual([
      "unknown-global false",
      "removed-global true",
      "unknown-agent true",
      "missing-field true",
      "wrong-type true",
      "missing-field false",
    ]);
  });
});
