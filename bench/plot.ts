import type { GrowthPoint } from "./line.ts";

type DrawSvg = (specification: object) => Promise<string>;

/** The chart: what one operation costs by how many events are stored, both on logarithmic axes. */
export function growthChart(points: readonly GrowthPoint[]): object {
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    description: "Milliseconds of one operation by the number of stored events",
    title: { text: "Cost of one operation as the log grows", anchor: "start" },
    width: 560,
    height: 320,
    background: "white",
    padding: 12,
    data: { values: points },
    mark: { type: "line", point: true, strokeWidth: 2 },
    encoding: {
      x: {
        field: "events",
        type: "quantitative",
        scale: { type: "log" },
        title: "events stored",
        axis: { format: "~s" },
      },
      y: {
        field: "value",
        type: "quantitative",
        scale: { type: "log" },
        title: "milliseconds",
        axis: { format: "~g" },
      },
      color: { field: "what", type: "nominal", title: null, legend: { orient: "right", labelLimit: 260 } },
    },
    config: { font: "sans-serif", view: { stroke: "#ccc" } },
  };
}

/** File name → SVG. Nothing without points. */
export async function drawGrowth(
  points: readonly GrowthPoint[],
  drawSvg: DrawSvg,
): Promise<Map<string, string>> {
  if (points.length === 0) return new Map();
  return new Map([["bench-growth.svg", `${await drawSvg(growthChart(points))}\n`]]);
}
