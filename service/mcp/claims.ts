import type { Client } from "../client/call.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Claimed } from "../contract/topics.ts";
import type { Clock } from "../lib/clock.ts";

interface Held {
  readonly lease: string;
  leaseMs: number;
  /** Renewed no longer than this: a model may have forgotten it. */
  untilMs: number;
  cancel: () => void;
}

export interface ClaimsOptions {
  readonly clock: Clock;
  /** How long a claim is renewed without a sign of life. */
  readonly holdMs: number;
  client(): Promise<Client>;
  /** Told why a lease could not be renewed. */
  onError(error: unknown): void;
}

/** What this session has claimed: renewed while it is worked on, given back when the session ends. */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #held = new Map<string, Held>();
  #closed = false;

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /** @throws SignalboxError `unavailable` once the session has ended; what it is given goes back then */
  async add(claimed: readonly Claimed[]): Promise<void> {
    if (this.#closed) {
      await Promise.all(claimed.map((one) => this.#release(one.event.id, one.lease)));
      throw new SignalboxError("unavailable", "the session has ended");
    }
    const { clock, holdMs } = this.#options;
    const nowMs = clock.nowMs();
    for (const { event, lease, lease_until_ms } of claimed) {
      const leaseMs = Math.max(100, lease_until_ms - nowMs);
      const held: Held = { lease, leaseMs, untilMs: nowMs + holdMs, cancel: () => {} };
      this.#held.get(event.id)?.cancel();
      this.#held.set(event.id, held);
      this.#renewLater(event.id, held);
    }
  }

  /** The proof that this session holds the event. */
  leaseOf(event_id: string): string | undefined {
    return this.#held.get(event_id)?.lease;
  }

  /** The event claimed last of those still held: what is being worked on, most likely. */
  latest(): string | undefined {
    return [...this.#held.keys()].at(-1);
  }

  /** The model still works on it, and wants the lease to be this long from now on. */
  extended(event_id: string, leaseUntilMs: number): void {
    const held = this.#held.get(event_id);
    if (!held) return;
    const nowMs = this.#options.clock.nowMs();
    held.untilMs = nowMs + this.#options.holdMs;
    held.leaseMs = Math.max(100, leaseUntilMs - nowMs);
    held.cancel();
    this.#renewLater(event_id, held);
  }

  forget(event_id: string): void {
    this.#held.get(event_id)?.cancel();
    this.#held.delete(event_id);
  }

  /** Gives back all that is held. Where the service is gone, the leases run out by themselves. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#held].map(([id, { lease }]) => [id, lease] as const);
    for (const [id] of all) this.forget(id);
    await Promise.all(all.map(([id, lease]) => this.#release(id, lease)));
  }

  async #release(event_id: string, lease: string): Promise<void> {
    try {
      await (await this.#options.client()).releaseClaim({ event_id, lease });
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #renewLater(event_id: string, held: Held): void {
    held.cancel = this.#options.clock.after(held.leaseMs / 3, () => void this.#renew(event_id, held));
  }

  async #renew(event_id: string, held: Held): Promise<void> {
    const { clock, client, onError } = this.#options;
    if (clock.nowMs() >= held.untilMs) return this.forget(event_id);
    try {
      await (await client()).extendClaim({ event_id, lease: held.lease, lease_ms: held.leaseMs });
    } catch (error) {
      onError(error);
      // It was lost, or somebody has settled it; anything else may pass until the next time.
      const isOver = ["lease_lost", "conflict", "not_found"].some(
        (code) => SignalboxError.is(error) && error.code === code,
      );
      if (isOver) return this.forget(event_id);
    }
    if (this.#held.get(event_id) === held) this.#renewLater(event_id, held);
  }
}
