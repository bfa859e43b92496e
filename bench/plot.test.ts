import { describe, expect, it } from "vitest";
import { drawGrowth, growthChart } from "./plot.ts";

const points = [
  { events: 10_000, what: "push", value: 0.1 },
  { events: 1_000_000, what: "push", value: 0.11 },
];

describe("the growth plot", () => {
  it("holds every point, on logarithmic axes, a line for each operation", () => {
    expect(growthChart(points)).toMatchObject({
      data: { values: points },
      encoding: {
        x: { field: "events", scale: { type: "log" } },
        y: { field: "value", scale: { type: "log" } },
        color: { field: "what" },
      },
    });
  });

  it("is one file, drawn by whatever draws; nothing is drawn of nothing", async () => {
    const drawn = await drawGrowth(points, async () => "<svg/>");
    expect([...drawn]).toEqual([["bench-growth.svg", "<svg/>\n"]]);
    expect((await drawGrowth([], async () => "<svg/>")).size).toBe(0);
  });
});
