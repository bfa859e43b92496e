import { expect, it } from "vitest";
import { readAnnotations } from "./annotations.ts";

const text = `---@class Params : Base
---@field query string PromQL
---@field range? string Time range

--- Asks Prometheus.
---@param params Params what to ask
---@return { value: number }[] rows
return define_action({ source = "." })
`;

it("K25 classes, fields, parameters and results of an action's file are read", () => {
  expect(readAnnotations(text, 8)).toEqual({
    description: "Asks Prometheus.",
    classes: [
      {
        ...{ name: "Params", parents: ["Base"], description: "" },
        fields: [
          { name: "query", optional: false, type: "string", description: "PromQL" },
          { name: "range", optional: true, type: "string", description: "Time range" },
        ],
      },
    ],
    params: [{ name: "params", optional: false, type: "Params", description: "what to ask" }],
    returns: [{ type: "{ value: number }[]", name: "rows", description: "" }],
    problems: [],
  });
});

it("K25 what stands above something else is not the action's, and what can't be read is told by its line", () => {
  const other = readAnnotations(
    `---@param x string\nlocal function f(x) end\n---@field\nreturn define_action({})`,
    4,
  );
  expect(other.params).toEqual([]);
  expect(other.problems[0]?.line).toBe(3);
});
