/** Commands that an agent has in hand: from their arrival until the service has their outcome. */
import type { Client } from "../client/call.ts";
import type { Command } from "../contract/agents.ts";
import { type ErrorCode, SignalboxError } from "../contract/errors.ts";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import { failure, type Outcome } from "./sdk-commands.ts";
import { FinishedCommands } from "./sdk-finished.ts";
import { pause } from "./sdk-pause.ts";

interface InHand {
  readonly command: Command;
  /** Of its latest delivery. */
  lease: string;
  done: Promise<void>;
}

export interface WorkOptions {
  readonly client: Pick<Client, "finish">;
  readonly clock: Clock;
  /** Handlers that run at once. */
  readonly concurrency: number;
  run(command: Command, signal: AbortSignal): Promise<Outcome>;
  /** An outcome that could not be recorded for now, or at all. */
  onError(error: unknown, command: Command): void;
}

const RETRY_BASE_MS = 100;
const RETRY_MAX_MS = 5_000;

/** The service knows how it ended, or has forgotten it: there is nothing left to say. */
const settled = new Set<ErrorCode>(["conflict", "not_found"]);
/** This outcome will never be taken, so another try is in vain. */
const refused = new Set<ErrorCode>(["too_large", "invalid_request"]);

export class CommandWork {
  readonly #options: WorkOptions;
  readonly #inHand = new Map<string, InHand>();
  readonly #finished = new FinishedCommands();
  readonly #waiting: ((granted: boolean) => void)[] = [];
  readonly #stop = new AbortController();
  #running = 0;

  constructor(options: WorkOptions) {
    this.#options = options;
  }

  /** Ids of what is in hand: beats renew their leases. */
  get effectIds(): string[] {
    return [...this.#inHand.keys()];
  }

  /** A command that is in hand already is not begun again, but reported under its new lease. */
  take(command: Command): void {
    const held = this.#inHand.get(command.effect_id);
    if (held) {
      held.lease = command.lease;
      return;
    }
    const taken: InHand = { command, lease: command.lease, done: Promise.resolve() };
    this.#inHand.set(command.effect_id, taken);
    taken.done = this.#handle(taken);
  }

  /** Resolves when nothing is in hand any more. */
  async drained(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.all([...this.#inHand.values()].map(({ done }) => done));
  }

  /** Tells the handlers to end, and gives up reporting what can't be reported. */
  stop(): void {
    this.#stop.abort(new SignalboxError("unavailable", "the agent stops"));
    for (const refuse of this.#waiting.splice(0)) refuse(false);
  }

  async #handle(taken: InHand): Promise<void> {
    const { effect_id } = taken.command;
    const outcome = this.#finished.get(effect_id) ?? (await this.#run(taken.command));
    // Never begun: its lease runs out, and the service hands it to whoever comes next.
    if (outcome === null) this.#inHand.delete(effect_id);
    else await this.#report(taken, outcome);
  }

  async #run(command: Command): Promise<Outcome | null> {
    if (!(await this.#enter())) return null;
    try {
      // One signal a command: what a handler hangs on it goes with it.
      const outcome = await this.#options.run(command, AbortSignal.any([this.#stop.signal]));
      if (!outcome.retry) this.#finished.keep(command.effect_id, outcome);
      return outcome;
    } finally {
      this.#leave();
    }
  }

  /** False when the agent stops before there is room. */
  #enter(): boolean | Promise<boolean> {
    if (this.#stop.signal.aborted) return false;
    if (this.#running >= this.#options.concurrency)
      return new Promise((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    return true;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next(true);
    else this.#running -= 1;
  }

  /** Until the service has taken it, however long the service is away. */
  async #report(taken: InHand, outcome: Outcome): Promise<void> {
    const { command } = taken;
    let said = outcome;
    for (let attempt = 1; ; attempt++) {
      const { lease } = taken;
      const error = await this.#say(taken, said);
      if (error === null) return this.#end(taken, said);
      if (error.code === "lease_lost") {
        // It went back to the queue meanwhile. It has come again already, or will: the first outcome answers it then.
        if (taken.lease === lease) return this.#end(taken, null);
        continue;
      }
      this.#options.onError(error, command);
      const isRefused = refused.has(error.code);
      if (this.#stop.signal.aborted || (isRefused && said !== outcome)) return this.#end(taken, null);
      if (isRefused) {
        said = failure(`its outcome can't be recorded: ${error.message}`, false);
        this.#finished.keep(command.effect_id, said);
      } else await this.#pause(attempt);
    }
  }

  /** Null when there is nothing more to say. */
  async #say({ command: { effect_id }, lease }: InHand, outcome: Outcome): Promise<SignalboxError | null> {
    try {
      await this.#options.client.finish({ effect_id, lease, ...outcome });
      return null;
    } catch (error) {
      if (!SignalboxError.is(error))
        return new SignalboxError("internal", `an outcome can't be told: ${String(error)}`, { cause: error });
      return settled.has(error.code) ? null : error;
    }
  }

  #pause(attempt: number): Promise<void> {
    return pause(this.#options.clock, backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS), this.#stop.signal);
  }

  /** At once after the answer, so that no delivery in between is taken for one that is still in hand. */
  #end({ command: { effect_id } }: InHand, recorded: Outcome | null): void {
    this.#inHand.delete(effect_id);
    // A recorded failure comes again only because a person wants another try.
    if (recorded?.status === "failed") this.#finished.forget(effect_id);
  }
}
