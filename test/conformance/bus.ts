import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Bus, Consumer, ConsumerConfig } from "../../service/bus/bus.ts";
import type { Event, NewEvent } from "../../service/contract/events.ts";
import { compileSubject } from "../../service/lib/subject.ts";
import type { ManualClock } from "../harness/clock.ts";
import { eventually } from "../harness/service.ts";

/** A bus on a log of its own, with a clock that the test turns. */
export interface OpenedBus {
  readonly bus: Bus;
  readonly clock: ManualClock;
  publish(...inputs: NewEvent[]): Promise<Event[]>;
  /** The state of the event in the queue that people see. */
  queueStatus(event_id: string): Promise<string | undefined>;
  /** Closes it in an orderly way and opens it again on the same data. */
  restart(): Promise<void>;
  /** As a crash does: nothing more is saved, and it is opened again on the same data. */
  crash(): Promise<void>;
  close(): Promise<void>;
}

/** What every bus must do, whatever it stands on. */
export function busConformance(name: string, open: () => Promise<OpenedBus>): void {
  describe(`${name} bus`, () => {
    let opened: OpenedBus;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.close());
    const current = () => opened;
    describe("subjects", () => subjectTests(current));
    describe("durable consumers", () => durabilityTests(current));
    describe("order and load", () => loadTests(current));
    describe("live subscribers", () => subscriberTests(current));
  });
}

const all = () => true;
const bodies = (events: Event[]) => events.map((event) => event.body);

/** Consumes into a list. */
async function collect(
  opened: OpenedBus,
  config: Partial<ConsumerConfig> = {},
  handle: (event: Event) => Promise<void> = async () => {},
): Promise<{ events: Event[]; consumer: Consumer }> {
  const events: Event[] = [];
  const consumer = await opened.bus.consume(
    { name: "list", wants: all, from: "start", maxInFlight: 8, ...config },
    async (event) => {
      events.push(event);
      await handle(event);
    },
  );
  return { events, consumer };
}

const numbered = (count: number, from = 1): NewEvent[] =>
  Array.from({ length: count }, (_, index) => ({ type: "count.made", body: String(from + index) }));

/** Promises with their handles outside, one for each call. */
function gates() {
  const waiting: { resolve(): void; reject(error: Error): void }[] = [];
  const pass = () =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ resolve, reject });
    });
  return { waiting, pass };
}

function subjectTests(current: () => OpenedBus): void {
  it("S2 S7 U4 what is published reaches every consumer whose pattern matches its subject, and no other", async () => {
    const wanting = (name: string, pattern: string) => {
      const matches = compileSubject(pattern);
      return collect(current(), { name, wants: (event) => matches(event.subject) });
    };
    const one = await wanting("one", "github.*.opened");
    const rest = await wanting("rest", "github.>");
    const exact = await wanting("exact", "github.push");
    const everything = await wanting("everything", ">");
    await current().publish(
      { type: "github.issue.opened" },
      { type: "github.push" },
      { type: "github" },
      { type: "mail.received", subject: "sekia.events.gmail" },
    );
    await eventually(() => everything.events.length === 4);
    const subjects = ({ events }: { events: Event[] }) => events.map((event) => event.subject);
    expect(subjects(one)).toEqual(["github.issue.opened"]);
    expect(subjects(rest)).toEqual(["github.issue.opened", "github.push"]);
    expect(subjects(exact)).toEqual(["github.push"]);
    expect(subjects(everything)).toEqual([
      "github.issue.opened",
      "github.push",
      "github",
      "sekia.events.gmail",
    ]);
  });

  it("U2 each consumer has its own state of an event, apart from the queue's", async () => {
    const failing = await collect(current(), { name: "failing" }, async () => {
      throw new Error("not now");
    });
    const calm = await collect(current(), { name: "calm" });
    const [event] = await current().publish({ topic: "work", body: "1" });
    await eventually(() => calm.consumer.cursor === event?.seq);
    await eventually(() => failing.events.length === 1);
    expect(failing.consumer.cursor).toBe((event?.seq ?? 0) - 1);
    expect(await current().queueStatus(event?.id ?? "")).toBe("pending");
  });
}

function durabilityTests(current: () => OpenedBus): void {
  it("B12 a restart misses nothing and repeats nothing before the first that was not acknowledged", async () => {
    const { waiting, pass } = gates();
    const before = await collect(current(), {}, async (event) => {
      if (event.body === "2") await pass();
    });
    await current().publish(...numbered(4));
    await eventually(() => before.events.length === 4);
    const restarted = current().restart();
    waiting[0]?.reject(new Error("stopping"));
    await restarted;
    await current().publish(...numbered(2, 5));
    const after = await collect(current());
    await eventually(() => after.events.length === 5);
    // 3 and 4 were acknowledged, but the place in the log is before 2: they may come again, 1 may not.
    expect(bodies(after.events)).toEqual(["2", "3", "4", "5", "6"]);
    await current().restart();
    const later = await collect(current());
    await current().publish(...numbered(1, 7));
    await eventually(() => later.events.length === 1);
    expect(bodies(later.events)).toEqual(["7"]);
  });

  it("B12 a crash misses nothing, also of what was published while nobody listened", async () => {
    const before = await collect(current());
    await current().publish(...numbered(3));
    await eventually(() => before.events.length === 3);
    await current().crash();
    await current().publish(...numbered(2, 4));
    const after = await collect(current());
    await eventually(() => bodies(after.events).at(-1) === "5");
    expect(bodies(after.events)).toEqual(["1", "2", "3", "4", "5"].slice(-after.events.length));
  });

  it("a cursor is saved a moment after it moved, so a crash repeats little", async () => {
    const before = await collect(current());
    await current().publish(...numbered(3));
    await eventually(() => before.consumer.cursor === 3);
    current().clock.advance(1_000);
    await current().publish({ body: "4" });
    await eventually(() => before.events.length === 4);
    await current().crash();
    const after = await collect(current());
    await eventually(() => after.events.length > 0);
    expect(bodies(after.events)).toEqual(["4"]);
  });

  it("a rejected delivery comes again, after a pause that grows", async () => {
    let failures = 0;
    const { events, consumer } = await collect(current(), {}, async () => {
      if (failures < 3) {
        failures += 1;
        throw new Error("not yet");
      }
    });
    const [event] = await current().publish({ body: "1" });
    for (const attempts of [1, 2, 3]) {
      await eventually(() => events.length === attempts && current().clock.pending > 0);
      current().clock.advance(250 * 2 ** (attempts - 1));
    }
    await eventually(() => consumer.cursor === event?.seq);
    expect(bodies(events)).toEqual(["1", "1", "1", "1"]);
  });

  it("a handler that throws at once is a rejection as well", async () => {
    let calls = 0;
    const consumer = await current().bus.consume(
      { name: "throws", wants: all, from: "start", maxInFlight: 1 },
      () => {
        calls += 1;
        if (calls === 1) throw new Error("at once");
        return Promise.resolve();
      },
    );
    await current().publish({ body: "1" });
    await eventually(() => calls === 1 && current().clock.pending > 0);
    current().clock.advance(250);
    await eventually(() => consumer.cursor === 1);
  });

  it("a new name begins where it says, a known one where it left off", async () => {
    await current().publish(...numbered(2));
    const start = await collect(current(), { name: "start", from: "start" });
    const now = await collect(current(), { name: "now", from: "now" });
    await current().publish({ body: "3" });
    await eventually(() => now.events.length === 1 && start.events.length === 3);
    expect(bodies(now.events)).toEqual(["3"]);
    await now.consumer.close();
    await current().publish({ body: "4" });
    const again = await collect(current(), { name: "now", from: "now" });
    await eventually(() => again.events.length === 1);
    expect(bodies(again.events)).toEqual(["4"]);
  });

  it("a name is consumed once at a time", async () => {
    await collect(current(), { name: "taken" });
    await expect(collect(current(), { name: "taken" })).rejects.toThrow("taken is there already");
  });

  it("a stop waits for handlers under way, but not for those that wait for another try", async () => {
    const { waiting, pass } = gates();
    const { events, consumer } = await collect(current(), {}, async (event) => {
      if (event.body === "1") throw new Error("not now");
      await pass();
    });
    await current().publish(...numbered(2));
    await eventually(() => events.length === 2 && current().clock.pending > 0);
    let closed = false;
    const closing = consumer.close().then(() => {
      closed = true;
    });
    await Promise.resolve();
    expect(closed).toBe(false);
    waiting[0]?.resolve();
    await closing;
    const again = await collect(current());
    await eventually(() => again.events.length === 2);
    expect(bodies(again.events)).toEqual(["1", "2"]);
  });
}

function loadTests(current: () => OpenedBus): void {
  it("events come in the order of the log, whether read from it or as they are committed", async () => {
    const publishing: Promise<Event[]>[] = [];
    for (let at = 0; at < 400; at += 10) publishing.push(current().publish(...numbered(10, at + 1)));
    const early = await collect(current(), { name: "early" });
    for (let at = 400; at < 800; at += 1) publishing.push(current().publish(...numbered(1, at + 1)));
    const late = await collect(current(), { name: "late" });
    await Promise.all(publishing);
    await eventually(() => early.events.length >= 800 && late.events.length >= 800);
    const seqs = Array.from({ length: 800 }, (_, index) => index + 1);
    expect(early.events.map((event) => event.seq)).toEqual(seqs);
    expect(late.events.map((event) => event.seq)).toEqual(seqs);
  });

  it("with one in flight the order holds even when one is rejected", async () => {
    let rejected = false;
    const { events } = await collect(current(), { maxInFlight: 1 }, async (event) => {
      if (event.body !== "2" || rejected) return;
      rejected = true;
      throw new Error("once");
    });
    await current().publish(...numbered(3));
    await eventually(() => rejected && current().clock.pending > 0);
    current().clock.advance(30_000);
    await eventually(() => events.length === 4);
    expect(bodies(events)).toEqual(["1", "2", "2", "3"]);
  });

  it("no more are in flight than were asked for", async () => {
    const { waiting, pass } = gates();
    const { events } = await collect(current(), { maxInFlight: 3 }, pass);
    await current().publish(...numbered(5));
    await eventually(() => events.length === 3);
    waiting[1]?.resolve();
    await eventually(() => events.length === 4);
    for (const gate of waiting) gate.resolve();
    await eventually(() => events.length === 5);
    waiting.at(-1)?.resolve();
  });

  it("a slow consumer does not slow the others, and gets all it missed from the log", async () => {
    const { waiting, pass } = gates();
    const slow = await collect(current(), { name: "slow", maxInFlight: 1 }, async (event) => {
      if (event.body === "1") await pass();
    });
    const quick = await collect(current(), { name: "quick" });
    // More than a consumer keeps in memory, in several commits.
    for (let at = 0; at < 3_000; at += 500) await current().publish(...numbered(500, at + 1));
    await eventually(() => quick.events.length === 3_000);
    expect(slow.events).toHaveLength(1);
    waiting[0]?.resolve();
    await eventually(() => slow.events.length >= 3_000);
    expect(slow.events.map((event) => event.seq)).toEqual(quick.events.map((event) => event.seq));
  });

  it("a paused consumer is given nothing, and everything once it goes on", async () => {
    const { events, consumer } = await collect(current(), {}, async (event) => {
      if (event.body === "1" && events.length === 1) throw new Error("not now");
    });
    const other = await collect(current(), { name: "other" });
    await current().publish({ body: "1" });
    await eventually(() => events.length === 1 && current().clock.pending > 0);
    consumer.pause();
    current().clock.advance(60_000);
    await current().publish(...numbered(3, 2));
    await eventually(() => other.events.length === 4);
    expect(events).toHaveLength(1);
    consumer.resume();
    await eventually(() => events.length === 5);
    expect(bodies(events)).toEqual(["1", "1", "2", "3", "4"]);
  });
}

function subscriberTests(current: () => OpenedBus): void {
  it("a subscriber is told of what it wants from now on, in order, until it stops", async () => {
    await current().publish(...numbered(1));
    const seen: Event[] = [];
    const stop = current().bus.subscribe({
      wants: (event) => event.body !== "3",
      onEvent: (event) => seen.push(event),
    });
    await current().publish(...numbered(3, 2));
    expect(bodies(seen)).toEqual(["2", "4"]);
    stop();
    await current().publish(...numbered(1, 5));
    expect(bodies(seen)).toEqual(["2", "4"]);
  });

  it("a subscriber that throws hurts neither the publisher nor the others", async () => {
    const seen: Event[] = [];
    current().bus.subscribe({
      wants: all,
      onEvent() {
        throw new Error("a bug");
      },
    });
    current().bus.subscribe({ wants: all, onEvent: (event) => seen.push(event) });
    const [event] = await current().publish({ body: "1" });
    expect(event?.seq).toBe(1);
    expect(bodies(seen)).toEqual(["1"]);
  });
}
