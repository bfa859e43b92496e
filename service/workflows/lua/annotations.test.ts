import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { evaluate, finish, openWorkflow, request, source, testLimits } from "../../../test/harness/lua.ts";
import { flavours, parseDefinition } from "../../actions/definition.ts";
import { event } from "../../contract/events.ts";
import { generateAnnotations, generateScriptAnnotations, luaEventFields } from "./annotations.ts";
import {
  actionFunctions,
  apiFields,
  apiFunctions,
  definitionFields,
  scriptFields,
  scriptFunctions,
} from "./api-spec.ts";
import { LuaWorkflow } from "./workflow.ts";

const text = generateAnnotations();
const scripts = generateScriptAnnotations();

/** Names of all globals, and of what `json` has. */
function namesIn(more: { script?: { args: string[] } }): string[] {
  const program =
    'local r = {} for k in pairs(_G) do r[#r + 1] = k end for k in pairs(json) do r[#r + 1] = "json." .. k end error(table.concat(r, " "), 0)';
  const library = { modules: {}, problem: null };
  const workflow = new LuaWorkflow({ ...source("test", program), library, ...more }, null, testLimits, {
    tick() {},
  });
  const task = workflow.load();
  let loaded = task.step(performance.now() + 1_000);
  while (!loaded) loaded = task.step(performance.now() + 1_000);
  // A script is run when it is started, a workflow while it loads.
  const { workflow: _, ...run } = request("test", { handler: loaded.kind === "loaded" ? 1 : 0 });
  const ended = loaded.kind === "failed" ? loaded : finish(workflow.run(run));
  return ended.kind === "failed" ? ended.error.message.split(" ") : [];
}

describe("annotations", () => {
  it.each([
    ["signalbox.lua", text],
    ["scripts.lua", scripts],
  ])("the committed %s is up to date", (name, generated) => {
    const file = new URL(`../../../workflows/types/${name}`, import.meta.url);
    expect(readFileSync(file, "utf8"), "run node scripts/generate-annotations.ts").toBe(generated);
  });

  it("U5 every function of the table is there, in the editor's file and in Lua", () => {
    for (const path of Object.keys(apiFunctions)) {
      if (!path.startsWith("signalbox.state."))
        expect(text).toMatch(new RegExp(`(function )?${path.replaceAll(".", "\\.")}( = \\{\\}|\\()`));
      expect(evaluate(`return { type(${path}) }`)).not.toEqual(["nil"]);
    }
  });

  it("event fields are those of the contract, with Sekia's timestamp", () => {
    const known = [...Object.keys(event.shape), "timestamp"];
    for (const field of luaEventFields) {
      expect(known).toContain(field);
      expect(text).toMatch(new RegExp(`^---@field ${field}\\?? `, "m"));
    }
  });

  it("K25 actions are there as the engine has them: kit, require, define_action, tools and all", () => {
    const names = namesIn({});
    for (const path of Object.keys(actionFunctions)) {
      expect(names).toContain(path.split(".")[0]);
      expect(text).toContain(`function ${path}(`);
    }
    for (const name of ["actions", "kit"]) {
      expect(names).toContain(name);
      expect(text).toContain(`---@type signalbox.Actions\n${name} = nil`);
    }
    for (const path of Object.keys(apiFields)) {
      expect(evaluate(`return type(${path})`)).not.toBe("nil");
      expect(text).toContain(`\n${path} = nil`);
    }
  });

  it("K25 a definition's words are those that the engine takes, and what may be left out may be", () => {
    const least = { source: ".", executor: "native" };
    const lists = { args_order: ["a"], stdin_fields: ["a"] };
    for (const [name, { type }] of Object.entries(definitionFields)) {
      for (const [, word] of type.matchAll(/"(\w+)"/g))
        expect(parseDefinition("define_action", { ...least, ...lists, [name]: word ?? "" })).toMatchObject({
          [name]: word,
        });
    }
    for (const flavour of flavours) {
      const left = flavour === "define_action" ? least : { source: "." };
      expect(Object.keys(parseDefinition(flavour, left))).toEqual(
        expect.arrayContaining(Object.keys(definitionFields)),
      );
    }
    const required = Object.entries(definitionFields).filter(([, field]) => !("optional" in field));
    expect(required.map(([name]) => name)).toEqual(Object.keys(least));
  });

  it("B19 scripts have what workflows have and the words of their own file, and no others", () => {
    const workflow = new Set(namesIn({}));
    const more = namesIn({ script: { args: [] } }).filter((name) => !workflow.has(name));
    expect(more.sort()).toEqual([...Object.keys(scriptFunctions), ...Object.keys(scriptFields)].sort());
    for (const name of more) expect(scripts).toMatch(new RegExp(`(function |\n)${name}( = |\\()`));
    expect(openWorkflow(scripts).loaded).toMatchObject({ kind: "loaded" });
  });

  it("the file is Lua that loads where the API is not yet defined", () => {
    expect(openWorkflow(text).loaded).toMatchObject({ kind: "loaded" });
  });
});
