import type { Client } from "../client/call.ts";
import { createClient } from "../client/client.ts";
import { checkProtocol, readEndpoint } from "../client/discover.ts";
import { ensureService } from "../client/ensure.ts";
import { resolvePaths } from "../client/paths.ts";
import { socketTransport } from "../client/socket-transport.ts";
import type { Transport } from "../client/transport.ts";
import type { Command } from "../contract/agents.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event, NewEvent, Pushed } from "../contract/events.ts";
import type { Output } from "../contract/routes.ts";
import type { Claimed } from "../contract/topics.ts";
import type { Clock } from "../lib/clock.ts";
import type {
  AgentOptions,
  CloseOptions,
  ErrorPlace,
  PullOptions,
  ReplyOptions,
  RunningAgent,
} from "./sdk-api.ts";
import { carryOut, describeCommands } from "./sdk-commands.ts";
import { type Counters, Link } from "./sdk-link.ts";
import { type EventFilter, type Subscription, subscribe } from "./sdk-subscription.ts";
import { CommandWork } from "./sdk-work.ts";

const CONCURRENCY = 16;
const MOST_AT_ONCE = 1_000;
const DRAIN_MS = 10_000;
/** After its signal has aborted a handler has so long to end. */
const GRACE_MS = 1_000;
/** Saying goodbye may take so long. */
const LEAVE_MS = 2_000;

/** `createAgent` with a clock that a test can turn. */
export async function openAgent(options: AgentOptions, clock: Clock): Promise<RunningAgent> {
  const specs = describeCommands(options.commands ?? {});
  const { transport, ensure } = reach(options);
  try {
    await ensure();
    const agent = new AgentProcess(options, specs, transport, clock);
    await agent.open();
    return agent;
  } catch (error) {
    transport.close();
    throw error;
  }
}

/** Where the service is and what it wants to see is read anew for each call, since both change with its starts. */
function reach({ home, socket, start, env: given = process.env }: AgentOptions) {
  const env = socket === undefined ? given : { ...given, SIGNALBOX_SERVICE_SOCKET: socket };
  const paths = resolvePaths({ env, home });
  const transport = socketTransport(() => readEndpoint(paths, env));
  const childEnv = home === undefined ? env : { ...env, SIGNALBOX_HOME: home };
  return { transport, ensure: () => ensureService(transport, { paths, env: childEnv, start }) };
}

class AgentProcess implements RunningAgent {
  readonly name: string;
  readonly client: Client;
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #link: Link;
  readonly #work: CommandWork;
  readonly #subscriptions = new Set<Subscription>();
  readonly #pushes = new Set<Promise<unknown>>();
  readonly #counters: Counters = { events_processed: 0, errors: 0, last_event_ms: null };
  #closing: Promise<void> | undefined;

  constructor(
    options: AgentOptions,
    commands: ReturnType<typeof describeCommands>,
    transport: Transport,
    clock: Clock,
  ) {
    const { name, version = "0.0.0", capabilities = [], concurrency = CONCURRENCY } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MOST_AT_ONCE)
      throw new SignalboxError(
        "invalid_request",
        `concurrency must be a whole number from 1 to ${MOST_AT_ONCE}`,
      );
    this.name = name;
    this.client = createClient(transport);
    this.#options = options;
    this.#clock = clock;
    this.#work = new CommandWork({
      client: this.client,
      clock,
      concurrency,
      run: (command, signal) => this.#run(command, signal),
      onError: (error, { effect_id, command }) =>
        this.#report(error, { doing: "result", effectId: effect_id, command }),
    });
    this.#link = new Link({
      client: this.client,
      clock,
      registration: { name, version, capabilities: [...capabilities], commands },
      counters: this.#counters,
      capacity: concurrency,
      check: (signal) => checkProtocol(transport, signal),
      effectIds: () => this.#work.effectIds,
      onCommand: (command) => this.#work.take(command),
      onError: (error, doing) => this.#report(error, { doing }),
      onConnectedAgain: () => options.log?.info(`${name} is connected again`),
    });
  }

  async open(): Promise<void> {
    const { name, events_processed, errors, last_event_ms } = await this.#link.register();
    // Its counters go on from where an earlier process of this name left them.
    Object.assign(this.#counters, { events_processed, errors, last_event_ms });
    this.#link.start();
    this.#options.log?.info(`${name} is registered`);
  }

  publish(event: NewEvent): Promise<Pushed> {
    const pushed = this.client.push({ source: this.name, origin_kind: "agent", ...event });
    const done = () => void this.#pushes.delete(settled);
    const settled: Promise<void> = pushed.then(done, done);
    this.#pushes.add(settled);
    return pushed;
  }

  recordEvent(): void {
    this.#counters.events_processed += 1;
    this.#counters.last_event_ms = this.#clock.nowMs();
  }

  recordError(): void {
    this.#counters.errors += 1;
  }

  async subscribe(filter: EventFilter, handler: (event: Event) => unknown): Promise<Subscription> {
    const onError = (error: unknown) => this.#report(error, { doing: "subscription" });
    const subscription = await subscribe({
      client: this.client,
      clock: this.#clock,
      filter,
      onError,
      handle: async (event) => {
        try {
          await handler(event);
        } catch (error) {
          this.recordError();
          onError(error);
        }
        this.recordEvent();
      },
    });
    this.#subscriptions.add(subscription);
    return {
      close: () => {
        this.#subscriptions.delete(subscription);
        return subscription.close();
      },
    };
  }

  async pull(topic: string, options: PullOptions = {}): Promise<Claimed[]> {
    const { signal, ...claim } = options;
    const { claimed } = await this.client.claimEvents({ topic, agent: this.name, ...claim }, { signal });
    return claimed;
  }

  reply({ event, lease }: Claimed, answer: ReplyOptions): Promise<Output<"reply">> {
    return this.client.reply({ event_id: event.id, lease, agent: this.name, ...answer });
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? DRAIN_MS);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(drainMs: number): Promise<void> {
    await this.#link.stopListening();
    const underWay = Promise.all([
      this.#work.drained(),
      ...[...this.#subscriptions].map((subscription) => subscription.close()),
      ...this.#pushes,
    ]);
    if (!(await this.#within(underWay, drainMs))) {
      this.#work.stop();
      await this.#within(underWay, GRACE_MS);
    }
    const limit = new AbortController();
    const leaving = this.#link.leave(limit.signal).catch((error: unknown) => {
      this.#report(error, { doing: "connection" });
    });
    if (!(await this.#within(leaving, LEAVE_MS))) limit.abort();
    await leaving;
    this.client.close();
    this.#options.log?.info(`${this.name} has stopped`);
  }

  async #run(command: Command, signal: AbortSignal) {
    const { effect_id, attempt, source, event_id } = command;
    const parent = event_id === null ? {} : { parent_id: event_id };
    const context = {
      ...{ command: command.command, effectId: effect_id, attempt, source, signal },
      publish: (event: NewEvent) => this.publish({ ...parent, ...event }),
    };
    const outcome = await carryOut(this.#options.commands ?? {}, command, context, (error) =>
      this.#report(error, { doing: "command", effectId: effect_id, command: command.command }),
    );
    if (outcome.status === "failed") this.recordError();
    this.recordEvent();
    return outcome;
  }

  /** To whoever wants to know. Never throws, since nobody is there to catch it. */
  #report(error: unknown, place: ErrorPlace): void {
    const { log, onError } = this.#options;
    const what = "command" in place ? `${place.doing} ${place.command} (${place.effectId})` : place.doing;
    log?.warn(`${this.name}: ${what}: ${error instanceof Error ? error.message : String(error)}`);
    try {
      onError?.(error, place);
    } catch (failure) {
      log?.error(`${this.name}: onError itself failed: ${String(failure)}`);
    }
  }

  /** Whether it settles in time. */
  #within(promise: Promise<unknown>, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, () => resolve(false));
      const done = () => {
        cancel();
        resolve(true);
      };
      promise.then(done, done);
    });
  }
}
