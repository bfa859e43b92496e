import { SignalboxError } from "../../contract/errors.ts";
import type { EffectRow } from "../store.ts";
import type { Changes, Committer } from "./committer.ts";

interface Waiting {
  /** Inside a transaction. */
  take(changes: Changes): EffectRow[];
  done(rows: EffectRow[]): void;
  refuse(error: Error): void;
}

interface Claim {
  /** Asks without taking. */
  isReady(): boolean;
  take: Waiting["take"];
  /** Ends the wait. */
  until: AbortSignal;
}

/**
 * Claims that wait for something to become ready in their lane. They take it in the very transaction that makes it
 * ready, which spares whoever waits a commit and a turn of the event loop. While one waits, nothing is ready in its lane.
 */
export class WaitingClaims {
  readonly #committer: Committer;
  readonly #lanes = new Map<string, Set<Waiting>>();
  #isClosed = false;

  constructor(committer: Committer) {
    this.#committer = committer;
    committer.beforeCommit = (changes) => this.#serve(changes);
  }

  /** Empty when the signal aborts first. @throws SignalboxError `unavailable`, and whatever keeps it from being recorded */
  async claim(lane: string, { isReady, take, until }: Claim): Promise<EffectRow[]> {
    if (this.#isClosed) throw closed();
    if (until.aborted) return [];
    const { promise, resolve: done, reject: refuse } = Promise.withResolvers<EffectRow[]>();
    const waiting: Waiting = { take, done, refuse };
    const stop = () => {
      this.#leave(lane, waiting);
      done([]);
    };
    until.addEventListener("abort", stop, { once: true });
    try {
      if (isReady()) {
        const taken = await this.#committer.write((changes) => {
          const rows = until.aborted ? [] : take(changes);
          // Empty when somebody was faster. A group that is run again may end otherwise the second time.
          if (rows.length === 0 && !until.aborted) this.#join(lane, waiting);
          else this.#leave(lane, waiting);
          return rows;
        });
        if (taken.length > 0) return taken;
      } else this.#join(lane, waiting);
      return await promise;
    } finally {
      this.#leave(lane, waiting);
      until.removeEventListener("abort", stop);
    }
  }

  /** Refuses who waits and who comes. */
  close(): void {
    this.#isClosed = true;
    for (const waiters of this.#lanes.values()) for (const { refuse } of waiters) refuse(closed());
  }

  /** Oldest first, as far as there is something. They hear of it when it is committed. */
  #serve(changes: Changes): () => void {
    const served: (() => void)[] = [];
    for (const lane of changes.targets) {
      for (const waiting of this.#lanes.get(lane) ?? []) {
        const rows = waiting.take(changes);
        if (rows.length === 0) break;
        served.push(() => {
          this.#leave(lane, waiting);
          waiting.done(rows);
        });
      }
    }
    return () => {
      for (const tell of served) tell();
    };
  }

  #join(lane: string, waiting: Waiting): void {
    const waiters = this.#lanes.get(lane) ?? new Set();
    this.#lanes.set(lane, waiters.add(waiting));
  }

  #leave(lane: string, waiting: Waiting): void {
    const waiters = this.#lanes.get(lane);
    waiters?.delete(waiting);
    if (waiters?.size === 0) this.#lanes.delete(lane);
  }
}

const closed = () => new SignalboxError("unavailable", "the database is closed");
