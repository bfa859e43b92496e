import { describe, expect, it } from "vitest";
import { defaultRules, explain, type Judged, judge, matchesGlob, originOf, type Rule } from "./policy.ts";

const effect = (given: Partial<Judged> & { source?: string; workflow?: string | null } = {}): Judged => {
  const { source = "workflow:labeller", workflow = "labeller", ...rest } = given;
  return {
    kind: "command",
    target: "deployer",
    action: "sync",
    payload: {},
    cause: { source, workflow },
    ...rest,
  };
};
const decide = (source: string, kind = "command") => judge(effect({ source, kind })).decision;

describe("the defaults, each by its name", () => {
  it("U6 B17 commands of the owner and of the owner's workflow files run, all others are asked about", () => {
    expect(["cli", "vscode", "workflow:labeller"].map((source) => decide(source))).toEqual(
      Array(3).fill("allow"),
    );
    const others = ["api", "deployer", "@bob", "model", "chat", "workflow", "CLI", "cli2", "", "cli:bob"];
    expect(others.map((source) => decide(source))).toEqual(others.map(() => "ask"));
  });

  it("R66 B17 what an agent, a model or a chat proposes is asked about, whatever its kind (security list 8)", () => {
    const label = "default: what an agent, a model or a chat proposes is asked about";
    for (const source of ["reviewer", "model:gpt", "chat:telegram:7", "task-worker", "admin", "overlord"])
      for (const kind of ["command", "shell", "http", "mail", "event", "reply"])
        expect(judge(effect({ source, kind }))).toEqual({ decision: "ask", rule: label });
  });

  it("R72 U8 shell, mail, HTTP and actions are asked about, also from a workflow's file and the owner", () => {
    for (const source of ["workflow:labeller", "cli", "vscode"])
      for (const kind of ["shell", "mail", "http", "action", "something_new"])
        expect(judge(effect({ source, kind }))).toEqual({
          decision: "ask",
          rule: "default: shell, mail, HTTP, actions and all else are asked about",
        });
  });

  it("R69 B17 what was done before is known for HTTP and actions alone, and for nobody but workflows and the owner", () => {
    const known = (source: string, kind: string) =>
      judge({ ...effect({ source, kind }), familiar: true }).decision;
    for (const source of ["workflow:labeller", "cli"]) {
      expect(["http", "action"].map((kind) => known(source, kind))).toEqual(["allow", "allow"]);
      expect(["mail", "shell", "new"].map((kind) => known(source, kind))).toEqual(["ask", "ask", "ask"]);
    }
    for (const source of ["reviewer", "model", "chat:1"]) expect(known(source, "http")).toBe("ask");
  });

  it("B17 are these, in this order, and nothing else (security list 9: defaults do not drift)", () => {
    expect(defaultRules.map(({ label, ...limits }) => [label, limits])).toEqual([
      [
        "default: what an agent, a model or a chat proposes is asked about",
        { decision: "ask", origin: ["agent", "model", "chat"] },
      ],
      [
        "default: commands of a workflow file run",
        { decision: "allow", kind: ["command"], origin: ["workflow"] },
      ],
      ["default: commands of the owner run", { decision: "allow", kind: ["command"], origin: ["human"] }],
      [
        "default: events and replies of a workflow file or the owner run",
        { decision: "allow", kind: ["event", "reply"], origin: ["workflow", "human"] },
      ],
      [
        "default: HTTP to a host that the same workflow or owner reached before, in the same way, runs",
        { decision: "allow", kind: ["http"], origin: ["workflow", "human"], known: true },
      ],
      [
        "default: an action of a digest that was allowed before runs",
        { decision: "allow", kind: ["action"], origin: ["workflow", "human"], known: true },
      ],
      ["default: shell, mail, HTTP, actions and all else are asked about", { decision: "ask" }],
    ]);
  });
});

describe("rules", () => {
  const deny: Rule = { label: "one", decision: "deny", target: ["deploy*"] };

  it("U8 are tried in order, and the first that matches decides", () => {
    const allow: Rule = { label: "two", decision: "allow", target: ["deployer"] };
    expect(judge(effect(), [deny, allow]).rule).toBe("one");
    expect(judge(effect(), [allow, deny]).rule).toBe("two");
    expect(judge(effect({ target: "@deployer" }), [allow]).rule).toBe("two");
    expect(judge(effect({ target: "labeller" }), [deny, allow]).rule).toBe(
      "default: commands of a workflow file run",
    );
  });

  it("U8 B17 that allow never reach an agent, a model or a chat which they do not name", () => {
    const wide: Rule = { label: "wide", decision: "allow" };
    for (const source of ["reviewer", "model", "chat:1"])
      expect(judge(effect({ source }), [wide])).toMatchObject({ decision: "ask" });
    const named: Rule = { label: "named", decision: "allow", origin: ["agent"] };
    expect(judge(effect({ source: "reviewer" }), [named])).toEqual({ decision: "allow", rule: "named" });
    expect(judge(effect({ source: "model" }), [named]).decision).toBe("ask");
    // Refusing needs no name.
    expect(judge(effect({ source: "reviewer" }), [deny]).decision).toBe("deny");
  });

  it("R72 B17 can't let a shell command or a question to a person through unasked", () => {
    const rule: Rule = { label: "all", decision: "allow", origin: ["workflow", "human", "agent"] };
    for (const kind of ["shell", "ask"]) expect(judge(effect({ kind }), [rule]).decision).toBe("ask");
    expect(judge(effect({ kind: "shell" }), [{ ...rule, decision: "deny" }]).decision).toBe("deny");
  });

  it("U8 look at workflow, action and fields of the payload", () => {
    const rule: Rule = {
      ...{ label: "narrow", decision: "deny", workflow: ["label*"], action: ["add_*"] },
      payload: { "repo.name": "site-?", number: 7, dry: false },
    };
    const payload = { repo: { name: "site-a" }, number: 7, dry: false };
    const hits = (given: Parameters<typeof effect>[0]) =>
      judge(effect({ action: "add_label", payload, ...given }), [rule]).rule === "narrow";
    expect(hits({})).toBe(true);
    expect(hits({ workflow: "deploy" })).toBe(false);
    expect(hits({ action: "remove" })).toBe(false);
    expect(hits({ payload: { ...payload, number: "7" } })).toBe(false);
    expect(hits({ payload: { ...payload, repo: { name: "site-aa" } } })).toBe(false);
    expect(hits({ payload: { ...payload, repo: "site-a" } })).toBe(false);
    expect(hits({ payload: {} })).toBe(false);
  });

  it("U8 look at the time of day in their zone, also over midnight", () => {
    const at = (from: number, to: number, hour: string, zone = "UTC") =>
      judge(
        effect(),
        [{ label: "time", decision: "deny", time: { from: from * 60, to: to * 60, zone } }],
        Date.parse(`2026-07-01T${hour}:00Z`),
      ).rule === "time";
    expect([at(9, 17, "08:59"), at(9, 17, "09:00"), at(9, 17, "16:59"), at(9, 17, "17:00")]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect([at(22, 6, "23:00"), at(22, 6, "05:59"), at(22, 6, "12:00")]).toEqual([true, true, false]);
    expect(at(9, 17, "07:30", "Europe/Berlin")).toBe(true);
  });

  it("U8 end when they expire", () => {
    const rule: Rule = { label: "passing", decision: "deny", expires_ms: 1_000 };
    expect(judge(effect(), [rule], 999).rule).toBe("passing");
    expect(judge(effect(), [rule], 1_000).decision).toBe("allow");
  });

  it("U8 are explained one by one up to the one that decided", () => {
    const late: Rule = { label: "late", decision: "allow", kind: ["http"] };
    expect(explain(effect(), [late, deny], 0).steps).toEqual([
      { rule: "late", matched: false, why: "the kind is command" },
      { rule: "one", matched: true, why: "it says deny" },
    ]);
  });

  it("match globs whole, and in time also where many stars meet a long text", () => {
    const cases: [string, string, boolean][] = [
      ["*", "", true],
      ["a*c", "abbc", true],
      ["a*c", "abcd", false],
      ["a?c", "ac", false],
      ["*.example.com", "api.example.com", true],
      ["*.example.com", "example.com.evil", false],
      ["", "a", false],
      ["a+", "aa", false],
    ];
    for (const [pattern, text, is] of cases)
      expect([pattern, text, matchesGlob(pattern, text)]).toEqual([pattern, text, is]);
    expect(matchesGlob(`${"*a".repeat(30)}b`, "a".repeat(5_000))).toBe(false);
  });

  it("U8 B17 nobody gets another origin by the spelling of a source", () => {
    expect(["Workflow:x", "workflow", "cli ", "vscode2", "chatty", "models"].map(originOf)).toEqual(
      Array(6).fill("agent"),
    );
  });
});
