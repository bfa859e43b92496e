import { basename } from "node:path";
import type { Json, JsonObject } from "../contract/common.ts";
import type { Effect } from "../contract/effects.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Handler, LogLine, SourceError } from "../contract/workflows.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import { idFromKey } from "../lib/ids.ts";
import type { Logger } from "../lib/log.ts";
import type { EffectDraft, EventDraft, JournalStep, RunCommit, RunRow, Store } from "../store/store.ts";
import type { LuaHost, Operation, RunOutcome } from "./lua/host.ts";

/** The version of a workflow that a run belongs to. */
export interface RunningWorkflow {
  name: string;
  file: string;
  digest: string;
}

/** What makes a handler run. */
export interface RunCause {
  workflow: RunningWorkflow;
  handler: Handler;
  /** Null for a due schedule. */
  event: Event | null;
  /** For a schedule: when it was due. */
  due_ms: number;
  /** Distinguishes a run that a person asked for from the one that the event caused. */
  again?: string;
}

type End = { ok: true; value: Json } | { ok: false; message: string };

interface RunnerOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  ledger: EffectLedger;
  host: LuaHost;
  /** A handler had to be stopped: a strike against its workflow. */
  onStrike(workflow: string, reason: string): Promise<void>;
  /** The loaded version of a workflow, if it may run. */
  find(workflow: string): RunningWorkflow | null;
}

const MAX_LOST = 3;
const LOG_LINES = 200;
const LOG_CHARS = 4_000;

/** Runs handlers and records each run with all it did in one transaction. */
export class Runner {
  readonly #options: RunnerOptions;
  /** Effect id → the run that waits for it. */
  readonly #waiting = new Map<string, string>();
  readonly #sleeping = new Map<string, () => void>();
  /** Suspended or under way: what is needed to go on. */
  readonly #open = new Map<string, { cause: RunCause; row: RunRow }>();
  readonly #stop: () => void;
  #closed = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#stop = options.store.onCommitted(({ ended }) => {
      for (const effect of ended) this.#onEnded(effect);
    });
  }

  /** Resolves when the run, or its part up to the first wait, is on disk. */
  async execute(cause: RunCause): Promise<RunRow> {
    const row = this.#newRow(cause);
    const known = await this.#options.store.getRun(row.run_id);
    if (known && (known.finished_ms !== null || known.status === "waiting")) return known;
    return this.#run(cause, known ?? row, known?.journal ?? []);
  }

  /** The run that a cause has or would have. */
  idOf(cause: RunCause): string {
    return this.#newRow(cause).run_id;
  }

  /** Takes up runs that waited when the service stopped. Call when the workflows are loaded. */
  async recover(causeOf: (row: RunRow) => Promise<RunCause | null>): Promise<void> {
    for (const row of await this.#options.store.openRuns()) {
      const cause = await causeOf(row);
      if (!cause) continue;
      if (row.status !== "waiting") this.#background(this.#run(cause, row, row.journal));
      else await this.#wait(cause, row);
    }
  }

  async retry(row: RunRow, cause: RunCause): Promise<RunRow> {
    return this.#run(cause, { ...row, status: "queued", finished_ms: null, error: null, logs: [] }, []);
  }

  async cancel(row: RunRow): Promise<RunRow> {
    this.#forget(row);
    this.#options.host.drop(row.run_id);
    const ended: RunRow = {
      ...row,
      status: "cancelled",
      finished_ms: this.#options.clock.nowMs(),
      waiting_for: null,
      waiting_effect: null,
      wake_ms: null,
    };
    await this.#options.store.commitRun({ run: ended, events: [], effects: [], state: [] });
    return ended;
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    for (const cancel of this.#sleeping.values()) cancel();
    this.#sleeping.clear();
  }

  #newRow(cause: RunCause): RunRow {
    const { workflow, handler, event, due_ms } = cause;
    const what = event === null ? `at:${due_ms}` : event.id;
    const cause_key = `${workflow.name}:${handler.id}:${what}${cause.again === undefined ? "" : `:${cause.again}`}`;
    const now = this.#options.clock.nowMs();
    return {
      run_id: idFromKey("run", event?.recorded_ms ?? due_ms, cause_key),
      cause_key,
      workflow: workflow.name,
      handler: handler.id,
      seq: event?.seq ?? null,
      event_id: event?.id ?? null,
      status: "queued",
      attempts: 0,
      version: workflow.digest,
      line: `${basename(workflow.file)}:${handler.line}`,
      started_ms: now,
      finished_ms: null,
      now_ms: now,
      wake_ms: null,
      waiting_for: null,
      waiting_effect: null,
      journal: [],
      output: null,
      error: null,
      logs: [],
    };
  }

  async #run(cause: RunCause, row: RunRow, journal: JournalStep[], lost = 0): Promise<RunRow> {
    const started: RunRow = { ...row, status: "running", attempts: row.attempts + 1, journal };
    this.#open.set(row.run_id, { cause, row: started });
    const outcome = await this.#options.host.run({
      run_id: row.run_id,
      workflow: cause.workflow.name,
      handler: cause.handler.id,
      event: cause.event === null ? null : toLuaEvent(cause.event),
      now_ms: row.now_ms ?? this.#options.clock.nowMs(),
      journal,
      effectKey: row.run_id,
    });
    return this.#record(cause, started, outcome, lost);
  }

  async #record(cause: RunCause, row: RunRow, outcome: RunOutcome, lost: number): Promise<RunRow> {
    if (outcome.kind === "stopped") return this.#recordStopped(cause, row, outcome, lost);
    const logged: RunRow = { ...row, logs: trimLogs([...row.logs, ...outcome.logs]) };
    if (outcome.kind === "failed") return this.#fail(cause, logged, outcome.error);
    try {
      const commit = this.#commitOf(cause, logged, outcome);
      await this.#options.store.commitRun(commit);
      if (outcome.kind === "suspended") await this.#wait(cause, commit.run);
      else this.#forget(row);
      return commit.run;
    } catch (error) {
      // What the handler asked for can't be recorded, such as an event that is too large: its own fault.
      const own = SignalboxError.is(error) && error.status < 500 && error.code !== "busy";
      if (!own) throw error;
      return this.#fail(cause, logged, {
        message: error.message,
        file: cause.workflow.file,
        line: null,
        traceback: null,
      });
    }
  }

  async #recordStopped(
    cause: RunCause,
    row: RunRow,
    outcome: Extract<RunOutcome, { kind: "stopped" }>,
    lost: number,
  ): Promise<RunRow> {
    if (this.#closed) throw new SignalboxError("unavailable", "the service is stopping");
    if (outcome.reason === "lost" && lost < MAX_LOST) return this.#run(cause, row, row.journal, lost + 1);
    const failed = await this.#fail(cause, row, {
      message: outcome.message,
      file: cause.workflow.file,
      line: cause.handler.line,
      traceback: null,
    });
    if (outcome.reason !== "lost") await this.#options.onStrike(cause.workflow.name, outcome.message);
    return failed;
  }

  async #fail(cause: RunCause, row: RunRow, error: SourceError): Promise<RunRow> {
    this.#forget(row);
    this.#options.host.drop(row.run_id);
    const run: RunRow = {
      ...row,
      status: "failed",
      finished_ms: this.#options.clock.nowMs(),
      error,
      waiting_for: null,
      waiting_effect: null,
      wake_ms: null,
    };
    const told = this.#options.events.draft(
      {
        type: "signalbox.run.failed",
        source: `workflow:${row.workflow}`,
        body: `${row.workflow} failed: ${error.message}`,
        payload: {
          run_id: row.run_id,
          workflow: row.workflow,
          handler: row.handler,
          line: row.line,
          message: error.message,
        },
        external_id: `${row.run_id}:failed:${row.attempts}`,
        origin_kind: "system",
      },
      cause.event,
    );
    this.#options.log.warn(
      { run_id: row.run_id, workflow: row.workflow, event_id: row.event_id, error: error.message },
      "run failed",
    );
    await this.#options.store.commitRun({ run, events: [told], effects: [], state: [] });
    return run;
  }

  #commitOf(
    cause: RunCause,
    row: RunRow,
    outcome: Extract<RunOutcome, { kind: "done" | "suspended" }>,
  ): RunCommit {
    const now = this.#options.clock.nowMs();
    const parts = this.#durable(cause, row, outcome.operations);
    const journal = [
      ...row.journal,
      ...outcome.operations.map(
        (operation): JournalStep => ({
          ordinal: operation.ordinal,
          kind: operation.kind,
          now_ms: row.now_ms ?? now,
        }),
      ),
    ];
    if (outcome.kind === "done") {
      const run: RunRow = {
        ...row,
        status: "succeeded",
        finished_ms: now,
        output: outcome.output,
        waiting_for: null,
        waiting_effect: null,
        wake_ms: null,
        journal: [],
      };
      return { run, ...parts };
    }
    return {
      run: { ...row, status: "waiting", journal, ...waitOf(outcome.operations.at(-1), now) },
      ...parts,
    };
  }

  #durable(cause: RunCause, row: RunRow, operations: Operation[]): Omit<RunCommit, "run"> {
    const events: EventDraft[] = [];
    const effects: EffectDraft[] = [];
    const state: RunCommit["state"] = [];
    const { workflow, event } = cause;
    const source = `workflow:${workflow.name}`;
    const correlation_id = event === null ? null : (event.correlation_id ?? event.id);
    const depth = event?.depth ?? 0;
    for (const operation of operations) {
      const key = `${row.run_id}:${operation.ordinal}`;
      const line = operation.line === null ? row.line : `${basename(workflow.file)}:${operation.line}`;
      if (operation.kind === "state") state.push({ key: operation.key, value: operation.value });
      else if (operation.kind === "publish") {
        const { subject, type, payload, topic, body } = operation;
        events.push(
          this.#options.events.draft(
            {
              subject,
              type,
              payload,
              topic: topic ?? undefined,
              body: body ?? undefined,
              source,
              external_id: key,
              origin_kind: "workflow",
            },
            { id: event?.id ?? null, depth: event === null ? -1 : depth, correlation_id },
          ),
        );
      } else if (operation.kind !== "sleep") {
        effects.push(
          this.#options.ledger.draft({
            id: operation.effect_id,
            target: operation.agent,
            action: operation.command,
            payload: operation.payload,
            cause: {
              event_id: row.event_id,
              run_id: row.run_id,
              workflow: workflow.name,
              version: workflow.digest,
              line,
              source,
            },
            idempotency_key: key,
            correlation_id,
            depth,
          }),
        );
      }
    }
    return { events, effects, state };
  }

  /** Remembers what a suspended run waits for, or goes on at once when that is there already. */
  async #wait(cause: RunCause, row: RunRow): Promise<void> {
    this.#open.set(row.run_id, { cause, row });
    if (row.waiting_effect !== null) {
      this.#waiting.set(row.waiting_effect, row.run_id);
      const effect = await this.#options.store.getEffect(row.waiting_effect);
      if (effect && isEnded(effect)) this.#onEnded(effect);
      return;
    }
    const delayMs = (row.wake_ms ?? 0) - this.#options.clock.nowMs();
    const cancel = this.#options.clock.after(Math.max(0, delayMs), () => {
      this.#sleeping.delete(row.run_id);
      // Timers hold at most 24 days; a longer sleep is armed again.
      if ((row.wake_ms ?? 0) > this.#options.clock.nowMs()) this.#background(this.#wait(cause, row));
      else this.#goOn(row.run_id, { ok: true, value: null });
    });
    this.#sleeping.set(row.run_id, cancel);
  }

  #onEnded(effect: Effect): void {
    const run_id = this.#waiting.get(effect.id);
    // Nobody knows yet what became of an `unknown` one: a person settles that first.
    if (run_id === undefined || effect.state === "unknown") return;
    this.#waiting.delete(effect.id);
    const end: End =
      effect.state === "succeeded"
        ? { ok: true, value: effect.result }
        : {
            ok: false,
            message: `${effect.target}.${effect.action} ${effect.state}: ${effect.error ?? "no reason given"}`,
          };
    this.#goOn(run_id, end);
  }

  #goOn(run_id: string, end: End): void {
    const open = this.#open.get(run_id);
    if (!open || this.#closed) return;
    const { cause, row } = open;
    const now = this.#options.clock.nowMs();
    const last = row.journal.at(-1);
    const journal = last ? [...row.journal.slice(0, -1), { ...last, now_ms: now, end }] : row.journal;
    const running: RunRow = {
      ...row,
      status: "running",
      journal,
      now_ms: now,
      waiting_for: null,
      waiting_effect: null,
      wake_ms: null,
    };
    const current = this.#options.find(row.workflow);
    if (!current) return;
    if (!this.#options.host.isSuspended(run_id))
      this.#background(this.#run({ ...cause, workflow: current }, running, journal));
    else
      this.#background(
        this.#options.host
          .resume(run_id, end, now)
          .then((outcome) => this.#record(cause, running, outcome, 0)),
      );
  }

  #forget(row: RunRow): void {
    this.#open.delete(row.run_id);
    if (row.waiting_effect !== null) this.#waiting.delete(row.waiting_effect);
    this.#sleeping.get(row.run_id)?.();
    this.#sleeping.delete(row.run_id);
  }

  /** Nobody waits for it, and what is on disk brings it again after a restart. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#closed)
        this.#options.log.error({ err: error }, "a run could not be recorded; it goes on after a restart");
    });
  }
}

function isEnded(effect: Effect): boolean {
  return ["succeeded", "failed", "denied", "expired", "skipped"].includes(effect.state);
}

function waitOf(
  operation: Operation | undefined,
  now_ms: number,
): Pick<RunRow, "wake_ms" | "waiting_for" | "waiting_effect"> {
  if (operation?.kind === "sleep") {
    const wake_ms = now_ms + operation.delay_ms;
    return { wake_ms, waiting_for: `time: ${new Date(wake_ms).toISOString()}`, waiting_effect: null };
  }
  if (operation?.kind === "call")
    return {
      wake_ms: null,
      waiting_for: `result of ${operation.agent}.${operation.command}`,
      waiting_effect: operation.effect_id,
    };
  throw new Error("a handler stopped without saying what it waits for");
}

function trimLogs(lines: LogLine[]): LogLine[] {
  const kept =
    lines.length <= LOG_LINES
      ? lines
      : [
          ...lines.slice(0, LOG_LINES - 1),
          {
            ...lines[LOG_LINES - 1],
            level: "warn",
            message: `${lines.length - LOG_LINES + 1} more lines left out`,
          } as LogLine,
        ];
  return kept.map((line) =>
    line.message.length <= LOG_CHARS ? line : { ...line, message: `${line.message.slice(0, LOG_CHARS)}…` },
  );
}

/** The event as Lua sees it (S27): Sekia's fields and ours. */
export function toLuaEvent(event: Event): JsonObject {
  const {
    id,
    seq,
    type,
    source,
    subject,
    topic,
    time_ms,
    body,
    payload,
    meta,
    conversation_key,
    user_key,
    correlation_id,
    parent_id,
    scope,
    origin_kind,
  } = event;
  const timestamp = Math.floor(time_ms / 1_000);
  return {
    id,
    seq,
    type,
    source,
    subject,
    topic,
    timestamp,
    time_ms,
    body,
    payload,
    meta,
    conversation_key,
    user_key,
    correlation_id,
    parent_id,
    scope,
    origin_kind,
  };
}
