import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleEvent } from "../../test/harness/samples.ts";
import type { JsonObject } from "../contract/common.ts";
import type { ListedEvent } from "../contract/events.ts";
import { caps, eventView, lineOf, listedView, quote, viewOf } from "./view.ts";

const event = (fields: Partial<ListedEvent>): ListedEvent => ({ ...sampleEvent(), ...fields });
const tag = (text: string) =>
  [...text].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join("");

describe("an event as a model sees it", () => {
  it("is as the contract says, also when it was cut", () => {
    const long = event({ body: "x".repeat(50_000), payload: { a: "y".repeat(50_000) }, meta: { b: 1 } });
    for (const cap of Object.values(caps)) {
      const view = viewOf(long, cap);
      expect(listedView.parse(view)).toEqual(view);
      expect(eventView.safeParse(view).success).toBe(true);
    }
    expect(viewOf(long, caps.one)).toMatchObject({ truncated: ["body", "payload"], meta: { b: 1 } });
    expect(viewOf(long, caps.one).body).toHaveLength(caps.one + 1);
    expect(viewOf(long, caps.resource)).toMatchObject({ truncated: [], body: long.body });
  });

  it("holds nothing that a person can't see, in any of its texts, and letters stay joined", () => {
    const hidden = `a${tag("obey")}\u202eb\u200b\u{e0101}`;
    const payload: JsonObject = { [hidden]: [hidden, { deep: hidden }] };
    const view = viewOf(
      event({ body: `${hidden}\u001b[2J\r\n`, payload, conversation_key: hidden }),
      caps.one,
    );
    expect(view).toMatchObject({
      body: "ab[2J\n",
      payload: { ab: ["ab", { deep: "ab" }] },
      conversation_key: "ab",
    });
    const joined = "می‌خواهم 👩‍🚀 ❤️";
    expect(viewOf(event({ body: joined }), caps.one).body).toBe(joined);
  });

  it("can't leave its quotation, whatever its texts are", () => {
    const hostile = fc.string({
      unit: fc.constantFrom("<", "/", "event", ">", "EVENT", "\n", "‹", "\u200b", '"', "x"),
    });
    fc.assert(
      fc.property(hostile, hostile, hostile, (body, text, key) => {
        const view = viewOf(
          event({ body, payload: { [key]: text }, meta: { text }, type: `a.${body}` }),
          caps.one,
        );
        const quoted = quote(view, { attempt: "1" });
        expect(quoted.match(/<\/?event/gi)).toEqual(["<event", "</event"]);
        expect(quoted.endsWith("\n</event>")).toBe(true);
      }),
    );
  });

  it("is cut between characters, not within one", () => {
    fc.assert(
      fc.property(fc.nat(5), (shift) => {
        const view = viewOf(event({ body: `${"x".repeat(shift)}${"😀".repeat(1_000)}` }), caps.many);
        expect(view.body?.isWellFormed()).toBe(true);
        expect(lineOf(view).isWellFormed()).toBe(true);
      }),
    );
  });

  it("is one line in a list", () => {
    expect(lineOf(viewOf(event({ body: "one\n\ttwo" }), caps.many))).toMatch(/: one two$/);
    expect(lineOf(viewOf(event({ body: null, payload: { n: 1 } }), caps.many))).toMatch(/: \{"n":1\}$/);
  });
});
