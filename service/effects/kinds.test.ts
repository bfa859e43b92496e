import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { eventually } from "../../test/harness/eventually.ts";
import { openSqlite, type SqliteOpened } from "../../test/harness/store.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { silentLog } from "../lib/log.ts";
import { Scope } from "../lib/scope.ts";
import { startDueTimer } from "../store/due.ts";
import { startDispatcher } from "./dispatch.ts";
import type { EffectContext, EffectKind } from "./kinds/kind.ts";
import { createEffectLedger, type EffectLedger, type Proposal } from "./ledger.ts";
import type { Rule } from "./policy.ts";
import { judge } from "./policy.ts";

type Note = { to: string; text: string; secret?: string };

let opened: SqliteOpened;
let ledger: EffectLedger;
let scope: Scope;
let script = "digest-1";
let rules: Rule[] = [];
let done: { payload: JsonObject; context: EffectContext }[] = [];
let execute: (payload: Note) => Promise<Json>;

const note: EffectKind<Note> = {
  kind: "note",
  title: "Leave a note",
  aliases: ["leave_note"],
  targetField: "to",
  schema: z.strictObject({
    to: z.string(),
    text: z.string().default(""),
    secret: z.string().optional(),
  }) as z.ZodType<Note>,
  familiar: "bind",
  target: ({ to }) => to,
  action: () => "leave",
  summary: ({ to, text }) => `Leave ${text.length} characters for ${to}`,
  redact: ({ secret, ...payload }) => (secret === undefined ? payload : { ...payload, secret: "[secret]" }),
  risks: (_, bound) => [`The script is ${bound.digest}.`],
  repeatable: ({ to }) => to === "twice",
  async bind({ to }) {
    if (to === "nobody") throw new SignalboxError("forbidden", "nobody is on no list");
    if (to === "later") throw new SignalboxError("unavailable", "the script can't be read");
    return { digest: script };
  },
  async execute(payload, context) {
    done.push({ payload, context });
    return execute(payload);
  },
};

const open = () =>
  createEffectLedger({
    ...{ store: opened.store, clock: opened.clock, log: silentLog, events: opened.events },
    ...{ expiresMs: 3_600_000, approvalMs: 7_200_000 },
    kinds: [note as unknown as EffectKind],
    judge: (effect, now_ms) => judge(effect, rules, now_ms),
  });

beforeEach(async () => {
  [script, rules, done] = ["digest-1", [], []];
  execute = async () => ({ left: true });
  opened = await openSqlite();
  scope = new Scope();
  scope.use(opened);
  ledger = scope.use(open());
  const { store, clock } = opened;
  scope.use(startDueTimer({ store, clock, log: silentLog, onDue: (now_ms) => ledger.sweep(now_ms) }));
});

afterEach(() => scope.close());

const dispatch = () =>
  scope.use(startDispatcher({ ledger, executors: [], log: silentLog, drainMs: 1_000, clock: opened.clock }));

let keys = 0;
const proposal = (given: Partial<Proposal> = {}): Proposal => ({
  kind: "note",
  payload: { to: "ann", text: "hello" },
  cause: { event_id: null, run_id: null, workflow: "w", version: null, line: null, source: "workflow:w" },
  idempotency_key: `key-${++keys}`,
  correlation_id: null,
  depth: 0,
  ...given,
});
const approve = (id: string) =>
  ledger.approvals
    .get(id)
    .then(({ code }) => ledger.approvals.decide(id, { decision: "approve", code, by: "ann" }));
const inState = (id: string, state: string) =>
  eventually(
    () => ledger.get(id),
    (effect) => effect.state === state,
  );
const allowAll: Rule = { label: "all", decision: "allow", kind: ["note"] };

describe("a kind of effect", () => {
  it("U6 makes target, action and summary itself, and fills in what the payload leaves out", async () => {
    const effect = await ledger.propose(
      proposal({ payload: { to: "ann" }, target: "eve", action: "nothing" }),
    );
    expect(effect).toMatchObject({
      ...{ kind: "note", target: "ann", action: "leave", payload: { to: "ann", text: "" } },
      ...{ state: "waiting", summary: "Leave 0 characters for ann", bound: { digest: "digest-1" } },
    });
  });

  it("R69 goes by its older names, and a block's target stands for its own field", async () => {
    const effect = await ledger.propose(proposal({ kind: "leave_note", target: "bob", payload: {} }));
    expect(effect).toMatchObject({ kind: "note", target: "bob" });
  });

  it("U6 refuses what its schema does not know, and what nobody does", async () => {
    await expect(ledger.propose(proposal({ payload: { to: "ann", cc: "eve" } }))).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(ledger.propose(proposal({ kind: "notes" }))).rejects.toMatchObject({
      code: "invalid_request",
      hint: "Did you mean note?",
    });
  });

  it("U6 the same key is the same effect, and never another one", async () => {
    const first = await ledger.propose(proposal({ idempotency_key: "once" }));
    expect(await ledger.propose(proposal({ idempotency_key: "once" }))).toEqual(first);
    await expect(
      ledger.propose(proposal({ idempotency_key: "once", payload: { to: "eve" } })),
    ).rejects.toMatchObject({ code: "idempotency_conflict" });
  });

  it("R66 nothing is done before a person says yes, then once, with what they saw", async () => {
    dispatch();
    const { id } = await ledger.propose(proposal());
    expect(done).toEqual([]);
    await approve(id);
    expect(await inState(id, "succeeded")).toMatchObject({ result: { left: true }, attempts: 1 });
    expect(done).toHaveLength(1);
    expect(done[0]).toMatchObject({
      payload: { to: "ann", text: "hello" },
      context: { idempotencyKey: id, attempt: 1, bound: { digest: "digest-1" }, cause: { workflow: "w" } },
    });
  });

  it("R68 a denied one is never done, and keeps the reason", async () => {
    dispatch();
    const { id, sha256 } = await ledger.propose(proposal());
    await ledger.approvals.decide(id, { decision: "deny", sha256, reason: "not today", by: "ann" });
    expect(await ledger.get(id)).toMatchObject({ state: "denied", error: "denied by ann: not today" });
    expect(done).toEqual([]);
  });

  it("B17 U8 a script that changed after the approval is asked about again (security list 3, 14)", async () => {
    const { id, sha256 } = await ledger.propose(proposal());
    const before = await ledger.approvals.get(id);
    await approve(id);
    script = "digest-2";
    dispatch();
    const anew = await inState(id, "waiting");
    expect(done).toEqual([]);
    expect(anew).toMatchObject({ bound: { digest: "digest-2" }, policy: { decision: "ask" } });
    expect(anew.sha256).not.toBe(sha256);
    await expect(
      ledger.approvals.decide(id, { decision: "approve", code: before.code, by: "ann" }),
    ).rejects.toMatchObject({ code: "conflict" });
    await approve(id);
    await inState(id, "succeeded");
    expect(done[0]?.context.bound).toEqual({ digest: "digest-2" });
  });

  it("B17 what the policy allowed asks as well once its script has changed (security list 14)", async () => {
    rules = [allowAll];
    const { id, state } = await ledger.propose(proposal());
    expect(state).toBe("approved");
    script = "digest-2";
    dispatch();
    await inState(id, "waiting");
    expect(done).toEqual([]);
  });

  it("R72 what its kind refuses is denied without asking, and what can't be read now can be tried again", async () => {
    expect(await ledger.propose(proposal({ payload: { to: "nobody" } }))).toMatchObject({
      ...{ state: "denied", error: "nobody is on no list" },
    });
    const failed = await ledger.propose(proposal({ payload: { to: "later" } }));
    expect(failed).toMatchObject({ state: "failed", error: "the script can't be read" });
    expect((await ledger.steps.retry(failed.id)).state).toBe("proposed");
    await inState(failed.id, "failed");
  });

  it("U8 what was allowed before in the same version is known to a rule, a new version is not", async () => {
    rules = [{ ...allowAll, known: true }];
    dispatch();
    const first = await ledger.propose(proposal());
    expect(first.state).toBe("waiting");
    await approve(first.id);
    await inState(first.id, "succeeded");
    expect((await ledger.propose(proposal())).policy).toEqual({ decision: "allow", rule: "all" });
    script = "digest-2";
    expect((await ledger.propose(proposal())).state).toBe("waiting");
  });

  it("U6 what nobody judged before the end of the process is judged after the next start", async () => {
    const row = ledger.draft(proposal());
    expect(row.state).toBe("proposed");
    await ledger.close();
    await opened.store.proposeEffects([row]);
    ledger = scope.use(open());
    await ledger.resume();
    await inState(row.id, "waiting");
  });

  it("U6 an unexpected end is unknown, and repeated only where the kind says that it may be", async () => {
    rules = [allowAll];
    execute = async () => {
      throw new SignalboxError("unavailable", "the line broke", { details: { outcome: "unknown" } });
    };
    dispatch();
    const once = await ledger.propose(proposal());
    expect(await inState(once.id, "unknown")).toMatchObject({ error: "the line broke" });
    const twice = await ledger.propose(proposal({ payload: { to: "twice" } }));
    await eventually(
      () => ledger.get(twice.id),
      (effect) => effect.state === "approved" && effect.not_before_ms !== null,
    );
  });

  it("U8 secrets are masked wherever the effect is shown, and the hash covers them all the same", async () => {
    const { id, sha256 } = await ledger.propose(proposal({ payload: { to: "ann", secret: "hunter2" } }));
    const shown = JSON.stringify([await ledger.get(id), await ledger.approvals.get(id)]);
    expect(shown).not.toContain("hunter2");
    const other = await ledger.propose(proposal({ payload: { to: "ann", secret: "hunter3" } }));
    expect(other.sha256).not.toBe(sha256);
  });

  it("R65 an approval tells the kind's own risks", async () => {
    const { id } = await ledger.propose(proposal());
    expect((await ledger.approvals.get(id)).risks).toContain("The script is digest-1.");
  });

  it("U8 a person has as long as approvals have, and whoever asks may set less", async () => {
    const now = opened.clock.nowMs();
    expect((await ledger.propose(proposal())).expires_ms).toBe(now + 7_200_000);
    expect((await ledger.propose(proposal({ expires_in_ms: 5_000 }))).expires_ms).toBe(now + 5_000);
  });

  it("S8 an agent that calls itself like a target or a kind gets nothing of it", async () => {
    rules = [allowAll];
    await ledger.propose(proposal());
    const never = new AbortController().signal;
    for (const name of ["ann", "kind:note", "note"])
      expect(await ledger.claim(name, { by: name, limit: 5, waitMs: 0, leaseMs: 1_000 }, never)).toEqual([]);
  });
});
