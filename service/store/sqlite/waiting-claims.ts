import type { EffectRow } from "../store.ts";
import type { Changes, Committer } from "./committer.ts";

interface Waiting {
  /** Inside a transaction. */
  take(changes: Changes): EffectRow[];
  done(rows: EffectRow[]): void;
}

/**
 * Claims that wait for something to become ready in their lane. They take it in the very transaction that makes it
 * ready, which spares whoever waits a commit and a turn of the event loop. While one waits, nothing is ready in its lane.
 */
export class WaitingClaims {
  readonly #committer: Committer;
  readonly #lanes = new Map<string, Set<Waiting>>();

  constructor(committer: Committer) {
    this.#committer = committer;
    committer.beforeCommit = (changes) => this.#serve(changes);
  }

  /** Waits until there is something, or the signal aborts: then it is empty. `isReady` asks without taking. */
  claim(
    lane: string,
    { isReady, take, until }: { isReady(): boolean; take: Waiting["take"]; until: AbortSignal },
  ): Promise<EffectRow[]> {
    if (until.aborted) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const stop = () => waiting.done([]);
      const waiting: Waiting = {
        take,
        done: (rows) => {
          this.#leave(lane, waiting);
          until.removeEventListener("abort", stop);
          resolve(rows);
        },
      };
      until.addEventListener("abort", stop, { once: true });
      if (!isReady()) {
        this.#join(lane, waiting);
        return;
      }
      const write = this.#committer.write((changes) => {
        const rows = until.aborted ? [] : take(changes);
        // Somebody was faster.
        if (rows.length === 0 && !until.aborted) this.#join(lane, waiting);
        return rows;
      });
      write.then(
        (rows) => {
          if (rows.length > 0) waiting.done(rows);
        },
        (error: unknown) => {
          waiting.done([]);
          reject(error);
        },
      );
    });
  }

  close(): void {
    for (const waiters of [...this.#lanes.values()]) for (const waiting of [...waiters]) waiting.done([]);
  }

  /** Oldest first, as far as there is something. They hear of it when it is committed. */
  #serve(changes: Changes): () => void {
    const served: (() => void)[] = [];
    for (const lane of changes.targets) {
      for (const waiting of this.#lanes.get(lane) ?? []) {
        const rows = waiting.take(changes);
        if (rows.length === 0) break;
        served.push(() => waiting.done(rows));
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
