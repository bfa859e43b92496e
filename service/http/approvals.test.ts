import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import { eventually, startTestService, type TestService } from "../../test/harness/service.ts";
import type { Effect } from "../contract/effects.ts";

let service: TestService;
beforeEach(async () => {
  service = await startTestService();
});
afterEach(() => service.close());

const cliWith = (options: Partial<CliOptions>, ...args: string[]) =>
  runCli(args, { home: service.home, ...options });
const cli = (...args: string[]) => cliWith({}, ...args);
let number = 0;
const propose = (source = "reviewer"): Promise<Effect> =>
  service.client.sendCommand({
    ...{ agent: "deployer", command: "sync", source },
    payload: { env: "live", number: ++number },
  });
const claim = async () => (await service.client.claimCommands({ agent: "deployer", limit: 10 })).commands;
const codeOf = async (id: string) => (await service.client.getApproval({ approval: id })).code;

it("R65 R66 R67 an agent's proposal waits through a restart, is approved at the terminal and goes out once", async () => {
  const effect = await propose();
  expect(await claim()).toEqual([]);
  await service.restart();
  const { stdout } = await cli("approvals");
  expect(stdout).toContain(await codeOf(effect.id));
  const approved = await cliWith({ typed: "y\n" }, "approvals", "approve", await codeOf(effect.id));
  expect(approved.code).toBe(0);
  // The whole payload was there to be read before the question.
  expect(approved.stdout).toMatch(/"env": "live",\n +"number": 1\n[\s\S]*approved {2}eff_/);
  expect((await claim()).map(({ effect_id }) => effect_id)).toEqual([effect.id]);
  expect(await claim()).toEqual([]);
});

it("an agent asks, the answer wakes whoever waits for it, and asking again changes nothing", async () => {
  const question = { title: "Deploy?", choices: ["now", "later"], source: "reviewer", idempotency_key: "k" };
  const asked = await service.client.askPerson(question);
  expect(asked).toMatchObject({ kind: "ask", state: "waiting", summary: "Deploy?" });
  expect((await service.client.askPerson(question)).id).toBe(asked.id);
  expect((await service.client.getEffect({ effect_id: asked.id, wait_ms: 1 })).state).toBe("waiting");
  const waiting = service.client.getEffect({ effect_id: asked.id, wait_ms: 60_000 });
  const code = await codeOf(asked.id);
  expect(
    await cli("approvals", "approve", asked.id, "--yes", "--code", code, "--choice", "later"),
  ).toMatchObject({ code: 0 });
  expect(await waiting).toMatchObject({ state: "succeeded" });
  for (const source of ["workflow:w", "cli", "vscode", "model"])
    await expect(service.client.askPerson({ ...question, source })).rejects.toMatchObject({
      code: "forbidden",
    });
  await expect(service.client.askPerson({ ...question, event_id: "evt_x" })).rejects.toMatchObject({
    code: "not_found",
  });
});

it("B17 U8 approve without a person needs to name the bytes (security list 7)", async () => {
  const effect = await propose();
  const code = await codeOf(effect.id);
  const bare = await cli("approvals", "approve", effect.id, "--yes");
  expect(bare).toMatchObject({ code: 2, stderr: expect.stringContaining("--code or --sha256") });
  expect(await cli("approvals", "approve", effect.id)).toMatchObject({ code: 2 });
  expect(await cliWith({ typed: "\n" }, "approvals", "approve", effect.id)).toMatchObject({ code: 2 });
  expect(await cli("approvals", "approve", effect.id, "--yes", "--code", "ACDEACDE")).toMatchObject({
    code: 1,
  });
  expect(await claim()).toEqual([]);
  expect(await cli("approvals", "approve", effect.id, "--yes", "--code", code)).toMatchObject({ code: 0 });
  const other = await propose();
  const { code: exit } = await cli("approvals", "approve", other.id, "--yes", "--sha256", other.sha256);
  expect(exit).toBe(0);
  expect(await claim()).toHaveLength(2);
});

it("R68 deny says why to whoever asked, and a second decision sees who was first", async () => {
  const effect = await propose();
  expect(await cli("approvals", "deny", effect.id, "--reason", "on holiday")).toMatchObject({ code: 0 });
  expect(await service.client.getEffect({ effect_id: effect.id })).toMatchObject({
    state: "denied",
    error: "denied by cli: on holiday",
  });
  const late = service.client.decideApproval({
    ...{ approval: effect.id, decision: "approve", sha256: effect.sha256, by: "bob" },
  });
  await expect(late).rejects.toMatchObject({
    ...{ code: "conflict", status: 409 },
    details: { winner: { decision: "deny", by: "cli", reason: "on holiday" } },
  });
  const shown = await cli("approvals", "show", effect.id);
  expect(shown.stdout).toContain("deny by cli");
});

it("U8 the stream tells what waits already, what comes, and each decision", async () => {
  const first = await propose();
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { effect } of service.client.streamApprovals({}, { signal: stop.signal }))
      seen.push(`${effect.id} ${effect.state}`);
  })();
  await eventually(() => seen.length === 1);
  const second = await propose();
  await propose("cli");
  await eventually(() => seen.length === 2);
  await cli("approvals", "deny", first.id);
  await eventually(() => seen.length === 3);
  stop.abort();
  await watching.catch(() => undefined); // Ended by us.
  expect(seen).toEqual([`${first.id} waiting`, `${second.id} waiting`, `${first.id} denied`]);
});

it("U8 approvals watch prints them as they come", async () => {
  const effect = await propose();
  const stop = new AbortController();
  const watched = await cliWith(
    { signal: stop.signal, onOutput: (text) => text.includes(effect.id) && stop.abort() },
    "approvals",
    "watch",
  );
  expect(watched.stdout).toContain(effect.id);
});

it("U8 lists page by page and knows nothing of what was not asked about", async () => {
  const [one, two] = [await propose(), await propose()];
  const page = await service.client.listApprovals({ limit: 1 });
  expect([page.approvals.map(({ effect }) => effect.id), page.next]).toEqual([[two.id], two.id]);
  const rest = await service.client.listApprovals({ limit: 1, before: two.id });
  expect([rest.approvals.map(({ effect }) => effect.id), rest.next]).toEqual([[one.id], null]);
  const own = await propose("cli");
  await expect(service.client.getApproval({ approval: own.id })).rejects.toMatchObject({ code: "not_found" });
});

it("U8 the audit trail is listed, verified and exported", async () => {
  const effect = await propose();
  await cli("approvals", "approve", effect.id, "--yes", "--sha256", effect.sha256, "--reason", "checked");
  const { stdout } = await cli("audit", "list", "--effect", effect.id);
  expect(stdout).toMatch(/1 .*judged[\s\S]*2 .*approved.* cli +checked/);
  expect((await cli("audit")).stdout).toBe(stdout);
  const { head } = await service.client.verifyAudit({});
  const verified = await cli("audit", "verify", "--head", head ?? "");
  expect(verified).toMatchObject({ code: 0, stdout: `whole  2 entries  ${head}\n` });
  expect(await cli("audit", "verify", "--head", "0".repeat(64))).toMatchObject({ code: 1 });
  expect((await cli("audit", "export", "audit.ndjson")).code).toBe(0);
  const lines = readFileSync(join(service.home, "audit.ndjson"), "utf8").trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).kind)).toEqual(["judged", "approved"]);
  expect(await cli("audit", "export", "audit.ndjson")).toMatchObject({ code: 2 });
  expect((await cli("audit", "export", "-")).stdout.trimEnd().split("\n")).toEqual(lines);
});
