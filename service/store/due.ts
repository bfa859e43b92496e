import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { Store } from "./store.ts";

const RETRY_MS = 1_000;

/**
 * One timer for everything in the store that has a time: delayed deliveries, leases, effects. It is set to the
 * next due time, so nothing is polled.
 */
export function startDueTimer(options: {
  store: Store;
  clock: Clock;
  log: Logger;
  onDue(now_ms: number): Promise<void>;
}): Closeable {
  const { store, clock, log } = options;
  let armedFor: number | null = null;
  let cancel: (() => void) | undefined;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  const arm = (due: number): void => {
    if (closed || (armedFor !== null && armedFor <= due)) return;
    cancel?.();
    armedFor = due;
    cancel = clock.after(Math.max(0, due - clock.nowMs()), () => {
      armedFor = null;
      running = fire();
    });
  };
  const fire = async (): Promise<void> => {
    try {
      await store.promoteDue(clock.nowMs());
      await options.onDue(clock.nowMs());
      const next = store.nextDue();
      // What is due and stays due would otherwise turn the event loop into a busy wait.
      if (next !== null) arm(Math.max(next, clock.nowMs() + 1));
    } catch (error) {
      if (closed) return;
      log.warn({ err: error }, "due work failed; trying again");
      arm(clock.nowMs() + RETRY_MS);
    }
  };

  const stop = store.onCommitted(({ dueMs }) => {
    if (dueMs !== null) arm(dueMs);
  });
  const first = store.nextDue();
  if (first !== null) arm(first);
  return {
    async close() {
      closed = true;
      stop();
      cancel?.();
      await running;
    },
  };
}
