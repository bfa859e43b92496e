import { describe, expect, it } from "vitest";
import type { Approval } from "../../service/contract/approvals.ts";
import { request, stateMessage } from "../../webview/messages.ts";
import { ApprovalsList, toCard } from "./approvals.ts";

export const sha256 = "a".repeat(64);

function approval(
  id: string,
  fields: Partial<Approval> = {},
  effect: Partial<Approval["effect"]> = {},
): Approval {
  return {
    code: "ACDE3467",
    effect: {
      id,
      kind: "command",
      target: "github-agent",
      action: "add_label",
      payload: { repo: "site", label: "bug", issue: 7, list: [1] },
      sha256,
      bound: null,
      note: null,
      summary: "Label #7",
      state: "waiting",
      cause: {
        event_id: "evt_1",
        run_id: null,
        workflow: "labeller",
        version: null,
        line: "labeller.lua:3",
        source: "workflow:labeller",
      },
      policy: { decision: "ask", rule: "default: asked" },
      correlation_id: null,
      attempts: 0,
      claimed_by: null,
      created_ms: 1,
      updated_ms: 1,
      not_before_ms: null,
      expires_ms: null,
      result: null,
      error: null,
      result_event_id: null,
      ...effect,
    },
    asked_by: "workflow:labeller",
    chain: [
      {
        event_id: "evt_1",
        type: "a.b",
        source: "github",
        origin_kind: "webhook",
        time_ms: 1,
        body: "<b>hi</b>",
      },
    ],
    risks: ["first of its kind"],
    difference: null,
    expires_ms: 60_000,
    decision: null,
    ...fields,
  };
}

const decided = (by: string, time_ms: number): Approval["decision"] => ({
  decision: "approve",
  by,
  reason: null,
  time_ms,
});

describe("approvals", () => {
  it("become cards that the webview takes", () => {
    const difference = {
      effect_id: "eff_0",
      created_ms: 1,
      changes: [{ path: "payload.label", before: "x" }],
    };
    const card = toCard(approval("eff_1", { difference, decision: decided("me", 2) }), "me");
    expect(card).toMatchObject({
      decision: { isMine: true },
      difference: { changes: [{ before: '"x"', after: null }] },
    });
    const message = {
      type: "state",
      isReady: true,
      cards: [card],
      history: [],
      problem: null,
      shown: null,
      words: {},
    };
    expect(stateMessage.parse(message)).toEqual(message);
    expect(JSON.stringify(card)).not.toContain("token");
  });

  it("offer the answers of a question, and no rule for it", () => {
    const question = approval(
      "eff_1",
      {},
      { kind: "ask", payload: { title: "Go?", choices: ["yes", "no"] } },
    );
    expect(toCard(question, "me")).toMatchObject({ choices: ["yes", "no"], canRemember: false });
    expect(toCard(approval("eff_2", {}, { kind: "shell" }), "me").canRemember).toBe(false);
    const mine = { decision: "ask" as const, rule: "policy.toml:1 releases" };
    expect(toCard(approval("eff_2", {}, { policy: mine }), "me").canRemember).toBe(false);
    expect(toCard(approval("eff_2"), "me").canRemember).toBe(true);
  });

  it("wait oldest first, and stay a minute after somebody has decided", () => {
    let now = 1_000;
    const list = new ApprovalsList(() => now);
    expect(list.take(approval("eff_2"))).toBe(true);
    expect(list.take(approval("eff_1"))).toBe(true);
    expect(list.take(approval("eff_1"))).toBe(false);
    list.take(approval("eff_1", { decision: decided("bob", now) }));
    expect(list.waiting.map(({ effect }) => effect.id)).toEqual(["eff_2"]);
    expect(list.all.map(({ effect }) => effect.id)).toEqual(["eff_1", "eff_2"]);
    now += 61_000;
    expect(list.all.map(({ effect }) => effect.id)).toEqual(["eff_2"]);
    expect(list.take(approval("eff_9", { decision: decided("bob", now) }))).toBe(false);
    expect(list.find("eff_9")).toBeUndefined();
  });
});

describe("what a webview may ask", () => {
  it.each([
    { type: "shutdown" },
    { type: "decide", decisions: [], decision: "approve" },
    { type: "decide", decisions: [{ id: "eff_1", sha256: "short" }], decision: "approve" },
    { type: "decide", decisions: [{ id: "eff_1", sha256 }], decision: "allow" },
    { type: "decide", decisions: [{ id: "eff_1", sha256 }], decision: "approve", remember_days: 5_000 },
    { type: "openEvent" },
    "ready",
    null,
  ])("is not %j", (message) => {
    expect(request.safeParse(message).success).toBe(false);
  });

  it("is to decide about exact bytes", () => {
    const message = { type: "decide", decisions: [{ id: "eff_1", sha256 }], decision: "deny", reason: "no" };
    expect(request.safeParse(message).success).toBe(true);
  });
});
