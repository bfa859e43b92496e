/** An agent's standing with the service: registered, beating, and hearing its commands. */
import type { Client } from "../client/call.ts";
import type { Agent, Command, CommandSpec } from "../contract/agents.ts";
import { SignalboxError } from "../contract/errors.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { pause } from "./sdk-pause.ts";

export interface Counters {
  events_processed: number;
  errors: number;
  last_event_ms: number | null;
}

export interface LinkOptions {
  readonly client: Pick<Client, "registerAgent" | "beat" | "goOffline" | "resumeCommands">;
  readonly clock: Clock;
  readonly registration: { name: string; version: string; capabilities: string[]; commands: CommandSpec[] };
  readonly counters: Readonly<Counters>;
  /** Commands it takes at once. */
  readonly capacity: number;
  /** Said before anything else on a new connection. @throws SignalboxError `protocol_mismatch`, … */
  check(signal: AbortSignal): Promise<unknown>;
  /** Ids of the commands in hand. */
  effectIds(): string[];
  onCommand(command: Command): void;
  onError(error: unknown, doing: "beat" | "connection"): void;
  /** After a connection was lost. */
  onConnectedAgain(): void;
}

export const BEAT_MS = 30_000;
const RETRY_BASE_MS = 100;
const RETRY_MAX_MS = 5_000;
/** A connection that held so long was a good one, so the next attempt comes soon. */
const STEADY_MS = 5_000;
/** A beat may name so many commands. */
const MOST_IDS = 1_000;

export class Link {
  readonly #options: LinkOptions;
  /** Tells this process from others of the agent. */
  readonly #session = newId("ses");
  readonly #listening = new AbortController();
  readonly #beats = new AbortController();
  #cancelBeat: (() => void) | undefined;
  #beating: Promise<void> = Promise.resolve();
  #following: Promise<void> = Promise.resolve();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** @throws SignalboxError when the service refuses or is away */
  register(): Promise<Agent> {
    const { client, registration } = this.#options;
    return client.registerAgent(registration, { signal: this.#listening.signal });
  }

  /** Once registered: beats at once, hears commands, and goes on by itself from there. */
  start(): void {
    this.#following = this.#follow();
  }

  /** From now on no command comes; beats go on, for what is still in hand. */
  async stopListening(): Promise<void> {
    this.#listening.abort();
    await this.#following;
  }

  /** Says its last counters, and that it stops. @throws SignalboxError when the service is away */
  async leave(signal: AbortSignal): Promise<void> {
    this.#cancelBeat?.();
    this.#beats.abort();
    await this.#beating;
    const { client, registration } = this.#options;
    await client.beat(this.#news(), { signal });
    await client.goOffline({ agent: registration.name }, { signal });
  }

  #news() {
    const { registration, counters, effectIds } = this.#options;
    return { agent: registration.name, ...counters, effect_ids: effectIds().slice(0, MOST_IDS) };
  }

  /** One after the other, so that a slow one can't bring old counters after new ones. */
  #beatNow(): void {
    this.#beating = this.#beating.then(() => this.#beat());
  }

  async #beat(): Promise<void> {
    const { signal } = this.#beats;
    if (signal.aborted) return;
    try {
      await this.#options.client.beat(this.#news(), { signal });
    } catch (error) {
      if (isAborted(signal)) return;
      this.#options.onError(error, "beat");
    }
    this.#cancelBeat?.();
    if (!isAborted(signal)) this.#cancelBeat = this.#options.clock.after(BEAT_MS, () => this.#beatNow());
  }

  /** For ever: a service that went away is looked for until it is back, and told again who this is. */
  async #follow(): Promise<void> {
    const { clock, check, onConnectedAgain, onError } = this.#options;
    const { signal } = this.#listening;
    let isFirst = true;
    for (let attempt = 1; !isAborted(signal); ) {
      const begun = performance.now();
      try {
        if (!isFirst) {
          await check(signal);
          await this.register();
          onConnectedAgain();
        }
        isFirst = false;
        this.#beatNow();
        await this.#listen();
      } catch (error) {
        if (isAborted(signal)) return;
        onError(error, "connection");
      }
      attempt = performance.now() - begun > STEADY_MS ? 1 : attempt + 1;
      await pause(clock, backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS), signal);
    }
  }

  /** @throws SignalboxError why the connection is lost */
  async #listen(): Promise<void> {
    const { client, registration, capacity, effectIds, onCommand } = this.#options;
    const lost = new AbortController();
    // The client would connect again by itself, but a service that started anew has to be told first who this is.
    const onReconnect = (error: unknown) =>
      lost.abort(error ?? new SignalboxError("service_unreachable", "the service closed the connection"));
    const signal = AbortSignal.any([this.#listening.signal, lost.signal]);
    // All that the connection before has brought is in hand by now, so the rest of it was lost on its way.
    const said = {
      ...{ agent: registration.name, session: this.#session },
      ...{ in_hand: effectIds(), capacity },
    };
    for await (const command of client.resumeCommands(said, { signal, onReconnect })) onCommand(command);
    lost.signal.throwIfAborted();
  }
}

/** A function, so that the compiler does not take the answer for granted across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
