/** A card has to be in sight this long before it can be decided about. */
export const LOOK_MS = 1_000;

/**
 * Says whether a press counts. One that comes right after the card appeared, or after the view got the focus, was meant
 * for something else: a stray Space once approved twice in a trial.
 */
export class PressGuard {
  readonly #appeared = new Map<string, number>();
  #focusedMs: number;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#focusedMs = now();
  }

  /** The cards that are in sight; those that were not before begin their time now. */
  show(ids: readonly string[]): void {
    for (const id of [...this.#appeared.keys()]) if (!ids.includes(id)) this.#appeared.delete(id);
    for (const id of ids) if (!this.#appeared.has(id)) this.#appeared.set(id, this.#now());
  }

  /** What has to be looked at came into sight only now. */
  restart(id: string): void {
    if (this.#appeared.has(id)) this.#appeared.set(id, this.#now());
  }

  /** The view got the focus, or came back into sight. */
  focus(): void {
    this.#focusedMs = this.#now();
  }

  counts(ids: readonly string[]): boolean {
    const since = Math.max(this.#focusedMs, ...ids.map((id) => this.#appeared.get(id) ?? this.#now()));
    return this.#now() - since >= LOOK_MS;
  }
}
