/** Keeps this process in the service's list of agents. */
import type { Client } from "../service/client/call.ts";
import type { Clock } from "../service/lib/clock.ts";
import type { Settings } from "./settings.ts";
import { version } from "./version.ts";

interface PresenceOptions {
  readonly clock: Clock;
  readonly settings: Settings;
  call<T>(ask: (client: Client) => Promise<T>): Promise<T>;
}

/** An agent that is silent for 120 s counts as gone. */
const BEAT_MS = 50_000;

export class Presence {
  readonly #options: PresenceOptions;
  #cancel = () => {};
  #announced = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  announce(): void {
    const { settings, call } = this.#options;
    const { name, topics } = settings;
    const capabilities = ["opencode", ...topics.map((topic) => `topic:${topic}`)];
    this.#announced = true;
    this.#arm();
    // Being listed is a courtesy; whoever needs the service is told that it is away.
    call((client) => client.registerAgent({ name, version, capabilities })).catch(() => {});
  }

  async leave(): Promise<void> {
    this.#cancel();
    const { settings, call } = this.#options;
    if (this.#announced) await call((client) => client.goOffline({ agent: settings.name })).catch(() => {});
  }

  #arm(): void {
    const { clock, settings, call } = this.#options;
    this.#cancel();
    this.#cancel = clock.after(BEAT_MS, () => {
      call((client) => client.beat({ agent: settings.name })).catch(() => {});
      this.#arm();
    });
  }
}
