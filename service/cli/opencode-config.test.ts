import fc from "fast-check";
import { type ParseError, parse, stripComments } from "jsonc-parser";
import { describe, expect, it } from "vitest";
import { type Entry, entryOf, type Key, lineDiff, withEntry, withoutEntry } from "./opencode-config.ts";

const spec = "opencode-signalbox@0.1.0";
const entry = (key: Key, options: Entry["options"] = null): Entry => ({ key, spec, options });
const value = (text: string) => {
  const errors: ParseError[] = [];
  const read = parse(text.replace(/^\ufeff/, ""), errors, { allowTrailingComma: true });
  expect(errors, text).toEqual([]);
  return read;
};
const always = () => true;

const shapes: Record<string, string> = {
  "an empty object": "{}",
  "an empty object with a space": "{ }\n",
  "one line": '{"model":"a/b"}',
  "a comment at the end of the last line": '{\n  "model": "a/b" // mine\n}\n',
  "a comment after the last line": '{\n  "model": "a/b"\n  // the end\n}\n',
  "a trailing comma": '{\n  "model": "a/b", // mine\n}\n',
  "only comments": "{\n  // nothing yet\n}\n",
  "a block comment in one line": '{ "model": "a/b" /* mine */ }',
  tabs: '{\n\t"model": "a/b",\n\t"mcp": {\n\t\t"x": {}\n\t}\n}\n',
  "carriage returns": '{\r\n    "model": "a/b"\r\n}\r\n',
  "a byte order mark": '\ufeff{\n  "model": "a/b"\n}\n',
  "an empty list": '{\n  "plugin": []\n}\n',
  "a list on one line": '{ "plugin": ["one", ["two", { "a": 1 }]] }',
  "a list on lines of its own":
    '{\n  "plugin": [\n    "one", // first\n    "two" /* second */ // last\n  ],\n  "model": "a/b"\n}\n',
  "a list with a trailing comma": '{\n  "plugin": [\n    "one", // first\n  ],\n}\n',
  "a list with only comments": '{\n  "plugin": [\n    // "off"\n  ]\n}\n',
  "commas and brackets in comments": '{\n  "plugin": ["one" /* , ] } */],\n  "x": "//" // , }\n}\n',
  "no line break at the end": '{\n  "model": "a/b"}',
  "both keys": '{\n  "plugin": ["one"],\n  "plugins": ["two"]\n}\n',
};

describe("an entry in OpenCode's configuration", () => {
  it.each(Object.entries(shapes))(
    "is added to %s, nothing else changes, and it goes without a trace",
    (_, text) => {
      for (const wanted of [
        entry("plugin"),
        entry("plugins"),
        entry("plugin", { topics: ["inbox"] }),
        entry("plugins", { a: [1] }),
      ]) {
        const installed = withEntry(text, "f", wanted);
        const had = value(text) as Record<string, unknown[]>;
        const item =
          wanted.options === null
            ? spec
            : wanted.key === "plugin"
              ? [spec, wanted.options]
              : { package: spec, options: wanted.options };
        expect(value(installed)).toEqual({ ...had, [wanted.key]: [...(had[wanted.key] ?? []), item] });
        expect(entryOf(installed, "f")).toMatchObject(wanted);
        expect(commentsOf(installed)).toEqual(commentsOf(text));
        expect(withEntry(installed, "f", wanted)).toBe(installed);
        const gone = withoutEntry(installed, "f", (key) => !(key in had));
        // An object that gets its first field gets its lines as well.
        if (text.replaceAll(/[\s\ufeff]/g, "") === "{}") expect(value(gone)).toEqual({});
        else expect(gone).toBe(text);
      }
    },
  );

  it("is made into a file of its own where there is none", () => {
    expect(withEntry("", "f", entry("plugin", { topics: ["a", "b"] }))).toBe(
      '{\n  "$schema": "https://opencode.ai/config.json",\n  "plugin": [["opencode-signalbox@0.1.0", { "topics": ["a", "b"] }]]\n}\n',
    );
  });

  it.each([
    ['"opencode-signalbox"', `"${spec}"`],
    ['"opencode-signalbox@latest"', `"${spec}"`],
    [
      '[ "opencode-signalbox@0.0.1", { "topics": ["x"] /* mine */ } ]',
      `[ "${spec}", { "topics": ["x"] /* mine */ } ]`,
    ],
    [
      '{ "package": "opencode-signalbox@file:/a.tgz", "options": {} }',
      `{ "package": "${spec}", "options": {} }`,
    ],
  ])("gets another version and keeps its options: %s", (before, after) => {
    const config = (item: string) => `{\n  "plugin": ["a", ${item}, "opencode-signalbox-else"] // c\n}\n`;
    expect(withEntry(config(before), "f", entry("plugin"))).toBe(config(after));
  });

  it("moves to the other key with its options when OpenCode 2 comes", () => {
    const text = `{\n  // p\n  "plugin": ["a", ["opencode-signalbox@0.0.1", { "topics": ["x"] }]]\n}\n`;
    expect(withEntry(text, "f", entry("plugins"))).toBe(
      `{\n  // p\n  "plugin": ["a"],\n  "plugins": [{ "package": "${spec}", "options": { "topics": ["x"] } }]\n}\n`,
    );
  });

  it("is taken out by hand-made forms too, all of them, and what stands beside it stays", () => {
    const text =
      '{\n  "plugin": [\n    // ours\n    "opencode-signalbox", // queue\n    "b",\n    "opencode-signalbox@1"\n  ]\n}\n';
    const gone = withoutEntry(text, "f", always);
    expect(value(gone)).toEqual({ plugin: ["b"] });
    expect(commentsOf(gone)).toEqual(["// ours", "// queue"]);
  });

  it.each([
    ['{\n  "a": 1\n  "b": 2\n}', "f:3"],
    ["[]", "no object"],
    ['{ "plugin": "x" }', "no list"],
    ['{ "a": ', "f:1"],
  ])("is not added to what can't be read: %j", (text, message) => {
    expect(() => withEntry(text, "f", entry("plugin"))).toThrowError(message);
    expect(() => withEntry(text, "f", entry("plugin"))).toThrowError(
      expect.objectContaining({ code: "invalid_config" }),
    );
  });

  it("comments, order and spacing of any configuration survive coming and going", () => {
    fc.assert(
      fc.property(
        anyConfig(),
        fc.constantFrom<Key>("plugin", "plugins"),
        fc.boolean(),
        (text, key, withOptions) => {
          const had = value(text) as Record<string, unknown>;
          const installed = withEntry(text, "f", entry(key, withOptions ? { topics: ["x"] } : null));
          expect(commentsOf(installed)).toEqual(commentsOf(text));
          const read = value(installed);
          expect(Object.keys(read)).toEqual(Object.keys({ ...had, [key]: 1 }));
          expect(entryOf(installed, "f")?.spec).toBe(spec);
          expect(withoutEntry(installed, "f", (one) => !(one in had))).toBe(text);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("a difference shows the lines that change with two around them", () => {
    expect(lineDiff("a\nb\nc\nd\ne\n", "a\nb\nc\nX\ne\n")).toEqual(["  b", "  c", "- d", "+ X", "  e", "  "]);
    expect(lineDiff("", "a\n")).toEqual(["+ a", "  "]);
  });
});

/** Everything that is neither value nor space, in order. */
function commentsOf(text: string): string[] {
  const strings = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, (found) => "s".repeat(found.length));
  return [...strings.matchAll(/\/\/[^\r\n]*|\/\*[\s\S]*?\*\//g)].map(({ index, 0: found }) =>
    text.slice(index, index + found.length).trimEnd(),
  );
}

/** Configurations with comments and spacing in every place that takes them. */
function anyConfig(): fc.Arbitrary<string> {
  const eol = fc.constantFrom("\n", "\r\n");
  const shape = fc.record({
    fields: fc.uniqueArray(fc.tuple(fc.constantFrom("model", "mcp", "x", "plugin", "plugins"), fc.nat(3)), {
      selector: ([name]) => name,
      minLength: 1,
    }),
    gaps: fc.array(
      fc.constantFrom("", " ", "\n  ", "\n\t", " // c, ]\n  ", " /* b } , */ ", "\n\n  // own line\n  "),
      { minLength: 40, maxLength: 40 },
    ),
    trailing: fc.boolean(),
    mark: fc.boolean(),
    eol,
  });
  return shape.map(({ fields, gaps, trailing, mark, eol }) => {
    let at = 0;
    const gap = () => gaps[at++ % gaps.length] ?? "";
    const list = (count: number) => {
      const items = Array.from({ length: count }, (_, index) => `${gap()}"p${index}"${gap()}`);
      return `[${items.join(",")}${count > 0 && trailing ? `,${gap()}` : gap()}]`;
    };
    const text = fields.map(([name, count]) => {
      const content = name.startsWith("plugin")
        ? list(count)
        : `{${gap()}"deep"${gap()}:${gap()}${list(count)}${gap()}}`;
      return `${gap()}"${name}"${gap()}:${gap()}${content}${gap()}`;
    });
    const whole = `{${text.join(",")}${trailing ? `,${gap()}` : ""}${gap()}}\n`;
    expect(stripComments(whole)).toBeTypeOf("string");
    return `${mark ? "\ufeff" : ""}${whole.replaceAll("\n", eol)}`;
  });
}
