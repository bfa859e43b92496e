import { describe, expect, it } from "vitest";
import { idFromKey, newId } from "./ids.ts";

describe("newId", () => {
  it("makes ids that sort by the order they were made in, none of them twice", () => {
    const ids = Array.from({ length: 20_000 }, () => newId("evt"));
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual(ids);
    for (const id of ids.slice(0, 100)) expect(id).toMatch(/^evt_[0-9A-HJKMNP-TV-Z]{26}$/);
  });
});

describe("idFromKey", () => {
  it("is the same for the same key and time, and another for any other", () => {
    const id = idFromKey("eff", 1_700_000_000_000, "run_1:3");
    expect(idFromKey("eff", 1_700_000_000_000, "run_1:3")).toBe(id);
    expect(idFromKey("eff", 1_700_000_000_000, "run_1:4")).not.toBe(id);
    expect(idFromKey("eff", 1_700_000_000_001, "run_1:3")).not.toBe(id);
    expect(id).toMatch(/^eff_[0-9A-HJKMNP-TV-Z]{26}$/);
  });
});
