import type { EffectDraft, RunRow, ScheduleRow } from "../../service/store/store.ts";

const noCause = { event_id: null, run_id: null, workflow: null, version: null, line: null, source: "test" };

/** An approved command for `github`, id `eff_1`. */
export function effectDraft(
  given: Partial<Omit<EffectDraft, "cause">> & { cause?: Partial<EffectDraft["cause"]> } = {},
): EffectDraft {
  const { cause, ...rest } = given;
  return {
    id: "eff_1",
    kind: "command",
    target: "github",
    action: "add_label",
    payload: { number: 42, label: "bug" },
    sha256: "0".repeat(64),
    summary: "github add_label #42 bug",
    idempotency_key: rest.id ?? "eff_1",
    state: "approved",
    cause: { ...noCause, ...cause },
    depth: 0,
    policy: { decision: "allow", rule: "test" },
    correlation_id: null,
    created_ms: 1_700_000_000_000,
    expires_ms: null,
    ...rest,
  };
}

/** A run of the first handler of `labeller`, id `run_1`. */
export function runRow(given: Partial<RunRow> = {}): RunRow {
  return {
    run_id: "run_1",
    cause_key: given.run_id ?? "run_1",
    workflow: "labeller",
    handler: 1,
    seq: null,
    event_id: null,
    status: "running",
    attempts: 1,
    version: "v1",
    line: null,
    started_ms: 1_700_000_000_000,
    finished_ms: null,
    now_ms: null,
    wake_ms: null,
    waiting_for: null,
    waiting_effect: null,
    journal: [],
    output: null,
    error: null,
    logs: [],
    ...given,
  };
}

/** A schedule for nine in the morning, UTC, id `sch_1`. */
export function scheduleRow(given: Partial<ScheduleRow> = {}): ScheduleRow {
  return {
    id: "sch_1",
    name: "nightly",
    title: null,
    kind: "cron",
    at_ms: null,
    every_ms: null,
    anchor_ms: 0,
    cron: "0 9 * * *",
    time_zone: "UTC",
    pattern: null,
    type: "schedule.due",
    subject: "schedules.nightly",
    topic: null,
    body: null,
    payload: {},
    scope: null,
    missed: "once",
    state: "active",
    paused_reason: null,
    next_ms: 1_700_000_100_000,
    hold_ms: null,
    failures: 0,
    fired: 0,
    skipped: 0,
    failed: 0,
    last_due_ms: null,
    last_fired_ms: null,
    last_error: null,
    created_ms: 1_700_000_000_000,
    updated_ms: 1_700_000_000_000,
    revision: 0,
    ...given,
  };
}
