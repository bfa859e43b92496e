import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Secret } from "./secret.ts";

describe("a secret", () => {
  it("prints as [secret] wherever it is shown", () => {
    const secret = new Secret("planted");
    const shown = [
      `${secret}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: 5 }),
      String(secret),
    ];
    expect(shown.join()).not.toContain("planted");
    expect(shown[0]).toBe("[secret]");
    expect(secret.reveal()).toBe("planted");
  });

  it("equals its own text only, and a blank one nothing at all", () => {
    const secret = new Secret("planted");
    expect(secret.equals("planted")).toBe(true);
    for (const other of ["", "plante", "planted ", "plantedx", "PLANTED"])
      expect(secret.equals(other)).toBe(false);
    expect(new Secret("").equals("")).toBe(false);
    expect([new Secret(" \n").isBlank, secret.isBlank]).toEqual([true, false]);
  });
});
