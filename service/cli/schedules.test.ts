import { afterEach, describe, expect, it } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import { type Stub, type StubReplies, startStub } from "../../test/harness/stub-service.ts";
import type { AwayItem, AwayReply } from "../contract/health.ts";
import type { Firing, Schedule } from "../contract/schedules.ts";

let service: Stub;
afterEach(() => service.close());

async function run(replies: StubReplies, args: string[], options: Partial<CliOptions> = {}) {
  service = await startStub(replies);
  const result = await runCli(args, { home: service.home, ...options });
  const calls = service.calls.filter((call) => call.route !== "getInfo");
  return { ...result, calls: calls.map((call) => [call.route, call.input] as const) };
}

const nine = new Date(2099, 0, 5, 9).getTime();

function sample(fields: Partial<Schedule> = {}): Schedule {
  return {
    id: "sch_01",
    name: "standup",
    title: null,
    kind: "cron",
    at_ms: null,
    every_ms: null,
    cron: "0 9 * * 1-5",
    time_zone: "Europe/Berlin",
    pattern: null,
    type: "schedule.due",
    subject: "schedules.standup",
    topic: "inbox",
    body: null,
    payload: {},
    scope: null,
    missed: "once",
    state: "active",
    paused_reason: null,
    next_ms: nine,
    hold_ms: null,
    failures: 0,
    counts: { fired: 3, skipped: 1, failed: 0 },
    last_due_ms: null,
    last_fired_ms: null,
    last_error: null,
    created_ms: 0,
    updated_ms: 0,
    upcoming: [nine],
    ...fields,
  };
}

const firing = (fields: Partial<Firing> = {}): Firing => ({
  seq: 7,
  key: "objective:sch_01:1",
  schedule_id: "sch_01",
  due_ms: new Date(2026, 0, 5, 9).getTime(),
  first_ms: new Date(2026, 0, 5, 9).getTime(),
  count: 1,
  outcome: "fired",
  cause: "due",
  event_id: "evt_01",
  recorded_ms: new Date(2026, 0, 5, 9).getTime() + 2_000,
  reason: null,
  ...fields,
});

describe("schedules", () => {
  it("U11 list shows when each is due and how it is, also where there is none", async () => {
    const schedules = [
      sample(),
      sample({ name: "notes", kind: "event", pattern: "markdown.updated", scope: "ws", next_ms: null }),
      sample({
        name: "tick",
        kind: "every",
        every_ms: 600_000,
        failures: 2,
        counts: { fired: 9, skipped: 0, failed: 2 },
      }),
      sample({
        name: "off",
        kind: "at",
        at_ms: nine,
        state: "paused",
        paused_reason: "5 failures",
        next_ms: null,
      }),
    ];
    const { stdout, calls } = await run({ listSchedules: { schedules } }, ["schedules", "--scope", "ws"]);
    expect(calls).toEqual([["listSchedules", { scope: "ws", limit: 1_000 }]]);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^SCHEDULE\s+STATE\s+WHEN\s+NEXT\s+FIRED\s+SKIPPED\s+FAILED\s+LAST\s+TITLE$/);
    expect(lines[1]).toMatch(/^standup\s+active\s+0 9 \* \* 1-5 \(Europe\/Berlin\)\s+in /);
    expect(lines[2]).toMatch(/^notes\s+active\s+on markdown.updated in ws\s+with the next event/);
    expect(lines[3]).toMatch(/^tick\s+held back \(2\)\s+every 10 min/);
    expect(lines[4]).toMatch(/^off\s+paused\s+at 2099-01-05 09:00:00\s+–/);
    await service.close();
    const none = await run({ listSchedules: { schedules: [] } }, ["schedules", "list"]);
    expect([none.stdout, none.stderr]).toEqual([
      "",
      expect.stringContaining("signalbox schedules add standup"),
    ]);
    await service.close();
    const json = await run({ listSchedules: { schedules } }, ["schedules", "--json"]);
    expect(JSON.parse(json.stdout).schedules).toHaveLength(4);
  });

  it("U11 add takes a time, a step, a cron expression with its zone, or an event, and all that is recorded", async () => {
    const made = { createSchedule: sample() };
    const args =
      'add standup --tz Europe/Berlin --type a.b --subject c.d --topic inbox -p {"x":1} --scope s'.split(" ");
    const { calls, stdout } = await run(
      made,
      [
        "schedules",
        ...args,
        ...["--cron", "0 9 * * 1-5", "--body", "-", "--title", "Stand up", "--missed", "all", "--paused"],
      ],
      { stdin: "What did you do?\n" },
    );
    expect(calls).toEqual([
      [
        "createSchedule",
        {
          name: "standup",
          cron: "0 9 * * 1-5",
          time_zone: "Europe/Berlin",
          type: "a.b",
          subject: "c.d",
          topic: "inbox",
          body: "What did you do?",
          payload: { x: 1 },
          scope: "s",
          title: "Stand up",
          missed: "all",
          paused: true,
        },
      ],
    ]);
    expect(stdout).toContain("0 9 * * 1-5 (Europe/Berlin)");
    expect(stdout).toContain("Mon 2099-01-05 09:00:00");
    for (const [given, field] of [
      [["--every", "10m"], { every_ms: 600_000 }],
      [["--at", "2026-12-01T09:00"], { at: "2026-12-01T09:00" }],
      [["--on", "markdown.updated"], { pattern: "markdown.updated" }],
    ] as const) {
      await service.close();
      const one = await run(made, ["schedules", "add", "n", ...given]);
      expect(one.calls).toEqual([["createSchedule", { name: "n", ...field }]]);
    }
    await service.close();
    const nothing = await run(made, ["schedules", "add", "n", "--tz", "UTC"]);
    expect([nothing.code, nothing.stderr]).toEqual([
      2,
      expect.stringContaining("--cron, --every, --at or --on"),
    ]);
  });

  it("U11 add --dry-run shows when it would be due and makes nothing", async () => {
    const { calls, stdout } = await run({ previewSchedule: { upcoming: [nine], time_zone: "UTC" } }, [
      "schedules",
      "add",
      "n",
      "--cron",
      "0 9 * * *",
      "--dry-run",
    ]);
    expect(calls).toEqual([["previewSchedule", { cron: "0 9 * * *", count: 5 }]]);
    expect(stdout).toContain("n would be due, in UTC:");
    expect(stdout).toContain("Mon 2099-01-05 09:00:00");
  });

  it("U11 set changes only what is given, and takes away what is refused", async () => {
    const replies = { updateSchedule: sample() };
    const { calls } = await run(replies, [
      "schedules",
      "set",
      "standup",
      "--every",
      "1h",
      "--no-topic",
      "--no-body",
    ]);
    expect(calls).toEqual([
      ["updateSchedule", { schedule: "standup", every_ms: 3_600_000, topic: null, body: null }],
    ]);
    await service.close();
    const before = Date.now();
    const next = await run(replies, ["schedules", "set", "standup", "--next", "2h"]);
    const { next_ms } = next.calls[0]![1] as { next_ms: number };
    expect(Math.abs(next_ms - before - 7_200_000)).toBeLessThan(60_000);
    await service.close();
    const nothing = await run(replies, ["schedules", "set", "standup"]);
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining("Nothing to change")]);
  });

  it("U11 show, pause, resume, run, remove", async () => {
    const shown = await run(
      {
        getSchedule: sample({
          last_error: "boom",
          hold_ms: nine,
          failures: 1,
          body: "Text",
          payload: { a: 1 },
        }),
      },
      ["schedules", "show", "standup"],
    );
    for (const part of ["held back (1)", "boom", "3 fired, 1 skipped, 0 failed", "Text", '{"a":1}'])
      expect(shown.stdout).toContain(part);
    for (const [verb, paused] of [
      ["pause", true],
      ["resume", false],
    ] as const) {
      await service.close();
      const one = await run({ updateSchedule: sample() }, ["schedules", verb, "standup"]);
      expect(one.calls).toEqual([["updateSchedule", { schedule: "standup", paused }]]);
    }
    await service.close();
    const ran = await run({ runSchedule: { event_id: "evt_9", key: "k" } }, ["schedules", "run", "standup"]);
    expect([ran.calls, ran.stdout]).toEqual([[["runSchedule", { schedule: "standup" }]], "evt_9\n"]);
    await service.close();
    const removed = await run({ removeSchedule: { ok: true } }, ["schedules", "remove", "standup"]);
    expect(removed.stdout).toBe("standup is removed\n");
  });

  it("U11 history, next and missed", async () => {
    const firings = [
      firing(),
      firing({
        outcome: "skipped",
        count: 4,
        first_ms: new Date(2026, 0, 1, 9).getTime(),
        event_id: null,
        reason: "noticed 5 h late",
      }),
    ];
    const history = await run({ scheduleHistory: { firings, next: 7 } }, [
      ..."schedules history standup --outcome skipped -n 2 --before 9".split(" "),
    ]);
    expect(history.calls).toEqual([
      ["scheduleHistory", { schedule: "standup", outcome: "skipped", limit: 2, before: 9 }],
    ]);
    expect(history.stdout).toMatch(/2026-01-05 09:00:00\s+fired\s+due\s+2 s\s+evt_01/);
    expect(history.stdout).toMatch(
      /2026-01-01 09:00:00 … 2026-01-05 09:00:00\s+4 skipped .*noticed 5 h late/,
    );
    expect(history.stderr).toContain("--before 7");
    await service.close();
    const due = [{ schedule_id: "sch_01", name: "standup", due_ms: nine }];
    const next = await run({ upcomingSchedules: { due } }, ["schedules", "next", "standup", "-n", "3"]);
    expect(next.calls).toEqual([["upcomingSchedules", { schedule: "standup", limit: 3 }]]);
    expect(next.stdout).toMatch(/Mon 2099-01-05 09:00:00\s+in .*standup/);
    await service.close();
    const none = await run({ upcomingSchedules: { due: [] } }, ["schedules", "next"]);
    expect(none.stderr).toContain("Nothing is due.");
    await service.close();
    const settled = await run({ settleMissed: { fired: 1, settled: 3 } }, [
      "schedules",
      "missed",
      "standup",
      "once",
    ]);
    expect([settled.calls, settled.stdout]).toEqual([
      [["settleMissed", { schedule: "standup", action: "once" }]],
      "1 due time made up for, 3 left\n",
    ]);
    await service.close();
    const wrong = await run({}, ["schedules", "missed", "standup", "twice"]);
    expect(wrong.code).toBe(2);
  });
});

describe("away", () => {
  const item: AwayItem = {
    kind: "schedule_missed",
    title: "nightly missed 3 due times",
    detail: "noticed 5 h late",
    time_ms: Date.now() - 3_600_000,
    count: 3,
    ref: "nightly",
    actions: [
      { label: "once", command: "signalbox schedules missed nightly once" },
      { label: "skip", command: "signalbox schedules missed nightly skip" },
    ],
  };
  const reply = (items: AwayItem[], since_ms: number | null = null): AwayReply => ({
    by: "me",
    since_ms,
    until_ms: 77,
    items,
  });

  it("U11 prints what happened with what settles it", async () => {
    const { stdout, stderr, calls } = await run({ getAway: reply([item]) }, ["away"]);
    expect(calls).toEqual([["getAway", { by: "me" }]]);
    expect(stdout).toMatchInlineSnapshot(`
      "1 thing so far

      nightly missed 3 due times  1 h ago
        noticed 5 h late
        once  signalbox schedules missed nightly once
        skip  signalbox schedules missed nightly skip
      "
    `);
    expect(stderr).toContain("signalbox away --seen");
    await service.close();
    const json = await run({ getAway: reply([item]) }, ["away", "--json"]);
    expect(JSON.parse(json.stdout)).toEqual(reply([item]));
  });

  it("U11 looks since a time, for somebody, and moves their mark to what was shown", async () => {
    const replies = { getAway: reply([item]), markSeen: { by: "@ada", seen_ms: 77 } };
    const { calls } = await run(replies, ["away", "--since", "8h", "--seen"], {
      env: { SIGNALBOX_AGENT: "@ada" },
    });
    expect(calls[0]).toEqual(["getAway", { by: "@ada", since_ms: expect.any(Number) }]);
    const { since_ms } = calls[0]![1] as { since_ms: number };
    expect(Math.abs(Date.now() - 8 * 3_600_000 - since_ms)).toBeLessThan(60_000);
    expect(calls[1]).toEqual(["markSeen", { by: "@ada", until_ms: 77 }]);
  });

  it("U11 says so when nothing waits", async () => {
    const { stdout, stderr } = await run({ getAway: reply([], nine) }, ["away"]);
    expect([stdout, stderr]).toEqual([
      "",
      "Nothing has happened since 2099-01-05 09:00:00 that waits for you.\n",
    ]);
  });
});
