import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Event } from "../service/contract/events.ts";
import type { Claimed } from "../service/contract/topics.ts";
import { sampleEvent } from "../test/harness/samples.ts";
import { type Act, type Input, newSession, type Rules, readiness, type Session, step } from "./session.ts";
import type { NoReply } from "./settings.ts";

const rulesWith = (noReply: NoReply = "ack", more: Partial<Rules> = {}): Rules => ({
  ...{ topics: ["builds"], perHour: 100, minGapMs: 0, failures: 3, noReply: () => noReply },
  ...more,
});
const plan = { agent: "plan", model: { providerID: "fake", modelID: "fake-1" }, variant: "high" };
const claimed = (id: string): Claimed => ({
  event: { ...sampleEvent({ id }), id } as Event,
  ...{ prompt: null, lease: `lea_${id}`, lease_until_ms: 1, attempt: 1 },
});

const typed: Input = { kind: "message", real: true, event_id: null, persona: plan };
const ours = (event_id: string): Input => ({ kind: "message", real: false, event_id, persona: plan });
const busy: Input = { kind: "status", busy: true };
const idle: Input = { kind: "status", busy: false };
const settled: Input = { kind: "settled", idle: true };
const claim = (id: string): Input => ({ kind: "claimed", claimed: claimed(id), topic: "builds" });
const aborted: Input = { kind: "error", aborted: true, message: "aborted" };
const refusedByProvider: Input = { kind: "error", aborted: false, message: "400" };

/** Takes the inputs one after the other and gathers what was asked for. */
function run(inputs: readonly Input[], rules = rulesWith(), from: Session = newSession("ses_1")) {
  let session = from;
  const acts: Act[] = [];
  for (const input of inputs) {
    const next = step(session, input, rules, 1_000);
    session = next.session;
    acts.push(...next.acts);
  }
  return { session, acts, kinds: acts.map(({ kind }) => kind).filter((kind) => kind !== "pull") };
}
const turn = [typed, busy, idle, settled];
const delivered = [...turn, claim("evt_1"), ours("evt_1"), busy];
const ready = (session: Session, rules = rulesWith()) => readiness(session, "builds", rules, 1_000);

describe("what OpenCode 1.18 tells, as measured", () => {
  it("U17 a normal turn's two tellings of idle are one end, and the session takes events then", () => {
    const { session, kinds } = run([typed, busy, busy, idle, idle, settled]);
    expect(kinds).toEqual(["settle"]);
    expect(ready(session)).toBe(0);
  });

  it("U17 an event whose turn ended is acknowledged once, though idle is told twice", () => {
    const { session, kinds } = run([...delivered, idle, idle, settled, settled]);
    expect(kinds).toEqual(["settle", "inject", "receipt", "settle", "receipt", "ack", "end"]);
    expect(session.inflight).toBeNull();
  });

  it("Esc gives the event back and stops the session until its user writes again", () => {
    const { session, acts } = run([...delivered, aborted, idle, idle, settled]);
    expect(acts).toContainEqual(expect.objectContaining({ kind: "nack", error: "stopped by the user" }));
    expect(acts.filter(({ kind }) => kind === "ack")).toEqual([]);
    expect(ready(session)).toBe("you stopped it");
    expect(ready(run(turn, rulesWith(), session).session)).toBe(0);
  });

  it("Esc in the user's own turn stops the session too", () => {
    expect(ready(run([typed, busy, aborted, idle, idle, settled]).session)).toBe("you stopped it");
  });

  it("a provider's error gives the event back and stops the session, instead of burning the queue", () => {
    const { session, acts } = run([...delivered, refusedByProvider, idle, idle, settled]);
    expect(acts).toContainEqual(expect.objectContaining({ kind: "nack", error: "400" }));
    expect(ready(session)).toBe("an error: 400");
  });

  it("a prompt that is accepted and then refused before its turn is given back at once", () => {
    const { session, kinds } = run([...turn, claim("evt_1"), refusedByProvider]);
    expect(kinds).toEqual(["settle", "inject", "tell", "nack", "end"]);
    expect(session.inflight).toBeNull();
  });

  it("idle that is told between a message and the beginning of its turn is that of the turn before", () => {
    const late = run([...turn, claim("evt_1"), ours("evt_1"), idle, settled]);
    expect(late.session.inflight?.event_id).toBe("evt_1");
    expect(late.kinds).not.toContain("ack");
    const { kinds } = run([busy, { kind: "output" }, idle, settled], rulesWith(), late.session);
    expect(kinds).toEqual(["receipt", "settle", "ack", "end"]);
    // The user's own message waits for its turn as well, so nothing comes between.
    expect(ready(run([typed, idle, settled]).session)).toBe("it is busy");
  });

  it("a prompt that was accepted and never became a turn comes again", () => {
    const accepted = run([...turn, claim("evt_1"), ours("evt_1")]).session;
    const later = (session: Session, input: Input) => step(session, input, rulesWith(), 200_000);
    const { acts } = later(later(accepted, idle).session, settled);
    expect(acts).toContainEqual(
      expect.objectContaining({
        kind: "nack",
        error: "OpenCode accepted the prompt and did not begin a turn",
      }),
    );
  });

  it("retry counts as busy, and an abort of an idle session as nothing", () => {
    const { session } = run([...turn, claim("evt_1"), ours("evt_1"), busy, busy]);
    expect(ready(session)).toBe("it works on evt_1");
    expect(run([...turn, idle]).kinds).toEqual(["settle"]);
  });

  it("a sub-task's session takes nothing, also when its prompt looks typed", () => {
    const info: Input = { kind: "info", child: true, archived: false, reverted: false, persona: {} };
    const { session, acts } = run([info, ...turn, claim("evt_1")]);
    expect(ready(session)).toBe("it does not listen");
    expect(acts).toContainEqual({ kind: "release", event_id: "evt_1", lease: "lea_evt_1" });
    const late = run([...turn, info]).session;
    expect(ready(late)).toBe("it is a sub-task");
  });

  it("an archived session and one with something undone take nothing until that is over", () => {
    const info = { kind: "info", child: false, persona: {} } as const;
    const readyAs = (more: { archived: boolean; reverted: boolean }) =>
      ready(run([...turn, { ...info, ...more }]).session);
    expect(readyAs({ archived: true, reverted: false })).toBe("it is archived");
    expect(readyAs({ archived: false, reverted: true })).toBe("something in it was undone");
    expect(readyAs({ archived: false, reverted: false })).toBe(0);
  });

  it("a session that has gone on by itself in the quiet moment is busy, not done", () => {
    const { session, kinds } = run([...delivered, idle, { kind: "settled", idle: false }]);
    expect(session.inflight?.event_id).toBe("evt_1");
    expect(kinds).not.toContain("ack");
  });
});

describe("an event in a session", () => {
  it("goes out as the agent, model and variant that the user last chose", () => {
    const { acts } = run([...turn, claim("evt_1")]);
    expect(acts).toContainEqual(expect.objectContaining({ kind: "inject", persona: plan }));
    const forgetful = run([...turn, { ...ours("evt_0"), persona: { agent: undefined } } as Input]);
    expect(forgetful.session.persona).toEqual(plan);
    const other = { agent: "build", model: { providerID: "fake", modelID: "fake-2" } };
    const switched = run([...turn, { ...typed, persona: other } as Input]).session.persona;
    expect(switched).toEqual({ ...other, variant: undefined });
  });

  it("is delivered, seen and acted on once each, in that order", () => {
    const tool: Input = { kind: "tool", tool: "bash" };
    const { acts } = run([...delivered, { kind: "output" }, { kind: "output" }, tool, tool, idle, settled]);
    const receipts = acts.flatMap((act) => (act.kind === "receipt" ? [[act.receipt, act.detail]] : []));
    expect(receipts).toEqual([
      ["delivered", null],
      ["seen", null],
      ["acted", "bash"],
    ]);
  });

  it("that was answered is not acknowledged again, and an error after it changes nothing", () => {
    const answered: Input = { kind: "replied", event_id: "evt_1" };
    expect(run([...delivered, answered, idle, settled]).kinds.slice(-2)).toEqual(["settle", "end"]);
    const { kinds } = run([...delivered, answered, refusedByProvider, idle, idle, settled]);
    expect(kinds).not.toContain("nack");
    expect(kinds.filter((kind) => kind === "end")).toHaveLength(1);
  });

  it("without an answer ends as the topic wants it", () => {
    const last = (rule: NoReply) => run([...delivered, idle, settled], rulesWith(rule)).acts;
    expect(last("ack")).toContainEqual(expect.objectContaining({ kind: "ack" }));
    expect(last("nack")).toContainEqual(
      expect.objectContaining({ kind: "nack", error: "the turn ended without an answer" }),
    );
    expect(last("reply-with-last-text")).toContainEqual(
      expect.objectContaining({ kind: "reply-with-last-text" }),
    );
  });

  it("is one at a time: a second is given back", () => {
    const { acts } = run([...turn, claim("evt_1"), claim("evt_2")]);
    expect(acts).toContainEqual({ kind: "release", event_id: "evt_2", lease: "lea_evt_2" });
  });

  it("whose lease was lost is nobody's to acknowledge", () => {
    const { kinds, session } = run([...delivered, { kind: "lease-lost" }, idle, settled]);
    expect(kinds).not.toContain("ack");
    expect(session.inflight).toBeNull();
  });

  it("goes back unharmed when its session is gone, and counts as tried when the session is deleted", () => {
    const refused: Input = { kind: "refused", message: "404", gone: true };
    expect(run([...turn, claim("evt_1"), refused]).kinds).toEqual(["settle", "inject", "release", "end"]);
    expect(run([...delivered, { kind: "deleted" }]).kinds).toContain("nack");
  });

  it("counts when its turn had ended before OpenCode did, and comes again when it had not", () => {
    expect(run([...delivered, idle, { kind: "disposed" }]).kinds).toContain("ack");
    expect(run([...delivered, { kind: "disposed" }]).kinds).toContain("nack");
    expect(run([...turn, { kind: "disposed" }]).kinds).toEqual(["settle"]);
  });

  it("that comes with the user's own message is delivered by that", () => {
    const carried: Input = { kind: "carried", claimed: claimed("evt_1"), topic: "offers" };
    const { acts, session } = run([typed, carried]);
    expect(acts).toContainEqual(expect.objectContaining({ kind: "receipt", receipt: "delivered" }));
    expect(session.inflight).toMatchObject({ event_id: "evt_1", accepted: true });
  });
});

describe("brakes", () => {
  it("only sessions that their user has written to listen, or that were told to", () => {
    const quiet = run([busy, idle, settled]).session;
    expect(ready(quiet)).toBe("it does not listen");
    expect(ready(run([{ kind: "listen", topics: ["builds"] }], rulesWith(), quiet).session)).toBe(0);
    const muted = run([...turn, { kind: "listen", topics: null }, ...turn]).session;
    expect(ready(muted)).toBe("it does not listen");
  });

  it("hold back what is too much in an hour or too soon after the last, and say until when", () => {
    const done = run([...delivered, idle, settled]).session;
    expect(ready(done)).toBe(0);
    expect(ready(done, rulesWith("ack", { perHour: 1 }))).toBe(3_601_000);
    expect(ready(done, rulesWith("ack", { minGapMs: 500 }))).toBe(1_500);
  });

  it("rest a session of its own after a failure, longer each time, and stop it in the end", () => {
    const dedicated: Session = {
      ...newSession("ses_2"),
      ...{ phase: "idle", topics: ["builds"], dedicated: true },
    };
    const failing = [claim("evt_1"), ours("evt_1"), busy, refusedByProvider, idle, idle, settled];
    const once = run(failing, rulesWith(), dedicated).session;
    expect(ready(once)).toBe(31_000);
    const rested = { ...once, rest_until_ms: 0 };
    const twice = run(failing, rulesWith(), rested).session;
    expect(ready(twice)).toBe(61_000);
    const last = run(failing, rulesWith(), { ...twice, rest_until_ms: 0 });
    expect(ready(last.session)).toBe("3 turns failed one after the other");
    expect(last.kinds).toContain("tell");
  });
});

const anyInput: fc.Arbitrary<Input> = fc.oneof(
  fc.constantFrom<Input>(
    ...[typed, busy, idle, settled, aborted, refusedByProvider],
    ...[{ kind: "settled", idle: false } as const, { kind: "output" } as const],
    ...[{ kind: "tool", tool: "bash" } as const, { kind: "lease-lost" } as const],
    ...[{ kind: "overdue", message: "late" } as const, { kind: "deleted" } as const],
    ...[{ kind: "listen", topics: ["builds"] } as const, { kind: "listen", topics: null } as const],
    ...[{ kind: "refused", message: "no", gone: false } as const],
    ...[{ kind: "refused", message: "no", gone: true } as const],
  ),
  fc.record({
    kind: fc.constant("info" as const),
    ...{ child: fc.boolean(), archived: fc.boolean(), reverted: fc.boolean(), persona: fc.constant({}) },
  }),
  fc.constant<Input>({ kind: "claimed", claimed: claimed("next"), topic: "builds" }),
  fc.constantFrom<Input>(
    ours("current"),
    { kind: "replied", event_id: "current" },
    { kind: "message", real: false, event_id: null, persona: {} },
  ),
);

describe("any order of things", () => {
  it("M10 gives every claimed event exactly one end, and a session one event at a time, only while it may", () => {
    const sequences = fc.array(anyInput, { maxLength: 60 });
    const noReplies = fc.constantFrom<NoReply>("ack", "nack", "reply-with-last-text");
    fc.assert(
      fc.property(sequences, noReplies, (inputs, noReply) => {
        const trial = new Trial(rulesWith(noReply, { failures: 1_000 }));
        inputs.forEach((input, index) => {
          trial.take(named(input, trial.session, `evt_${index}`));
        });
        trial.take({ kind: "disposed" });
        for (const [id, told] of trial.ends) expect(told, id).toHaveLength(1);
        expect(trial.session.inflight).toBeNull();
      }),
      { numRuns: 2_000 },
    );
  });
});

/** Takes steps, an hour apart, and keeps what was said of each event's end. */
class Trial {
  readonly rules: Rules;
  readonly ends = new Map<string, string[]>();
  session: Session;
  #now = 1_000;

  constructor(rules: Rules) {
    this.rules = rules;
    this.session = run(turn, rules).session;
  }

  take(input: Input): void {
    const { inflight } = this.session;
    if (input.kind === "claimed") this.ends.set(input.claimed.event.id, []);
    const wasFree = readiness(this.session, "builds", this.rules, this.#now) === 0;
    const { session, acts } = step(this.session, input, this.rules, this.#now);
    if (acts.some(({ kind }) => kind === "inject")) expect(wasFree).toBe(true);
    for (const act of acts) note(this.ends, act);
    const told = this.ends.get(inflight?.event_id ?? "");
    if (input.kind === "lease-lost" && !inflight?.replied) told?.push("lost");
    if (input.kind === "replied" && !inflight?.replied) told?.push("answer");
    this.session = session;
    this.#now += 3_600_000;
  }
}

/** Speaks of the event that is there. */
function named(input: Input, { inflight }: Session, next: string): Input {
  if (input.kind === "claimed") return { ...input, claimed: claimed(next) };
  const current = inflight?.event_id ?? "evt_none";
  if (input.kind === "message" && input.event_id !== null) return { ...input, event_id: current };
  return input.kind === "replied" ? { ...input, event_id: current } : input;
}

function note(ends: Map<string, string[]>, act: Act): void {
  if (act.kind === "release") ends.get(act.event_id)?.push("release");
  if (act.kind === "ack" || act.kind === "nack" || act.kind === "reply-with-last-text")
    ends.get(act.inflight.event_id)?.push(act.kind);
}
