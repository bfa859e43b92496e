import { expect, it } from "vitest";
import { nearest } from "./nearest.ts";

it("the nearest word is the one with the fewest letters changed, if it is near at all", () => {
  const keys = ["log.level", "log.format", "workflows.dir", "workflows.hot_reload"];
  expect(nearest("log.levl", keys)).toBe("log.level");
  expect(nearest("workflow.hotreload", keys)).toBe("workflows.hot_reload");
  expect(nearest("zzz", keys)).toBeNull();
  expect(nearest("ab", ["xy"])).toBeNull();
});
