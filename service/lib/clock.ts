/** Time as a dependency, so that tests can turn the clock by hand. */
export interface Clock {
  /** Milliseconds since the epoch. May go backwards when the machine's clock is set. */
  nowMs(): number;
  /** Calls `fn` once after `delayMs`. The timer alone keeps no process alive. Returns how to cancel it. */
  after(delayMs: number, fn: () => void): () => void;
}

/** setTimeout's own limit; a longer delay would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(delayMs, 0), MAX_TIMEOUT_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
