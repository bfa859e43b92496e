import { agentName } from "../contract/agent-name.ts";
import type { Agent, Beat, RegisterAgent } from "../contract/agents.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Closeable } from "../lib/scope.ts";
import type { AgentRow, Store } from "../store/store.ts";

/** Names may be written with `@`. */
export interface AgentRegistry extends Closeable {
  /** @throws SignalboxError `conflict` when an agent takes the name of a connector */
  register(input: RegisterAgent, kind?: "agent" | "connector"): Promise<Agent>;
  /** A beat may come before the registration: the agent is then `seen`. @throws SignalboxError `conflict` */
  beat(name: string, beat: Beat): Promise<Agent>;
  /** Said by the agent itself when it stops. @throws SignalboxError `not_found`, `conflict` */
  goOffline(name: string): Promise<void>;
  /** Connectors that an earlier start had and this one has no settings for are offline. */
  onlyConnectors(names: ReadonlySet<string>): Promise<void>;
  /** @throws SignalboxError `not_found` */
  get(name: string): Promise<Agent>;
  list(): Promise<Agent[]>;
  /** @throws SignalboxError `not_found` */
  remove(name: string): Promise<void>;
  /** Its commands are for the service itself, not for whoever asks. @throws SignalboxError `conflict` */
  refuseConnector(name: string): Promise<void>;
  /** Counts a connection over which it takes commands. Returns how to end it. */
  connected(name: string): () => void;
}

interface RegistryOptions {
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  staleMs: number;
}

/** Who is there, who was, and when that changes (U16). What it knows survives a restart. */
export async function startAgentRegistry(options: RegistryOptions): Promise<AgentRegistry> {
  const registry = new Registry(options);
  await registry.sweep();
  return registry;
}

class Registry implements AgentRegistry {
  readonly #options: RegistryOptions;
  readonly #connections = new Map<string, number>();
  /** Nobody could be heard before. */
  readonly #startedMs: number;
  #cancel: (() => void) | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#startedMs = options.clock.nowMs();
  }

  async register(input: RegisterAgent, kind: "agent" | "connector" = "agent"): Promise<Agent> {
    const { store, clock } = this.#options;
    const { version, capabilities, commands } = input;
    const name = agentName(input.name);
    if (kind === "agent") await this.refuseConnector(name);
    return this.#present(
      await store.saveAgent({ name, kind, version, capabilities, commands, now_ms: clock.nowMs() }),
    );
  }

  async beat(written: string, { last_event_ms, events_processed, errors }: Beat): Promise<Agent> {
    const { store, clock } = this.#options;
    const name = agentName(written);
    await this.refuseConnector(name);
    return this.#present(
      await store.beatAgent(name, { now_ms: clock.nowMs(), last_event_ms, events_processed, errors }),
    );
  }

  async goOffline(name: string): Promise<void> {
    await this.refuseConnector(name);
    await this.#setOnline(await this.#require(name), false, "it stopped");
  }

  async onlyConnectors(names: ReadonlySet<string>): Promise<void> {
    for (const row of await this.#options.store.listAgents())
      if (row.kind === "connector" && !names.has(row.name))
        await this.#setOnline(row, false, "it is not configured");
  }

  async get(name: string): Promise<Agent> {
    return this.#describe(await this.#require(name), await this.#options.store.countOpenEffects());
  }

  async list(): Promise<Agent[]> {
    const open = await this.#options.store.countOpenEffects();
    return (await this.#options.store.listAgents()).map((row) => this.#describe(row, open));
  }

  async remove(name: string): Promise<void> {
    await this.#options.store.removeAgent((await this.#require(name)).name);
  }

  async refuseConnector(name: string): Promise<void> {
    const row = await this.#options.store.getAgent(agentName(name));
    if (row?.kind !== "connector") return;
    throw new SignalboxError("conflict", `${row.name} is a connector of this service`, {
      hint: `Use another name; if that connector is no longer used, \`signalbox agents remove ${row.name}\`.`,
    });
  }

  connected(written: string): () => void {
    const name = agentName(written);
    this.#connections.set(name, (this.#connections.get(name) ?? 0) + 1);
    return () => {
      const left = (this.#connections.get(name) ?? 0) - 1;
      if (left > 0) this.#connections.set(name, left);
      else this.#connections.delete(name);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#sweeping;
  }

  /** Marks who was silent for too long, and sets the timer for the next who may become so. */
  async sweep(): Promise<void> {
    const { store, clock, staleMs } = this.#options;
    const now = clock.nowMs();
    let next = Number.POSITIVE_INFINITY;
    // Connectors live in this process, so silence says nothing of them.
    for (const row of (await store.listAgents()).filter(({ online, kind }) => online && kind === "agent")) {
      const staleAt = Math.max(row.last_beat_ms ?? 0, this.#startedMs) + staleMs;
      if (staleAt <= now) await this.#setOnline(row, false, `silent for ${Math.round(staleMs / 1_000)} s`);
      else next = Math.min(next, staleAt);
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next - now);
  }

  #arm(delayMs: number): void {
    if (this.#cancel || this.#closed) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      this.#sweeping = this.sweep().catch((error: unknown) => {
        this.#options.log.warn({ err: error }, "agents could not be checked; trying again");
        this.#arm(this.#options.staleMs);
      });
    });
  }

  async #present(row: AgentRow): Promise<Agent> {
    const online = row.registered_ms !== null;
    if (online) {
      await this.#setOnline(row, true, "it reported");
      this.#arm(this.#options.staleMs);
    }
    return this.#describe({ ...row, online }, await this.#options.store.countOpenEffects());
  }

  async #setOnline(row: AgentRow, online: boolean, reason: string): Promise<void> {
    if (row.online === online) return;
    const { store, log, events } = this.#options;
    const event = events.draft(
      {
        type: online ? "signalbox.agent.online" : "signalbox.agent.offline",
        source: "signalbox",
        body: online ? `${row.name} is online` : `${row.name} is offline: ${reason}`,
        payload: { name: row.name, version: row.version, last_beat_ms: row.last_beat_ms, reason },
        origin_kind: "system",
      },
      null,
    );
    if (await store.setAgentOnline(row.name, online, [event]))
      log.info({ agent: row.name, online, reason }, "agent changed state");
  }

  #describe(row: AgentRow, open: Map<string, number>): Agent {
    const { online, ...rest } = row;
    const status = row.registered_ms === null ? "seen" : online ? "online" : "offline";
    return {
      ...rest,
      status,
      connections: this.#connections.get(row.name) ?? 0,
      open_commands: open.get(row.name) ?? 0,
    };
  }

  async #require(written: string): Promise<AgentRow> {
    const name = agentName(written);
    const row = await this.#options.store.getAgent(name);
    if (!row)
      throw new SignalboxError("not_found", `there is no agent ${name}`, {
        hint: "`signalbox agents` lists those there are.",
      });
    return row;
  }
}
