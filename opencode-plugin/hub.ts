/** Brings sessions and events together: holds what is known of each session, and does what its steps ask for. */
import type { Claimed } from "../service/contract/topics.ts";
import type { Clock } from "../service/lib/clock.ts";
import { Deliveries, type Held } from "./deliveries.ts";
import { banner, compactText, eventText } from "./event-text.ts";
import { type Host, HostError, type Level } from "./host.ts";
import type { Link } from "./link.ts";
import { Puller } from "./puller.ts";
import { type Act, type Input, newSession, type Rules, readiness, type Session, step } from "./session.ts";
import type { Settings } from "./settings.ts";

interface HubOptions {
  readonly host: Host;
  readonly link: Link;
  readonly clock: Clock;
  readonly settings: Settings;
  /** Shown to the user, each text once in a while only. */
  notify(text: string, level: Level): void;
}

/** An event that only its own maker could take waits this long for somebody else. */
const LATER_MS = 30_000;

export class Hub {
  readonly #options: HubOptions;
  readonly #sessions = new Map<string, Session>();
  /** Topic → its session, where it has one of its own. */
  readonly #dedicated = new Map<string, string>();
  readonly #creating = new Set<string>();
  readonly #settling = new Map<string, () => void>();
  readonly #work = new Set<Promise<unknown>>();
  readonly #rules: Rules;
  readonly #puller: Puller;
  readonly deliveries: Deliveries;
  #wake = () => {};
  #closed = false;

  constructor(options: HubOptions) {
    this.#options = options;
    const { settings, clock, link } = options;
    const { perHour, minGapMs, failures, name, leaseMs, pollMs } = settings;
    const injected = settings.topics.filter((topic) => settings.topic(topic).mode === "inject");
    this.#rules = {
      ...{ topics: injected, perHour, minGapMs, failures },
      noReply: (topic) => settings.topic(topic).noReply,
    };
    const onProblem = (error: unknown) => this.problem(error);
    this.deliveries = new Deliveries({
      ...{ link, clock, settings, onProblem },
      onLost: (session) => this.apply(session, { kind: "lease-lost" }),
      onOverdue: (session, message) => this.apply(session, { kind: "overdue", message }),
    });
    this.#puller = new Puller({
      ...{ link, clock, agent: name, leaseMs, pollMs, onProblem },
      isWanted: (topic) => this.#isWanted(topic),
      hand: (topic, claimed) => this.#hand(topic, claimed),
    });
  }

  session(id: string): Session {
    return this.#sessions.get(id) ?? newSession(id);
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** Takes one step of a session and does what it asks for. */
  apply(id: string, input: Input): Session {
    const { clock } = this.#options;
    const before = this.session(id);
    // A session that is gone for good is not kept, nor is one made by what comes after its end.
    const { session, acts } = step(before, input, this.#rules, clock.nowMs());
    if (input.kind === "deleted") this.#forget(id);
    else this.#sessions.set(id, session);
    for (const act of acts) this.#do(id, act);
    return session;
  }

  /** Looks again at what may have been missed. The fallback of all that is told by events. */
  async lookAgain(): Promise<void> {
    const { host } = this.#options;
    for (const { id, phase, topics } of this.sessions) {
      if (topics === null || topics.length === 0) continue;
      const idle = await host.isIdle(id);
      if (idle && phase !== "idle") this.apply(id, { kind: "status", busy: false });
    }
    this.pull();
  }

  /** Sessions that listened before OpenCode was started again. */
  async resume(): Promise<void> {
    for (const { id, topics, child, archived } of await this.#options.host.list()) {
      if (topics === null || child || archived || this.#sessions.has(id)) continue;
      if ([...this.#dedicated.values()].includes(id)) continue;
      this.apply(id, { kind: "listen", topics });
      this.apply(id, { kind: "status", busy: false });
    }
  }

  pull(): void {
    if (this.#closed || this.#options.host.isOneShot) return;
    const topics = new Set(this.sessions.flatMap((session) => session.topics ?? []));
    for (const topic of this.#options.settings.topics) if (this.#isDedicated(topic)) topics.add(topic);
    this.#puller.pull(topics);
    this.#armWake(topics);
  }

  /** What a session works on, for its summary. */
  inSummary(session: string): string | null {
    const held = this.deliveries.of(session);
    return held === undefined ? null : compactText(held.claimed, held.topic);
  }

  /** The text of a claimed event that goes out with the user's own message. */
  carry(session: string, topic: string, claimed: Claimed): string | null {
    const after = this.apply(session, { kind: "carried", claimed, topic });
    if (after.inflight?.lease !== claimed.lease) return null;
    this.#begin({ claimed, session, topic });
    return eventText(claimed, topic, this.#options.settings.maxChars);
  }

  /** A model that answers has seen it; what was told of the event so far has to arrive before the answer ends it. */
  async beforeReply(session: string): Promise<void> {
    const { inflight } = this.apply(session, { kind: "output" });
    if (inflight) await this.deliveries.told(inflight.event_id);
  }

  problem(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof Error && "hint" in error ? ` ${String(error.hint)}` : "";
    this.#options.notify(`${message}.${hint}`, "error");
  }

  /** Ends every turn as it stands, and waits until the service knows. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#puller.close();
    for (const cancel of this.#settling.values()) cancel();
    for (const { id } of this.sessions) this.apply(id, { kind: "disposed" });
    this.deliveries.close();
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
  }

  #isDedicated(topic: string): boolean {
    const { settings } = this.#options;
    return settings.topics.includes(topic) && settings.topic(topic).mode === "dedicated";
  }

  #takers(topic: string): Session[] {
    const now_ms = this.#options.clock.nowMs();
    return this.sessions
      .filter((session) => readiness(session, topic, this.#rules, now_ms) === 0)
      .filter(({ id }) => !this.#settling.has(id))
      .sort((one, other) => (one.times.at(-1) ?? 0) - (other.times.at(-1) ?? 0));
  }

  #isWanted(topic: string): boolean {
    if (this.#closed || this.#options.host.isOneShot) return false;
    if (this.#isDedicated(topic) && !this.#dedicated.has(topic)) return !this.#creating.has(topic);
    return this.#takers(topic).length > 0;
  }

  /** A brake that lets go in a while has to be looked at again then. */
  #armWake(topics: Iterable<string>): void {
    const { clock } = this.#options;
    const now_ms = clock.nowMs();
    const times = [...topics].flatMap((topic) =>
      this.sessions.flatMap((session) => {
        const when = readiness(session, topic, this.#rules, now_ms);
        return typeof when === "number" && when > 0 ? when : [];
      }),
    );
    this.#wake();
    if (times.length > 0) this.#wake = clock.after(Math.min(...times) - now_ms, () => this.pull());
  }

  /** To the first session that can still take it when asked; back to the queue if there is none. */
  async #hand(topic: string, claimed: Claimed): Promise<void> {
    const { event, lease } = claimed;
    const maker = makerOf(claimed);
    try {
      if (this.#isDedicated(topic)) await this.#makeDedicated(topic);
    } catch (error) {
      await this.deliveries.release(event.id, lease, LATER_MS);
      throw error;
    }
    const takers = this.#takers(topic);
    for (const { id } of takers) {
      if (id === maker) continue;
      const taken = await this.#offer(id, topic, claimed);
      if (taken) return;
    }
    // Whoever is left could take it and yet did not: the same would happen again at once.
    await this.deliveries.release(event.id, lease, this.#isWanted(topic) ? LATER_MS : undefined);
  }

  async #offer(id: string, topic: string, claimed: Claimed): Promise<boolean> {
    const { host } = this.#options;
    try {
      const [look, idle] = await Promise.all([host.look(id), host.isIdle(id)]);
      if (look === null) this.apply(id, { kind: "deleted" });
      else this.apply(id, { kind: "info", ...look });
      // A message may have come while we looked, without having told us yet.
      if (!idle) this.apply(id, { kind: "status", busy: true });
      if (look === null || this.#closed) return false;
    } catch (error) {
      this.problem(error);
      return false;
    }
    if (readiness(this.session(id), topic, this.#rules, this.#options.clock.nowMs()) !== 0) return false;
    return this.apply(id, { kind: "claimed", claimed, topic }).inflight?.lease === claimed.lease;
  }

  async #makeDedicated(topic: string): Promise<void> {
    if (this.#dedicated.has(topic)) return;
    const { host, settings } = this.#options;
    this.#creating.add(topic);
    try {
      const id = await host.create(topic, settings.topic(topic));
      this.#dedicated.set(topic, id);
      const { agent, model } = settings.topic(topic);
      this.#sessions.set(id, {
        ...{
          ...this.session(id),
          phase: "idle",
          dedicated: true,
          topics: [topic],
          persona: { agent, model },
        },
      });
    } finally {
      this.#creating.delete(topic);
    }
  }

  #forget(id: string): void {
    this.#sessions.delete(id);
    for (const [topic, session] of this.#dedicated) if (session === id) this.#dedicated.delete(topic);
  }

  #do(id: string, act: Act): void {
    switch (act.kind) {
      case "settle":
        this.#settle(id);
        break;
      case "end":
        this.deliveries.end(act.event_id);
        break;
      case "tell":
        this.#options.notify(`This session ${act.text}.`, act.level);
        break;
      case "pull":
        this.pull();
        break;
      default:
        this.#track(this.#tell(id, act));
    }
  }

  /** What takes its time: to OpenCode, or to the service. */
  #tell(id: string, act: Exclude<Act, { kind: "settle" | "end" | "tell" | "pull" }>): Promise<void> {
    switch (act.kind) {
      case "inject":
        return this.#inject(id, act);
      case "receipt":
        return this.deliveries.receipt(act.inflight, id, act.receipt, act.detail);
      case "ack":
        return this.deliveries.ack(act.inflight);
      case "nack":
        return this.deliveries.nack(act.inflight, act.error);
      case "release":
        return this.deliveries.release(act.event_id, act.lease);
      case "reply-with-last-text":
        return this.#replyWithLastText(id, act.inflight);
    }
  }

  #begin(held: Held): void {
    const { session, claimed } = held;
    this.deliveries.begin(held, () => {
      const { inflight } = this.session(session);
      return inflight === null || inflight.lease !== claimed.lease || inflight.accepted;
    });
  }

  async #inject(id: string, { claimed, topic, persona }: Extract<Act, { kind: "inject" }>): Promise<void> {
    const { host, settings } = this.#options;
    this.#begin({ claimed, session: id, topic });
    try {
      await host.prompt(id, {
        ...{ persona, topic, event_id: claimed.event.id, banner: banner(claimed, topic) },
        text: eventText(claimed, topic, settings.maxChars),
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.apply(id, { kind: "refused", message, gone: error instanceof HostError && error.gone });
      this.problem(error);
    }
  }

  /** Waits a moment, in which OpenCode may go on by itself or end, and looks whether it is idle still. */
  #settle(id: string): void {
    const { clock, settings, host } = this.#options;
    this.#settling.get(id)?.();
    const cancel = clock.after(settings.settleMs, () => {
      this.#track(
        host.isIdle(id).then(
          (idle) => {
            this.#settling.delete(id);
            if (!this.#closed && this.session(id).phase === "idle") this.apply(id, { kind: "settled", idle });
          },
          (error: unknown) => {
            this.#settling.delete(id);
            this.problem(error);
          },
        ),
      );
    });
    this.#settling.set(id, cancel);
  }

  async #replyWithLastText(id: string, inflight: Parameters<Deliveries["reply"]>[0]): Promise<void> {
    const text = await this.#options.host.lastText(id).catch(() => "");
    await this.deliveries.reply(inflight, id, text);
  }

  #track(work: Promise<unknown>): void {
    const tracked = work
      .catch((error: unknown) => this.problem(error))
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }
}

/** The session that pushed it, so that nobody is given their own words back. */
function makerOf({ event }: Claimed): string | null {
  const { opencode_session } = event.meta;
  return typeof opencode_session === "string" ? opencode_session : null;
}
