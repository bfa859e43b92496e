import { describe, expect, it } from "vitest";
import { sampleDelivery, sampleEvent, sampleRun } from "../../test/harness/samples.ts";
import { eventActions } from "./event-actions.ts";
import { english } from "./row.ts";

type Detail = Parameters<typeof eventActions>[0];
const queued = sampleEvent({ topic: "inbox" });
const none: Detail = { event: sampleEvent({ topic: null }), deliveries: [], runs: [] };
const titles = (detail: Partial<Detail>, hasWorkflows = true) =>
  eventActions({ ...none, ...detail }, hasWorkflows, 1_000, english).map(({ title }) => title);

describe("what an event's document offers", () => {
  it("is always its id, and a workflow that begins with it", () => {
    expect(titles({}, false)).toEqual(["New Workflow from This Event…", "Copy Id"]);
  });

  it("is a dry run as soon as there is a workflow", () => {
    expect(titles({})).toContain("Replay in a Workflow (Dry Run)…");
  });

  it.each([
    ["waits", { status: "pending", not_before_ms: null }, ["Claim", "Reply…"]],
    ["waited for its time", { status: "pending", not_before_ms: 1_000 }, ["Claim", "Reply…"]],
    ["waits for its time", { status: "pending", not_before_ms: 1_001 }, ["Reply…"]],
    ["is being worked on", { status: "processing" }, ["Reply…"]],
    ["has failed", { status: "failed" }, ["Reply…"]],
    ["is done", { status: "completed" }, []],
  ] as const)("is a claim or an answer where it %s", (_, delivery, expected) => {
    const found = titles({ event: queued, deliveries: [sampleDelivery({ group: "default", ...delivery })] });
    expect(found.filter((title) => title === "Claim" || title === "Reply…")).toEqual(expected);
  });

  it("is the line of a workflow, once one has handled it", () => {
    const line = "Open Workflow Line";
    expect(titles({ runs: [sampleRun({ workflow: "w", line: "w.lua:3" })] })).toContain(line);
    expect(titles({ runs: [sampleRun({ workflow: "w", line: null })] })).not.toContain(line);
  });
});
