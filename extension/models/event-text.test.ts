import { describe, expect, it } from "vitest";
import type { Event } from "../../service/contract/events.ts";
import { dryRunText, eventText } from "./event-text.ts";
import { english } from "./row.ts";

const event: Event = {
  id: "evt_1",
  seq: 1,
  schema_version: 1,
  type: "github.issue.opened",
  source: "github",
  subject: "github.issue.opened",
  topic: null,
  time_ms: 0,
  recorded_ms: 5,
  body: "# not a heading\n- nor a list",
  payload: { title: "```\n# closed?\n```" },
  meta: {},
  conversation_key: null,
  user_key: null,
  correlation_id: "c",
  parent_id: null,
  external_id: null,
  scope: null,
  origin_kind: "webhook",
  depth: 2,
  parked: false,
};
const none = { raw: null, deliveries: [], causes: [], caused: [], runs: [], effects: [], receipts: [] };

describe("an event's document", () => {
  it("shows payload, causes and what came of it", () => {
    const text = eventText(
      { ...none, event, causes: [{ ...event, id: "evt_0" }], caused: [{ ...event, id: "evt_2" }] },
      english,
    );
    expect(text).toContain("1. evt_0 github.issue.opened, github");
    expect(text).toContain("- evt_2 github.issue.opened");
    expect(text).toContain("- depth: 2");
    expect(text).not.toContain("## Raw");
  });

  it("takes nothing from outside for markup of its own", () => {
    const text = eventText({ ...none, event, raw: "x" }, english);
    expect(text.split("\n").filter((line) => line.startsWith("#"))).toEqual([
      "# github.issue.opened",
      "## Payload",
      "## Raw",
    ]);
    expect(text).toContain("````json\n");
  });
});

describe("a dry run's document", () => {
  it("shows what would be done beside what was done", () => {
    const handler = { id: 1, kind: "event" as const, pattern: "github.>", every_ms: null, line: 3 };
    const text = dryRunText(
      "labeller",
      {
        event,
        runs: [
          {
            handler,
            status: "succeeded",
            waiting_for: null,
            output: null,
            error: null,
            logs: [{ time_ms: 0, level: "info", message: "seen", line: 4 }],
            effects: [
              {
                kind: "command",
                summary: "Label #7",
                target: "github",
                payload: { a: 1 },
                line: "labeller.lua:5",
              },
            ],
          },
        ],
      },
      { ...none, event },
      english,
    );
    expect(text).toContain("- would Label #7 (labeller.lua:5)");
    expect(text).toContain("- info :4 seen");
    expect(text).not.toContain("What it did");
  });

  it("says so where no handler takes the event", () => {
    expect(dryRunText("a", { event, runs: [] }, null, english)).toContain("No handler");
  });
});
