import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../service/client/call.ts";
import { type ErrorCode, SignalboxError } from "../service/contract/errors.ts";
import type { Claimed } from "../service/contract/topics.ts";
import { type ManualClock, manualClock } from "../test/harness/clock.ts";
import { eventually } from "../test/harness/eventually.ts";
import { sampleEvent } from "../test/harness/samples.ts";
import { type Host, HostError, type Look, type Prompt } from "./host.ts";
import { Hub } from "./hub.ts";
import type { Link } from "./link.ts";
import { readSettings } from "./settings.ts";

let clock: ManualClock;
let hub: Hub;
let told: string[];
let prompts: { session: string; prompt: Prompt }[];
let look: (id: string) => Look | null;
let busy: Set<string>;
let refuse: HostError | null;
/** What the service was asked, as `route event`. */
let calls: string[];
let queue: Claimed[];
/** What the service answers a route with, once. */
let failures: Map<string, SignalboxError[]>;
let waiting: (() => void)[];

const fail = (route: string, code: ErrorCode, times = 1) =>
  failures.set(
    route,
    Array.from({ length: times }, () => new SignalboxError(code, `${route} failed`)),
  );
const plain = (id: string): Look => ({
  ...{ id, child: false, archived: false, reverted: false, topics: null, persona: {} },
});

function fakeHost(): Host {
  return {
    directory: "/shop",
    isOneShot: false,
    look: async (id) => look(id),
    isIdle: async (id) => !busy.has(id),
    list: async () => [{ ...plain("ses_old"), topics: ["builds"] }, plain("ses_new")],
    async prompt(session, prompt) {
      if (refuse) throw refuse;
      prompts.push({ session, prompt });
    },
    create: async () => "ses_dedicated",
    remember: async () => {},
    lastText: async () => "the last word",
    answerPermission: async () => {},
    toast: async () => {},
    draft: async () => {},
    log: async () => {},
  };
}

/** As much of the service as deliveries need: it remembers what it was asked. */
function fakeLink(): Link {
  const answer = async (route: string, input: Record<string, unknown>): Promise<unknown> => {
    const [failure] = failures.get(route)?.splice(0, 1) ?? [];
    if (route !== "claimEvents")
      calls.push(`${route} ${input.event_id} ${input.error ?? input.kind ?? ""}`.trim());
    if (failure) throw failure;
    if (route !== "claimEvents") return {};
    const next = queue.shift();
    if (next) return { claimed: [next] };
    await new Promise<void>((resolve) => waiting.push(resolve));
    return { claimed: queue.splice(0, 1) };
  };
  const client = new Proxy(
    {},
    { get: (_, route) => (input: Record<string, unknown>) => answer(String(route), input) },
  ) as Client;
  return { call: (ask) => ask(client), client: async () => client, close: () => {} };
}

const open = (options: object = {}) => {
  const settings = readSettings({ topics: ["builds"], leaseMs: 9_000, ...options }, {}, "/shop");
  hub = new Hub({
    ...{ host: fakeHost(), link: fakeLink(), clock, settings },
    notify: (text) => told.push(text),
  });
};
beforeEach(() => {
  clock = manualClock();
  told = [];
  prompts = [];
  look = plain;
  busy = new Set();
  refuse = null;
  calls = [];
  queue = [];
  failures = new Map();
  waiting = [];
  open();
});
afterEach(() => hub.close());

let number = 0;
const push = (more: object = {}): string => {
  const id = `evt_${++number}`;
  const { status: _, ...event } = sampleEvent({ id, ...more });
  queue.push({ event, prompt: null, lease: `lea_${id}`, lease_until_ms: 0, attempt: 1 });
  for (const wake of waiting.splice(0)) wake();
  return id;
};
const settle = async () => {
  clock.advance(60);
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
};
const begun = (id: string) => hub.apply(id, { kind: "status", busy: true });
const typed = (id: string) => {
  hub.apply(id, { kind: "message", real: true, event_id: null, persona: { agent: "build" } });
  begun(id);
};
const idle = async (id: string) => {
  hub.apply(id, { kind: "status", busy: false });
  await settle();
};
const accept = (id: string, event_id: string) => {
  hub.apply(id, { kind: "message", real: false, event_id, persona: {} });
  begun(id);
};
const ready = async (id = "ses_1") => {
  typed(id);
  await idle(id);
};
const given = (id: string) => eventually(() => prompts.find(({ prompt }) => prompt.event_id === id));

describe("a claimed event", () => {
  it("asks for nothing while nobody could take it, and goes to who waits longest", async () => {
    expect(waiting).toEqual([]);
    await ready("ses_1");
    await eventually(() => waiting.length === 1);
    const first = push();
    expect((await given(first))?.session).toBe("ses_1");
    accept("ses_1", first);
    await ready("ses_2");
    await idle("ses_1");
    const second = push();
    expect((await given(second))?.session).toBe("ses_2");
  });

  it("is renewed three times a lease while its turn runs, however long, and not after", async () => {
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    for (let times = 0; times < 5; times++) {
      clock.advance(3_000);
      await settle();
    }
    const beats = () => calls.filter((call) => call.startsWith("extendClaim")).length;
    expect(beats()).toBe(5);
    await idle("ses_1");
    await eventually(() => calls.includes(`completeClaim ${event}`));
    clock.advance(9_000);
    await settle();
    expect(beats()).toBe(5);
  });

  it("whose turn takes too long is given up", async () => {
    open({ maxTurnMs: 10_000 });
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    clock.advance(10_000);
    await eventually(() => calls.includes(`failClaim ${event} the turn took longer than 10 s`));
  });

  it("whose lease was lost is left alone, and the user is told", async () => {
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    fail("extendClaim", "lease_lost");
    clock.advance(3_000);
    await eventually(() => hub.session("ses_1").inflight === null);
    await idle("ses_1");
    expect(calls.filter((call) => /completeClaim|failClaim/.test(call))).toEqual([]);
    expect(told).toContainEqual(expect.stringContaining("its lease ran out"));
  });

  it("that OpenCode swallows without a word comes again", async () => {
    await ready();
    const event = push();
    await given(event);
    clock.advance(30_000);
    await eventually(() => calls.some((call) => call.startsWith(`failClaim ${event} OpenCode did not take`)));
  });

  it("whose end could not be told is told again until the service hears it", async () => {
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    fail("completeClaim", "service_unreachable", 3);
    await idle("ses_1");
    const tries = () => calls.filter((call) => call === `completeClaim ${event}`).length;
    for (let wanted = 1; wanted <= 4; wanted++) {
      await eventually(() => tries() === wanted);
      await settle();
      clock.advance(1_000);
    }
    expect(tries()).toBe(4);
  });

  it("goes back unharmed when the session is busy after all, gone, or changed meanwhile", async () => {
    await ready();
    busy.add("ses_1");
    const first = push();
    await eventually(() => calls.includes(`releaseClaim ${first}`));
    busy.clear();
    await idle("ses_1");
    look = (id) => ({ ...plain(id), reverted: true });
    const second = push();
    await eventually(() => calls.includes(`releaseClaim ${second}`));
    look = () => null;
    hub.apply("ses_1", { kind: "info", ...plain("ses_1") });
    const third = push();
    await eventually(() => calls.includes(`releaseClaim ${third}`));
    expect(hub.sessions).toEqual([]);
    expect(prompts).toEqual([]);
  });

  it("goes back unharmed when the prompt finds no session, and counts when OpenCode refuses it", async () => {
    await ready();
    refuse = new HostError("404", true);
    const first = push();
    await eventually(() => calls.includes(`releaseClaim ${first}`));
    await ready("ses_2");
    refuse = new HostError("500", false);
    const second = push();
    await eventually(() => calls.includes(`failClaim ${second} 500`));
  });

  it("is answered with the last text where its topic wants that", async () => {
    open({ noReply: "reply-with-last-text" });
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    await idle("ses_1");
    await eventually(() => calls.includes(`reply ${event}`));
  });

  it("comes again when OpenCode ends in the middle, before the plugin is gone", async () => {
    await ready();
    const event = push();
    await given(event);
    accept("ses_1", event);
    await hub.close();
    expect(calls.at(-1)).toBe(`failClaim ${event} OpenCode ended in the middle of the turn`);
  });
});

describe("claims", () => {
  it("M14 are tried again after a failure, at first soon, at the longest after the fallback poll", async () => {
    open({ pollMs: 5_000 });
    fail("claimEvents", "service_unreachable", 6);
    const left = () => failures.get("claimEvents")?.length;
    await ready();
    expect(left()).toBe(5);
    for (const [wait, after] of [
      [1_000, 4],
      [2_000, 3],
      [4_000, 2],
      [5_000, 1],
      [5_000, 0],
    ] as const) {
      clock.advance(wait - 1);
      await settle();
      clock.advance(1);
      await eventually(() => left() === after);
    }
    clock.advance(5_000);
    await eventually(() => waiting.length === 1);
    const event = push();
    await given(event);
  });

  it("wait for the brake of the only session, and go on by themselves", async () => {
    open({ minGapMs: 60_000 });
    await ready();
    const first = push();
    await given(first);
    accept("ses_1", first);
    await idle("ses_1");
    const second = push();
    await settle();
    expect(prompts).toHaveLength(1);
    clock.advance(60_000);
    await given(second);
  });
});

describe("what may have been missed", () => {
  it("U17 is found by looking again: a session that fell idle without a word", async () => {
    typed("ses_1");
    busy.add("ses_1");
    await hub.lookAgain();
    expect(hub.session("ses_1").phase).toBe("busy");
    busy.clear();
    await hub.lookAgain();
    await settle();
    const event = push();
    await given(event);
  });

  it("is no turn's end while its turn has not begun: OpenCode says busy later than that it took the prompt in", async () => {
    await ready();
    const event = push();
    await given(event);
    hub.apply("ses_1", { kind: "message", real: false, event_id: event, persona: {} });
    await hub.lookAgain();
    await settle();
    expect(calls.filter((call) => call.startsWith("completeClaim"))).toEqual([]);
    expect(hub.session("ses_1").inflight?.event_id).toBe(event);
  });

  it("sessions that listened before a restart go on where that is wanted", async () => {
    await hub.resume();
    await settle();
    expect(hub.sessions.map(({ id }) => id)).toEqual(["ses_old"]);
    const event = push();
    expect((await given(event))?.session).toBe("ses_old");
  });
});
