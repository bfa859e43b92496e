import { describe, expect, it } from "vitest";
import { fieldsOf, readField } from "./schema-form.ts";

const fields = fieldsOf({
  type: "object",
  required: ["repo", "count"],
  properties: {
    repo: { type: "string", description: "Which" },
    count: { type: "integer" },
    state: { enum: ["open", "closed"], default: "open" },
    force: { type: "boolean" },
    labels: { type: "array" },
  },
});

describe("a command's form", () => {
  it("asks for each property by what it is", () => {
    expect(fields?.map(({ name, kind, isRequired }) => [name, kind, isRequired])).toEqual([
      ["repo", "text", true],
      ["count", "integer", true],
      ["state", "choice", false],
      ["force", "boolean", false],
      ["labels", "json", false],
    ]);
  });

  it("asks for the whole payload where there is no schema", () => {
    expect([fieldsOf(null), fieldsOf({ type: "string" })]).toEqual([null, null]);
  });

  it("reads what is typed, leaves out what is empty, and refuses what does not fit", () => {
    const [repo, count, , , labels] = fields ?? [];
    if (repo === undefined || count === undefined || labels === undefined)
      throw new Error("fields are missing");
    expect(readField(repo, "a/b")).toBe("a/b");
    expect(readField(count, "3")).toBe(3);
    expect(readField(labels, '["x"]')).toEqual(["x"]);
    expect(readField(labels, "")).toBeUndefined();
    expect(() => readField(count, "3.5")).toThrow("whole number");
    expect(() => readField(count, "")).toThrow("number");
    expect(() => readField(labels, "x")).toThrow("JSON");
  });
});
