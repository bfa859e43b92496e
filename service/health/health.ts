import { SignalboxError } from "../contract/errors.ts";
import type { NewEvent } from "../contract/events.ts";
import type { PartHealth, PartState } from "../contract/health.ts";
import type { Clock } from "../lib/clock.ts";
import { showDuration } from "../lib/duration.ts";
import type { Logger } from "../lib/log.ts";
import { type Closeable, settlesWithin } from "../lib/scope.ts";

/** How a part is, in its own words. */
export interface PartReport {
  state: PartState;
  message?: string | null | undefined;
}

export interface Part {
  name: string;
  /** Without it the service is not ready. */
  needed?: boolean;
  /** Asked every interval. What it throws counts as failed; one that never answers becomes stale. */
  check(): PartReport | Promise<PartReport>;
}

interface HealthOptions {
  clock: Clock;
  log: Logger;
  /** False: no part is asked and nothing is told. */
  enabled: boolean;
  intervalMs: number;
  /** Silence after which a part counts as degraded. */
  staleMs: number;
  /** Whether changes are recorded as events. */
  notify: boolean;
  /** Records an event. */
  publish(event: NewEvent): Promise<unknown>;
  /** Parts that were told to be unwell by an earlier process. */
  told?: Iterable<string>;
  /** Time that nobody can set; may stand still while the machine sleeps. */
  monotonicMs?: () => number;
}

interface Slot {
  part: Part;
  health: PartHealth;
  /** A question without an answer so far. */
  asking: Promise<void> | null;
}

const LOOP = "loop";
/** A timer later than this was held up by work in this process … */
const BLOCKED_MS = 1_000;
/** … and one later than this by a machine that slept. */
const SLEPT_MS = 60_000;
/** Difference between two clocks that is no accident. */
const CLOCK_SET_MS = 1_000;
const READY_WITHIN_MS = 5_000;

/**
 * How every part of the service is (R53, U16). One timer asks them all; what changes between well and unwell is told
 * once each way. The same timer notices a blocked event loop, and a clock that was set or stood still in a sleep.
 */
export class Health implements Closeable {
  readonly #options: HealthOptions;
  readonly #slots = new Map<string, Slot>();
  /** Parts that are known to be unwell, by whoever reads the events. */
  readonly #told: Set<string>;
  readonly #clockListeners = new Set<() => void>();
  readonly #monotonicMs: () => number;
  #lastWallMs: number;
  #lastMonotonicMs: number;
  #lateMs = 0;
  #cancel: (() => void) | undefined;
  #telling: Promise<void> = Promise.resolve();
  #closed = false;
  checkedMs: number;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#told = new Set(options.told ?? []);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#lastWallMs = options.clock.nowMs();
    this.#lastMonotonicMs = this.#monotonicMs();
    this.checkedMs = this.#lastWallMs;
    this.add({ name: LOOP, check: () => this.#checkLoop() });
  }

  /** Begins to be asked with the next beat. */
  add(part: Part): void {
    const now = this.#options.clock.nowMs();
    const { name, needed = false } = part;
    const health = { name, needed, state: "ok" as const, message: null, since_ms: now, last_beat_ms: now };
    this.#slots.set(name, { part, health, asking: null });
  }

  /** Asks all parts once and goes on every interval. Resolves when those that answer at once have done so. */
  async start(): Promise<void> {
    await this.#beat();
  }

  list(): PartHealth[] {
    return [...this.#slots.values()].map((slot) => slot.health).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Of all parts the worst; a part that is needed for nothing can't make the whole fail. */
  state(): "ok" | "degraded" | "failed" {
    const parts = this.list();
    if (parts.some(({ state, needed }) => state === "failed" && needed)) return "failed";
    return parts.some(isUnwell) ? "degraded" : "ok";
  }

  /** Asks the parts that are needed now. @throws SignalboxError `unavailable` when one of them fails */
  async assertReady(): Promise<void> {
    const needed = [...this.#slots.values()].filter((slot) => slot.part.needed);
    const asked = Promise.all(needed.map((slot) => this.#ask(slot)));
    const haveAnswered = await settlesWithin(asked, READY_WITHIN_MS);
    const bad = needed.find(
      (slot) => slot.health.state === "failed" || (!haveAnswered && slot.asking !== null),
    );
    if (bad === undefined) return;
    const reason = bad.health.message ?? "it does not answer";
    throw new SignalboxError("unavailable", `${bad.part.name} does not work: ${reason}`, {
      hint: "`signalbox doctor` looks closer.",
    });
  }

  /** Called when the clock was set, or stood still while the machine slept. Returns how to stop. */
  onClockChange(listener: () => void): () => void {
    this.#clockListeners.add(listener);
    return () => this.#clockListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#telling;
  }

  async #beat(): Promise<void> {
    this.#cancel?.();
    this.#measure();
    this.#cancel = this.#options.clock.after(this.#options.intervalMs, () => void this.#beat());
    if (!this.#options.enabled) return;
    const now = this.#options.clock.nowMs();
    this.checkedMs = now;
    const slots = [...this.#slots.values()];
    for (const slot of slots) if (slot.asking !== null) this.#judgeSilence(slot, now);
    await Promise.all(slots.filter((slot) => slot.asking === null).map((slot) => this.#ask(slot)));
  }

  #measure(): void {
    const { clock, intervalMs } = this.#options;
    const [wall, monotonic] = [clock.nowMs(), this.#monotonicMs()];
    const passed = monotonic - this.#lastMonotonicMs;
    const isFirst = this.#cancel === undefined;
    const setBy = wall - this.#lastWallMs - passed;
    this.#lateMs = isFirst ? 0 : Math.max(0, passed - intervalMs);
    this.#lastWallMs = wall;
    this.#lastMonotonicMs = monotonic;
    if (isFirst || (Math.abs(setBy) < CLOCK_SET_MS && this.#lateMs < SLEPT_MS)) return;
    for (const listener of this.#clockListeners) listener();
  }

  #checkLoop(): PartReport {
    if (this.#lateMs < BLOCKED_MS || this.#lateMs >= SLEPT_MS) return { state: "ok" };
    return { state: "degraded", message: `the event loop was blocked for ${showDuration(this.#lateMs)}` };
  }

  #judgeSilence(slot: Slot, now: number): void {
    const silentMs = now - slot.health.last_beat_ms;
    if (silentMs <= this.#options.staleMs) return;
    this.#set(
      slot,
      { state: "degraded", message: `silent for ${showDuration(silentMs)}` },
      slot.health.last_beat_ms,
    );
  }

  /** One question at a time: one that hangs is not piled upon. */
  #ask(slot: Slot): Promise<void> {
    slot.asking ??= this.#answerOf(slot).finally(() => {
      slot.asking = null;
    });
    return slot.asking;
  }

  async #answerOf(slot: Slot): Promise<void> {
    let report: PartReport;
    try {
      report = await slot.part.check();
    } catch (error) {
      report = { state: "failed", message: error instanceof Error ? error.message : String(error) };
    }
    if (!this.#closed) this.#set(slot, report, this.#options.clock.nowMs());
  }

  #set(slot: Slot, { state, message = null }: PartReport, last_beat_ms: number): void {
    const before = slot.health;
    const since_ms = before.state === state ? before.since_ms : this.#options.clock.nowMs();
    slot.health = { ...before, state, message, since_ms, last_beat_ms };
    // One after the other, so that well and unwell are told in their order.
    this.#telling = this.#telling.then(() => this.#tell(slot.health, before));
  }

  async #tell(health: PartHealth, before: PartHealth): Promise<void> {
    const { name, state, message, since_ms } = health;
    const isBad = isUnwell(health);
    const { clock, log, notify, publish } = this.#options;
    if (isBad === this.#told.has(name)) return;
    const downMs = clock.nowMs() - before.since_ms;
    const event: NewEvent = {
      type: isBad ? "signalbox.health.degraded" : "signalbox.health.recovered",
      source: "signalbox",
      body: isBad ? `${name} is ${state}: ${message ?? "no reason given"}` : `${name} works again`,
      payload: isBad
        ? { part: name, state, message, since_ms }
        : { part: name, state, since_ms, down_ms: downMs },
      origin_kind: "system",
    };
    try {
      if (notify) await publish(event);
      if (isBad) this.#told.add(name);
      else this.#told.delete(name);
      log[isBad ? "warn" : "info"](
        { part: name, state, message },
        isBad ? "part is unwell" : "part works again",
      );
    } catch (error) {
      // The store itself may be what is unwell. The next beat tries again.
      log.warn({ err: error, part: name, state }, "a change of health could not be recorded");
    }
  }
}

export function isUnwell({ state }: Pick<PartHealth, "state">): boolean {
  return state === "degraded" || state === "failed";
}
