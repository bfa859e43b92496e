import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { startTestService, type TestService } from "../../test/harness/service.ts";

let service: TestService;
beforeEach(async () => {
  service = await startTestService();
});
afterEach(() => service.close());

const cli = (...args: string[]) => runCli(args, { home: service.home });
const save = (name: string, text: string) => {
  const file = join(service.home, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};
const send = (source: string) =>
  service.client.sendCommand({ agent: "deployer", command: "sync", payload: { env: "live" }, source });

it("U8 the policy file decides about each effect, which records decision and rule", async () => {
  expect(await send("cli")).toMatchObject({
    state: "approved",
    policy: { decision: "allow", rule: "default: commands of the owner run" },
  });
  save("policy.toml", `[[rule]]\nname = "never live"\npayload = { env = "live" }\ndecision = "deny"\n`);
  const denied = await send("cli");
  expect(denied).toMatchObject({
    state: "denied",
    policy: { decision: "deny", rule: "policy.toml:1 never live" },
  });
  const { stdout, code } = await cli("policy", "explain", denied.id);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^deny {2}policy\.toml:1 never live/)]);
});

it("U8 policy show lists the rules as they are tried, with what is wrong with the file", async () => {
  save("policy.toml", `[[rule]]\nkind = "http"\ntarget = "api.example.com"\ndecision = "allow"\n`);
  const { stdout } = await cli("policy");
  expect(stdout).toMatch(/allow +policy\.toml:1 rule 1 +kind http, target api\.example\.com/);
  expect(stdout).toContain("default: commands of a workflow file run");
  save("policy.toml", `[[rule]]\ndecision = "maybe"\n`);
  const bad = await cli("policy", "show");
  expect(bad.stdout).toContain("policy.toml:1 rule 1");
  expect(bad.stderr).toContain(`${service.paths.policyFile}:2: rule.0.decision`);
});

it("U8 policy check reads a file without using it", async () => {
  const file = save("new.toml", `[[rule]]\ndecision = "deny"\n`);
  expect(await cli("policy", "check", file)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/deny +new\.toml:1/),
  });
  save("new.toml", `[[rule]]\ndecision = "deny"\nkinds = "http"\n`);
  expect(await cli("policy", "check", file)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("new.toml:3:"),
  });
  expect(await send("cli")).toMatchObject({ state: "approved" });
  expect(await cli("policy", "check")).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("the defaults count"),
  });
  expect(await cli("policy", "check", "missing.toml")).toMatchObject({ code: 2 });
});

it("U8 policy explain tells about acts that nobody proposed yet", async () => {
  const args = ["policy", "explain", "--kind", "shell", "--target", "git", "--source", "workflow:nightly"];
  const { stdout } = await cli(...args);
  expect(stdout).toMatch(/^ask {2}default: shell, mail, HTTP/);
  expect(await cli("policy", "explain")).toMatchObject({ code: 2 });
  const json = await cli("policy", "explain", "--target", "x", "--source", "bob", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject({ decision: "ask", origin: "agent" });
});

it("U8 policy test fails where a case is decided otherwise", async () => {
  const cases = (expected: string) =>
    save("cases.toml", `[[case]]\nname = "one"\ntarget = "x"\nsource = "bob"\nexpect = "${expected}"\n`);
  expect(await cli("policy", "test", cases("ask"))).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("ok"),
  });
  expect(await cli("policy", "test", cases("allow"))).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("ask, expected allow"),
  });
  const policy = save("other.toml", `[[rule]]\norigin = "agent"\ndecision = "allow"\n`);
  expect(await cli("policy", "test", cases("allow"), "--policy", policy)).toMatchObject({ code: 0 });
});

it("R66 B17 nobody claims another's word: only the owner's sources run unasked, a workflow's name is refused", async () => {
  for (const source of ["reviewer", "api", "model", "chat:7", "admin"])
    expect(await send(source)).toMatchObject({ state: "waiting", policy: { decision: "ask" } });
  await expect(send("workflow:labeller")).rejects.toMatchObject({ code: "forbidden" });
});
