import { describe, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { manualClock } from "../../test/harness/clock.ts";
import { eventually, type TestService } from "../../test/harness/service.ts";
import { pushAndRun, serviceWith } from "../../test/harness/workflows.ts";
import type { Approval } from "../contract/approvals.ts";
import type { Run } from "../contract/workflows.ts";

const release = `signalbox.on("release.asked", function(event)
  local ok, answer = pcall(signalbox.ask, {
    title = "Release " .. event.payload.version .. "?",
    body = "All checks are green.",
    choices = { "now", "tonight" },
    timeout = 3 * 24 * 3600,
  })
  signalbox.publish("release.decided", "release.decided", { ok = ok, answer = answer })
  return { ok = ok, answer = answer }
end)`;

const asked = (service: TestService) =>
  pushAndRun(service.client, { type: "release.asked", payload: { version: "1.2" } });
const ended = (service: TestService, { run_id }: Run) =>
  eventually(
    () => service.client.getRun({ run_id }),
    ({ status }) => status === "succeeded" || status === "failed",
  );
async function waiting(service: TestService): Promise<Approval> {
  const { approvals } = await service.client.listApprovals({});
  const [approval] = approvals;
  if (!approval || approvals.length > 1) throw new Error(`${approvals.length} approvals wait`);
  return approval;
}
const cli = (service: TestService, typed: string, ...args: string[]) =>
  runCli(args, { home: service.home, typed });

describe("signalbox.ask", () => {
  it("R65 U7 waits for a person for days and through restarts, and goes on with the answer once", async () => {
    const clock = manualClock();
    const service = await serviceWith({ release }, { clock });
    const run = await asked(service);
    expect(run).toMatchObject({ status: "waiting", waiting_for: "answer to: Release 1.2?" });
    const { effect } = await waiting(service);
    expect(effect).toMatchObject({
      ...{ kind: "ask", target: "person", summary: "Release 1.2?", state: "waiting" },
      payload: { body: "All checks are green.", choices: ["now", "tonight"] },
      cause: { line: "release.lua:2", workflow: "release" },
    });
    clock.advance(2 * 24 * 3_600_000);
    await service.restart();
    expect((await waiting(service)).effect.id).toBe(effect.id);
    const shown = await cli(service, "tonight\n", "approvals", "approve", effect.id);
    expect(shown).toMatchObject({ code: 0, stderr: "Answer (now, tonight): " });
    expect((await ended(service, run)).output).toEqual({ ok: true, answer: "tonight" });
    await service.restart();
    const { events } = await service.client.findEvents({ type: "release.decided" });
    expect(events.map(({ payload }) => payload)).toEqual([{ ok: true, answer: "tonight" }]);
    expect((await service.client.verifyAudit({})).ok).toBe(true);
  });

  it("R68 a no is an error that Lua can catch, with the reason", async () => {
    const service = await serviceWith({ release });
    const run = await asked(service);
    const { effect } = await waiting(service);
    await cli(service, "", "approvals", "deny", effect.id, "--reason", "freeze until Monday");
    expect((await ended(service, run)).output).toEqual({
      ok: false,
      answer: expect.stringContaining("denied by cli: freeze until Monday"),
    });
  });

  it("U8 no answer in time is an error too", async () => {
    const clock = manualClock();
    const service = await serviceWith({ release }, { clock });
    const run = await asked(service);
    clock.advance(3 * 24 * 3_600_000);
    expect((await ended(service, run)).output).toEqual({
      ok: false,
      answer: expect.stringContaining("nobody decided in time"),
    });
  });

  it("U8 B17 only one of its choices is an answer, and no rule answers for the person", async () => {
    const service = await serviceWith({ release });
    await asked(service);
    const { effect } = await waiting(service);
    const answer = (choice?: string) =>
      service.client.decideApproval({
        ...{ approval: effect.id, decision: "approve", sha256: effect.sha256, by: "alice" },
        ...(choice === undefined ? {} : { choice }),
      });
    await expect(answer()).rejects.toMatchObject({ code: "invalid_request" });
    await expect(answer("never")).rejects.toMatchObject({ code: "invalid_request" });
    expect(await cli(service, "perhaps\n", "approvals", "approve", effect.id)).toMatchObject({ code: 2 });
    expect((await waiting(service)).effect.state).toBe("waiting");
    expect(await answer("now")).toMatchObject({ effect: { state: "succeeded", result: "now" } });
    await expect(answer("tonight")).rejects.toMatchObject({ code: "conflict" });
  });

  it("U7 needs no more than a title; a plain yes is the answer then", async () => {
    const text = `signalbox.on("x", function() return signalbox.ask{ title = "Go on?" } end)`;
    const service = await serviceWith({ plain: text });
    const run = await pushAndRun(service.client, { type: "x" });
    const { effect } = await waiting(service);
    expect(await cli(service, "y\n", "approvals", "approve", effect.id)).toMatchObject({ code: 0 });
    expect((await ended(service, run)).output).toBe("yes");
  });

  it.each([
    ["{}", "title"],
    [`{ title = "" }`, "title"],
    [`{ title = "a", choices = { "b", "b" } }`, "choices must differ"],
    [`{ title = "a", timeout = 0 }`, "at least 1"],
    [`{ title = "a", choice = {} }`, "choice"],
  ])("U7 refuses %s and says why", async (question, why) => {
    const text = `signalbox.on("x", function() return signalbox.ask(${question}) end)`;
    const service = await serviceWith({ plain: text });
    const run = await pushAndRun(service.client, { type: "x" });
    expect(run.status).toBe("failed");
    expect(run.error?.message).toContain("bad argument #1 to 'signalbox.ask'");
    expect(run.error?.message).toContain(why);
  });

  it("U7 a dry run shows the question and takes an answer for it", async () => {
    const service = await serviceWith({ release });
    const event = { type: "release.asked", payload: { version: "2" } };
    const test = (results: string[]) => service.client.testWorkflow({ workflow: "release", event, results });
    const [open] = (await test([])).runs;
    expect(open).toMatchObject({ status: "waiting", waiting_for: "answer to: Release 2?" });
    expect(open?.effects).toMatchObject([
      { kind: "ask", summary: "Ask a person: Release 2? (now, tonight)", line: "release.lua:2" },
    ]);
    expect((await test(["now"])).runs[0]).toMatchObject({ output: { ok: true, answer: "now" } });
    expect((await service.client.listApprovals({})).approvals).toEqual([]);
  });
});
