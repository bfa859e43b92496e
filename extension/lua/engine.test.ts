import { describe, expect, it } from "vitest";
import { sampleRun, sampleWorkflow } from "../../test/harness/samples.ts";
import { english } from "../models/row.ts";
import { engineProblems, handlerAt, statsOf, statsText } from "./engine.ts";

const HOUR = 3_600_000;
const now = 100 * HOUR;
const handler = (id: number, line: number) => ({
  id,
  kind: "event" as const,
  pattern: "a",
  every_ms: null,
  line,
});
const place = (id: number) => ({ id, kind: "event" as const, pattern: "a", every: null, from: 0, to: 1 });
const run = (more: Partial<ReturnType<typeof sampleRun>>) =>
  sampleRun({ handler: 1, started_ms: now - HOUR, ...more });

describe("a handler's numbers", () => {
  it("count its runs of a day, its errors, and when it ran last", () => {
    const runs = [
      run({ status: "succeeded", started_ms: now - 5 * 60_000 }),
      run({ status: "failed" }),
      run({ handler: 2 }),
      run({ started_ms: now - 30 * HOUR }),
    ];
    const stats = statsOf(runs, handler(1, 1), now, 200);
    expect(stats).toEqual({ events: 2, errors: 1, isCut: false, last_ms: now - 5 * 60_000 });
    expect(statsText(stats, now, english)).toBe("2 events in 24 h · 1 error · last run 5 min ago");
  });

  it("say when there were more than were looked at", () => {
    const stats = statsOf([run({}), run({})], handler(1, 1), now, 2);
    expect(statsText(stats, now, english)).toBe("2+ events in 24 h · last run 1 h ago");
  });

  it.each([
    [{ events: 0, errors: 0, isCut: false, last_ms: null }, "0 events in 24 h · never run"],
    [
      { events: 1, errors: 2, isCut: false, last_ms: now - 1_000 },
      "1 event in 24 h · 2 errors · last run just now",
    ],
    [
      { events: 0, errors: 0, isCut: false, last_ms: now - 72 * HOUR },
      "0 events in 24 h · last run 3 days ago",
    ],
  ])("read as words: %j", (stats, text) => expect(statsText(stats, now, english)).toBe(text));

  it("belong to the handler on the line, or else to that of the same place in the order", () => {
    const workflow = sampleWorkflow({ handlers: [handler(1, 3), handler(2, 9)] });
    expect(handlerAt(workflow, place(1), 9)?.id).toBe(2);
    expect(handlerAt(workflow, place(1), 4)?.id).toBe(1);
    expect(handlerAt(workflow, place(7), 4)).toBeNull();
  });
});

describe("errors of the engine", () => {
  const problem = { message: "unexpected symbol", file: "a.lua", line: 4, traceback: null };
  const failed = (line: number, event_id: string, version = "new") =>
    run({
      status: "failed",
      version,
      event_id,
      error: { message: "boom", file: "a.lua", line, traceback: null },
    });

  it("stand on the line of the text that does not load", () => {
    const workflow = sampleWorkflow({ problem, version: "old" });
    expect(engineProblems(workflow, [], "new")).toEqual([
      { line: 4, message: "unexpected symbol", severity: "error", event_id: null },
    ]);
  });

  it("stand on the line of a run with the event that caused it, the newest of each line", () => {
    const workflow = sampleWorkflow({ problem: null, version: "new" });
    const runs = [failed(7, "evt_2"), failed(7, "evt_1"), failed(9, "evt_0")];
    expect(engineProblems(workflow, runs, "new").map(({ line, event_id }) => [line, event_id])).toEqual([
      [7, "evt_2"],
      [9, "evt_0"],
    ]);
  });

  it("of other texts of the file are left out: their lines are not these", () => {
    const workflow = sampleWorkflow({ problem: null, version: "new" });
    expect(engineProblems(workflow, [failed(7, "evt_1", "old")], "new")).toEqual([]);
  });
});
