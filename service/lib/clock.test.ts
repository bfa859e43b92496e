import { describe, expect, it } from "vitest";
import { systemClock } from "./clock.ts";

describe("the system's clock", () => {
  it("calls once when it is time, and not when it was cancelled or is far off", async () => {
    const called: string[] = [];
    const cancel = systemClock.after(1, () => called.push("cancelled"));
    cancel();
    // Beyond what a timer can hold, which by itself would fire at once.
    const cancelFar = systemClock.after(2 ** 40, () => called.push("far"));
    await new Promise<void>((resolve) => {
      systemClock.after(-5, () => {
        called.push("now");
        systemClock.after(5, resolve);
      });
    });
    cancelFar();
    expect(called).toEqual(["now"]);
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1_000);
  });
});
