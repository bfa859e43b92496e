import { describe, expect, it } from "vitest";
import { manualClock } from "../../test/harness/clock.ts";
import { sampleEvent } from "../../test/harness/samples.ts";
import type { Client } from "../client/call.ts";
import { SignalboxError } from "../contract/errors.ts";
import { Claims } from "./claims.ts";

const MINUTE = 60_000;

/** Claims against a service that answers as `extend` says. */
function start(extend: () => Promise<unknown> = async () => ({})) {
  const clock = manualClock();
  const calls: string[] = [];
  const errors: unknown[] = [];
  const client = {
    extendClaim: ({ event_id, lease, lease_ms }: { event_id: string; lease: string; lease_ms: number }) => {
      calls.push(`extend ${event_id} ${lease} ${lease_ms}`);
      return extend();
    },
    releaseClaim: async ({ event_id, lease }: { event_id: string; lease: string }) => {
      calls.push(`release ${event_id} ${lease}`);
    },
  } as unknown as Client;
  const claims = new Claims({
    clock,
    holdMs: 60 * MINUTE,
    client: async () => client,
    onError: (error) => errors.push(error),
  });
  const claimed = (id: string) => {
    const { status: _, ...event } = sampleEvent();
    const lease_until_ms = clock.nowMs() + 9 * MINUTE;
    return { event: { ...event, id }, prompt: null, lease: `lea_${id}`, lease_until_ms, attempt: 1 };
  };
  /** Minute by minute, so that each answer is there before the next timer. */
  const pass = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute++) {
      clock.advance(MINUTE);
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    }
  };
  return { clock, calls, errors, claims, claimed, pass };
}

describe("claims of a session", () => {
  it("U15 are renewed three times a lease, each for the whole of it", async () => {
    const { claims, claimed, pass, calls } = start();
    await claims.add([claimed("evt_1")]);
    await pass(9);
    expect(calls).toEqual(Array(3).fill("extend evt_1 lea_evt_1 540000"));
  });

  it("U15 are renewed no longer than a forgotten one may be held, counted from the last sign of life", async () => {
    const { claims, claimed, pass, calls, clock } = start();
    await claims.add([claimed("evt_1")]);
    await pass(59);
    claims.extended("evt_1", clock.nowMs() + 9 * MINUTE);
    await pass(58);
    expect(claims.leaseOf("evt_1")).toBe("lea_evt_1");
    await pass(3);
    expect(claims.leaseOf("evt_1")).toBeUndefined();
    const before = calls.length;
    await pass(60);
    expect([calls.length, clock.pending]).toEqual([before, 0]);
  });

  it("U15 are renewed for as long as the model asked for last", async () => {
    const { claims, claimed, pass, calls, clock } = start();
    await claims.add([claimed("evt_1")]);
    await pass(1);
    claims.extended("evt_1", clock.nowMs() + 30 * MINUTE);
    await pass(20);
    expect(calls).toEqual(Array(2).fill(`extend evt_1 lea_evt_1 ${30 * MINUTE}`));
    claims.extended("evt_unknown", clock.nowMs() + MINUTE);
    expect(claims.leaseOf("evt_unknown")).toBeUndefined();
  });

  it("U15 are given up where the lease is lost, and tried again where the service is away", async () => {
    let code: "service_unreachable" | "lease_lost" = "service_unreachable";
    const { claims, claimed, pass, errors } = start(async () => {
      throw new SignalboxError(code, "no");
    });
    await claims.add([claimed("evt_1")]);
    await pass(6);
    expect([claims.leaseOf("evt_1"), errors.length]).toEqual(["lea_evt_1", 2]);
    code = "lease_lost";
    await pass(3);
    expect(claims.leaseOf("evt_1")).toBeUndefined();
  });

  it("all go back at the end, also what is claimed too late for it", async () => {
    const { claims, claimed, calls, clock } = start();
    await claims.add([claimed("evt_1"), claimed("evt_2")]);
    expect(claims.latest()).toBe("evt_2");
    claims.forget("evt_2");
    expect(claims.latest()).toBe("evt_1");
    await claims.close();
    await expect(claims.add([claimed("evt_3")])).rejects.toMatchObject({ code: "unavailable" });
    expect(calls).toEqual(["release evt_1 lea_evt_1", "release evt_3 lea_evt_3"]);
    expect(clock.pending).toBe(0);
  });
});
