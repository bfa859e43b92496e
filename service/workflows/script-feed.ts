import type { ScriptItem } from "../contract/actions.ts";

/** Kept for readers that come late. A script that prints more to nobody is told so at the place. */
const MAX_ITEMS = 50_000;
const MAX_CHARS = 32 * 1024 * 1024;

/** What one script has said and done so far, for one reader or several, who may come late. */
export class ScriptFeed {
  readonly #items: ScriptItem[] = [];
  readonly #first: number;
  #chars = 0;
  #isFull = false;
  #isEnded = false;
  #wake = () => {};
  #next = this.#arm();

  /** @param now_ms so that places of a feed from before a restart are smaller than those of this one */
  constructor(now_ms: number) {
    this.#first = now_ms * 1_000;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  add(item: ScriptItem): void {
    if (this.#isEnded) return;
    this.#chars += item.kind === "print" ? item.text.length : 0;
    const isOver = this.#items.length >= MAX_ITEMS || this.#chars > MAX_CHARS;
    if (item.kind === "end" || item.kind === "effect" || !isOver) this.#items.push(item);
    else if (!this.#isFull) {
      this.#isFull = true;
      this.#items.push({ kind: "print", text: "… the script prints more than is kept for its reader" });
    }
    this.#isEnded = item.kind === "end";
    const wake = this.#wake;
    this.#next = this.#arm();
    wake();
  }

  /** Items behind place `after` (0: all), then those to come, up to the end. */
  async *read(after: number, signal: AbortSignal): AsyncGenerator<{ place: number; item: ScriptItem }> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    for (let index = Math.max(0, after + 1 - this.#first); !signal.aborted; ) {
      const item = this.#items[index];
      if (item) {
        yield { place: this.#first + index, item };
        index += 1;
      } else if (this.#isEnded) return;
      else await Promise.race([this.#next, aborted]);
    }
  }

  #arm(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
