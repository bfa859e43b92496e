import type { Clock } from "../lib/clock.ts";
import type { Closeable } from "../lib/scope.ts";

/**
 * Calls `onDue` at every multiple of `everyMs` since the epoch, so that a restart neither shifts nor repeats a due
 * time. A call that takes longer than the interval lets the due times it missed go by.
 */
export function startSchedule(options: {
  clock: Clock;
  everyMs: number;
  onDue(due_ms: number): Promise<void>;
  onError(error: unknown): void;
}): Closeable {
  const { clock, everyMs } = options;
  let cancel: (() => void) | undefined;
  let closed = false;
  const arm = () => {
    if (closed) return;
    const now = clock.nowMs();
    const due = (Math.floor(now / everyMs) + 1) * everyMs;
    cancel = clock.after(due - now, () => {
      // A timer may come a moment early; the due time would then be taken for a new one.
      if (clock.nowMs() < due) return arm();
      options.onDue(due).catch(options.onError).finally(arm);
    });
  };
  arm();
  return {
    close() {
      closed = true;
      cancel?.();
    },
  };
}
