import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findMentions, findToolCalls } from "./refs.ts";

const mentions = (body: string | null) => findMentions(body).map((ref) => ref.value);
const tools = (body: string | null, meta: Parameters<typeof findToolCalls>[1] = {}, given: string[] = []) =>
  findToolCalls(body, meta, given).map((ref) => ref.value);

describe("references", () => {
  it.each([
    ["hello @bob", ["bob"]],
    ['@Bob, @ann! (@eve) "@dan"', ["bob", "ann", "eve", "dan"]],
    ["@bob @BOB @bob", ["bob"]],
    ["@code-reviewer and @snake_case2", ["code-reviewer", "snake_case2"]],
    ["line\n@münchen", ["münchen"]],
    ["mail bob@example.org or a.b+c@d.e", []],
    ["@@bob foo/@bob x-@bob", []],
    ["@ bob, @-bob, @", []],
    ["no one", []],
    [null, []],
  ])("M11 the mentions of %j are %j", (body, expected) => {
    expect(mentions(body)).toEqual(expected);
  });

  it.each([
    ["then bash(ls -la) and Read(file)", ["bash", "read"]],
    ["tool: webfetch", ["webfetch"]],
    ['tool_call="my_tool.v2"', ["my_tool.v2"]],
    ["Tool call: `grep`", ["grep"]],
    ['<tool name="edit">', ["edit"]],
    ['<invoke id="1" name="write">', ["write"]],
    ["bash it, read this: nothing is called", []],
    ["foo.bash(x) and mybash(y)", []],
    [null, []],
  ])("M12 the tool calls in %j are %j", (body, expected) => {
    expect(tools(body)).toEqual(expected);
  });

  it.each([
    [{ tool: "bash" }, ["bash"]],
    [{ tools: ["bash", "Read"] }, ["bash", "read"]],
    [
      { tool_calls: [{ name: "bash" }, { tool: "edit" }, { function: { name: "grep" } }] },
      ["bash", "edit", "grep"],
    ],
    [{ toolCalls: [{ function: "glob" }] }, ["glob"]],
    [{ tool: { name: { name: "deep" } } }, ["deep"]],
    [{ tool: 5, tools: [null, true, {}], tool_calls: "" }, []],
    [{ name: "bash" }, []],
  ])("M12 the tool calls in the metadata %j are %j", (meta, expected) => {
    expect(tools("plain", meta)).toEqual(expected);
  });

  it("M12 tools that the caller names come first, each once", () => {
    expect(tools("bash(ls)", { tool: "read" }, ["Deploy", "BASH"])).toEqual(["deploy", "bash", "read"]);
  });

  it("M11 M12 no text and no metadata makes it fail or keep more than a hundred of a kind", () => {
    const many = Array.from({ length: 500 }, (_, index) => `@name${index} tool: t${index}`).join(" ");
    expect(mentions(many)).toHaveLength(100);
    expect(tools(many)).toHaveLength(100);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.jsonValue(), (body, value) => {
        const meta = { tool_calls: value } as Parameters<typeof findToolCalls>[1];
        for (const ref of [...findMentions(body), ...findToolCalls(body, meta, [])]) {
          expect(ref.value).toBe(ref.value.toLowerCase().trim());
          expect(ref.value.length).toBeLessThanOrEqual(200);
        }
      }),
    );
  });

  it("M11 M12 a megabyte of look-alikes takes no longer than its length", () => {
    for (const piece of ["@", "@a", "tool ", "<tool ", "bash", "@a-"]) {
      const times = [1, 4].map((n) => {
        const body = piece.repeat(Math.floor((n * 100_000) / piece.length));
        const begun = performance.now();
        mentions(body);
        tools(`${body}(`);
        return performance.now() - begun;
      });
      expect(times[1]!, piece).toBeLessThan(Math.max(50, times[0]! * 16));
    }
  });
});
