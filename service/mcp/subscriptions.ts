import type { Client } from "../client/call.ts";
import type { Event } from "../contract/events.ts";
import { type Target, targetOf } from "./resources.ts";

export interface SubscriptionsOptions {
  client(): Promise<Client>;
  /** Told of each resource that has changed. */
  onUpdated(uri: string): void;
  onError(error: unknown): void;
}

/** Follows the log while anything is subscribed to, and not before: most sessions never do. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  /** By the request that asked for them, in the client's own spelling. */
  readonly #wanted = new Map<unknown, ReadonlyMap<string, Target>>();
  #following: AbortController | undefined;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** What is not one of our URIs is left out. */
  add(key: unknown, uris: readonly string[]): void {
    const targets = uris.flatMap((uri) => {
      const target = targetOf(uri);
      return target === null ? [] : [[uri, target] as const];
    });
    if (targets.length === 0) return;
    this.#wanted.set(key, new Map(targets));
    if (this.#following === undefined) {
      this.#following = new AbortController();
      void this.#follow(this.#following.signal);
    }
  }

  remove(key: unknown): void {
    this.#wanted.delete(key);
    if (this.#wanted.size === 0) this.close();
  }

  close(): void {
    this.#following?.abort();
    this.#following = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      const client = await this.#options.client();
      for await (const event of client.streamEvents({}, { signal })) this.#tell(event);
    } catch (error) {
      if (signal.aborted) return;
      // The next subscription tries anew.
      this.#following = undefined;
      this.#options.onError(error);
    }
  }

  #tell(event: Event): void {
    const told = new Set<string>();
    for (const targets of this.#wanted.values())
      for (const [uri, target] of targets) if (isAbout(event, target)) told.add(uri);
    for (const uri of told) this.#options.onUpdated(uri);
  }
}

/** News of an event name it as their cause, or in their payload as signalbox's own do. */
function isAbout({ topic, parent_id, payload }: Event, { kind, name }: Target): boolean {
  return kind === "topic"
    ? topic === name || payload.topic === name
    : parent_id === name || payload.event_id === name || payload.reply_to === name;
}
