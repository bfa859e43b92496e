/** Topics whose events the user sends off: nothing is claimed before. */
import type { Host } from "./host.ts";
import type { Hub } from "./hub.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./settings.ts";

interface SuggestParts {
  readonly host: Host;
  readonly hub: Hub;
  readonly link: Link;
  readonly settings: Settings;
}

const MARKER = /\[signalbox (\S+)\]/;

export class Suggestions {
  readonly #parts: SuggestParts;
  readonly #abort = new AbortController();
  readonly #told = new Set<string>();

  constructor(parts: SuggestParts) {
    this.#parts = parts;
  }

  /** Follows the topics until it is closed. */
  async follow(): Promise<void> {
    const { settings } = this.#parts;
    const topics = settings.topics.filter((topic) => settings.topic(topic).mode === "suggest");
    await Promise.all(topics.map((topic) => this.#followOne(topic)));
  }

  /** The user's text with the event that it stands for, claimed now that it is sent. */
  async fill(session: string, text: string): Promise<string> {
    const topic = MARKER.exec(text)?.[1];
    if (topic === undefined || !this.#isSuggested(topic)) return text;
    const { hub, link, settings } = this.#parts;
    const request = { topic, agent: settings.name, limit: 1, lease_ms: settings.leaseMs };
    const { claimed } = await link.call((client) => client.claimEvents(request));
    const [one] = claimed;
    const filled = one === undefined ? null : hub.carry(session, topic, one);
    const said = filled ?? "(Signalbox: there is no event left in this topic.)";
    return `${text.replace(MARKER, "").trim()}\n\n${said}`.trim();
  }

  close(): void {
    this.#abort.abort();
  }

  #isSuggested(topic: string): boolean {
    const { settings } = this.#parts;
    return settings.topics.includes(topic) && settings.topic(topic).mode === "suggest";
  }

  async #followOne(topic: string): Promise<void> {
    const { link } = this.#parts;
    const { signal } = this.#abort;
    const client = await link.client();
    const follow = async () => {
      for await (const _event of client.streamEvents({ topic }, { signal })) await this.#offer(topic);
    };
    await Promise.all([this.#offer(topic), follow()]);
  }

  async #offer(topic: string): Promise<void> {
    const { host, link } = this.#parts;
    const found = await link.call((client) => client.listTopics());
    const waiting = found.topics.find(({ name }) => name === topic)?.counts.pending ?? 0;
    if (waiting === 0) return;
    const { events } = await link.call((client) => client.peekEvents({ topic }));
    const [event] = events;
    if (event === undefined || this.#told.has(event.id)) return;
    this.#told.add(event.id);
    await host.toast(`${waiting} waiting in ${topic}: ${event.body ?? event.type}`.slice(0, 200), "info");
    await host.draft(`[signalbox ${topic}] `);
  }
}
