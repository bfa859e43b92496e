import type { Clock } from "../../service/lib/clock.ts";

export interface ManualClock extends Clock {
  /** Moves time on and fires the timers that are due on the way, each at its own time. */
  advance(ms: number): void;
  /** Sets the time as someone sets a machine's clock, also backwards; timers neither fire nor move. */
  set(timeMs: number): void;
  /** Timers that have not fired and were not cancelled. */
  readonly pending: number;
}

/** A clock that stands still until a test turns it. */
export function manualClock(startMs = 1_700_000_000_000): ManualClock {
  let now = startMs;
  /** Time that went by, which setting the clock does not change: timers hang on it. */
  let elapsed = 0;
  const timers = new Set<{ at: number; fn: () => void }>();
  const nextUntil = (limit: number) =>
    [...timers].filter((timer) => timer.at <= limit).sort((a, b) => a.at - b.at)[0];
  return {
    nowMs: () => now,
    after(delayMs, fn) {
      const timer = { at: elapsed + Math.max(0, delayMs), fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const end = elapsed + ms;
      for (let timer = nextUntil(end); timer; timer = nextUntil(end)) {
        now += timer.at - elapsed;
        elapsed = timer.at;
        timers.delete(timer);
        timer.fn();
      }
      now += end - elapsed;
      elapsed = end;
    },
    set(timeMs) {
      now = timeMs;
    },
    get pending() {
      return timers.size;
    },
  };
}
