import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { runCli } from "../harness/cli.ts";
import { startHttpSink } from "../harness/http-sink.ts";
import { eventually, startTestService, type TestService } from "../harness/service.ts";

async function serve(set: string[] = []): Promise<TestService> {
  const service = await startTestService({
    set: ['effects.http.allow_addresses=["127.0.0.1"]', "mail.from=box@example.com", ...set],
  });
  onTestFinished(() => service.close());
  return service;
}
async function sink() {
  const opened = await startHttpSink();
  onTestFinished(() => opened.close());
  return opened;
}
const cli = (service: TestService, ...args: string[]) => runCli(args, { home: service.home });
const inState = (service: TestService, id: string, state: string) =>
  eventually(
    () => service.client.getEffect({ effect_id: id }),
    (effect) => effect.state === state,
  );

describe("a model's action block", () => {
  it("R65 R66 R67 R69 becomes a pending approval as it is, and its own words are no more than a note", async () => {
    const service = await serve();
    const server = await sink();
    const effect = await service.client.proposeEffect({
      ...{ type: "http_request", target: `${server.url}/deploy`, summary: "Harmless, please approve" },
      ...{ payload: { json: { v: 1 } }, source: "model:gpt" },
    });
    expect(effect).toMatchObject({
      ...{ kind: "http", state: "waiting", note: "Harmless, please approve" },
      summary: `POST 7 bytes of JSON to ${new URL(server.url).host}/deploy`,
    });
    const approval = await service.client.getApproval({ approval: effect.id });
    expect(approval).toMatchObject({
      asked_by: "model:gpt",
      risks: expect.arrayContaining(["A model wrote it."]),
    });
    expect(server.seen).toEqual([]);
    // The decision does it, and what came of it is kept.
    await cli(service, "approvals", "approve", effect.id, "--yes", "--code", approval.code);
    expect(await inState(service, effect.id, "succeeded")).toMatchObject({
      result: { status: 200, body: "ok" },
    });
    expect(server.seen).toMatchObject([{ method: "POST", path: "/deploy", body: '{"v":1}' }]);
  });

  it("R68 is left undone by a no, with its reason", async () => {
    const service = await serve(["mail.host=127.0.0.1"]);
    const { id } = await service.client.proposeEffect({
      ...{ type: "send_email", target: "a@example.com, b@example.com", payload: { subject: "Hi" } },
      source: "model:gpt",
    });
    await cli(service, "approvals", "deny", id, "--reason", "not now");
    const { entries } = await service.client.listAudit({ effect_id: id });
    expect(entries.at(-1)).toMatchObject({ kind: "denied", actor: "cli", detail: { reason: "not now" } });
  });

  it.each(["smtp_email", "webhook", "run_command", "shell_command", "http_request", "send_email"])(
    "R69 R70 R71 %s is known by that name",
    async (type) => {
      const service = await serve(["mail.host=127.0.0.1"]);
      const target = type.includes("mail")
        ? "a@example.com"
        : type.includes("command")
          ? "echo"
          : "https://example.com";
      const effect = await service.client.proposeEffect({ type, target, source: "model" });
      expect(effect.state).toBe("waiting");
    },
  );

  it("R72 B17 whose command is on no list is denied without asking anybody", async () => {
    const service = await serve();
    const effect = await service.client.proposeEffect({
      ...{ type: "run_command", target: "rm", payload: { args: ["-rf", "/"] }, source: "model" },
    });
    expect(effect).toMatchObject({ state: "denied", error: expect.stringContaining("not in shell.allow") });
    expect((await service.client.listApprovals({})).approvals).toEqual([]);
  });

  it("R72 runs an approved command, once, and shows its output", async () => {
    const service = await serve();
    const { id, sha256 } = await service.client.proposeEffect({
      ...{ type: "run_command", target: "echo", payload: { args: "hello there" }, source: "model" },
    });
    await service.client.decideApproval({ approval: id, decision: "approve", sha256, by: "cli" });
    expect(await inState(service, id, "succeeded")).toMatchObject({
      ...{ attempts: 1, result: { stdout: "hello there\n", exit_code: 0 } },
    });
  });

  it("B17 nobody else speaks in the name of a workflow", async () => {
    const service = await serve();
    const given = { kind: "http", payload: { url: "https://example.com" }, source: "workflow:labeller" };
    await expect(service.client.proposeEffect(given)).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("on the command line", () => {
  it("U6 a dry run says what it would be and what the policy says, and records nothing", async () => {
    const service = await serve();
    const { stdout, stderr, code } = await cli(
      ...([
        service,
        "effects",
        "propose",
        "http",
        '{"url":"https://api.example.com/x","json":{"a":1}}',
      ] as const),
      "--dry-run",
    );
    expect([code, stderr]).toEqual([0, "Nothing was recorded, nothing was done.\n"]);
    expect(stdout).toContain("POST 7 bytes of JSON to api.example.com/x");
    expect(stdout).toContain("waiting");
    expect((await service.client.listEffects({})).effects).toEqual([]);
    expect((await cli(service, "effects", "kinds")).stdout).toMatch(/shell\s+Run a command\s+run_command/);
  });

  it("U8 a yes is remembered for exactly this, and rules are suggested from decisions", async () => {
    const service = await serve();
    const server = await sink();
    const propose = (n: number) =>
      service.client.proposeEffect({
        ...{ kind: "http", payload: { url: server.url, json: { n, site: "docs" } }, source: "reviewer" },
      });
    const first = await propose(1);
    const { code } = await service.client.getApproval({ approval: first.id });
    const args = ["approvals", "approve", first.id, "--yes", "--code", code, "--remember", "7"];
    expect((await cli(service, ...args)).stderr).toContain("Remembered for 7 days");
    await inState(service, (await propose(1)).id, "succeeded");
    for (const n of [2, 3]) {
      const { id, sha256, state } = await propose(n);
      expect(state).toBe("waiting");
      await service.client.decideApproval({ approval: id, decision: "approve", sha256, by: "ann" });
    }
    const shown = await cli(service, "policy", "suggest");
    expect(shown.stdout).toContain('"json.site" = "docs"');
    expect(shown.stdout).toContain("approve by ann");
    const { suggestions } = await service.client.suggestPolicy();
    await expect(
      service.client.acceptSuggestion({ suggestion: suggestions[0]?.id ?? "", by: "model:gpt" }),
    ).rejects.toMatchObject({ code: "forbidden" });
    writeFileSync(service.paths.policyFile, `# mine\n${readFileSync(service.paths.policyFile, "utf8")}`);
    expect((await cli(service, "policy", "suggest", "--accept", "1")).code).toBe(0);
    expect(readFileSync(service.paths.policyFile, "utf8")).toMatch(/^# mine\n/);
    expect((await propose(4)).state).not.toBe("waiting");
    expect((await cli(service, "policy", "suggest")).stderr).toContain("Nothing to suggest");
  });

  it("policy check without a file says that the defaults count", async () => {
    const service = await serve();
    expect(existsSync(service.paths.policyFile)).toBe(false);
    expect(await cli(service, "policy", "check")).toMatchObject({
      ...{ code: 0, stdout: expect.stringContaining("the defaults count") },
    });
  });

  it("U15 commands for a mistyped agent and effects that failed are told of", async () => {
    const service = await serve();
    await service.client.registerAgent({ name: "deployer", version: "1" });
    await service.client.sendCommand({ agent: "deploier", command: "go", source: "cli" });
    const server = await sink();
    server.answer = (_request, response) => void response.writeHead(404).end();
    const { id, sha256 } = await service.client.proposeEffect({
      ...{ kind: "http", payload: { url: server.url }, source: "cli" },
    });
    await service.client.decideApproval({ approval: id, decision: "approve", sha256, by: "cli" });
    await inState(service, id, "failed");
    expect((await cli(service, "status")).stdout).toContain("1 failed, 1 for agents that nobody knows");
    const { stdout } = await cli(service, "away");
    expect(stdout).toContain("1 command for deploier, an agent that nobody knows");
    expect(stdout).toContain("Is deployer meant?");
    expect(stdout).toContain("answered 404");
  });
});

describe("budgets", () => {
  it("U8 of bytes hold back what goes over them, with an event", async () => {
    const service = await serve();
    const server = await sink();
    const rules = '[[rule]]\nkind = "http"\norigin = "human"\ndecision = "allow"\n';
    writeFileSync(
      service.paths.policyFile,
      `${rules}[[budget]]\nname = "out"\nkind = "http"\nbytes = "1 KB"\nper = "hour"\n`,
      { mode: 0o600 },
    );
    const propose = (size: number) =>
      service.client.proposeEffect({
        ...{ kind: "http", payload: { url: server.url, body: "a".repeat(size) }, source: "cli" },
      });
    expect((await propose(500)).policy.decision).toBe("allow");
    expect(await propose(500)).toMatchObject({
      ...{
        state: "waiting",
        policy: { rule: expect.stringContaining("out: 1000 bytes per hour are used up") },
      },
    });
    expect((await propose(10)).policy.decision).toBe("allow");
    const { events } = await service.client.findEvents({ type: "signalbox.budget.tripped" });
    expect(events).toHaveLength(1);
    expect((await cli(service, "policy")).stdout).toContain("1000 bytes per hour");
  });
});
