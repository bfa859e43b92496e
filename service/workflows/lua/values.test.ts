import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { done, evaluate, failure, runBody } from "../../../test/harness/lua.ts";
import type { Json } from "../../contract/common.ts";

/** Null in objects is absent in Lua, so a round trip drops it. */
function withoutNullFields(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutNullFields);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields.map(([key, field]) => [key, withoutNullFields(field)]));
}

const json = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.parse(JSON.stringify(value)) as Json);

describe("values between JSON and Lua", () => {
  it("B7 every JSON value comes back as it went in, but for nulls in objects", () => {
    fc.assert(
      fc.property(json, (value) => {
        const result = evaluate("return { value = event.payload.value }", { value });
        expect(result).toEqual(value === null ? {} : { value: withoutNullFields(value) });
      }),
      { numRuns: 300 },
    );
  });

  it("B7 an empty table is {}, 1..n is a list, and a list that came in empty stays one", () => {
    expect(evaluate("return { a = {}, b = {1, 2}, c = array{}, d = event.payload.d }", { d: [] })).toEqual({
      a: {},
      b: [1, 2],
      c: [],
      d: [],
    });
  });

  it("B7 a list that is emptied stays a list, one that grows holds what was added", () => {
    const body =
      "local l = event.payload.l; table.remove(l); local m = event.payload.m; m[#m + 1] = 3; return { l, m }";
    expect(evaluate(body, { l: [1], m: [1, 2] })).toEqual([[], [1, 2, 3]]);
  });

  it("null in a list is signalbox.null and keeps the others in place; in a record it is nil", () => {
    const body = `local p = event.payload
      return { #p.list, p.list[2] == signalbox.null, p.list[2] == json.null, tostring(p.list[2]), p.gone == nil, p.list }`;
    expect(evaluate(body, { list: [1, null, 3], gone: null })).toEqual([
      3,
      true,
      true,
      "null",
      true,
      [1, null, 3],
    ]);
  });

  it("keys with dots, control characters, umlauts and __proto__ survive", () => {
    const value = JSON.parse('{"a.b":1,"\\n1":2,"\\u00c4":3,"__proto__":{"x":4},"a\\u0001":5,"":6}') as Json;
    const result = evaluate("return event.payload.value", { value });
    expect(JSON.stringify(result)).toBe(JSON.stringify(value));
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it("keys that differ only in control characters are different keys", () => {
    // Fengari's own hash makes one of "\n" .. "a" and "\xa6\x01".
    expect(
      evaluate('local t = {} t["\\na"] = 1 t["\\xa6\\x01"] = 2 return { t["\\na"], "\\n" < "b" }'),
    ).toEqual([1, true]);
  });

  it.each([
    ["payload = { list = { 1, nil, 3 } }", "payload.list has nothing at 2 but something at 3"],
    ["payload = { list = { [5] = 1 } }", "payload.list has nothing at 1 but something at 5"],
    ["payload = { list = { 1, 2, name = 3 } }", "payload.list mixes named fields with the key 1"],
    ["payload = { list = { name = 3, [true] = 1 } }", "payload.list mixes named fields with the key true"],
    ["payload = { list = { [1.5] = 1 } }", "payload.list has the key 1.5"],
    ["payload = { a = { fn = print } }", "payload.a.fn is a function, which JSON can't hold"],
    ["payload = { signalbox.state }", "payload[1] is a userdata, which JSON can't hold"],
    ["payload = { a = 0/0 }", "payload.a is NaN, which JSON can't hold"],
    ["payload = { a = 1/0 }", "payload.a is Infinity, which JSON can't hold"],
    ['payload = { a = "\\xff" }', "payload.a is not valid UTF-8"],
    ['payload = { ["\\xc3"] = 1 }', "a key of payload is not valid UTF-8"],
    ["payload = {} payload.me = payload", "payload.me contains itself"],
    [
      "payload = {} local t = payload for i = 1, 70 do t.n = {} t = t.n end",
      "is nested deeper than 64 levels",
    ],
    ['payload = { a = string.rep("x", 2000000) }', "the value is larger than 1048576 bytes"],
    ["payload = { 1, 2 }", "payload must be a table with named fields, not a list"],
    ["payload = { [2^40] = 1 }", "payload has nothing at 1 but something at 1099511627776"],
  ])("%s can't leave Lua, and the error names the key", (code, message) => {
    const error = failure(`local payload\n${code}\nsekia.publish("a", "b", payload)`);
    expect(error.message).toContain(message);
    expect(error.line).toBe(4);
  });

  it("a list with a later named field is refused too", () => {
    const error = failure("local l = { 1 } l.name = 2 sekia.publish('a', 'b', { l = l })");
    expect(error.message).toContain('payload.l mixes a list with the named field "name"');
  });

  it("pairs goes through a list from its beginning", () => {
    const body = `local seen = {} for _, v in pairs({ "a", "b", "c", x = "d" }) do seen[#seen + 1] = v end return seen`;
    expect(evaluate(body)).toEqual(["d", "a", "b", "c"]);
    expect(
      evaluate("local l = { 1, 2 } l[3] = 3 local s = '' for k in pairs(l) do s = s .. k end return s"),
    ).toBe("123");
  });

  it("one table in two places is no cycle", () => {
    expect(evaluate("local t = { x = 1 } return { a = t, b = t }")).toEqual({ a: { x: 1 }, b: { x: 1 } });
  });

  it("an event nested deeper than 64 levels fails its run and no more", () => {
    let value: Json = 1;
    for (let level = 0; level < 100; level++) value = { value };
    const outcome = runBody("return 1", { value });
    expect(outcome).toMatchObject({
      kind: "failed",
      error: { message: "the value is nested deeper than 64 levels" },
    });
  });

  it("a result that JSON can't hold is left out with a warning, since the work is done", () => {
    const outcome = done(runBody("return print"));
    expect(outcome.output).toBeNull();
    expect(outcome.logs).toMatchObject([{ level: "warn", message: expect.stringContaining("function") }]);
  });
});

describe("numbers", () => {
  it("B13 whole numbers print, concatenate and format as whole numbers, and come back as they were", () => {
    const whole = fc.oneof(
      fc.maxSafeInteger(),
      fc.constantFrom(
        0,
        42,
        -1,
        2 ** 31,
        2 ** 31 - 1,
        -(2 ** 31),
        -1_001_234_567_890,
        1_700_000_000_000,
        2 ** 53 - 1,
      ),
    );
    fc.assert(
      fc.property(whole, (n) => {
        const body = `local n = event.payload.n
          return { n, tostring(n), "#" .. n, string.format("%d", n), string.format("%s", n), tonumber(tostring(n)), json.encode(n), table.concat({ n }) }`;
        const text = String(n);
        expect(evaluate(body, { n })).toEqual([n, text, `#${text}`, text, text, n, text, text]);
      }),
      { numRuns: 300 },
    );
  });

  it("B13 fractions come back exactly", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (n) => {
        expect(evaluate("return event.payload.n", { n })).toBe(n === 0 ? 0 : n);
      }),
      { numRuns: 200 },
    );
  });

  it("B13 10/2 prints 5 and arithmetic never wraps at 32 bits", () => {
    const body = `return { tostring(10/2), 7 // 2, 7 % 3, -7 // 2, 2147483647 + 1, event.payload.s * 1000,
      1000 * 1000 * 1000 * 3, #"ab" * 3000000000, math.floor(2^40 + 0.5), tostring(0.1), tostring(-0.0) }`;
    expect(evaluate(body, { s: 1_700_000_000 })).toEqual([
      "5",
      3,
      1,
      -4,
      2_147_483_648,
      1_700_000_000_000,
      3_000_000_000,
      6_000_000_000,
      2 ** 40,
      "0.1",
      "0",
    ]);
  });

  it("B13 formats with flags and widths keep large numbers, and refuse fractions as Lua does", () => {
    expect(evaluate('return string.format("%5d|%-4d|%15d|%s%%|%.1f", 42, 7, 3000000000, "x", 2.55)')).toMatch(
      /^ {3}42\|7 {3}\| {5}3000000000\|x%\|2\.[56]$/,
    );
    expect(failure('return string.format("%d", 1.5)').message).toContain("no integer representation");
  });

  it("whole numbers are good keys, loop steps and positions whatever made them", () => {
    const body = `local t = { "a", "b", "c" } local seen = {}
      for i = 6/2, 1, -1 do seen[#seen + 1] = t[i] end
      return { seen, t[event.payload.i], ("abc"):sub(4/2), math.type(4/2), math.type(1.5), 5 & 3, 1 << 4, tonumber("ffffffff", 16), tonumber("zz", 10) == nil }`;
    expect(evaluate(body, { i: 2 })).toEqual([
      ["c", "b", "a"],
      "b",
      "bc",
      "integer",
      "float",
      1,
      16,
      4_294_967_295,
      true,
    ]);
  });
});

describe("signalbox.json", () => {
  it("decodes what it encodes", () => {
    fc.assert(
      fc.property(json, (value) => {
        const result = evaluate(
          "return { value = json.decode(json.encode(json.decode(event.payload.text))) }",
          {
            text: JSON.stringify(value),
          },
        );
        expect(result).toEqual(value === null ? {} : { value: withoutNullFields(value) });
      }),
      { numRuns: 100 },
    );
  });

  it("says where a text is no JSON", () => {
    expect(failure('json.decode("{nope}")')).toMatchObject({
      message: expect.stringContaining("json.decode: "),
      file: "flows/test.lua",
      line: 2,
    });
  });
});
