import { describe, expect, it } from "vitest";
import { slowSenders } from "../torture/faults/crowd.ts";
import { faults } from "../torture/faults/index.ts";
import { hangingWorkers } from "../torture/faults/workers.ts";
import { fuzzes } from "../torture/fuzz/index.ts";
import { killRound } from "../torture/kill.ts";
import { Ledger } from "../torture/ledger.ts";

// A short version of `npm run torture`; SEED replays one of its rounds.
const seed = Number(process.env.SEED ?? 1);
/** Against hangs on a busy machine; it takes a minute on a quiet one. */
const LIMIT_MS = 600_000;

describe.concurrent("the service, killed and beset", { timeout: LIMIT_MS }, () => {
  it("kill -9 during 1,000 pushes, claims and handler runs loses no acknowledged event and runs no effect twice", async ({
    expect,
  }) => {
    const { violations, counts } = await killRound({
      seed,
      lifeMs: 1_500,
      withSdk: true,
      isEnough: ({ counts: { kills, pushes, claims, commands } }) =>
        kills >= 6 && Math.min(pushes, claims, commands) >= 1_000,
    });
    expect(violations).toEqual([]);
    expect(counts.kills).toBeGreaterThanOrEqual(6);
  });

  // It waits most of its time, so it need not wait for its turn.
  it(`${slowSenders.name}: no promise is broken`, async ({ expect }) => {
    expect((await slowSenders.run({ seed })).violations).toEqual([]);
  });
});

describe("faults", { timeout: LIMIT_MS }, () => {
  // Workflows that misbehave are tried one by one in bad-input.test.ts.
  const others = faults.filter((fault) => fault !== slowSenders && fault !== hangingWorkers);
  it.each(others.map((fault) => [fault.name, fault] as const))(
    "%s: no promise is broken",
    async (_, fault) => {
      expect((await fault.run({ seed })).violations).toEqual([]);
    },
  );
});

describe("fuzzing", { timeout: LIMIT_MS }, () => {
  it.each(fuzzes.map(({ fuzz, share }) => [fuzz.name, fuzz, share] as const))(
    "%s: no input breaks them",
    async (_, fuzz, share) => {
      await fuzz.run(3 * share, seed);
    },
  );
});

describe("the ledger", () => {
  const grant = {
    event_id: "evt_1",
    lease: "l",
    attempt: 1,
    grantedMs: 1_000,
    untilMs: 2_000,
    endSentMs: null,
  };

  it("notices an event that is given out after it was completed", () => {
    const ledger = new Ledger(1);
    ledger.finish("evt_1", { how: "completed", sentMs: 500, ackedMs: 600, reply_id: null });
    ledger.grant({ ...grant, by: "@a" });
    expect(ledger.violations).toHaveLength(1);
  });

  it("notices an event that is recorded twice, and one that changes its place", () => {
    const ledger = new Ledger(1);
    const push = ledger.newPush({ token: "t", lane: "l", place: 1, topic: null, work: null, key: "k" });
    ledger.acknowledge(push, { event_id: "evt_1", seq: 1, duplicate: false });
    ledger.acknowledge(push, { event_id: "evt_1", seq: 1, duplicate: true });
    expect(ledger.violations).toEqual([]);
    ledger.acknowledge(push, { event_id: "evt_2", seq: 2, duplicate: false });
    expect(ledger.violations).toHaveLength(2);
  });

  it("notices an effect that comes again under another id, and one that comes after it was over", () => {
    const ledger = new Ledger(1);
    ledger.handle("t/first", "eff_1", "{}", 1);
    ledger.handle("t/first", "eff_1", "{}", 1);
    expect(ledger.violations).toEqual([]);
    ledger.handle("t/first", "eff_2", "{}", 2);
    ledger.overEffects.set("eff_1", 0);
    ledger.handle("t/first", "eff_1", "{}", 1);
    expect(ledger.violations).toHaveLength(2);
  });
});
