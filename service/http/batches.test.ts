import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestService, type TestService } from "../../test/harness/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

it("M4 M8 M10 many claims are settled in one request, each with its own answer", async () => {
  const { client } = service;
  for (let n = 0; n < 4; n++) await client.pushEvent({ topic: "many", body: `${n}` });
  const { claimed } = await client.claimEvents({ topic: "many", agent: "@m", limit: 4 });
  const [done, failed, freed, replied] = claimed.map(({ event, lease }) => ({ event_id: event.id, lease }));
  const { results } = await client.settleClaims({
    items: [
      { ...done, action: "complete" },
      { ...failed, action: "fail", error: "no", retry: false },
      { ...freed, action: "release" },
      { ...replied, action: "reply", body: "answer" },
      { ...done, action: "complete" },
      { action: "burn", event_id: "evt_1" },
    ],
  });
  expect(results).toMatchObject([
    { event_id: done?.event_id, delivery: { status: "completed", claimed_by: "@m" } },
    { delivery: { status: "failed", last_error: "no" } },
    { delivery: { status: "pending", claimed_by: null } },
    { event_id: replied?.event_id, status: "completed", reply_id: expect.stringMatching(/^evt_/) },
    { error: { code: "conflict" } },
    { error: { code: "invalid_request", message: expect.stringContaining("action") } },
  ]);
  const { counts } = await client.getTopic({ topic: "many" });
  expect(counts).toMatchObject({ pending: 1, processing: 0, completed: 2, failed: 1 });
});

it("S8 U6 many results are told in one request, each with its own answer, and calls of one moment travel so", async () => {
  const { client } = service;
  await client.registerAgent({ name: "many" });
  for (let n = 0; n < 5; n++)
    await client.sendCommand({ agent: "many", command: "sync", payload: { n }, source: "cli" });
  const { commands } = await client.claimCommands({ agent: "many", limit: 5 });
  const [done, failed, again, ...rest] = commands.map(({ effect_id, lease }) => ({ effect_id, lease }));
  const { results } = await client.finishEffects({
    items: [
      { ...done, status: "succeeded", result: 1 },
      { ...failed, status: "failed", error: "no" },
      { ...again, status: "failed", error: "later", retry: true },
      { ...done, status: "failed", error: "second" },
      { effect_id: "eff_none", status: "succeeded" },
      { ...done, status: "burnt" },
    ],
  });
  expect(results).toMatchObject([
    { effect_id: done?.effect_id, state: "succeeded" },
    { state: "failed" },
    { state: "approved" },
    { error: { code: "lease_lost" } },
    { error: { code: "not_found" } },
    { error: { code: "invalid_request", message: expect.stringContaining("status") } },
  ]);
  const ends = await Promise.all(rest.map((one) => client.finish({ ...one, status: "succeeded" })));
  expect(ends).toEqual(rest.map(({ effect_id }) => ({ effect_id, state: "succeeded" })));
  const late = { ...done, effect_id: done?.effect_id ?? "", status: "failed" as const };
  await expect(Promise.all([client.finish(late), client.finish(late)])).rejects.toMatchObject({
    code: "conflict",
  });
});
