import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { evaluate, openWorkflow } from "../../../test/harness/lua.ts";
import { event } from "../../contract/events.ts";
import { generateAnnotations, luaEventFields } from "./annotations.ts";
import { apiFunctions } from "./api-spec.ts";

const text = generateAnnotations();

describe("annotations", () => {
  it("the committed file is up to date", () => {
    const committed = readFileSync(
      new URL("../../../workflows/types/signalbox.lua", import.meta.url),
      "utf8",
    );
    expect(committed, "run node scripts/generate-annotations.ts").toBe(text);
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

  it("the file is Lua that loads where the API is not yet defined", () => {
    expect(openWorkflow(text).loaded).toMatchObject({ kind: "loaded" });
  });
});
