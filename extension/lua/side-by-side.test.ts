import { describe, expect, it } from "vitest";
import { sampleEffect, sampleEvent, sampleRun, sampleWorkflow } from "../../test/harness/samples.ts";
import { english } from "../models/row.ts";
import { actsRecorded, actsTested, sideText } from "./side-by-side.ts";

const on = (id: number, pattern: string) => ({
  id,
  kind: "event" as const,
  pattern,
  every_ms: null,
  line: id * 10,
});
const workflow = sampleWorkflow({
  name: "labeller",
  version: "v2",
  handlers: [on(1, "github.>"), on(2, ">")],
});
const event = sampleEvent({ id: "evt_1" });
const log = { time_ms: 0, level: "info" as const, message: "seen\n# not a heading", line: 4 };
const run = (fields: Parameters<typeof sampleRun>[0]) =>
  sampleRun({ workflow: "labeller", version: "v2", event_id: "evt_1", status: "succeeded", ...fields });

const detail = {
  ...{ event, raw: null, deliveries: [], receipts: [], causes: [] },
  caused: [
    sampleEvent({
      id: "evt_2",
      type: "label.added",
      subject: "label.added",
      payload: { name: "bug" },
      source: "workflow:labeller",
      origin_kind: "workflow",
    }),
    sampleEvent({ id: "evt_3", type: "other.made", source: "workflow:other", origin_kind: "workflow" }),
  ],
  runs: [
    run({ run_id: "run_1", handler: 1, started_ms: 5, logs: [log] }),
    run({ run_id: "run_0", handler: 1, started_ms: 4, status: "failed" }),
    run({ run_id: "run_2", handler: 2, started_ms: 6 }),
    run({ run_id: "run_3", handler: 1, started_ms: 9, version: "v1" }),
    sampleRun({ run_id: "run_4", workflow: "other" }),
  ],
  effects: [
    sampleEffect({
      id: "eff_1",
      kind: "command",
      target: "github",
      action: "add_label",
      payload: { label: "bug" },
      cause: { ...sampleEffect().cause, workflow: "labeller", run_id: "run_1" },
    }),
    sampleEffect({ id: "eff_2", cause: { ...sampleEffect().cause, workflow: "labeller", run_id: "run_3" } }),
  ],
};

const tested = (payload = { label: "bug" }) => ({
  event,
  runs: [
    {
      handler: on(1, "github.>"),
      status: "succeeded" as const,
      ...{ waiting_for: null, output: null, error: null, logs: [{ ...log, line: 7 }] },
      effects: [
        {
          kind: "publish",
          summary: "Publish label.added on label.added",
          target: "label.added",
          payload: { name: "bug" },
          line: "labeller.lua:8",
        },
        { kind: "state", summary: "Remember count", target: "count", payload: 3, line: "labeller.lua:9" },
        { kind: "command", summary: "Send add_label to github", target: "github", payload, line: null },
      ],
    },
    {
      handler: on(2, ">"),
      status: "succeeded" as const,
      ...{ waiting_for: null, output: null, error: null, logs: [], effects: [] },
    },
  ],
});

/** Lines that only one of the two has. */
function difference(left: string, right: string): string[] {
  const [one, other] = [left.split("\n"), right.split("\n")];
  return [
    ...one.filter((line) => !other.includes(line)).map((line) => `- ${line}`),
    ...other.filter((line) => !one.includes(line)).map((line) => `+ ${line}`),
  ];
}

describe("a dry run beside what the deployed version did", () => {
  const left = sideText("did", actsRecorded(workflow, detail) ?? [], english);

  it("differs in nothing but the title and what is not recorded where the text does the same", () => {
    expect(difference(left, sideText("would", actsTested(tested()), english))).toEqual([
      "- # did",
      "- What it kept in `state` is not recorded.",
      "+ # would",
      "+ ### Remember count",
      "+ 3",
    ]);
  });

  it("shows an effect that changed in its payload", () => {
    const right = sideText("would", actsTested(tested({ label: "feature" })), english);
    const changed = difference(left, right);
    expect(changed).toContain('-   "label": "bug"');
    expect(changed).toContain('+   "label": "feature"');
  });

  it("is of the newest run of each handler of the text that is deployed", () => {
    expect(actsRecorded(workflow, detail)?.map(({ pattern, status }) => [pattern, status])).toEqual([
      ["github.>", "succeeded"],
      [">", "succeeded"],
    ]);
  });

  it("has no record where that text did not have the event, or is still at it", () => {
    expect(actsRecorded({ ...workflow, version: "v3" }, detail)).toBeNull();
    const running = { ...detail, runs: [run({ handler: 1, status: "running" })] };
    expect(actsRecorded(workflow, running)).toBeNull();
  });

  it("says so where no handler takes the event", () => {
    expect(sideText("would", [], english)).toContain("No handler of this workflow takes this event.");
  });

  it("lets nothing that is quoted make a heading or end a block", () => {
    expect(left).not.toMatch(/^# not a heading/m);
    const payload = { label: "```\n# closed?\n```" };
    expect(sideText("would", actsTested(tested(payload)), english)).toContain("````json\n");
  });
});
