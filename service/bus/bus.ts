import type { Event } from "../contract/events.ts";
import type { Closeable } from "../lib/scope.ts";

export interface ConsumerConfig {
  /** Durable: the same name goes on where it left off. */
  name: string;
  /** Which events it is given. Others are acknowledged unseen. */
  wants(event: Event): boolean;
  /** Where a name begins that is new. */
  from: "start" | "now";
  /** Events handed out and not yet acknowledged. */
  maxInFlight: number;
}

export interface Consumer extends Closeable {
  readonly name: string;
  /** Everything up to here is acknowledged. */
  readonly cursor: number;
  /** Stops handing out; what is out may finish. */
  pause(): void;
  resume(): void;
  /** Waits until the handlers under way have settled, saves the cursor and leaves. */
  close(): Promise<void>;
}

export interface Subscription {
  /** Which events are passed on. */
  wants(event: Event): boolean;
  /** Called in log order, at once after the commit. Must not throw or block. */
  onEvent(event: Event): void;
}

/** Hands out what the event log has taken. */
export interface Bus extends Closeable {
  /**
   * Gives each event to `handler` in log order, at least once: a promise that resolves is the acknowledgement, one
   * that rejects brings the event again after a pause. Up to `maxInFlight` are started without waiting, so with more
   * than one an event that comes again comes after later ones. A name can be consumed once at a time.
   */
  consume(config: ConsumerConfig, handler: (event: Event) => Promise<void>): Promise<Consumer>;
  /** Live events from now on, not durable. Returns how to stop. */
  subscribe(subscription: Subscription): () => void;
}
