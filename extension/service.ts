import { setTimeout as after } from "node:timers/promises";
import type { Client } from "../service/client/call.ts";
import { createClient } from "../service/client/client.ts";
import { checkProtocol, type FindOptions, readEndpoint } from "../service/client/discover.ts";
import { ensureService } from "../service/client/ensure.ts";
import { type Environment, type Paths, resolvePaths } from "../service/client/paths.ts";
import { socketTransport } from "../service/client/socket-transport.ts";
import { isNotListening, type Transport } from "../service/client/transport.ts";
import { SignalboxError } from "../service/contract/errors.ts";
import type { Event } from "../service/contract/events.ts";
import type { Info } from "../service/contract/system.ts";
import { type Disposable, Emitter } from "./emitter.ts";

/**
 * `untrusted`: nothing is looked for. `stopped`: nobody asked for it yet, or somebody stopped it. `starting`: it is
 * being looked for or started. `failed`: it could not be, and why.
 */
export type ServiceState =
  | { readonly kind: "untrusted" | "stopped" | "starting" }
  | { readonly kind: "ready"; readonly info: Info }
  | { readonly kind: "failed"; readonly error: SignalboxError };

export interface ServiceOptions {
  /** The service's own file, beside the extension. */
  readonly entry: string;
  /** The editor's own runtime, which runs as Node when asked to. */
  readonly node: string;
  readonly env: Environment;
  /** One folder for everything; undefined: as the environment says. */
  home(): string | undefined;
  restartAfterCrash(): boolean;
  /** Variables for the service alone: secrets that its settings refer to. */
  secrets(): Promise<Readonly<Record<string, string>>>;
  readonly log: Log;
  /** How often a service that was not there is looked for. Default 2 s: a failed look costs microseconds. */
  readonly lookEveryMs?: number;
}

export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

const LOOK_EVERY_MS = 2_000;
const STOPPING_PAUSE_MS = 50;
/** So many crashes within this time, and it is left alone. */
const CRASHES = 3;
const CRASH_WINDOW_MS = 60_000;

interface Joined {
  readonly client: Client;
  readonly abort: AbortController;
}

/**
 * The one service that all windows share: finds it, starts it where nobody listens, notices when it goes, and follows
 * its events. Closing this leaves the service running.
 */
export class ServiceLink {
  readonly #options: ServiceOptions;
  readonly #states = new Emitter<ServiceState>();
  readonly #events = new Emitter<Event>();
  #state: ServiceState = { kind: "untrusted" };
  #joined: Joined | null = null;
  #work: Promise<void> | null = null;
  #crashes: number[] = [];
  #look: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get state(): ServiceState {
    return this.#state;
  }

  get paths(): Paths {
    const home = this.#options.home();
    return resolvePaths({ env: this.#options.env, ...(home === undefined ? {} : { home }) });
  }

  onState(listener: (state: ServiceState) => void): Disposable {
    return this.#states.on(listener);
  }

  /** Every event recorded while it is ready. */
  onEvent(listener: (event: Event) => void): Disposable {
    return this.#events.on(listener);
  }

  /** Null unless it is ready. */
  get client(): Client | null {
    return this.#state.kind === "ready" ? (this.#joined?.client ?? null) : null;
  }

  /** Begins to look for a running service, once the folder is trusted. Starts none. */
  async open(): Promise<void> {
    if (this.#state.kind !== "untrusted") return;
    this.#set({ kind: "stopped" });
    await this.join();
  }

  /** The client, once the service is ready; it is started if need be. @throws SignalboxError why it is not */
  async ready(): Promise<Client> {
    if (this.#state.kind !== "ready") await this.start();
    const { client } = this;
    if (client !== null) return client;
    if (this.#state.kind === "failed") throw this.#state.error;
    throw new SignalboxError("service_unreachable", "The service does not run");
  }

  /** Joins a running service; one that is not there stays away. */
  async join(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#state.kind === "ready") return;
      try {
        await this.#connect(false);
      } catch (error) {
        if (isNotListening(error) || SignalboxError.is(error, "unavailable")) this.#stoppedNow();
        else this.#failedNow(error);
      }
    });
  }

  /** Joins the running service or starts it. */
  async start(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#state.kind === "ready" || this.#state.kind === "untrusted") return;
      this.#set({ kind: "starting" });
      try {
        await this.#connect(true);
      } catch (error) {
        this.#failedNow(error);
      }
    });
  }

  /** Stops the service, for every window. */
  async stop(): Promise<void> {
    await this.#exclusively(async () => {
      const joined = this.#joined;
      if (joined === null) return;
      // First of all, so that its going is not taken for a crash.
      this.#leave();
      await this.#shutDownWhateverRuns();
      this.#stoppedNow();
    });
  }

  /** Stops the service, also one of another version, and starts the one that came with this extension. */
  async restart(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#state.kind === "untrusted") return;
      this.#leave();
      this.#set({ kind: "starting" });
      try {
        await this.#shutDownWhateverRuns();
        await this.#connect(true);
      } catch (error) {
        this.#failedNow(error);
      }
    });
  }

  /** Leaves the service, which goes on running, and looks for the one that the settings name now. */
  async reopen(): Promise<void> {
    await this.#exclusively(async () => {
      if (this.#state.kind === "untrusted") return;
      this.#leave();
      this.#set({ kind: "stopped" });
    });
    await this.join();
  }

  dispose(): void {
    this.#isClosed = true;
    this.#stopLooking();
    this.#leave();
    this.#states.dispose();
    this.#events.dispose();
  }

  /** One after the other: two commands at once must not undo each other. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    const before = this.#work ?? Promise.resolve();
    const mine = before.then(async () => {
      if (!this.#isClosed) await work();
    });
    // The next one waits for the end, whatever it is; only this caller hears of an error.
    const ended = mine.catch(() => {});
    this.#work = ended;
    await mine;
  }

  async #connect(start: boolean): Promise<void> {
    const { options, transport } = this.#transport();
    const { paths } = this;
    const find: FindOptions = {
      paths,
      env: await this.#serviceEnvironment(start),
      start: start ? { entry: options.entry, node: options.node } : false,
    };
    let info: Info;
    try {
      info = start ? await ensureService(transport, find) : await checkProtocol(transport);
    } catch (error) {
      transport.close();
      throw error;
    }
    if (this.#isClosed) {
      transport.close();
      return;
    }
    const client = createClient(transport);
    const { last_seq } = await client.getStatus();
    const abort = new AbortController();
    this.#joined = { client, abort };
    this.#stopLooking();
    options.log.info(`joined service ${info.version}, process ${info.pid}, at ${paths.socket}`);
    this.#set({ kind: "ready", info });
    void this.#follow(this.#joined, last_seq);
  }

  #transport(): { options: ServiceOptions; transport: Transport } {
    const { paths } = this;
    const options = this.#options;
    return { options, transport: socketTransport(() => readEndpoint(paths, options.env)) };
  }

  /** Hands every event on, and notices the end of the connection, which is how a service is seen to go. */
  async #follow(joined: Joined, after: number): Promise<void> {
    const { signal } = joined.abort;
    let isLost = false;
    const onReconnect = () => {
      // The stream would go on by itself; what the windows show has to be read anew, though.
      isLost = true;
      joined.abort.abort();
    };
    try {
      for await (const event of joined.client.streamEvents({ after }, { signal, onReconnect })) {
        this.#events.fire(event);
      }
    } catch (error) {
      this.#options.log.warn(`the event stream ended: ${String(error)}`);
      isLost = true;
    }
    if (isLost && this.#joined === joined) await this.#exclusively(() => this.#recover(joined));
  }

  /** A socket that is gone was taken away in an orderly stop; one that refuses was left behind by a crash. */
  async #recover(joined: Joined): Promise<void> {
    if (this.#joined !== joined) return;
    this.#leave();
    this.#set({ kind: "starting" });
    try {
      await this.#connect(this.#isCrash(await this.#whyNot()));
    } catch (error) {
      if (isNotListening(error)) this.#stoppedNow();
      else this.#failedNow(error);
    }
  }

  /** Waits while a service that stops still answers. Null: one is there. */
  async #whyNot(): Promise<unknown> {
    const { transport } = this.#transport();
    try {
      for (;;) {
        try {
          await checkProtocol(transport);
          return null;
        } catch (error) {
          if (!SignalboxError.is(error, "unavailable") || this.#isClosed) return error;
        }
        await after(STOPPING_PAUSE_MS);
      }
    } finally {
      transport.close();
    }
  }

  #isCrash(reason: unknown): boolean {
    if (!SignalboxError.is(reason, "service_unreachable")) return false;
    const code = (reason.cause as NodeJS.ErrnoException | undefined)?.code;
    if (code === "ENOENT") return false;
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((time) => now - time < CRASH_WINDOW_MS), now];
    if (!this.#options.restartAfterCrash()) return false;
    if (this.#crashes.length > CRASHES) {
      throw new SignalboxError("service_unreachable", "The service ended unexpectedly again and again", {
        hint: "Look at its log; it says what happened before.",
        cause: reason,
      });
    }
    this.#options.log.warn("the service ended without being told to; it is started again");
    return true;
  }

  async #shutDownWhateverRuns(): Promise<void> {
    const { transport } = this.#transport();
    try {
      // The route is older than any difference between versions.
      await transport.request({ method: "POST", path: "/v1/shutdown", body: "{}" });
      await this.#untilGone();
    } catch (error) {
      // It may have been stopped by somebody else in between.
      if (!SignalboxError.is(error, "service_unreachable")) throw error;
    } finally {
      transport.close();
    }
  }

  async #untilGone(): Promise<void> {
    const { transport } = this.#transport();
    try {
      for (;;) {
        await transport.request({ method: "GET", path: "/healthz" });
        await after(STOPPING_PAUSE_MS);
      }
    } catch (error) {
      if (!SignalboxError.is(error, "service_unreachable")) throw error;
    } finally {
      transport.close();
    }
  }

  async #serviceEnvironment(start: boolean): Promise<Environment> {
    const env = cleanEnvironment(this.#options.env);
    if (!start) return env;
    const home = this.#options.home();
    return {
      ...env,
      ...(await this.#options.secrets()),
      ...(home === undefined ? {} : { SIGNALBOX_HOME: home }),
      ELECTRON_RUN_AS_NODE: "1",
      // Asked for by a person or a view here, whatever the terminal's setting is.
      SIGNALBOX_NO_AUTOSTART: undefined,
    };
  }

  #stoppedNow(): void {
    this.#leave();
    this.#set({ kind: "stopped" });
    this.#lookAgain();
  }

  #failedNow(error: unknown): void {
    this.#leave();
    const failure = SignalboxError.is(error)
      ? error
      : new SignalboxError("internal", error instanceof Error ? error.message : String(error), {
          cause: error,
        });
    this.#options.log.error(`${failure.code}: ${failure.message}`);
    this.#set({ kind: "failed", error: failure });
    this.#lookAgain();
  }

  /** Somebody else may start it: another window, a terminal. */
  #lookAgain(): void {
    if (this.#isClosed || this.#look !== null) return;
    this.#look = setTimeout(() => {
      this.#look = null;
      void this.#exclusively(() => this.#joinIfThere());
    }, this.#options.lookEveryMs ?? LOOK_EVERY_MS);
    this.#look.unref();
  }

  async #joinIfThere(): Promise<void> {
    if (this.#state.kind !== "stopped" && this.#state.kind !== "failed") return;
    try {
      await this.#connect(false);
    } catch {
      this.#lookAgain(); // Still the same: the state says why already.
    }
  }

  #stopLooking(): void {
    if (this.#look !== null) clearTimeout(this.#look);
    this.#look = null;
  }

  #leave(): void {
    const joined = this.#joined;
    this.#joined = null;
    joined?.abort.abort();
    joined?.client.close();
  }

  #set(state: ServiceState): void {
    this.#state = state;
    this.#states.fire(state);
  }
}

/** What the editor sets for its own processes would follow the service for as long as it runs. */
export function cleanEnvironment(env: Environment): Environment {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^(VSCODE_|ELECTRON_|CHROME_|CODE_SERVER|APPLICATION_INSIGHTS|NODE_OPTIONS$)/.test(name),
    ),
  );
}
