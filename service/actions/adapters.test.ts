import { describe, expect, it } from "vitest";
import { adaptInput, adaptOutput } from "./adapters.ts";
import { parseDefinition } from "./definition.ts";
import { mismatch, standIn } from "./schema.ts";

const tool = (more: Record<string, never | string | string[]>) =>
  parseDefinition("tools.define_tool", { source: ".", ...more });

describe("B19 input adapters", () => {
  const params = { name: "a b", count: 3, on: true, off: false, list: ["x", 2], none: null, o: { k: 1 } };

  it("B19 args makes flags, sorted; true stands alone, false and nil are left out, lists repeat", () => {
    expect(adaptInput(tool({}), params)).toEqual({
      args: ["--count", "3", "--list", "x", "--list", "2", "--name", "a b", "--o", '{"k":1}', "--on"],
      stdin: null,
    });
  });

  it("B19 json is all of it on stdin", () => {
    expect(adaptInput(tool({ input_adapter: "json" }), { a: 1 })).toEqual({ args: [], stdin: '{"a":1}\n' });
  });

  it("B19 positional_args puts the fields of args_order first, bare, the others as flags", () => {
    const adapter = tool({ input_adapter: "positional_args", args_order: ["name", "gone", "count"] });
    expect(adaptInput(adapter, { name: "x", count: -3, on: true })).toEqual({
      args: ["x", "-3", "--on"],
      stdin: null,
    });
    expect(() => adaptInput(adapter, { name: "--upload-file=/etc/passwd" })).toThrow(
      /Schema Validation Failure: field "name" begins with "-"/,
    );
  });

  it("B19 mixed pipes stdin_fields and makes flags of the others", () => {
    const adapter = tool({ input_adapter: "mixed", stdin_fields: ["list"] });
    expect(adaptInput(adapter, { list: [1], name: "x" })).toEqual({
      args: ["--name", "x"],
      stdin: '{"list":[1]}\n',
    });
  });

  it("B19 text and lines answer with a field of that name, json as it is", () => {
    expect(adaptOutput("text", "hi")).toEqual({ output: "hi" });
    expect(adaptOutput("lines", ["a"])).toEqual({ lines: ["a"] });
    expect(adaptOutput("json", [1])).toEqual([1]);
  });
});

describe("a schema", () => {
  const { schema } = parseDefinition("define_action", {
    source: ".",
    executor: "native",
    schema: {
      input: {
        s: "string",
        n: "number?",
        b: "boolean?",
        a: "array?",
        o: { type: "object", required: false, description: "more" },
        x: "any?",
      },
    },
  });

  it("B19 takes what fits and says what does not", () => {
    const good = { s: "", n: 1, b: false, a: [1], o: { k: 1 }, x: [null], extra: 1 };
    expect(mismatch(schema.input, good)).toBeNull();
    expect(mismatch(schema.input, { s: "", a: {}, o: [], x: null })).toBeNull();
    expect(mismatch(schema.input, {})).toBe('missing required field "s" (expected string)');
    expect(mismatch(schema.input, { s: "", a: { k: 1 } })).toBe('field "a": expected array, got object');
    expect(mismatch(schema.input, { s: "", o: [1] })).toBe('field "o": expected object, got array');
    expect(mismatch(schema.input, [1])).toMatch(/expected a table with the fields s, n/);
    expect(mismatch(null, 1)).toBeNull();
  });

  it("makes an answer up for a dry run", () => {
    expect(standIn(schema.input)).toEqual({ s: "" });
    expect(standIn(null)).toEqual({});
  });
});

describe("a definition", () => {
  it("K7 K9 K10 K11 has Kael's fields with their defaults", () => {
    const bare = parseDefinition("define_action", { source: "x", executor: "docker", env: {}, deps: {} });
    expect(bare).toMatchObject({
      ...{ entrypoint: null, subdir: null, defaults: {}, env: [], deps: [], timeout: 60, cache: null },
      ...{ retry: { attempts: 0 }, input_adapter: "json", output_adapter: "json" },
    });
    const full = parseDefinition("define_action", {
      ...{
        source: "x",
        executor: "native",
        entrypoint: "a/b.py",
        defaults: { e: [1] },
        env: ["AWS_PROFILE"],
      },
      ...{
        timeout: 2.5,
        cache: "1h",
        retry: { attempts: 2, delay: "3s" },
        deps: ["requests"],
        type: "python",
      },
    });
    expect(full).toMatchObject({
      ...{ entrypoint: "a/b.py", defaults: { e: [1] }, env: ["AWS_PROFILE"], timeout: 2.5 },
      ...{ cache: 3_600_000, retry: { attempts: 2, delay: 3_000 }, deps: ["requests"], type: "python" },
    });
  });

  it.each([
    [{ env: ["A=B"] }, /env.0 must be the name of a variable/],
    [{ hosts: ["http://x/y"] }, /hosts.0 must be a host's name/],
    [{ entrypoint: "/bin/sh" }, /entrypoint must be a path inside the source/],
    [{ cache: "soon" }, /cache must be seconds, or a time such as/],
    [{ timeout: -1 }, /timeout/],
    [{ schema: { inputs: {} } }, /unknown field "schema.inputs"/],
    [{ source: "" }, /source/],
  ])("refuses %j", (more, message) => {
    expect(() => parseDefinition("define_action", { source: "x", executor: "native", ...more })).toThrow(
      message,
    );
  });
});
