import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { type OpenedScheduler, openScheduler } from "../../test/harness/scheduler.ts";
import { append } from "../../test/harness/store.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** Where the test's clock begins: 2023-11-14T22:13:20Z. */
const begin = 1_700_000_000_000;

let open: OpenedScheduler;
afterEach(() => open.close());

const about = (event: Event) =>
  event.meta.schedule as { due_ms: number; cause: string; missed?: number; key: string };
const dueTimes = (events: Event[]) => events.map((event) => about(event).due_ms);

describe("a schedule", () => {
  it("U11 R49 records one event for each due time, under the key of that time, and nothing else", async () => {
    open = await openScheduler();
    const { scheduler } = open;
    const made = await scheduler.create({
      name: "standup",
      cron: "0 9 * * 1-5",
      time_zone: "Europe/Berlin",
      topic: "inbox",
      body: "What did you do?",
      payload: { room: "blue" },
      scope: "team",
    });
    const due = Date.parse("2023-11-15T08:00:00Z");
    expect(made).toMatchObject({ kind: "cron", state: "active", next_ms: due, missed: "once" });
    expect(made.upcoming).toHaveLength(5);
    await open.pass(due - begin - 1);
    expect(await open.recorded()).toEqual([]);
    await open.pass(1);
    const [event] = await open.recorded();
    expect(event).toMatchObject({
      type: "schedule.due",
      subject: "schedules.standup",
      topic: "inbox",
      body: "What did you do?",
      payload: { room: "blue" },
      scope: "team",
      origin_kind: "system",
      external_id: `objective:${made.id}:${due / 1_000}`,
      meta: { schedule: { id: made.id, name: "standup", due_ms: due, cause: "due", late_ms: 0 } },
    });
    expect(scheduler.get("standup")).toMatchObject({
      counts: { fired: 1, skipped: 0, failed: 0 },
      last_due_ms: due,
      next_ms: due + day,
    });
    expect((await scheduler.history("standup", { limit: 5 })).firings).toMatchObject([
      { due_ms: due, recorded_ms: due, event_id: event?.id, outcome: "fired", cause: "due" },
    ]);
    await open.pass(2 * day, day);
    expect(dueTimes(await open.recorded())).toEqual([due, due + day, due + 2 * day]);
    // Saturday and Sunday.
    await open.pass(2 * day, day);
    expect(await open.recorded()).toHaveLength(3);
  });

  it("U11 R47 a thousand schedules wait on one timer, and nothing is polled", async () => {
    open = await openScheduler();
    const before = open.opened.clock.pending;
    for (let n = 1; n <= 1_000; n++) await open.scheduler.create({ name: `s${n}`, every_ms: n * hour });
    expect(open.opened.clock.pending).toBe(before + 1);
    await open.pass(59 * minute);
    expect(open.opened.clock.pending).toBe(before + 1);
    expect(await open.recorded()).toEqual([]);
    await open.pass(minute);
    expect(await open.recorded()).toHaveLength(1);
  });

  it("U11 a single time is fired once and then done, a step goes on", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "once", at_ms: begin + 5_000 });
    await open.scheduler.create({ name: "often", every_ms: 4_000, type: "tick.happened", subject: "a.b" });
    await open.pass(13_000, 1_000);
    const names = (await open.recorded()).map((event) =>
      event.type === "tick.happened" ? event.subject : "once",
    );
    expect(names).toEqual(["a.b", "once", "a.b", "a.b"]);
    expect(open.scheduler.get("once")).toMatchObject({ state: "done", next_ms: null, upcoming: [] });
    await expect(open.scheduler.create({ name: "late", at_ms: begin })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("has gone by"),
    });
  });

  it("U11 a time in 40 days is kept although a timer holds 24, and one that comes early is set again", async () => {
    const longest = 2 ** 31 - 1;
    open = await openScheduler({
      clock: (clock) => ({
        nowMs: clock.nowMs,
        after: (delayMs, fn) => clock.after(Math.max(0, Math.min(delayMs, longest) - 3), fn),
      }),
    });
    await open.scheduler.create({ name: "far", at_ms: begin + 40 * day });
    await open.pass(40 * day - 1, day);
    expect(await open.recorded()).toEqual([]);
    await open.pass(1);
    expect(dueTimes(await open.recorded())).toEqual([begin + 40 * day]);
  });

  it("U11 is paused, resumed, changed, run by hand and removed", async () => {
    open = await openScheduler();
    const { scheduler } = open;
    const { id } = await scheduler.create({ name: "n", every_ms: 10_000, paused: true });
    await open.pass(30_000);
    expect(await open.recorded()).toEqual([]);
    expect(await scheduler.update("n", { paused: false })).toMatchObject({ next_ms: begin + 40_000 });
    await open.pass(10_000);
    expect(await scheduler.update(id, { paused: true })).toMatchObject({ state: "paused", next_ms: null });
    expect(await scheduler.update("n", { every_ms: 3_000 })).toMatchObject({
      state: "paused",
      every_ms: 3_000,
    });
    const run = await scheduler.run("n");
    expect((await open.recorded()).map((event) => [event.id, about(event).cause])).toContainEqual([
      run.event_id,
      "manual",
    ]);
    expect(run.key).toMatch(new RegExp(`^objective:${id}:run_`));
    await open.pass(20_000);
    expect(await open.recorded()).toHaveLength(2);
    const changed = await scheduler.update("n", {
      paused: false,
      title: "Now",
      body: null,
      payload: { a: 1 },
    });
    expect(changed).toMatchObject({ title: "Now", payload: { a: 1 }, next_ms: begin + 61_000 });
    await scheduler.remove("n");
    await open.pass(hour);
    expect(await open.recorded()).toHaveLength(2);
    expect(() => scheduler.get("n")).toThrow(expect.objectContaining({ code: "not_found" }));
    await expect(scheduler.run("n")).rejects.toMatchObject({ code: "not_found" });
  });

  it("R48 its next time can be set by hand, and the rhythm goes on from there", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", cron: "0 * * * *", time_zone: "UTC" });
    await open.scheduler.update("n", { next_ms: begin - 5_000 });
    await open.pass(0);
    open.opened.clock.advance(0);
    await open.idle();
    expect(dueTimes(await open.recorded())).toEqual([begin - 5_000]);
    expect(open.scheduler.get("n").next_ms).toBe(Date.parse("2023-11-14T23:00:00Z"));
  });

  it("U11 says what is due next, of all and of one that is not made yet", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "b", every_ms: 2_000 });
    await open.scheduler.create({ name: "a", every_ms: 3_000 });
    await open.scheduler.create({ name: "e", pattern: "x.>" });
    expect(
      open.scheduler.upcoming(4).map(({ name, due_ms }) => `${name}${(due_ms - begin) / 1_000}`),
    ).toEqual(["b2", "a3", "b4", "a6"]);
    expect(open.scheduler.upcoming(2, "a")).toHaveLength(2);
    const preview = open.scheduler.preview({ cron: "0 9 * * *", time_zone: "UTC", count: 2 });
    expect(preview.upcoming.map((ms) => new Date(ms).toISOString())).toEqual([
      "2023-11-15T09:00:00.000Z",
      "2023-11-16T09:00:00.000Z",
    ]);
    expect(() => open.scheduler.preview({ cron: "nonsense", count: 2 })).toThrow(/can't be read|fields/);
  });
});

describe("restarts, sleeps and clocks", () => {
  const setUp = async (missed: "skip" | "once" | "all") => {
    open = await openScheduler({ limits: { catchUp: 3 } });
    await open.scheduler.create({ name: "n", every_ms: 10 * minute, missed });
    await open.pass(10 * minute);
    await open.restart(55 * minute);
    return (await open.recorded()).slice(1);
  };

  it("U11 what was missed while nobody ran is skipped where that is wished, and told", async () => {
    expect(await setUp("skip")).toEqual([]);
    const { firings } = await open.scheduler.history("n", { outcome: "skipped", limit: 5 });
    expect(firings).toMatchObject([
      { count: 5, first_ms: begin + 20 * minute, due_ms: begin + 60 * minute, event_id: null },
    ]);
    expect(open.scheduler.get("n")).toMatchObject({
      counts: { fired: 1, skipped: 5 },
      next_ms: begin + 70 * minute,
    });
    const told = await open.opened.store.findEvents({ type: "signalbox.schedule.missed", limit: 5 });
    expect(told).toMatchObject([{ payload: { name: "n", count: 5 } }]);
  });

  it("U11 what was missed is made up for once", async () => {
    const made = await setUp("once");
    expect(made.map((event) => about(event))).toMatchObject([
      { due_ms: begin + 60 * minute, cause: "missed", missed: 4, late_ms: 5 * minute },
    ]);
  });

  it("U11 what was missed is made up for one by one, up to a limit, and the others are told", async () => {
    expect(dueTimes(await setUp("all"))).toEqual([40, 50, 60].map((n) => begin + n * minute));
    expect(open.scheduler.get("n").counts).toEqual({ fired: 4, skipped: 2, failed: 0 });
  });

  it("U11 R49 a person makes up later for what was skipped, once or for each, and never twice", async () => {
    await setUp("skip");
    expect(await open.scheduler.settleMissed("n", "all")).toEqual({ fired: 3, settled: 2 });
    expect(dueTimes((await open.recorded()).slice(1))).toEqual([40, 50, 60].map((n) => begin + n * minute));
    expect(await open.scheduler.settleMissed("n", "once")).toEqual({ fired: 0, settled: 0 });
    await open.restart(30 * minute);
    expect(await open.scheduler.settleMissed("n", "once")).toEqual({ fired: 1, settled: 2 });
    await open.restart(34 * minute);
    expect(await open.scheduler.settleMissed("n", "skip")).toEqual({ fired: 0, settled: 3 });
    expect(await open.recorded()).toHaveLength(5);
    const left = await open.opened.store.listFirings({ outcome: "skipped", limit: 9 });
    expect(left).toEqual([]);
  });

  it("U11 after a sleep that no timer noticed, looking at the clock again is enough", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", cron: "0 9 * * *", time_zone: "UTC" });
    open.opened.clock.set(Date.parse("2023-11-15T12:00:00Z"));
    expect(open.scheduler.overdue(2 * minute)).toMatchObject({ name: "n", lateMs: 3 * hour });
    await open.scheduler.wake();
    await open.pass(1);
    expect((await open.recorded()).map((event) => about(event).cause)).toEqual(["missed"]);
    expect(open.scheduler.overdue(0)).toBeNull();
  });

  it("R49 a clock that was set back repeats nothing, and one that was a year ahead silences nothing", async () => {
    open = await openScheduler();
    const { clock } = open.opened;
    await open.scheduler.create({ name: "n", every_ms: hour });
    await open.pass(hour);
    clock.set(begin);
    await open.scheduler.wake();
    await open.pass(hour);
    expect(dueTimes(await open.recorded())).toEqual([begin + hour]);
    clock.set(begin + 365 * day);
    await open.scheduler.wake();
    await open.pass(1);
    expect(dueTimes(await open.recorded())).toEqual([begin + hour, begin + 365 * day]);
    clock.set(begin + 2 * hour - 1_000);
    await open.scheduler.wake();
    await open.pass(hour + 1_000, 500);
    expect(dueTimes(await open.recorded()).slice(2)).toEqual([begin + 2 * hour, begin + 3 * hour]);
  });

  it("U11 R49 whatever is restarted, slept or set, each due time is recorded exactly once", async () => {
    open = await openScheduler();
    await open.close();
    const step = fc.oneof(
      fc.record({ kind: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 400 }) }),
      fc.record({ kind: fc.constant("restart" as const), seconds: fc.integer({ min: 0, max: 900 }) }),
      fc.record({ kind: fc.constant("sleep" as const), seconds: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ kind: fc.constant("back" as const), seconds: fc.integer({ min: 1, max: 300 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        open = await openScheduler({ limits: { catchUp: 1_000 } });
        const { clock } = open.opened;
        await open.scheduler.create({ name: "e", every_ms: 60_000, missed: "all" });
        await open.scheduler.create({ name: "c", cron: "*/2 * * * *", time_zone: "UTC", missed: "all" });
        let latest = clock.nowMs();
        for (const { kind, seconds } of steps) {
          if (kind === "pass") await open.pass(seconds * 1_000, 20_000);
          else if (kind === "restart") await open.restart(seconds * 1_000);
          else {
            clock.set(clock.nowMs() + (kind === "sleep" ? seconds : -seconds) * 1_000);
            await open.scheduler.wake();
            await open.pass(1);
          }
          latest = Math.max(latest, clock.nowMs());
        }
        // Up to the latest time that any clock has shown.
        clock.set(latest);
        await open.scheduler.wake();
        await open.pass(1);
        const expected = (first: number, every: number) =>
          Array.from(
            { length: Math.max(0, Math.floor((latest - first) / every) + 1) },
            (_, n) => first + n * every,
          );
        const events = await open.recorded();
        // A clock that was set back shows times before the schedule was made; those may come or not.
        const of = (name: string) =>
          dueTimes(events.filter((event) => event.subject === `schedules.${name}`))
            .filter((due_ms) => due_ms > begin)
            .sort((a, b) => a - b);
        expect(new Set(events.map((event) => event.external_id)).size).toBe(events.length);
        expect(of("e")).toEqual(expected(begin + minute, minute));
        expect(of("c")).toEqual(expected(Math.ceil(begin / (2 * minute)) * 2 * minute, 2 * minute));
        await open.close();
      }),
      { numRuns: 15 },
    );
    open = await openScheduler();
  });
});

describe("a schedule that answers events", () => {
  const answered = (count: number) => eventually(open.recorded, (events) => events.length >= count);

  it("R50 R48 records its event for each one of its pattern and scope, with what that one said", async () => {
    open = await openScheduler();
    await open.scheduler.create({
      name: "n",
      pattern: "markdown.updated",
      scope: "notes",
      payload: { a: 1 },
    });
    await append(open.opened, { type: "markdown.updated", scope: "other", payload: { path: "x.md" } });
    await append(open.opened, { type: "markdown.removed", scope: "notes" });
    const { event } = await append(open.opened, {
      type: "markdown.updated",
      source: "workspaces",
      scope: "notes",
      payload: { path: "todo.md" },
    });
    const [made] = await answered(1);
    expect(made).toMatchObject({
      subject: "schedules.n",
      scope: "notes",
      parent_id: event.id,
      correlation_id: event.id,
      depth: 1,
      payload: {
        a: 1,
        event: { id: event.id, type: "markdown.updated", source: "workspaces", payload: { path: "todo.md" } },
      },
    });
    expect(about(made!)).toMatchObject({ cause: "event", key: expect.stringContaining(event.id) });
    await open.scheduler.update("n", { paused: true });
    await append(open.opened, { type: "markdown.updated", scope: "notes" });
    await open.scheduler.update("n", { paused: false });
    await append(open.opened, { type: "markdown.updated", scope: "notes" });
    expect(await answered(2)).toHaveLength(2);
  });

  it("R49 U11 an event that came while nobody ran is answered after the restart, and no event twice", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", pattern: "a.*" });
    await append(open.opened, { type: "a.b" });
    await answered(1);
    await open.restart();
    await append(open.opened, { type: "a.c" });
    const before = await answered(2);
    await open.restart();
    await append(open.opened, { type: "a.d" });
    expect(await answered(3)).toHaveLength(before.length + 1);
  });

  it("U11 does not answer itself, and two that answer each other come to an end", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "one", pattern: ">" });
    await append(open.opened, { type: "a.b" });
    expect(await answered(1)).toHaveLength(1);
    await open.scheduler.create({ name: "two", pattern: ">" });
    await append(open.opened, { type: "a.c" });
    await eventually(open.recorded, (events) => events.some((event) => event.parked));
    expect((await open.recorded()).length).toBeLessThan(100);
  });

  it("U11 hands on the id alone of an event that is large", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", pattern: "a.b" });
    const { event } = await append(open.opened, { type: "a.b", payload: { text: "x".repeat(500_000) } });
    const [made] = await answered(1);
    expect(made?.payload).toEqual({ event: { id: event.id, type: "a.b", subject: "a.b", source: "api" } });
  });
});

describe("failures", () => {
  /** As a workflow does whose run on this event failed. */
  const failRunOf = async (event: Event) => {
    await append(open.opened, {
      type: "signalbox.run.failed",
      source: "workflow:w",
      parent_id: event.id,
      body: "w failed: boom",
    });
  };
  const failuresOf = (name: string, count: number) =>
    eventually(
      () => open.scheduler.get(name),
      (one) => one.failures === count,
    );

  it("B16 each failure in a row holds it back longer, the fifth pauses it, and that is told", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", every_ms: 10_000 });
    const held: (number | null)[] = [];
    for (let failures = 1; failures <= 4; failures++) {
      const { next_ms, hold_ms } = open.scheduler.get("n");
      await open.pass(Math.max(next_ms ?? 0, hold_ms ?? 0) - open.opened.clock.nowMs());
      const event = (await open.recorded()).at(-1)!;
      await failRunOf(event);
      // A second handler of the same event.
      await failRunOf(event);
      const one = await failuresOf("n", failures);
      held.push(((one.hold_ms ?? 0) - open.opened.clock.nowMs()) / minute);
    }
    expect(held).toEqual([1, 2, 4, 8]);
    await open.pass(8 * minute);
    await failRunOf((await open.recorded()).at(-1)!);
    expect(await failuresOf("n", 5)).toMatchObject({
      state: "paused",
      paused_reason: "5 failures in a row; the last: w failed: boom",
      next_ms: null,
      counts: { fired: 5, failed: 5 },
      last_error: "w failed: boom",
    });
    const told = await open.opened.store.findEvents({ type: "signalbox.schedule.paused", limit: 5 });
    expect(told).toMatchObject([{ payload: { name: "n", failures: 5, error: "w failed: boom" } }]);
    await open.restart(hour);
    expect(open.scheduler.get("n").state).toBe("paused");
    expect(await open.scheduler.update("n", { paused: false })).toMatchObject({
      state: "active",
      failures: 0,
      paused_reason: null,
      hold_ms: null,
    });
  });

  it("B16 one that goes well in between begins the count anew", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", every_ms: hour });
    await open.pass(hour);
    await failRunOf((await open.recorded()).at(-1)!);
    await failuresOf("n", 1);
    await open.pass(hour);
    expect(open.scheduler.get("n").failures).toBe(1);
    await open.pass(hour);
    expect(open.scheduler.get("n")).toMatchObject({ failures: 0, hold_ms: null });
  });

  it("B16 a failure that was told while nobody ran is counted after the restart", async () => {
    open = await openScheduler();
    await open.scheduler.create({ name: "n", every_ms: hour });
    await open.pass(hour);
    const [event] = await open.recorded();
    await open.scheduler.close();
    await failRunOf(event!);
    await open.restart();
    expect(await failuresOf("n", 1)).toMatchObject({ counts: { failed: 1 } });
  });

  it("B16 a due time whose event can't be recorded is held back and lost by nobody", async () => {
    let isFull = false;
    open = await openScheduler({
      store: (store) => ({
        ...store,
        changeSchedule: (id, change) =>
          isFull
            ? Promise.reject(new SignalboxError("storage_full", "the disk is full"))
            : store.changeSchedule(id, change),
      }),
    });
    await open.scheduler.create({ name: "n", every_ms: hour });
    isFull = true;
    await open.pass(hour);
    const { hold_ms, last_error } = open.scheduler.get("n");
    expect([hold_ms, last_error]).toEqual([begin + hour + minute, "the disk is full"]);
    await open.pass(minute);
    expect(open.scheduler.get("n").hold_ms).toBe(begin + hour + 3 * minute);
    isFull = false;
    await open.pass(2 * minute);
    expect(dueTimes(await open.recorded())).toEqual([begin + hour]);
    expect(open.scheduler.get("n")).toMatchObject({ failures: 0, hold_ms: null, state: "active" });
  });
});
