/** Events as they are recorded, for an agent that looks on (S20). */
import type { Client } from "../client/call.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Input } from "../contract/routes.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { pause } from "./sdk-pause.ts";

/** `after`: begin after this place in the log instead of with what happens from now on. */
export type EventFilter = Input<"streamEvents">;

export interface Subscription {
  /** Resolves when the handler has ended. */
  close(): Promise<void>;
}

interface SubscribeOptions {
  readonly client: Pick<Client, "streamEvents" | "getStatus">;
  readonly clock: Clock;
  readonly filter: EventFilter;
  /** One at a time. */
  handle(event: Event): Promise<void>;
  onError(error: unknown): void;
}

const RETRY_BASE_MS = 100;
const RETRY_MAX_MS = 5_000;

/** Resolves when its place in the log is known, so that it sees whatever is recorded from then on. */
export async function subscribe(options: SubscribeOptions): Promise<Subscription> {
  const stop = new AbortController();
  const after = options.filter.after ?? (await options.client.getStatus()).last_seq;
  const done = follow(options, Number(after), stop.signal);
  return {
    async close() {
      stop.abort();
      await done;
    },
  };
}

async function follow(options: SubscribeOptions, begin: number, signal: AbortSignal): Promise<void> {
  const { client, clock, filter, handle, onError } = options;
  let after = begin;
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      for await (const event of client.streamEvents({ ...filter, after }, { signal })) {
        attempt = 1;
        await handle(event);
        after = event.seq;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      onError(error);
      // Another place or other words in the filter are for a person to find.
      if (SignalboxError.is(error, "invalid_request")) return;
    }
    await pause(clock, backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS), signal);
  }
}

/** A function, so that the compiler does not take the answer for granted across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
