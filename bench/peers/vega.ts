import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** Draws a Vega-Lite chart without a browser. */
export async function drawSvg(specification: object): Promise<string> {
  const { spec } = compile(specification as TopLevelSpec);
  return new View(parse(spec), { renderer: "none" }).toSVG();
}
