import type { Bus, Consumer } from "../bus/bus.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type {
  CreateSchedule,
  Firing,
  FiringOutcome,
  MissedPolicy,
  PreviewSchedule,
  Schedule,
  UpdateSchedule,
} from "../contract/schedules.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import { compileSubject } from "../lib/subject.ts";
import type { FiringDraft, ScheduleChange, ScheduleChanged, ScheduleRow, Store } from "../store/store.ts";
import {
  answerKey,
  dueKey,
  firingOf,
  firingsOf,
  manualKey,
  missedEvent,
  pausedEvent,
  SCHEDULER_SOURCE,
} from "./firing.ts";
import { type PlanLimits, planFirings } from "./plan.ts";
import { changedSchedule, newSchedule, rhythmOf, toSchedule } from "./settings.ts";
import { dueTimesFrom, dueTimesUntil, localZone, nextDue } from "./times.ts";

interface SchedulerOptions {
  store: Store;
  bus: Bus;
  clock: Clock;
  log: Logger;
  events: EventLog;
  limits: PlanLimits;
}

/** Failures in a row after which a schedule pauses (B16). */
const MAX_FAILURES = 5;
const HOLD_MIN_MS = 60_000;
const HOLD_MAX_MS = 1_800_000;
/** Events that tell of a failure, and name what failed as the event that caused them. */
const failureTypes = new Set(["signalbox.run.failed", "signalbox.delivery.dead"]);
/** Skipped due times that one decision settles. */
const SETTLED_AT_ONCE = 200;

/** How long a schedule is held back after so many failures in a row: 1, 2, 4 … up to 30 minutes. */
export function holdMs(failures: number): number {
  return Math.min(HOLD_MAX_MS, HOLD_MIN_MS * 2 ** Math.min(failures - 1, 10));
}

/**
 * Records one event for each due time of each schedule (U11). One timer is set to the soonest; nothing is polled. All
 * that decides is in the database: the next due time moves on in the transaction that records the event, so that
 * neither a restart nor a clock that was set misses or doubles one.
 */
export class Scheduler implements Closeable {
  readonly #options: SchedulerOptions;
  readonly #rows = new Map<string, ScheduleRow>();
  readonly #patterns = new Map<string, (subject: string) => boolean>();
  #consumer: Consumer | null = null;
  #cancel: (() => void) | undefined;
  /** One change after the other: each is decided on what the one before made. */
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  static async start(options: SchedulerOptions): Promise<Scheduler> {
    const scheduler = new Scheduler(options);
    for (const row of await options.store.listSchedules()) scheduler.#keep(row);
    scheduler.#consumer = await options.bus.consume(
      {
        name: "signalbox:scheduler",
        from: "now",
        maxInFlight: 1,
        wants: (event) => scheduler.#wants(event),
      },
      (event) => scheduler.#onEvent(event),
    );
    await scheduler.wake();
    return scheduler;
  }

  list(): Schedule[] {
    return [...this.#rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(toSchedule);
  }

  /** By name or id. @throws SignalboxError `not_found` */
  get(schedule: string): Schedule {
    return toSchedule(this.#require(schedule));
  }

  /** @throws SignalboxError `invalid_request`, `conflict` where the name is taken */
  create(input: CreateSchedule): Promise<Schedule> {
    return this.#exclusive(async () => {
      const row = await this.#options.store.insertSchedule(newSchedule(input, this.#now()));
      this.#keep(row);
      this.#arm();
      return toSchedule(row);
    });
  }

  /** @throws SignalboxError `invalid_request`, `not_found` */
  update(schedule: string, input: UpdateSchedule): Promise<Schedule> {
    return this.#exclusive(async () => {
      const row = this.#require(schedule);
      const { schedule: changed } = await this.#change(row, {
        patch: changedSchedule(row, input, this.#now()),
      });
      this.#arm();
      return toSchedule(changed);
    });
  }

  /** @throws SignalboxError `not_found` */
  remove(schedule: string): Promise<void> {
    return this.#exclusive(async () => {
      const { id } = this.#require(schedule);
      await this.#options.store.removeSchedule(id);
      this.#rows.delete(id);
      this.#patterns.delete(id);
      this.#arm();
    });
  }

  /** Records its event now, besides its due times, also while it is paused. @throws SignalboxError `not_found` */
  run(schedule: string): Promise<{ event_id: string; key: string }> {
    return this.#exclusive(async () => {
      const row = this.#require(schedule);
      const now_ms = this.#now();
      const key = manualKey(row.id);
      const firing = firingOf(this.#options.events, row, { key, due_ms: now_ms, cause: "manual", now_ms });
      const { fired } = await this.#change(row, { patch: { last_fired_ms: now_ms }, firings: [firing] });
      const event_id = fired[0]?.event.id;
      if (event_id === undefined) throw new Error("a firing was recorded without its event");
      return { event_id, key };
    });
  }

  /** Decides about what was skipped. @throws SignalboxError `not_found` */
  settleMissed(schedule: string, action: MissedPolicy): Promise<{ fired: number; settled: number }> {
    return this.#exclusive(async () => {
      const row = this.#require(schedule);
      const query = { schedule_id: row.id, outcome: "skipped" as const, limit: SETTLED_AT_ONCE };
      const skipped = await this.#options.store.listFirings(query);
      const total = skipped.reduce((sum, one) => sum + one.count, 0);
      const firings = this.#madeUp(row, skipped, action, total);
      const marks = skipped.map(({ key }) => ({
        key,
        from: ["skipped" as const],
        to: "settled" as const,
        reason: null,
      }));
      if (skipped.length > 0) await this.#change(row, { patch: {}, firings, marks });
      return { fired: firings.length, settled: total - firings.length };
    });
  }

  /** Newest first. @throws SignalboxError `not_found` */
  async history(
    schedule: string,
    query: { outcome?: FiringOutcome | undefined; limit: number; before?: number | undefined },
  ): Promise<{ firings: Firing[]; next: number | null }> {
    const { id } = this.#require(schedule);
    const rows = await this.#options.store.listFirings({ ...query, schedule_id: id });
    const firings = rows.slice(0, query.limit);
    return { firings, next: rows.length > query.limit ? (firings.at(-1)?.seq ?? null) : null };
  }

  /** What is due next, soonest first. @throws SignalboxError `not_found` */
  upcoming(limit: number, schedule?: string): { schedule_id: string; name: string; due_ms: number }[] {
    const rows = schedule === undefined ? [...this.#rows.values()] : [this.#require(schedule)];
    const open = rows.flatMap((row) => (row.next_ms === null ? [] : [{ row, due_ms: row.next_ms }]));
    const due: { schedule_id: string; name: string; due_ms: number }[] = [];
    // Only what is listed is computed: a cron expression is slow to read on.
    while (due.length < limit && open.length > 0) {
      open.sort((a, b) => a.due_ms - b.due_ms || (a.row.name < b.row.name ? -1 : 1));
      const [{ row, due_ms }] = open as [(typeof open)[number]];
      due.push({ schedule_id: row.id, name: row.name, due_ms });
      const next = nextDue(row, due_ms);
      if (next === null) open.shift();
      else open[0] = { row, due_ms: next };
    }
    return due;
  }

  /** When a schedule would be due. @throws SignalboxError `invalid_request` */
  preview({ count, ...input }: PreviewSchedule): { upcoming: number[]; time_zone: string } {
    const now_ms = this.#now();
    const rhythm = rhythmOf(input, input.time_zone ?? localZone(), now_ms);
    return { upcoming: dueTimesFrom(rhythm, nextDue(rhythm, now_ms), count), time_zone: rhythm.time_zone };
  }

  /**
   * Looks at the clock anew: to be called when it was set or the machine slept, which no timer notices. A due time
   * that comes a second time because the clock went back is known by its key.
   */
  async wake(): Promise<void> {
    const now_ms = this.#now();
    for (const row of [...this.#rows.values()]) {
      const handledUntil = Math.max(row.last_due_ms ?? 0, row.updated_ms);
      if (row.next_ms === null || handledUntil <= now_ms + this.#options.limits.lateMs) continue;
      const next_ms = nextDue(row, now_ms);
      if (next_ms === null || next_ms >= row.next_ms) continue;
      const patch = { next_ms, last_due_ms: null, updated_ms: Math.min(row.updated_ms, now_ms) };
      await this.#exclusive(() => this.#change(this.#current(row), { patch })).catch((error: unknown) =>
        this.#options.log.warn({ err: error, schedule: row.name }, "a schedule could not follow the clock"),
      );
    }
    this.#arm();
  }

  /** The one that is most overdue, if any is by more than `ms`; for the health check. */
  overdue(ms: number): { name: string; lateMs: number } | null {
    const soonest = this.#soonest();
    const lateMs = soonest === null ? 0 : this.#now() - soonest.dueMs;
    return soonest !== null && lateMs > ms ? { name: soonest.row.name, lateMs } : null;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#consumer?.close();
    await this.#queue;
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }

  #keep(row: ScheduleRow): void {
    this.#rows.set(row.id, row);
    if (row.kind === "event" && row.pattern !== null) this.#patterns.set(row.id, compileSubject(row.pattern));
    else this.#patterns.delete(row.id);
  }

  #current(row: ScheduleRow): ScheduleRow {
    return this.#rows.get(row.id) ?? row;
  }

  #require(schedule: string): ScheduleRow {
    const found =
      this.#rows.get(schedule) ?? [...this.#rows.values()].find((row) => row.name === schedule) ?? null;
    if (found === null)
      throw new SignalboxError("not_found", `there is no schedule ${schedule}`, {
        hint: "`signalbox schedules list` shows those there are.",
      });
    return found;
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #change(
    row: ScheduleRow,
    change: Pick<ScheduleChange, "patch"> & Partial<ScheduleChange>,
  ): Promise<ScheduleChanged> {
    const { store } = this.#options;
    const whole = { firings: [], marks: [], events: [], ...change, revision: row.revision };
    const changed = await store.changeSchedule(row.id, whole);
    if (changed === null) throw new Error(`${row.name} was changed by somebody else`);
    this.#keep(changed.schedule);
    return changed;
  }

  /** When it may be fired; null for those that wait for nothing. */
  #dueAt(row: ScheduleRow): number | null {
    if (row.state !== "active" || row.next_ms === null) return null;
    return Math.max(row.next_ms, row.hold_ms ?? 0);
  }

  #soonest(): { row: ScheduleRow; dueMs: number } | null {
    let soonest: { row: ScheduleRow; dueMs: number } | null = null;
    for (const row of this.#rows.values()) {
      const dueMs = this.#dueAt(row);
      if (dueMs !== null && (soonest === null || dueMs < soonest.dueMs)) soonest = { row, dueMs };
    }
    return soonest;
  }

  /** A timer holds 24 days at the most, and may come early: then it is set again. */
  #arm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const soonest = this.#soonest();
    if (soonest === null || this.#closed) return;
    this.#cancel = this.#options.clock.after(Math.max(0, soonest.dueMs - this.#now()), () => {
      this.#cancel = undefined;
      void this.#exclusive(() => this.#fireDue());
    });
  }

  async #fireDue(): Promise<void> {
    for (let soonest = this.#soonest(); soonest !== null && !this.#closed; soonest = this.#soonest()) {
      if (soonest.dueMs > this.#now()) break;
      const { row } = soonest;
      try {
        await this.#fire(row);
      } catch (error) {
        this.#options.log.warn({ err: error, schedule: row.name }, "a schedule could not be fired");
        await this.#hold(this.#current(row), error instanceof Error ? error.message : String(error));
      }
    }
    this.#arm();
  }

  async #fire(row: ScheduleRow): Promise<void> {
    const { events, limits, log } = this.#options;
    const now_ms = this.#now();
    // What was held back after a failure is missed however short that was: it must not come all at once.
    const plan = planFirings(row, now_ms, row.hold_ms === null ? limits : { ...limits, lateMs: 0 });
    const firings = firingsOf(events, row, plan, now_ms);
    const hasRecovered = row.failures > 0 && (await this.#lastSucceeded(row));
    const patch: ScheduleChange["patch"] = {
      next_ms: plan.next_ms,
      state: plan.next_ms === null ? "done" : "active",
      hold_ms: null,
      last_due_ms: firings.at(-1)?.due_ms ?? row.last_due_ms,
    };
    if (plan.fire.length > 0) patch.last_fired_ms = now_ms;
    if (hasRecovered) patch.failures = 0;
    await this.#change(row, { patch, firings, events: missedEvent(events, row, plan) });
    log.info(
      { schedule: row.name, fired: plan.fire.length, left: plan.leave?.count ?? 0 },
      "schedule was due",
    );
  }

  /** Whether all that the last event started has come to a good end; also where there was none yet. */
  async #lastSucceeded(row: ScheduleRow): Promise<boolean> {
    const { store } = this.#options;
    const recent = await store.listFirings({ schedule_id: row.id, limit: MAX_FAILURES * 2 });
    const last = recent.find((one) => one.event_id !== null);
    if (last === undefined || last.event_id === null) return true;
    if (last.outcome !== "fired") return false;
    const runs = await store.runsOfEvent(last.event_id);
    return runs.every((run) => run.finished_ms !== null);
  }

  /** After a failure to record: tried again later, and paused after too many. */
  async #hold(row: ScheduleRow, message: string): Promise<void> {
    const failures = row.failures + 1;
    const held = { failures, last_error: message, hold_ms: this.#now() + holdMs(failures) };
    try {
      await this.#fail(row, failures, message, held, []);
    } catch (error) {
      // Nothing can be recorded now, so it is only remembered here.
      this.#options.log.warn({ err: error, schedule: row.name }, "a failure could not be recorded");
      this.#keep({ ...this.#current(row), ...held });
    }
  }

  async #fail(
    row: ScheduleRow,
    failures: number,
    message: string,
    held: ScheduleChange["patch"],
    marks: ScheduleChange["marks"],
  ): Promise<void> {
    if (failures < MAX_FAILURES || row.state !== "active") {
      await this.#change(row, { patch: held, marks });
      return;
    }
    const paused_reason = `${failures} failures in a row; the last: ${message}`;
    await this.#change(row, {
      patch: {
        ...held,
        state: "paused",
        paused_reason,
        next_ms: null,
        hold_ms: null,
        updated_ms: this.#now(),
      },
      marks,
      events: [pausedEvent(this.#options.events, row, failures, message)],
    });
    this.#options.log.error({ schedule: row.name, error: message }, "schedule paused");
  }

  #wants(event: Event): boolean {
    if (failureTypes.has(event.type)) return event.parent_id !== null;
    if (event.parked || this.#patterns.size === 0) return false;
    return this.#answering(event).length > 0;
  }

  #answering(event: Event): ScheduleRow[] {
    const own =
      event.source === SCHEDULER_SOURCE ? (event.meta.schedule as { id?: unknown } | undefined)?.id : null;
    return [...this.#patterns].flatMap(([id, matches]) => {
      const row = this.#rows.get(id);
      if (row?.state !== "active" || row.id === own || !matches(event.subject)) return [];
      return row.scope === null || row.scope === event.scope ? [row] : [];
    });
  }

  async #onEvent(event: Event): Promise<void> {
    if (failureTypes.has(event.type)) return this.#exclusive(() => this.#onFailure(event));
    for (const { id } of this.#answering(event)) {
      await this.#exclusive(() => this.#answer(id, event));
    }
  }

  async #answer(id: string, trigger: Event): Promise<void> {
    const row = this.#rows.get(id);
    if (!row) return;
    const now_ms = this.#now();
    const key = answerKey(id, trigger.id);
    const due_ms = trigger.recorded_ms;
    const hasRecovered = row.failures > 0 && (await this.#lastSucceeded(row));
    const patch: ScheduleChange["patch"] = { last_due_ms: due_ms, last_fired_ms: now_ms };
    if (hasRecovered) patch.failures = 0;
    const firing = firingOf(this.#options.events, row, { key, due_ms, cause: "event", now_ms, trigger });
    await this.#change(row, { patch, firings: [firing] });
  }

  async #onFailure(event: Event): Promise<void> {
    const firing =
      event.parent_id === null ? null : await this.#options.store.getFiringByEvent(event.parent_id);
    const row = firing === null ? undefined : this.#rows.get(firing.schedule_id);
    // Of several failures of one firing the first counts.
    if (firing === null || row === undefined || firing.outcome !== "fired") return;
    const message = event.body ?? event.type;
    const failures = row.failures + 1;
    const hold = row.next_ms === null ? {} : { hold_ms: this.#now() + holdMs(failures) };
    const mark = { key: firing.key, from: ["fired" as const], to: "failed" as const, reason: message };
    await this.#fail(row, failures, message, { failures, last_error: message, ...hold }, [mark]);
    this.#arm();
  }

  #madeUp(row: ScheduleRow, skipped: Firing[], action: MissedPolicy, total: number): FiringDraft[] {
    const { catchUp } = this.#options.limits;
    const newest = skipped[0];
    if (action === "skip" || newest === undefined) return [];
    const times =
      action === "once"
        ? [newest.due_ms]
        : skipped
            .flatMap((one) => dueTimesUntil(row, one.first_ms, one.due_ms, catchUp).newest)
            .sort((a, b) => a - b)
            .slice(-catchUp);
    const now_ms = this.#now();
    return times.map((due_ms) =>
      firingOf(this.#options.events, row, {
        key: dueKey(row.id, due_ms),
        due_ms,
        cause: "missed",
        now_ms,
        missed: action === "once" ? total - 1 : 0,
      }),
    );
  }
}
