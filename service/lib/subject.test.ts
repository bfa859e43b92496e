import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { subjectPattern, subject as subjectSchema } from "../contract/common.ts";
import { compileSubject, matchesSubject } from "./subject.ts";

/** The rules of NATS said as plainly as possible, token by token. */
function plainly(pattern: string[], subject: string[]): boolean {
  const [first, ...more] = pattern;
  const [token, ...others] = subject;
  if (first === undefined) return token === undefined;
  if (token === undefined) return false;
  if (first === ">") return more.length === 0;
  return (first === "*" || first === token) && plainly(more, others);
}

describe("subjects", () => {
  it.each([
    ["github.issue.opened", "github.issue.opened", true],
    ["github.issue.opened", "github.issue.closed", false],
    ["github.issue.opened", "github.issue", false],
    ["github.issue", "github.issue.opened", false],
    ["GitHub.issue", "github.issue", false],
    ["*", "github", true],
    ["*", "github.issue", false],
    ["github.*.opened", "github.issue.opened", true],
    ["github.*.opened", "github.opened", false],
    ["*.issue", "github.issue", true],
    ["a*.b", "ab.b", false],
    ["github.is*", "github.issue", false],
  ])("S22 * matches exactly one token: %s and %s", (pattern, subject, expected) => {
    expect(matchesSubject(pattern, subject)).toBe(expected);
  });

  it.each([
    [">", "github", true],
    [">", "github.issue.opened", true],
    ["github.>", "github.issue", true],
    ["github.>", "github.issue.opened", true],
    ["github.>", "github", false],
    ["github.>", "gitlab.issue", false],
    ["*.>", "github", false],
    ["*.>", "github.issue", true],
    ["github.*.>", "github.issue", false],
    ["github.*.>", "github.issue.opened", true],
  ])("S22 > matches one or more tokens: %s and %s", (pattern, subject, expected) => {
    expect(matchesSubject(pattern, subject)).toBe(expected);
  });

  it("B7 sekia.events.* does not match four tokens, *.*.* needs three, > matches all", () => {
    expect(matchesSubject("sekia.events.*", "sekia.events.github")).toBe(true);
    expect(matchesSubject("sekia.events.*", "sekia.events.github.issue")).toBe(false);
    expect(matchesSubject("*.*.*", "sekia.events")).toBe(false);
    expect(matchesSubject("*.*.*", "sekia.events.github")).toBe(true);
    expect(matchesSubject("*.*.*", "sekia.events.github.issue")).toBe(false);
    expect(matchesSubject(">", "sekia.events.github.issue")).toBe(true);
  });

  it("S22 any pattern and subject match exactly as the rules say", () => {
    const token = fc.constantFrom("a", "b", "ab", "é", "a-b", "1");
    const subject = fc.array(token, { minLength: 1, maxLength: 5 });
    const middle = fc.array(fc.oneof(token, fc.constant("*")), { maxLength: 5 });
    const pattern = fc
      .tuple(middle, fc.boolean())
      .map(([tokens, open]) => (open ? [...tokens, ">"] : tokens))
      .filter((tokens) => tokens.length > 0);
    fc.assert(
      fc.property(pattern, subject, (wanted, tokens) => {
        const text = wanted.join(".");
        expect(subjectPattern.safeParse(text).success).toBe(true);
        expect(subjectSchema.safeParse(tokens.join(".")).success).toBe(true);
        expect(compileSubject(text)(tokens.join("."))).toBe(plainly(wanted, tokens));
      }),
      { numRuns: 2_000 },
    );
  });
});
