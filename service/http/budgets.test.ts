import { writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { type ManualClock, manualClock } from "../../test/harness/clock.ts";
import { startTestService, type TestService } from "../../test/harness/service.ts";
import { eventOf, pushAndRun } from "../../test/harness/workflows.ts";

const spam = `signalbox.on("spam.asked", function(event)
  for i = 1, event.payload.n do signalbox.command("labels", "add", { i = i }) end
end)`;

let service: TestService;
let clock: ManualClock;
beforeEach(async () => {
  clock = manualClock();
  service = await startTestService({ clock, workflows: { "spam.lua": spam } });
});
afterEach(() => service.close());

const save = (text: string) => writeFileSync(service.paths.policyFile, text, { mode: 0o600 });
const states = async (workflow = "spam") => {
  const { effects } = await service.client.listEffects({ workflow });
  return effects.map(({ state }) => state).reverse();
};
const send = (agent = "labels") => service.client.sendCommand({ agent, command: "add", source: "cli" });

const BUDGET = `
[[budget]]
name = "labels"
workflow = "sp*"
target = "@labels"
count = 3
per = "hour"
`;

it("U8 what goes over a budget waits for a person, with an event that says so", async () => {
  save(BUDGET);
  await pushAndRun(service.client, { type: "spam.asked", payload: { n: 5 } });
  expect((await states()).sort()).toEqual(["approved", "approved", "approved", "waiting", "waiting"]);
  expect((await eventOf(service.client, "signalbox.budget.tripped")).payload).toMatchObject({
    ...{ budget: "policy.toml:2 labels", count: 3, per: "hour", workflow: "spam", target: "labels" },
  });
  const { approvals } = await service.client.listApprovals({});
  expect(approvals.map(({ effect }) => effect.policy)).toEqual(
    Array(2).fill({ decision: "ask", rule: "policy.toml:2 labels: 3 per hour are used up" }),
  );
  // Others are not counted, nor held.
  expect((await send()).state).toBe("approved");
  expect((await send("other")).state).toBe("approved");
});

it("U8 what was held is carried out once a person has approved it", async () => {
  save(BUDGET);
  await pushAndRun(service.client, { type: "spam.asked", payload: { n: 4 } });
  const [approval] = (await service.client.listApprovals({})).approvals;
  await runCli(["approvals", "approve", approval?.code ?? "", "--yes", "--code", approval?.code ?? ""], {
    home: service.home,
  });
  const { commands } = await service.client.claimCommands({ agent: "labels", limit: 10 });
  expect(commands).toHaveLength(4);
});

it("U8 a budget is there again when its time has passed, and survives a restart", async () => {
  save(`[[budget]]\ncount = 2\nper = "minute"\n`);
  expect([(await send()).state, (await send()).state, (await send()).state]).toEqual([
    "approved",
    "approved",
    "waiting",
  ]);
  await service.restart();
  expect((await send()).state).toBe("waiting");
  clock.advance(60_000);
  expect((await send()).state).toBe("approved");
});

it("U8 budgets are shown and checked with the rules", async () => {
  save(BUDGET);
  const { stdout } = await runCli(["policy"], { home: service.home });
  expect(stdout).toMatch(/policy\.toml:2 labels +3 per hour +workflow sp\*, target labels/);
  save(`[[budget]]\ncount = 3\nper = "week"\n`);
  expect((await service.client.getPolicy()).problem).toContain(":3: budget.0.per");
  // The bad file changed nothing.
  expect((await service.client.getPolicy()).budgets).toHaveLength(1);
});

it("U8 brackets in a budget are plain text, as in rules", async () => {
  save(`[[budget]]\naction = "a[d]d"\ncount = 0\nper = "day"\n`);
  expect((await send()).state).toBe("approved");
  save(`[[budget]]\naction = "a?d"\ncount = 0\nper = "day"\n`);
  expect((await send()).state).toBe("waiting");
});
