import type { Disposable } from "../emitter.ts";

export interface Batch<T> extends Disposable {
  add(item: T): void;
}

/** Gathers what comes within `afterMs` of the first, then hands it on at once: a view is drawn once a batch. */
export function createBatch<T>(afterMs: number, flush: (items: readonly T[]) => void): Batch<T> {
  let items: T[] = [];
  let timer: NodeJS.Timeout | null = null;
  return {
    add(item) {
      items.push(item);
      timer ??= setTimeout(() => {
        timer = null;
        const ready = items;
        items = [];
        flush(ready);
      }, afterMs);
    },
    dispose() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      items = [];
    },
  };
}
