import type { Disposable } from "../emitter.ts";

export interface Batch<T> extends Disposable {
  add(item: T): void;
}

/**
 * Gathers what comes within `afterMs` of the first, then hands it on at once: a view is drawn once a batch. While things
 * pour in, `restMs` go by between two batches.
 */
export function createBatch<T>(
  afterMs: number,
  flush: (items: readonly T[]) => void,
  restMs: number = afterMs,
): Batch<T> {
  let items: T[] = [];
  let timer: NodeJS.Timeout | null = null;
  let flushedAt = Number.NEGATIVE_INFINITY;
  return {
    add(item) {
      items.push(item);
      if (timer !== null) return;
      const waitMs = Math.max(afterMs, flushedAt + restMs - performance.now());
      timer = setTimeout(() => {
        timer = null;
        flushedAt = performance.now();
        const ready = items;
        items = [];
        flush(ready);
      }, waitMs);
    },
    dispose() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      items = [];
    },
  };
}

export interface Pacer extends Disposable {
  wish(): void;
}

/** Runs at the first wish, and while wishes go on at most every `everyMs`; the last wish is never lost. */
export function createPacer(everyMs: number, run: () => void): Pacer {
  let timer: NodeJS.Timeout | null = null;
  let isWished = false;
  const begin = () => {
    isWished = false;
    timer = setTimeout(() => {
      timer = null;
      if (isWished) begin();
    }, everyMs);
    run();
  };
  return {
    wish() {
      if (timer === null) begin();
      else isWished = true;
    },
    dispose() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      isWished = false;
    },
  };
}

export interface Portions<T> extends Disposable {
  add(items: readonly T[]): void;
  clear(): void;
}

/** Hands on at most `size` at once, one portion every `everyMs`; what is asked for again before it came, comes once. */
export function createPortions<T>(
  size: number,
  everyMs: number,
  hand: (items: readonly T[]) => void,
): Portions<T> {
  const waiting = new Set<T>();
  let timer: NodeJS.Timeout | null = null;
  const next = () => {
    timer = null;
    const portion = [...waiting].slice(0, size);
    if (portion.length === 0) return;
    for (const item of portion) waiting.delete(item);
    timer = setTimeout(next, everyMs);
    hand(portion);
  };
  return {
    add(items) {
      for (const item of items) waiting.add(item);
      if (timer === null) next();
    },
    clear: () => waiting.clear(),
    dispose() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      waiting.clear();
    },
  };
}
