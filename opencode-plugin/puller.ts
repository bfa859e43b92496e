/** Waits for events on behalf of sessions that could take one: a long poll for each topic, and none while nobody could. */
import type { Claimed } from "../service/contract/topics.ts";
import type { Clock } from "../service/lib/clock.ts";
import { isAway, type Link } from "./link.ts";

interface PullerOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly agent: string;
  readonly leaseMs: number;
  /** After a failure, at the longest; an event comes at once otherwise. */
  readonly pollMs: number;
  /** Whether anybody could take an event of this topic now. */
  isWanted(topic: string): boolean;
  /** Gives it to somebody, or back. */
  hand(topic: string, claimed: Claimed): Promise<void>;
  onProblem(error: unknown): void;
}

/** The service answers at once when something comes; this only ends calls that nobody may need any more. */
const WAIT_MS = 25_000;
const RETRY_MS = 1_000;

export class Puller {
  readonly #options: PullerOptions;
  readonly #polling = new Set<string>();
  readonly #retries = new Map<string, () => void>();
  readonly #abort = new AbortController();
  #failures = 0;

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** Begins to wait, unless it does already, for those topics that somebody could take an event of. */
  pull(topics: Iterable<string>): void {
    for (const topic of topics) {
      if (this.#abort.signal.aborted || this.#polling.has(topic) || this.#retries.has(topic)) continue;
      if (!this.#options.isWanted(topic)) continue;
      this.#polling.add(topic);
      void this.#wait(topic).finally(() => {
        this.#polling.delete(topic);
        // Somebody may have become free between the last look and now.
        if (!this.#retries.has(topic)) this.pull([topic]);
      });
    }
  }

  close(): void {
    this.#abort.abort();
    for (const cancel of this.#retries.values()) cancel();
  }

  async #wait(topic: string): Promise<void> {
    const { link, agent, leaseMs, isWanted, hand } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted && isWanted(topic)) {
      try {
        const request = { topic, agent, limit: 1, wait_ms: WAIT_MS, lease_ms: leaseMs };
        const { claimed } = await link.call((client) => client.claimEvents(request, { signal }));
        this.#failures = 0;
        // Nobody but us knows of it any more, so it is handed over even when we are about to end.
        for (const one of claimed) await hand(topic, one);
      } catch (error) {
        if (!signal.aborted) this.#tryAgain(topic, error);
        return;
      }
    }
  }

  /** Soon at first, then as seldom as the fallback poll. */
  #tryAgain(topic: string, error: unknown): void {
    const { clock, pollMs, onProblem } = this.#options;
    onProblem(error);
    this.#failures += 1;
    const soon = isAway(error) ? RETRY_MS * 2 ** Math.min(this.#failures - 1, 10) : pollMs;
    const cancel = clock.after(Math.min(soon, pollMs), () => {
      this.#retries.delete(topic);
      this.pull([topic]);
    });
    this.#retries.set(topic, cancel);
  }
}
