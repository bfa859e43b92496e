import { PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const QUIET_MS = 5_000;
const WORTH_BYTES = 4 * 1024 * 1024;

/**
 * Gives memory back to the system when this thread has not collected garbage for `quietMs`: V8 keeps what a start or
 * a burst of work took, and idling never makes it look. Stops the thread for some tens of milliseconds, and only when
 * the heap has grown by 4 MB since the last time. Returns how to end it.
 */
export function tidyWhenQuiet(quietMs = QUIET_MS, tidied: () => void = () => {}): () => void {
  let collectedMs = performance.now();
  let tidySize = 0;
  let timer: NodeJS.Timeout | undefined;
  const arm = (ms: number) => {
    timer = setTimeout(look, ms);
    timer.unref();
  };
  function look(): void {
    timer = undefined;
    const leftMs = collectedMs + quietMs - performance.now();
    if (leftMs > 0) {
      arm(leftMs);
      return;
    }
    if (getHeapStatistics().total_heap_size < tidySize + WORTH_BYTES) return;
    collectGarbage();
    tidySize = getHeapStatistics().total_heap_size;
    tidied();
  }
  const observer = new PerformanceObserver(() => {
    collectedMs = performance.now();
    if (timer === undefined) arm(quietMs);
  });
  observer.observe({ entryTypes: ["gc"] });
  arm(quietMs);
  return () => {
    observer.disconnect();
    clearTimeout(timer);
  };
}

/** Everything, with the code of functions that were not called for long. Node has no call for it without this flag. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  if (typeof collect === "function") collect({ type: "major", execution: "sync", flavor: "last-resort" });
}
