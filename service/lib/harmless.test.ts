import { expect, it } from "vitest";
import { harmless } from "./harmless.ts";

it("what a reader can't see and what a terminal would obey is taken out, and joined letters stay", () => {
  const hidden = [..."obey"].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join("");
  expect(harmless(`a${hidden}\u202e\u200bb\u001b[2J\u0007\r\nc\td`)).toBe("ab[2J\nc\td");
  const joined = "\u{1f469}\u200d\u{1f4bb} \u0645\u06cc\u200c\u062e";
  expect(harmless(joined)).toBe(joined);
});
