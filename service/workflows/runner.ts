import type { Json } from "../contract/common.ts";
import type { Effect } from "../contract/effects.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { SourceError } from "../contract/workflows.ts";
import type { EffectLedger } from "../effects/ledger.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { JournalStep, RunCommit, RunRow, Store } from "../store/store.ts";
import type { LocalName, LuaHost, RunOutcome } from "./lua/host.ts";
import { toLuaEvent } from "./lua-event.ts";
import {
  cancellationOf,
  commitOf,
  effectIdOf,
  failureOf,
  newRun,
  type RunCause,
  type RunningWorkflow,
  resumedOf,
  trimLogs,
} from "./run-commit.ts";

type End = NonNullable<JournalStep["end"]>;

interface RunnerOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  ledger: EffectLedger;
  host: LuaHost;
  /** A handler had to be stopped: a strike against its workflow. */
  onStrike(workflow: string, reason: string): Promise<void>;
  /** What a handler did could not be recorded, so its Lua state is ahead of the database. */
  onAhead(workflow: string): void;
  /** The loaded version of a run's workflow, if it may run. */
  find(row: Pick<RunRow, "workflow" | "run_id">): RunningWorkflow | null;
  /** A run was recorded, perhaps with its end. */
  onRecorded(row: RunRow): void;
  /** An answer of an action, wherever it is kept. @throws SignalboxError */
  openAnswer(value: Json): Promise<Json>;
  /** Does what a script asks of this machine. @throws SignalboxError whose message the script gets */
  local(row: RunRow, name: LocalName, args: Json[]): Promise<Json>;
  /** What a recorded run needs to go on; null while it can't. */
  causeOf(row: RunRow): Promise<RunCause | null>;
}

/** Times that a run is begun anew because others ended its thread. */
const MAX_LOST = 3;
/** Until a run whose next part could not be recorded is taken up again. */
const AGAIN_MS = 5_000;

/** Steps that a run waits at. */
const waits: ReadonlySet<JournalStep["kind"]> = new Set([
  ...(["call", "ask", "sleep", "action", "effect", "join", "local"] as const),
]);

/** A run that is not over. */
interface Open {
  readonly cause: RunCause;
  readonly row: RunRow;
  readonly isComputing: boolean;
}

/** Runs handlers and records each run with all it did in one transaction. */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #open = new Map<string, Open>();
  /** Effect id → the run that waits for it. */
  readonly #waiting = new Map<string, string>();
  /** Run id → how to cancel its timer. */
  readonly #sleeping = new Map<string, () => void>();
  #cancelAgain: (() => void) | undefined;
  readonly #stop: () => void;
  #closed = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#stop = options.store.onCommitted(({ ended }) => {
      for (const effect of ended) this.#onEnded(effect);
    });
  }

  /** Resolves when the run, or its part up to the first wait, is on disk. One that is known is not repeated. */
  async execute(cause: RunCause): Promise<RunRow> {
    const row = newRun(cause, this.#options.clock.nowMs());
    const known = await this.#options.store.getRun(row.run_id);
    if (known && (known.finished_ms !== null || known.status === "waiting")) return known;
    return this.#run(cause, known ?? row);
  }

  /** Takes up runs that wait and that nobody has in hand, where their workflow may run. */
  async takeUp(): Promise<void> {
    for (const row of await this.#options.store.openRuns()) {
      if (this.#open.has(row.run_id)) continue;
      const cause = await this.#options.causeOf(row);
      if (cause && !this.#open.has(row.run_id)) await this.#wait(cause, row);
    }
  }

  /** Lets go of a workflow's waiting runs; `takeUp` finds them again. */
  release(workflow: string): void {
    for (const { row, isComputing } of [...this.#open.values()])
      if (row.workflow === workflow && !isComputing) this.#forget(row);
  }

  /**
   * Runs a failed or cancelled run again. What it did before its last wait stands and is not repeated; where that wait
   * was for a command that failed, the command is tried again as well.
   */
  async retry(row: RunRow, cause: RunCause): Promise<RunRow> {
    if (this.#open.has(row.run_id))
      throw new SignalboxError("conflict", `${row.run_id} is under way already`);
    const last = row.journal.at(-1);
    const isWait = last !== undefined && waits.has(last.kind);
    if (last?.end?.ok === false) await this.#tryAgain(last.effect_id ?? effectIdOf(row, last.ordinal));
    // A wait without a good end is begun anew; its command is known by its key and not sent twice.
    const journal = isWait && last.end?.ok !== true ? row.journal.slice(0, -1) : row.journal;
    return this.#run(cause, { ...row, status: "queued", finished_ms: null, error: null, journal });
  }

  async cancel(row: RunRow): Promise<RunRow> {
    if (this.#open.get(row.run_id)?.isComputing)
      throw new SignalboxError("conflict", `${row.run_id} is running; only a waiting run can be cancelled`);
    this.#forget(row);
    this.#options.host.drop(row.run_id);
    return this.#commit(cancellationOf(row, this.#options.clock.nowMs()));
  }

  isComputing(run_id: string): boolean {
    return this.#open.get(run_id)?.isComputing ?? false;
  }

  /** Records a run as cancelled that computes. Whoever calls it takes its Lua state away. @throws `not_found` */
  async abandon(run_id: string): Promise<RunRow> {
    const open = this.#open.get(run_id);
    if (!open) throw new SignalboxError("not_found", `the run ${run_id} is not under way`);
    this.#forget(open.row);
    return this.#commit(cancellationOf(open.row, this.#options.clock.nowMs()));
  }

  async #commit(commit: RunCommit): Promise<RunRow> {
    await this.#options.store.commitRun(commit);
    this.#options.onRecorded(commit.run);
    return commit.run;
  }

  /** What log lines of a run name besides the run itself (P22). */
  originOf(run_id: string): { event_id: string | null; conversation_key: string | null } {
    const event = this.#open.get(run_id)?.cause.event;
    return { event_id: event?.id ?? null, conversation_key: event?.conversation_key ?? null };
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#cancelAgain?.();
    for (const cancel of this.#sleeping.values()) cancel();
    this.#sleeping.clear();
  }

  async #run(cause: RunCause, row: RunRow, lost = 0): Promise<RunRow> {
    const { host, clock } = this.#options;
    const running = this.#options.find(row);
    if (!running) throw new SignalboxError("unavailable", `${row.workflow} does not run now`);
    const started: RunRow = { ...row, status: "running", attempts: row.attempts + 1 };
    return this.#compute(cause, started, lost, async () =>
      host.run({
        run_id: row.run_id,
        workflow: running.key ?? row.workflow,
        handler: row.handler,
        event: cause.event === null ? null : toLuaEvent(cause.event),
        now_ms: row.started_ms ?? clock.nowMs(),
        journal: await Promise.all(row.journal.map((step) => this.#opened(step))),
        effectKey: row.run_id,
        ...(cause.code === undefined ? {} : { code: cause.code }),
      }),
    );
  }

  async #compute(
    cause: RunCause,
    row: RunRow,
    lost: number,
    work: () => Promise<RunOutcome>,
  ): Promise<RunRow> {
    this.#open.set(row.run_id, { cause, row, isComputing: true });
    try {
      return await this.#record(cause, row, await work(), lost);
    } catch (error) {
      this.#forget(row);
      throw error;
    }
  }

  async #record(cause: RunCause, row: RunRow, outcome: RunOutcome, lost: number): Promise<RunRow> {
    if (outcome.kind === "stopped") return this.#recordStopped(cause, row, outcome, lost);
    const logged: RunRow = { ...row, logs: trimLogs([...row.logs, ...outcome.logs]) };
    if (outcome.kind === "failed") return this.#fail(cause, logged, outcome.error);
    try {
      const commit = commitOf(this.#options, cause, logged, outcome, this.#options.clock.nowMs());
      await this.#commit(commit);
      const asked = outcome.operations.at(-1);
      if (outcome.kind === "done") this.#forget(row);
      else if (asked?.kind === "local") this.#askLocally(cause, commit.run, asked.name, asked.args);
      else await this.#wait(cause, commit.run);
      return commit.run;
    } catch (error) {
      this.#options.onAhead(row.workflow);
      // What the handler asked for can't be recorded, such as an event that is too large: its own fault.
      const own = SignalboxError.is(error) && error.status < 500 && error.code !== "busy";
      if (!own) throw error;
      return this.#fail(cause, logged, plainError(cause, error.message));
    }
  }

  async #recordStopped(
    cause: RunCause,
    row: RunRow,
    outcome: Extract<RunOutcome, { kind: "stopped" }>,
    lost: number,
  ): Promise<RunRow> {
    if (this.#closed) throw new SignalboxError("unavailable", "the service is stopping");
    if (outcome.reason === "lost" && lost < MAX_LOST) return this.#run(cause, row, lost + 1);
    const failed = await this.#fail(cause, row, {
      ...plainError(cause, outcome.message),
      line: cause.handler.line,
    });
    if (outcome.reason !== "lost") await this.#options.onStrike(row.workflow, outcome.message);
    return failed;
  }

  async #fail(cause: RunCause, row: RunRow, error: SourceError): Promise<RunRow> {
    const { host, log, clock } = this.#options;
    this.#forget(row);
    host.drop(row.run_id);
    const { run_id, workflow: workflow_name, event_id } = row;
    const conversation_key = cause.event?.conversation_key ?? null;
    log.warn(
      { run_id, workflow_name, event_id, conversation_key, error: error.message, line: error.line },
      "run failed",
    );
    const commit = failureOf(this.#options, cause, row, error, clock.nowMs());
    return this.#commit(commit);
  }

  async #tryAgain(effect_id: string): Promise<void> {
    const { store, ledger } = this.#options;
    const effect = await store.getEffect(effect_id);
    if (effect && ["failed", "expired", "skipped", "unknown"].includes(effect.state))
      await ledger.steps.retry(effect_id);
  }

  /** Remembers what a suspended run waits for, or goes on at once when that is there already. */
  async #wait(cause: RunCause, row: RunRow): Promise<void> {
    // What it asked of this machine was for its Lua state, which is gone: it asks again.
    if (row.journal.at(-1)?.kind === "local" && !row.journal.at(-1)?.end) {
      this.#background(this.#run(cause, { ...row, journal: row.journal.slice(0, -1) }));
      return;
    }
    this.#open.set(row.run_id, { cause, row, isComputing: false });
    if (row.waiting_effect !== null) {
      this.#waiting.set(row.waiting_effect, row.run_id);
      const effect = await this.#options.store.getEffect(row.waiting_effect);
      if (effect && isEnded(effect)) this.#onEnded(effect);
      return;
    }
    this.#sleep(row);
  }

  #askLocally(cause: RunCause, row: RunRow, name: LocalName, args: Json[]): void {
    this.#open.set(row.run_id, { cause, row, isComputing: false });
    this.#options.local(row, name, args).then(
      (value) => this.#goOn(row.run_id, { ok: true, value }),
      (error: unknown) =>
        this.#goOn(row.run_id, {
          ok: false,
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  }

  #sleep(row: RunRow): void {
    const { clock } = this.#options;
    const wakeMs = row.wake_ms ?? 0;
    const cancel = clock.after(Math.max(0, wakeMs - clock.nowMs()), () => {
      this.#sleeping.delete(row.run_id);
      // Timers hold at most 24 days, and the clock may have been set back; then it is armed again.
      if (wakeMs > clock.nowMs()) this.#sleep(row);
      else this.#goOn(row.run_id, { ok: true, value: null });
    });
    this.#sleeping.set(row.run_id, cancel);
  }

  #onEnded(effect: Effect): void {
    const run_id = this.#waiting.get(effect.id);
    // Nobody knows yet what became of an `unknown` one: a person settles that first.
    if (run_id === undefined || effect.state === "unknown") return;
    this.#waiting.delete(effect.id);
    this.#goOn(
      run_id,
      effect.state === "succeeded"
        ? { ok: true, value: effect.result }
        : { ok: false, message: whyOf(effect) },
    );
  }

  #goOn(run_id: string, end: End): void {
    const open = this.#open.get(run_id);
    if (!open || open.isComputing || this.#closed) return;
    const { host, clock, find } = this.#options;
    const workflow = find(open.row);
    if (!workflow) {
      // Disabled or parked: taken up when it runs again.
      this.#forget(open.row);
      return;
    }
    const now = clock.nowMs();
    const row = resumedOf(open.row, end, now);
    if (host.isSuspended(run_id))
      this.#background(
        this.#compute(open.cause, row, 0, async () => {
          const opened = await this.#opened({ end });
          return host.resume(run_id, opened.end ?? end, now);
        }),
      );
    else this.#background(this.#run({ ...open.cause, workflow }, row));
  }

  /** With its answer in full: a large one is kept beside the database. */
  async #opened<T extends { end?: End }>(step: T): Promise<T> {
    if (!step.end?.ok) return step;
    try {
      return { ...step, end: { ok: true, value: await this.#options.openAnswer(step.end.value) } };
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      return { ...step, end: { ok: false, message: error.message } };
    }
  }

  #forget(row: RunRow): void {
    this.#open.delete(row.run_id);
    if (row.waiting_effect !== null) this.#waiting.delete(row.waiting_effect);
    this.#sleeping.get(row.run_id)?.();
    this.#sleeping.delete(row.run_id);
  }

  /** Nobody waits for it, and what is on disk brings it again. */
  #background(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (this.#closed) return;
      const { log, clock } = this.#options;
      log.error({ err: error }, "a run could not go on; trying again");
      this.#cancelAgain?.();
      this.#cancelAgain = clock.after(AGAIN_MS, () => this.#background(this.takeUp()));
    });
  }
}

/** What the handler reads of an effect that came to nothing. */
function whyOf({ kind, state, target, action, summary, error }: Effect): string {
  const reason = error ?? "no reason given";
  if (kind === "ask") return reason;
  // How an action failed is said in its own words (K16); what kept it from running, in ours.
  if (kind === "action") return state === "failed" ? reason : `${target} ${state}: ${reason}`;
  if (kind !== "command") return `${summary}: ${state}: ${reason}`;
  return `${target}.${action} ${state}: ${reason}`;
}

function plainError(cause: RunCause, message: string): SourceError {
  return { message, file: cause.workflow.file, line: null, traceback: null };
}

function isEnded(effect: Effect): boolean {
  return ["succeeded", "failed", "denied", "expired", "skipped"].includes(effect.state);
}
