import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseConfigText } from "../config-file.ts";
import { silentLog } from "../lib/log.ts";
import { judgedOf, PolicyFile, parsePolicy } from "./policy-file.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-policy-"));
  file = join(folder, "policy.toml");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (text: string) => writeFileSync(file, text, { mode: 0o600 });
const open = () => new PolicyFile({ file, parse: parseConfigText, log: silentLog });
const sync = judgedOf({ kind: "command", target: "deployer", action: "sync", payload: {}, source: "cli" });
const decide = (policy: PolicyFile) => policy.judge(sync, 0).policy;

const DENY = `
# Nothing is deployed.
[[rule]]
name = "no deploys"
target = "deploy*"
decision = "deny"
`;

describe("the policy file", () => {
  it("U8 says which line decided, and counts at once when it changes or goes", () => {
    const policy = open();
    expect(decide(policy).decision).toBe("allow");
    write(DENY);
    expect(decide(policy)).toEqual({ decision: "deny", rule: "policy.toml:3 no deploys" });
    write("[[rule]]\ndecision = 'ask'\n");
    expect(decide(policy)).toEqual({ decision: "ask", rule: "policy.toml:1 rule 1" });
    rmSync(file);
    expect(decide(policy).decision).toBe("allow");
  });

  it("U8 that is bad keeps the last good one, and names file and line", () => {
    write(DENY);
    const policy = open();
    expect(decide(policy).decision).toBe("deny");
    write(`${DENY}\n[[rule]]\ndecision = "perhaps"\n`);
    expect(decide(policy)).toEqual({ decision: "deny", rule: "policy.toml:3 no deploys" });
    expect(policy.problem).toContain(`${file}:9: rule.1.decision`);
    write("[[rule]\n");
    expect(decide(policy).decision).toBe("deny");
    expect(policy.problem).toContain(`${file}:1:`);
    write("");
    expect([decide(policy).decision, policy.problem]).toEqual(["allow", null]);
  });

  it("U8 B17 that is bad from the start has everything asked about", () => {
    write(`[[rule]]\ndecision = "allow"\ntargets = "x"\n`);
    const policy = open();
    expect(decide(policy)).toMatchObject({ decision: "ask", rule: expect.stringContaining(`${file}:3`) });
  });

  it("U8 B17 that others may write to does not count", () => {
    write("[[rule]]\norigin = 'agent'\ndecision = 'allow'\n");
    chmodSync(file, 0o666);
    const policy = open();
    expect(policy.problem).toContain("others may write");
    expect(policy.judge({ ...sync, cause: { source: "bob", workflow: null } }, 0).policy.decision).toBe(
      "ask",
    );
  });

  it("U8 refuses what it does not know instead of reading it as no limit", () => {
    const bad: [string, string][] = [
      ["decision = 'allow'\norign = 'human'", ":3: rule.0.orign"],
      ["decision = 'allow'\ntime = '25:00-26:00'", ":3: rule.0.time"],
      ["decision = 'allow'\ntime_zone = 'Mars/North'", ":3: rule.0.time_zone"],
      ["decision = 'allow'\nexpires = 'soon'", ":3: rule.0.expires"],
      ["decision = 'allow'\norigin = 'boss'", ":3: rule.0.origin"],
      ["decision = 'allow'\ntarget = []", ":3: rule.0.target"],
      ["target = 'x'", ":1: rule.0.decision"],
    ];
    for (const [text, where] of bad)
      expect(() => parsePolicy("p.toml", `[[rule]]\n${text}\n`, parseConfigText)).toThrow(`p.toml${where}`);
  });

  it("U8 reads all that a rule may say", () => {
    const text = `
      [[rule]]
      decision = "allow"
      kind = ["command", "http"]
      target = "github*"
      action = "add_label"
      workflow = "labeller"
      origin = ["workflow", "agent"]
      time = "22:30-06:00"
      time_zone = "Europe/Berlin"
      expires = 2026-12-31T00:00:00Z
      payload = { "repo.name" = "site", number = 7 }`;
    expect(parsePolicy("/x/policy.toml", text, parseConfigText).rules).toEqual([
      {
        ...{ label: "policy.toml:2 rule 1", decision: "allow", kind: ["command", "http"] },
        ...{ target: ["github*"], action: ["add_label"], workflow: ["labeller"] },
        origin: ["workflow", "agent"],
        time: { from: 1_350, to: 360, zone: "Europe/Berlin" },
        expires_ms: Date.parse("2026-12-31T00:00:00Z"),
        payload: { "repo.name": "site", number: 7 },
      },
    ]);
  });

  it("U8 is tested by cases that say what they expect", () => {
    write(DENY);
    const cases = `
      [[case]]
      name = "nothing is deployed"
      target = "deployer"
      source = "workflow:nightly"
      expect = "deny"

      [[case]]
      name = "agents may label"
      target = "github"
      source = "reviewer"
      expect = "allow"`;
    const results = open().test({ file: "cases.toml", text: cases }, 0);
    expect(results.map(({ name, ok, decision }) => [name, ok, decision])).toEqual([
      ["nothing is deployed", true, "deny"],
      ["agents may label", false, "ask"],
    ]);
    const policy = "[[rule]]\norigin = 'agent'\ndecision = 'allow'\n";
    expect(
      open()
        .test({ file: "cases.toml", text: cases, policy }, 0)
        .map(({ ok }) => ok),
    ).toEqual([false, true]);
  });
});
