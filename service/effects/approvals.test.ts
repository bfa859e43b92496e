import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../test/harness/eventually.ts";
import { append, openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { Approval } from "../contract/approvals.ts";
import { silentLog } from "../lib/log.ts";
import { Scope } from "../lib/scope.ts";
import { startDueTimer } from "../store/due.ts";
import { approvalCode, effectDigest } from "./approval-code.ts";
import type { Decision } from "./approvals.ts";
import { verifyAudit } from "./audit.ts";
import { createEffectLedger, type EffectLedger, type Proposal } from "./ledger.ts";

let opened: SqliteOpened;
let ledger: EffectLedger;
let scope: Scope;

beforeEach(async () => {
  opened = await openSqlite();
  scope = new Scope();
  scope.use(opened);
  const { store, clock, events } = opened;
  ledger = scope.use(createEffectLedger({ store, clock, log: silentLog, events, expiresMs: 3_600_000 }));
  scope.use(startDueTimer({ store, clock, log: silentLog, onDue: (now_ms) => ledger.sweep(now_ms) }));
});
afterEach(() => scope.close());

let keys = 0;
function proposal(
  source: string,
  given: Partial<Omit<Proposal, "cause">> & { event_id?: string } = {},
): Proposal {
  const { event_id = null, ...rest } = given;
  return {
    ...{ target: "deployer", action: "sync", payload: { full: true }, idempotency_key: `key-${++keys}` },
    cause: { event_id, run_id: null, workflow: null, version: null, line: null, source },
    ...{ correlation_id: null, depth: 0 },
    ...rest,
  };
}
async function ask(given: Parameters<typeof proposal>[1] = {}, source = "reviewer"): Promise<Approval> {
  return ledger.approvals.get((await ledger.propose(proposal(source, given))).id);
}
const decide = (approval: Approval, given: Partial<Decision> = {}) =>
  ledger.approvals.decide(approval.effect.id, {
    ...{ decision: "approve", by: "alice", sha256: approval.effect.sha256 },
    ...given,
  });
const claim = () =>
  ledger.claim(
    "deployer",
    { by: "deployer", limit: 10, waitMs: 0, leaseMs: 90_000 },
    new AbortController().signal,
  );
const told = async () => (await opened.store.readLog(0, 100)).map(({ type }) => type);
const kinds = async (effect_id: string) =>
  (await opened.store.listAudit({ effect_id, after: 0, limit: 100 })).map(({ kind }) => kind);

/** Behind the service's back. */
function tamper(sql: string, ...values: unknown[]): void {
  const db = new Database(opened.file);
  db.exec("DROP TRIGGER audit_stays; DROP TRIGGER audit_keeps;");
  db.prepare(sql).run(...values);
  db.close();
}

describe("approvals", () => {
  it("R65 a proposal of an agent is stored as a pending approval, with a code, and is told", async () => {
    const approval = await ask();
    expect(approval).toMatchObject({
      asked_by: "reviewer",
      decision: null,
      expires_ms: opened.clock.nowMs() + 3_600_000,
      effect: { state: "waiting", policy: { decision: "ask" } },
    });
    expect(approval.code).toMatch(/^[34679ACDEFGHJKMNPQRTWXY]{8}$/);
    expect(await ledger.approvals.get(approval.code.toLowerCase())).toEqual(approval);
    expect(await ledger.approvals.list({ limit: 10 })).toEqual([approval]);
    expect(await told()).toEqual(["signalbox.effect.waiting"]);
  });

  it("R66 nothing is carried out until a person has approved it", async () => {
    const approval = await ask();
    expect(await claim()).toEqual([]);
    opened.clock.advance(3_599_000);
    expect(await claim()).toEqual([]);
    await decide(approval);
    expect((await claim()).map(({ effect_id }) => effect_id)).toEqual([approval.effect.id]);
  });

  it("R67 what was approved is carried out once, and its end is kept with who allowed it", async () => {
    const approval = await ask();
    const approved = await decide(approval, { reason: "looks right" });
    expect(approved.decision).toEqual({
      ...{ decision: "approve", by: "alice", reason: "looks right", time_ms: opened.clock.nowMs() },
    });
    const [command] = await claim();
    await ledger.steps.finish(approval.effect.id, {
      ...{ lease: command?.lease ?? "", status: "succeeded", result: { ok: 1 }, retry: false },
    });
    expect(await claim()).toEqual([]);
    expect(await kinds(approval.effect.id)).toEqual(["judged", "approved", "succeeded"]);
  });

  it("R68 a denial leaves it undone, with the reason in the effect, the event and the audit trail", async () => {
    const approval = await ask();
    const denied = await decide(approval, { decision: "deny", reason: "not today" });
    expect(denied.effect).toMatchObject({ state: "denied", error: "denied by alice: not today" });
    expect(denied.decision).toMatchObject({ decision: "deny", by: "alice", reason: "not today" });
    expect(await claim()).toEqual([]);
    const [, event] = await opened.store.readLog(0, 10);
    expect(event).toMatchObject({
      type: "signalbox.effect.denied",
      payload: { effect_id: approval.effect.id, error: "denied by alice: not today" },
    });
    await expect(ledger.steps.retry(approval.effect.id)).rejects.toMatchObject({ code: "conflict" });
  });

  it("U8 nobody's decision in time is a no", async () => {
    const approval = await ask();
    opened.clock.advance(3_600_000);
    await eventually(async () => (await ledger.get(approval.effect.id)).state === "expired");
    await expect(decide(approval)).rejects.toMatchObject({
      code: "conflict",
      details: { winner: { decision: "expire", by: null } },
    });
    expect(await claim()).toEqual([]);
  });

  it("U8 B17 trying it once more is no way around the approval", async () => {
    const skipped = await ask();
    await ledger.steps.skip(skipped.effect.id);
    expect((await ledger.steps.retry(skipped.effect.id)).state).toBe("waiting");
    const lapsed = await ask();
    await decide(lapsed);
    opened.clock.advance(3_600_000);
    await eventually(async () => (await ledger.get(lapsed.effect.id)).state === "expired");
    expect((await ledger.steps.retry(lapsed.effect.id)).state).toBe("waiting");
    expect(await claim()).toEqual([]);
  });

  it("B17 U8 of two who decide at once the first wins, and the other sees who (security list 11)", async () => {
    const approval = await ask();
    const answers = await Promise.allSettled([
      decide(approval, { by: "alice" }),
      decide(approval, { by: "bob", decision: "deny" }),
      decide(approval, { by: "carol" }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    for (const answer of answers.slice(1))
      expect(answer).toMatchObject({
        reason: { code: "conflict", details: { winner: { decision: "approve", by: "alice" } } },
      });
    expect(await kinds(approval.effect.id)).toEqual(["judged", "approved"]);
    expect(await claim()).toHaveLength(1);
  });

  it("B17 U7 a bare yes decides nothing, and a code only its own effect (security list 7)", async () => {
    const [one, other] = [await ask(), await ask({ payload: { full: false } })];
    const bare = { decision: "approve", by: "alice" } as const;
    await expect(ledger.approvals.decide(one.effect.id, bare)).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(ledger.approvals.decide(one.code, bare)).rejects.toMatchObject({ code: "invalid_request" });
    for (const what of [{ code: other.code }, { sha256: other.effect.sha256 }])
      await expect(ledger.approvals.decide(one.effect.id, { ...bare, ...what })).rejects.toMatchObject({
        code: "conflict",
      });
    for (const id of ["all", "yes", "*", ""])
      await expect(ledger.approvals.decide(id, { ...bare, code: one.code })).rejects.toMatchObject({
        code: "not_found",
      });
    expect(await claim()).toEqual([]);
    await ledger.approvals.decide(one.code, { ...bare, code: one.code });
    expect((await claim()).map(({ effect_id }) => effect_id)).toEqual([one.effect.id]);
  });

  it("B17 no agent, workflow or model approves, least of all what it proposed (security list 8)", async () => {
    const approval = await ask();
    await opened.store.saveAgent({
      ...{ name: "task-worker", kind: "agent", version: "1", capabilities: [], commands: [] },
      now_ms: opened.clock.nowMs(),
    });
    for (const by of [
      "reviewer",
      "@reviewer",
      "task-worker",
      "@task-worker",
      "workflow:nightly",
      "model:gpt",
    ])
      await expect(decide(approval, { by })).rejects.toMatchObject({ code: "forbidden" });
    expect(await claim()).toEqual([]);
  });

  it("B17 an approval opens no door for the next one (security list 8)", async () => {
    await decide(await ask());
    await claim();
    const next = await ask();
    expect(next.effect.state).toBe("waiting");
    expect(await claim()).toEqual([]);
  });

  it("U8 B17 what was changed after it was approved is not handed out but asked about anew (security list 3)", async () => {
    const approval = await ask();
    await decide(approval);
    tamper("UPDATE effects SET payload = ? WHERE id = ?", '{"full":"rm -rf"}', approval.effect.id);
    expect(await claim()).toEqual([]);
    const anew = await ledger.approvals.get(approval.effect.id);
    expect(anew.effect).toMatchObject({ state: "waiting", payload: { full: "rm -rf" } });
    expect(anew.effect.sha256).toBe(effectDigest(anew.effect));
    expect(anew.code).not.toBe(approval.code);
    await expect(decide(approval)).rejects.toMatchObject({ code: "conflict" });
    await decide(anew);
    expect(await claim()).toMatchObject([{ payload: { full: "rm -rf" } }]);
    expect(await kinds(approval.effect.id)).toEqual(["judged", "approved", "changed", "approved"]);
  });

  it("U8 B17 a new hash beside new bytes helps nothing: the approval names the old one (security list 3)", async () => {
    const approval = await ask();
    await decide(approval);
    const payload = { full: "else" };
    const digest = effectDigest({ ...approval.effect, payload });
    const sql = "UPDATE effects SET payload = ?, sha256 = ? WHERE id = ?";
    tamper(sql, JSON.stringify(payload), digest, approval.effect.id);
    expect(await claim()).toEqual([]);
    expect((await ledger.get(approval.effect.id)).state).toBe("waiting");
  });

  it("U8 also what the policy allowed is carried out byte for byte or asked about", async () => {
    const effect = await ledger.propose(proposal("cli"));
    tamper("UPDATE effects SET target = 'deployer', action = 'drop' WHERE id = ?", effect.id);
    expect(await claim()).toEqual([]);
    expect(await ledger.get(effect.id)).toMatchObject({ state: "waiting", policy: { decision: "ask" } });
  });

  it("R65 U7 shows why: the chain of events, what is new, and what differs from the last one", async () => {
    const first = await append(opened, {
      type: "github.issue.opened",
      source: "github",
      origin_kind: "webhook",
      body: "please deploy",
    });
    const second = await append(opened, { type: "triage.done", source: "api", parent_id: first.event.id });
    const one = await ask({ event_id: second.event.id });
    expect(one.chain.map(({ type, body }) => [type, body])).toEqual([
      ["github.issue.opened", "please deploy"],
      ["triage.done", null],
    ]);
    expect(one.risks).toEqual([
      "First of its kind: no command was allowed before.",
      "Text from outside is in its chain: github.issue.opened from github (webhook).",
    ]);
    expect(one.difference).toBeNull();
    await decide(one);
    const two = await ask({ payload: { full: false, env: "live" } });
    expect(two.risks).toEqual([]);
    expect(two.difference).toMatchObject({
      effect_id: one.effect.id,
      changes: [
        { path: "payload.env", after: "live" },
        { path: "payload.full", before: true, after: false },
      ],
    });
    expect((await ask({ target: "other" })).risks).toEqual([
      "New target: nothing was allowed for other before.",
    ]);
    expect((await ask({ action: "drop" })).risks).toEqual(["First drop for deployer."]);
  });

  it("U7 codes follow the bytes and the effect", () => {
    const code = approvalCode({ id: "eff_1", sha256: "a" });
    expect(approvalCode({ id: "eff_1", sha256: "a" })).toBe(code);
    expect(approvalCode({ id: "eff_2", sha256: "a" })).not.toBe(code);
    expect(approvalCode({ id: "eff_1", sha256: "b" })).not.toBe(code);
  });
});

describe("the audit trail", () => {
  async function fill(): Promise<void> {
    for (const decision of ["approve", "deny", "approve"] as const) await decide(await ask(), { decision });
  }
  const verify = (head?: string) => verifyAudit(opened.store, head);

  it("U8 holds each decision and each end, and counts through", async () => {
    expect(await verify()).toEqual({ ok: true, entries: 0, head: null, problem: null });
    await fill();
    await opened.reopen();
    const { head } = await verify();
    expect(await verify(head ?? "")).toEqual({ ok: true, entries: 6, head, problem: null });
    expect(await verify("f".repeat(64))).toMatchObject({
      ok: false,
      problem: expect.stringContaining("not in the chain"),
    });
  });

  it("U8 can't be changed or shortened by a statement", async () => {
    await fill();
    const db = new Database(opened.file);
    expect(() => db.exec("UPDATE audit SET actor = 'mallory'")).toThrow("append-only");
    expect(() => db.exec("DELETE FROM audit WHERE seq = 6")).toThrow("append-only");
    db.close();
  });

  it.each([
    ["a changed field", "UPDATE audit SET actor = 'mallory' WHERE seq = 2", "entry 2 was changed"],
    ["a changed detail", `UPDATE audit SET detail = '{"reason":"x"}' WHERE seq = 4`, "entry 4 was changed"],
    ["a missing row", "DELETE FROM audit WHERE seq = 3", "entry 3 is missing"],
    ["a missing first row", "DELETE FROM audit WHERE seq = 1", "entry 1 is missing"],
    ["missing last rows", "DELETE FROM audit WHERE seq > 4", "entries 5 to 6 are missing"],
    [
      "a swapped row",
      "UPDATE audit SET prev = hash, hash = prev WHERE seq = 5",
      "entry 5 does not follow the one before",
    ],
  ])("U8 shows %s", async (_what, sql, problem) => {
    await fill();
    tamper(sql);
    expect(await verify()).toMatchObject({ ok: false, problem });
  });
});
