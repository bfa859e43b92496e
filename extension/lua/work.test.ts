import { describe, expect, it } from "vitest";
import { LARGE, openLarge } from "./testing/fake-large.ts";

/** Tokens and expressions that an act costs. */
function cost(service: ReturnType<typeof openLarge>["service"], act: () => void) {
  const before = service.work();
  act();
  const after = service.work();
  return { tokens: after.tokens - before.tokens, expressions: after.expressions - before.expressions };
}

describe("the work of typing, counted", () => {
  const { service, source } = openLarge(5_000, 200);
  const at = source.indexOf("local answer = actions.space_0.action_100{") + "local answer = ".length;
  const whole = cost(service, () => {
    service.set(LARGE, source, "workflow");
    service.diagnostics(LARGE);
  });

  it("a letter in a large file costs a small part of the whole, and so does what can follow it", () => {
    service.complete(LARGE, at);
    const typed = cost(service, () => {
      service.edit(LARGE, [{ from: at, to: at, text: "x" }]);
      expect(service.complete(LARGE, at + 1).length).toBeGreaterThan(0);
    });
    expect(typed.tokens / whole.tokens).toBeLessThan(0.01);
    expect(typed.expressions / whole.expressions).toBeLessThan(0.1);
    service.edit(LARGE, [{ from: at, to: at + 1, text: "" }]);
  });

  it("an action's parameters cost a few expressions, however many actions there are", () => {
    const inside = source.indexOf("answer.values", at) + "answer.".length;
    service.edit(LARGE, [{ from: inside, to: inside, text: " " }]);
    const asked = cost(service, () => {
      expect(service.complete(LARGE, inside).map(({ label }) => label)).toEqual(["unit", "values"]);
    });
    expect(asked.tokens).toBe(0);
    expect(asked.expressions).toBeLessThan(200);
    service.edit(LARGE, [{ from: inside, to: inside + 1, text: "" }]);
  });

  it("diagnostics that are asked for again cost no more than those before", () => {
    service.diagnostics(LARGE);
    const again = cost(service, () => service.diagnostics(LARGE));
    expect(again.expressions / whole.expressions).toBeLessThan(0.1);
  });
});
