import type { JsonObject } from "../../contract/common.ts";
import type { EffectState } from "../../contract/effects.ts";
import { canonicalJson } from "../../lib/canonical.ts";
import { newId } from "../../lib/ids.ts";
import {
  type AuditDraft,
  type BudgetCheck,
  type EffectChange,
  type EffectDraft,
  type EffectRow,
  laneOf,
  type Store,
} from "../store.ts";
import type { AppendOne } from "./append.ts";
import type { AuditOne } from "./audit.ts";
import type { Changes } from "./committer.ts";
import type { SqliteContext } from "./context.ts";
import { type EffectSql, toEffect } from "./rows.ts";
import type { WaitingClaims } from "./waiting-claims.ts";

type EffectMethods = Pick<
  Store,
  | "proposeEffects"
  | "getEffect"
  | "listEffects"
  | "claimEffects"
  | "changeEffect"
  | "extendEffects"
  | "dueEffects"
  | "runningEffects"
  | "proposedEffects"
  | "isFamiliar"
  | "findApprovalCode"
  | "lastAllowed"
>;

export const endStates: readonly EffectState[] = [
  "succeeded",
  "failed",
  "denied",
  "expired",
  "skipped",
  "unknown",
];

export type ProposeOne = (draft: EffectDraft, changes: Changes) => EffectRow;

export function createPropose(context: SqliteContext, append: AppendOne, audit: AuditOne): ProposeOne {
  const { db } = context;
  const byKey = db.prepare<[string], EffectSql>("SELECT * FROM effects WHERE idempotency_key = ?");
  const insert = db.prepare(
    `INSERT INTO effects (id, kind, target, action, payload, bound, note, sha256, summary, idempotency_key, state, event_id, run_id, workflow,
       version, line, source, depth, policy_decision, policy_rule, correlation_id, created_ms, updated_ms, expires_ms)
     VALUES (@id, @kind, @target, @action, @payload, @bound, @note, @sha256, @summary, @idempotency_key, @state, @event_id, @run_id, @workflow,
       @version, @line, @source, @depth, @policy_decision, @policy_rule, @correlation_id, @created_ms, @created_ms, @expires_ms)
     ON CONFLICT (idempotency_key) DO NOTHING`,
  );
  const saveCode = prepareCode(context);
  const isUsedUp = budgetCount(context);
  const recordNew = (draft: EffectDraft, changes: Changes) => {
    // One that is approved at once concerns its target alone.
    if (draft.state !== "approved") changes.changed.push(draft.id);
    if (draft.code !== undefined) saveCode.run(draft.code, draft.id);
    for (const event of draft.events ?? []) append(event, changes);
    audit(judged(draft));
  };
  return (asked, changes) => {
    const spent =
      asked.state === "approved" ? asked.budgets?.find((one) => isUsedUp(one, asked.payload)) : undefined;
    const draft: EffectDraft = spent ? { ...asked, ...spent.held, state: "waiting" } : asked;
    const {
      cause,
      policy,
      payload,
      bound,
      note,
      code: _code,
      events: _events,
      budgets: _budgets,
      ...rest
    } = draft;
    const row = {
      ...rest,
      ...cause,
      payload: JSON.stringify(payload),
      bound: bound ? canonicalJson(bound) : null,
      note: note ?? null,
      policy_decision: policy.decision,
      policy_rule: policy.rule,
    };
    const isNew = insert.run(row).changes > 0;
    if (isNew && draft.state === "approved") changes.targets.add(laneOf(draft));
    if (isNew && draft.state === "proposed") changes.proposed.push(draft.id);
    if (isNew && draft.expires_ms !== null) changes.dueAt(draft.expires_ms);
    if (isNew) recordNew(draft, changes);
    const kept = byKey.get(draft.idempotency_key);
    if (!kept) throw new Error(`effect ${draft.id} vanished inside its own transaction`);
    return toEffect(kept);
  };
}

/** What waits or was refused has used nothing up. */
const COUNTED = "created_ms >= ? AND state NOT IN ('proposed', 'waiting', 'denied', 'expired', 'skipped')";

/** Whether the budget has no room for one more with this payload. */
function budgetCount({ db }: SqliteContext): (budget: BudgetCheck, payload: JsonObject) => boolean {
  return ({ count, bytes, since_ms, like }, payload) => {
    const limits = Object.entries(like).filter(
      (entry): entry is [string, string[]] => entry[1] !== undefined,
    );
    const where = limits.map(([column, globs]) => `(${globs.map(() => `${column} GLOB ?`).join(" OR ")})`);
    const sql = `SELECT count(*) AS n, coalesce(sum(octet_length(payload)), 0) AS size FROM effects WHERE ${[COUNTED, ...where].join(" AND ")}`;
    // SQLite's GLOB also knows sets in brackets, which the policy does not.
    const values = limits.flatMap(([, globs]) => globs.map((glob) => glob.replaceAll("[", "[[]")));
    const used = db.prepare<unknown[], { n: number; size: number }>(sql).get(since_ms, ...values);
    if (!used) return false;
    const size = Buffer.byteLength(JSON.stringify(payload));
    return (count !== undefined && used.n >= count) || (bytes !== undefined && used.size + size > bytes);
  };
}

function prepareCode({ db }: SqliteContext) {
  return db.prepare<[string, string]>(
    "INSERT INTO approval_codes (code, effect_id) VALUES (?, ?) ON CONFLICT (code) DO NOTHING",
  );
}

function judged(draft: EffectDraft): Parameters<AuditOne>[0] {
  const { id, sha256, created_ms, kind, target, action, state, policy, cause } = draft;
  const { source, workflow, line, event_id } = cause;
  return {
    kind: state === "proposed" ? "proposed" : "judged",
    effect_id: id,
    sha256,
    time_ms: created_ms,
    actor: null,
    detail: { ...policy, state, kind, target, action, source, workflow, line, event_id },
  };
}

/** For what was allowed before, by the policy or by a person. */
const LAST_ALLOWED = `SELECT * FROM effects WHERE kind = @kind AND (@target IS NULL OR target = @target)
  AND (@action IS NULL OR action = @action) AND state IN ('approved', 'running', 'succeeded', 'failed', 'unknown')
  AND seq < (SELECT seq FROM effects WHERE id = @id) ORDER BY seq DESC LIMIT 1`;

function approvalMethods({ db }: SqliteContext): Pick<Store, "findApprovalCode" | "lastAllowed"> {
  const ofCode = db.prepare<[string], string>("SELECT effect_id FROM approval_codes WHERE code = ?").pluck();
  const allowed = db.prepare<[object], EffectSql>(LAST_ALLOWED);
  return {
    findApprovalCode: async (code) => ofCode.get(code) ?? null,
    async lastAllowed({ id, kind, target = null, action = null }) {
      const row = allowed.get({ id, kind, target, action });
      return row ? toEffect(row) : null;
    },
  };
}

function judgingMethods({ db }: SqliteContext): Pick<Store, "proposedEffects" | "isFamiliar"> {
  const proposed = db.prepare<[], EffectSql>("SELECT * FROM effects WHERE state = 'proposed' ORDER BY seq");
  const like =
    "kind = @kind AND target = @target AND action = @action AND (@source IS NULL OR source = @source)";
  const known = db.prepare<[object], unknown>(
    `SELECT 1 FROM effects WHERE ${like} AND state = 'succeeded' LIMIT 1`,
  );
  const knownBound = db.prepare<[object], unknown>(
    `SELECT 1 FROM effects WHERE ${like} AND state IN ('approved', 'running', 'succeeded', 'failed', 'unknown')
       AND bound = @bound LIMIT 1`,
  );
  return {
    proposedEffects: async () => proposed.all().map(toEffect),
    async isFamiliar({ kind, target, action, source, bound }) {
      const like = { kind, target, action, source: source ?? null };
      if (bound) return knownBound.get({ ...like, bound: canonicalJson(bound) }) !== undefined;
      return known.get(like) !== undefined;
    },
  };
}

export function effectMethods(
  context: SqliteContext,
  append: AppendOne,
  propose: ProposeOne,
  audit: AuditOne,
  waiting: WaitingClaims,
): EffectMethods {
  const { db, committer } = context;
  const one = db.prepare<[string], EffectSql>("SELECT * FROM effects WHERE id = ?");
  const extend = db.prepare(
    "UPDATE effects SET lease_until_ms = max(lease_until_ms, ?) WHERE id = ? AND state = 'running' AND claimed_by = ?",
  );
  const lapsed = db.prepare<[number], EffectSql>(
    "SELECT * FROM effects WHERE state = 'running' AND lease_until_ms <= ? LIMIT 500",
  );
  const expired = db.prepare<[number], EffectSql>(
    "SELECT * FROM effects WHERE state IN ('approved', 'waiting') AND expires_ms <= ? LIMIT 500",
  );
  const running = db.prepare<[], EffectSql>("SELECT * FROM effects WHERE state = 'running'");
  const change = changeOne(context, append, audit);

  return {
    proposeEffects: (drafts) => committer.write((changes) => drafts.map((draft) => propose(draft, changes))),
    async getEffect(id) {
      const row = one.get(id);
      return row ? toEffect(row) : null;
    },
    async listEffects(query) {
      const filters = Object.entries({
        state: query.state,
        target: query.target,
        workflow: query.workflow,
        event_id: query.event_id,
        run_id: query.run_id,
      }).filter((entry): entry is [string, string] => entry[1] !== undefined);
      const where = [
        ...filters.map(([column]) => `${column} = ?`),
        ...(query.before === undefined ? [] : ["id < ?"]),
      ];
      const values = [
        ...filters.map(([, value]) => value),
        ...(query.before === undefined ? [] : [query.before]),
      ];
      const sql = `SELECT * FROM effects ${where.length > 0 ? `WHERE ${where.join(" AND ")}` : ""} ORDER BY id DESC LIMIT ?`;
      return (db.prepare(sql).all(...values, query.limit + 1) as EffectSql[]).map(toEffect);
    },
    claimEffects: claimMethod(context, waiting),
    changeEffect: (id, request) => committer.write((changes) => change(id, request, changes)),
    extendEffects: (ids, by, lease_until_ms) =>
      committer.write((changes) => {
        for (const id of ids) extend.run(lease_until_ms, id, by);
        changes.dueAt(lease_until_ms);
      }),
    dueEffects: async (now_ms) => ({
      lapsed: lapsed.all(now_ms).map(toEffect),
      expired: expired.all(now_ms).map(toEffect),
    }),
    runningEffects: async () => running.all().map(toEffect),
    ...judgingMethods(context),
    ...approvalMethods(context),
  };
}

function claimMethod(context: SqliteContext, waiting: WaitingClaims): Store["claimEffects"] {
  const { db, committer } = context;
  const ofTarget = prepareTake(db, "effects_ready", "kind = 'command' AND target = ?");
  const ofKind = prepareTake(db, "effects_ready_kind", "kind <> 'command' AND kind = ?");
  return async ({ by, limit, lease = newId("lea"), lease_ms, now_ms, until, ...lane }) => {
    const [{ take, isReady }, whose] = "kind" in lane ? [ofKind, lane.kind] : [ofTarget, lane.target];
    const takeAt = (now_ms: number, changes: Changes) => {
      const until_ms = now_ms + lease_ms;
      const rows = take.all(by, lease, until_ms, now_ms, whose, now_ms, now_ms, limit);
      if (rows.length > 0) changes.dueAt(until_ms);
      for (const row of rows) changes.changed.push(row.id);
      return rows.sort((a, b) => a.seq - b.seq).map(toEffect);
    };
    if (until === undefined) return committer.write((changes) => takeAt(now_ms, changes));
    return waiting.claim(laneOf({ kind: "command", target: "", ...lane }), {
      isReady: () => isReady.get(whose, now_ms, now_ms) !== undefined,
      take: (changes) => takeAt(context.nowMs(), changes),
      until,
    });
  };
}

/** The index is named: SQLite would take one of all effects that a target ever had, and walk through them. */
function prepareTake(db: SqliteContext["db"], index: string, lane: string) {
  const ready = `SELECT seq FROM effects INDEXED BY ${index} WHERE ${lane} AND state = 'approved' AND coalesce(not_before_ms, 0) <= ?
    AND (expires_ms IS NULL OR expires_ms > ?) ORDER BY seq`;
  return {
    isReady: db.prepare<[string, number, number], unknown>(`${ready} LIMIT 1`),
    take: db.prepare<[string, string, number, number, string, number, number, number], EffectSql>(
      `UPDATE effects SET state = 'running', claimed_by = ?, lease = ?, lease_until_ms = ?, attempts = attempts + 1, updated_ms = ?, not_before_ms = NULL
       WHERE seq IN (${ready} LIMIT ?) RETURNING *`,
    ),
  };
}

/** Compare and set of one effect, with the event that tells of it. */
function changeOne(context: SqliteContext, append: AppendOne, audit: AuditOne) {
  const { db } = context;
  const one = db.prepare<[string], EffectSql>("SELECT * FROM effects WHERE id = ?");
  const update = db.prepare<[object], EffectSql>(
    `UPDATE effects SET state = @state, updated_ms = @updated_ms, result = @result, error = @error, not_before_ms = @not_before_ms,
       lease = @lease, lease_until_ms = @lease_until_ms, expires_ms = @expires_ms, result_event_id = @result_event_id,
       sha256 = @sha256, bound = @bound, policy_decision = @policy_decision, policy_rule = @policy_rule
     WHERE id = @id RETURNING *`,
  );
  const saveCode = prepareCode(context);
  const isUsedUp = budgetCount(context);
  return (id: string, asked: EffectChange, changes: Changes): EffectRow | null => {
    const row = one.get(id);
    if (!row || !isAsExpected(row, asked)) return null;
    const request = withinBudgets(asked, row.payload, isUsedUp);
    const told = request.event ? append(request.event, changes).event.id : row.result_event_id;
    const after = update.get(changed(row, request, told));
    if (!after) return null;
    const effect = toEffect(after);
    if (request.changed?.code !== undefined) saveCode.run(request.changed.code, id);
    for (const event of request.events ?? []) append(event, changes);
    const entry = request.audit ?? endOf(effect);
    if (entry) audit({ ...entry, effect_id: id, sha256: effect.sha256, time_ms: request.now_ms });
    announce(effect, changes);
    return effect;
  };
}

function isAsExpected(row: EffectSql, { from, lease, if_sha256 }: EffectChange): boolean {
  const isHolder = lease === undefined || lease === row.lease;
  return from.includes(row.state) && isHolder && (if_sha256 === undefined || if_sha256 === row.sha256);
}

/** What an approval becomes once a budget is used up. `payload` is JSON. */
function withinBudgets(
  request: EffectChange,
  payload: string,
  isUsedUp: (budget: BudgetCheck, payload: JsonObject) => boolean,
): EffectChange {
  const spent = request.budgets?.find((budget) => isUsedUp(budget, JSON.parse(payload) as JsonObject));
  if (!spent) return request;
  const { policy, code, events } = spent.held;
  const { changed, audit } = request;
  return {
    ...request,
    to: "waiting",
    ...(changed ? { changed: { ...changed, policy, code } } : {}),
    ...(audit ? { audit: { ...audit, detail: { ...audit.detail, ...policy, state: "waiting" } } } : {}),
    events,
  };
}

function endOf({ state, claimed_by, error }: EffectRow): AuditDraft | null {
  return endStates.includes(state) ? { kind: state, actor: claimed_by, detail: { error } } : null;
}

function changed(row: EffectSql, request: EffectChange, result_event_id: string | null) {
  const running = request.to === "running";
  return {
    id: row.id,
    state: request.to,
    updated_ms: request.now_ms,
    result: request.result === undefined ? row.result : JSON.stringify(request.result),
    error: request.error === undefined ? row.error : request.error,
    not_before_ms: request.not_before_ms ?? null,
    lease: running ? row.lease : null,
    lease_until_ms: running ? (request.lease_until_ms ?? row.lease_until_ms) : null,
    expires_ms: request.expires_ms === undefined ? row.expires_ms : request.expires_ms,
    result_event_id,
    sha256: request.changed?.sha256 ?? row.sha256,
    bound: request.changed?.bound
      ? canonicalJson(request.changed.bound)
      : request.changed?.bound === null
        ? null
        : row.bound,
    policy_decision: request.changed?.policy.decision ?? row.policy_decision,
    policy_rule: request.changed?.policy.rule ?? row.policy_rule,
  };
}

/** Tells those who wait: for its end, for something to carry out, for a time. */
function announce(effect: EffectRow, changes: Changes): void {
  const { state, not_before_ms, expires_ms, lease_until_ms } = effect;
  changes.changed.push(effect.id);
  if (endStates.includes(state)) changes.ended.push(effect);
  if (state === "approved" && not_before_ms === null) changes.targets.add(laneOf(effect));
  if (state === "proposed") changes.proposed.push(effect.id);
  if (not_before_ms !== null) changes.dueAt(not_before_ms);
  if (lease_until_ms !== null) changes.dueAt(lease_until_ms);
  if (expires_ms !== null && (state === "approved" || state === "waiting")) changes.dueAt(expires_ms);
}
