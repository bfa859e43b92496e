import type { Outcome } from "./sdk-commands.ts";

const MOST = 1_000;
const MOST_CHARS = 8 * 1024 * 1024;

/**
 * How commands ended, the latest 1,000 of them or 8 M characters, so that one that comes again is answered with its
 * first outcome instead of being done twice.
 */
export class FinishedCommands {
  readonly #kept = new Map<string, { outcome: Outcome; chars: number }>();
  #chars = 0;

  get(effectId: string): Outcome | undefined {
    return this.#kept.get(effectId)?.outcome;
  }

  keep(effectId: string, outcome: Outcome): void {
    this.forget(effectId);
    const chars = JSON.stringify(outcome).length;
    this.#kept.set(effectId, { outcome, chars });
    this.#chars += chars;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST && this.#chars <= MOST_CHARS) return;
      this.forget(oldest);
    }
  }

  forget(effectId: string): void {
    this.#chars -= this.#kept.get(effectId)?.chars ?? 0;
    this.#kept.delete(effectId);
  }
}
