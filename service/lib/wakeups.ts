/**
 * Who waits for something to happen under a key. One waiter is woken at a time, oldest first, and passes it on
 * when there is more: so a hundred waiters do not all run for one event.
 */
export class Wakeups {
  readonly #waiting = new Map<string, Set<() => void>>();

  wake(key: string): void {
    const waiters = this.#waiting.get(key);
    const first = waiters?.values().next().value;
    if (!waiters || !first) return;
    waiters.delete(first);
    if (waiters.size === 0) this.#waiting.delete(key);
    first();
  }

  /** Resolves true when woken, false after `timeoutMs` or when `signal` aborts. */
  wait(key: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiters);
      const finish = (woken: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        waiters.delete(onWake);
        if (waiters.size === 0 && this.#waiting.get(key) === waiters) this.#waiting.delete(key);
        resolve(woken);
      };
      const onWake = () => finish(true);
      const onAbort = () => finish(false);
      const timer = setTimeout(onAbort, timeoutMs);
      signal.addEventListener("abort", onAbort, { once: true });
      waiters.add(onWake);
    });
  }

  count(key: string): number {
    return this.#waiting.get(key)?.size ?? 0;
  }
}
