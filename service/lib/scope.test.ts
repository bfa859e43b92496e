import { describe, expect, it } from "vitest";
import { createDrain, Scope, settlesWithin } from "./scope.ts";

describe("a scope", () => {
  it("S4 closes in reverse order, each after the one before is closed, and once", async () => {
    const closed: string[] = [];
    const scope = new Scope();
    for (const name of ["a", "b", "c"]) {
      scope.defer(async () => {
        closed.push(`${name} begins`);
        await Promise.resolve();
        closed.push(`${name} ends`);
      });
    }
    await Promise.all([scope.close(), scope.close()]);
    await scope.close();
    expect(closed).toEqual(["c begins", "c ends", "b begins", "b ends", "a begins", "a ends"]);
  });

  it("closes the others when one fails, and then tells of it", async () => {
    const closed: string[] = [];
    const scope = new Scope();
    scope.use({ close: () => void closed.push("a") });
    scope.use({
      close: () => {
        throw new Error("b does not close");
      },
    });
    scope.use({ close: () => Promise.reject(new Error("c neither")) });
    const error = await scope.close().catch((failure: AggregateError) => failure);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors.map(String)).toEqual([
      "Error: c neither",
      "Error: b does not close",
    ]);
    expect(closed).toEqual(["a"]);
  });
});

describe("the time for a stop", () => {
  it("begins with the first question and is shared by all who ask", async () => {
    const left = createDrain(50);
    const first = left();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(50);
    await settlesWithin(new Promise(() => {}), 60);
    expect(left()).toBe(0);
  });

  it("work that settles in time is waited for, however it ends, and no other", async () => {
    expect(await settlesWithin(Promise.resolve(), 1_000)).toBe(true);
    expect(await settlesWithin(Promise.reject(new Error("no")), 1_000)).toBe(true);
    expect(await settlesWithin(new Promise(() => {}), 0)).toBe(false);
  });
});
