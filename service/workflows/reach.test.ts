import { describe, expect, it } from "vitest";
import type { Handler } from "../contract/workflows.ts";
import { compileReach } from "./reach.ts";

const handler = (pattern: string | null): Handler => ({
  id: 1,
  kind: "event",
  pattern,
  every_ms: null,
  line: 1,
});
const reaches = (pattern: string | null, subject: string, source: string) =>
  compileReach(handler(pattern))({ subject, source });

describe("an event reaches a handler", () => {
  it.each([
    ["github.issue.*", "github.issue.opened", "github", true],
    ["github.issue.*", "github.issue", "github", false],
    [">", "anything.at.all", "x", true],
    ["sekia.events.github", "github.issue.opened", "github", true],
    ["sekia.events.*", "github.issue.opened", "github", true],
    ["sekia.events.>", "github.issue.opened", "github", true],
    ["sekia.>", "github.issue.opened", "github", true],
    ["sekia.events.gmail", "github.issue.opened", "github", false],
    ["sekia.events.*", "github.issue.opened", "workflow:a.b", false],
    ["sekia.events.github", "sekia.events.github", "other", true],
    ["*.events.github", "github.issue.opened", "github", false],
  ])("S22 %s and %s of %s: %s", (pattern, subject, source, expected) => {
    expect(reaches(pattern, subject, source)).toBe(expected);
  });

  it("a schedule hears no event", () => {
    expect(reaches(null, "a.b", "c")).toBe(false);
  });
});
