import { type Disposable, Emitter } from "../emitter.ts";
import { looks, type Row, type RowChange, type RowSource } from "./row.ts";

interface ListOptions<T> {
  load(): Promise<readonly T[]>;
  toRows(items: readonly T[], nowMs: number): readonly Row[];
  readonly now?: () => number;
}

/**
 * A short list that is read whole, such as agents or topics. Readings that come while one is under way become one more
 * afterwards; only rows that look different are told of.
 */
export class ListSource<T> implements RowSource {
  readonly #options: ListOptions<T>;
  readonly #changes = new Emitter<RowChange>();
  #items: readonly T[] = [];
  #rows: readonly Row[] = [];
  #looks = new Map<string, string>();
  #reading: Promise<void> | null = null;
  #isStale = false;
  #generation = 0;

  constructor(options: ListOptions<T>) {
    this.#options = options;
  }

  rows(): readonly Row[] {
    return this.#rows;
  }

  get items(): readonly T[] {
    return this.#items;
  }

  onChange(listener: (change: RowChange) => void): Disposable {
    return this.#changes.on(listener);
  }

  refresh(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#readUntilFresh();
    return this.#reading;
  }

  tick(): void {
    this.#show();
  }

  clear(): void {
    this.#generation += 1;
    this.#items = [];
    this.#show();
  }

  async #readUntilFresh(): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        const generation = this.#generation;
        const items = await this.#options.load();
        // What was read from a service that is gone is not shown.
        if (generation !== this.#generation) continue;
        this.#items = items;
        this.#show();
      }
    } finally {
      // In the same turn as the last look at what is stale, so that nobody's wish is lost in between.
      this.#reading = null;
    }
  }

  #show(): void {
    const rows = this.#options.toRows(this.#items, (this.#options.now ?? Date.now)());
    const before = this.#looks;
    const seen = new Map<string, string>();
    const changed: string[] = [];
    rows.forEach((row, index) => {
      const look = `${looks(row)}${JSON.stringify(this.#items[index] ?? null)}`;
      seen.set(row.id, look);
      if (before.get(row.id) !== look) changed.push(row.id);
    });
    const isSameOrder =
      rows.length === this.#rows.length && rows.every((row, index) => row.id === this.#rows[index]?.id);
    this.#rows = rows;
    this.#looks = seen;
    if (!isSameOrder) this.#changes.fire("all");
    else if (changed.length > 0) this.#changes.fire(changed);
  }
}
