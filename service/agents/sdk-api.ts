import type { Client } from "../client/call.ts";
import type { StartOptions } from "../client/discover.ts";
import type { Environment } from "../client/paths.ts";
import type { Event, NewEvent, Pushed } from "../contract/events.ts";
import type { Input, Output } from "../contract/routes.ts";
import type { Claimed } from "../contract/topics.ts";
import type { Commands } from "./sdk-commands.ts";
import type { EventFilter, Subscription } from "./sdk-subscription.ts";

export interface AgentOptions {
  /** Letters, digits and `_ @ : . / + -`; commands are sent to it. `@deployer` and `deployer` are one agent. */
  readonly name: string;
  readonly version?: string | undefined;
  /** Free words that tell people and workflows what it is good for. */
  readonly capabilities?: readonly string[] | undefined;
  /** What it can be asked to do, by name. */
  readonly commands?: Commands | undefined;
  /** Handlers that run at once, 1 to 1,000. Default: 16. */
  readonly concurrency?: number | undefined;
  /** The service's folder. Default: SIGNALBOX_HOME, or the user's folders. */
  readonly home?: string | undefined;
  /** The service's socket, where it is not in its usual place. */
  readonly socket?: string | undefined;
  /**
   * False: fail when the service does not run. Default: start it, unless SIGNALBOX_NO_AUTOSTART is set. Later on it is
   * never started, only waited for.
   */
  readonly start?: boolean | StartOptions | undefined;
  readonly env?: Environment | undefined;
  /** Told of what goes wrong where nobody waits for an answer. It goes on in any case. */
  readonly onError?: ((error: unknown, place: ErrorPlace) => void) | undefined;
  /** `console` will do. Default: silence. */
  readonly log?: AgentLog | undefined;
}

/**
 * `command`: a handler failed. `result`: an outcome could not be recorded yet. `beat`, `connection`: the service is
 * away. `subscription`: a handler of events failed, or its stream did.
 */
export type ErrorPlace =
  | { readonly doing: "command" | "result"; readonly effectId: string; readonly command: string }
  | { readonly doing: "beat" | "connection" | "subscription" };

export interface AgentLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** `limit`, `wait_ms` (waits so long for a first event), `lease_ms`. */
export type PullOptions = Omit<Input<"claimEvents">, "topic" | "agent"> & {
  readonly signal?: AbortSignal | undefined;
};
/** `status` (`success` or `failed`), `body`, `payload`, `meta`, `topic`. */
export type ReplyOptions = Omit<Input<"reply">, "event_id" | "lease" | "agent">;

export interface CloseOptions {
  /** How long what is under way may take. Default: 10,000. */
  readonly drainMs?: number | undefined;
}

export interface RunningAgent extends AsyncDisposable {
  readonly name: string;
  /** Everything else that the service offers, typed. */
  readonly client: Client;
  /**
   * Records an event with the agent as its source. Events published at the same time travel together.
   * @throws SignalboxError `service_unreachable`: whether it was recorded is open. With an `idempotency_key` it is safe
   * to publish it once more.
   */
  publish(event: NewEvent): Promise<Pushed>;
  /** Counts one event that it dealt with. Commands and events of `subscribe` are counted by themselves. */
  recordEvent(): void;
  /** Counts one error. Handlers that fail are counted by themselves. */
  recordError(): void;
  /**
   * Calls `handler` for each event from now on that fits, one at a time and in order, until it is closed or the agent
   * is. It misses none while the agent runs, whatever becomes of the connection; what was recorded while the agent
   * did not run is for topics, whose events wait.
   */
  subscribe(filter: EventFilter, handler: (event: Event) => unknown): Promise<Subscription>;
  /** Takes the oldest waiting events of a topic under a lease. */
  pull(topic: string, options?: PullOptions): Promise<Claimed[]>;
  /** Answers an event that it pulled, and finishes it. */
  reply(claimed: Claimed, answer: ReplyOptions): Promise<Output<"reply">>;
  /**
   * Takes no new command, lets what is under way end, says goodbye and leaves nothing open. What is not done in time
   * is told so by its signal and goes back to the service. Safe to call twice.
   */
  close(options?: CloseOptions): Promise<void>;
}
