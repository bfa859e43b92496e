import type { Event } from "../../contract/events.ts";
import { backoffMs } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Store } from "../../store/store.ts";
import type { Bus, Consumer, ConsumerConfig, Subscription } from "../bus.ts";

/** Events read at once by a consumer that is behind. */
const PAGE = 256;
/** Events kept for a consumer that is slower than the log; beyond, it reads them again from the log. */
const BUFFER = 1_024;
/** A cursor is saved this long after it moved: a crash repeats at most what was acknowledged since. */
const SAVE_AFTER_MS = 200;
const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 30_000;

interface BusOptions {
  store: Store;
  clock: Clock;
  log: Logger;
}

/** The embedded bus: the event log itself, with a wake-up after each commit in place of polling. */
export function openSqliteBus({ store, clock, log }: BusOptions): Bus {
  const subscriptions = new Set<Subscription>();
  const consumers = new Map<string, LogConsumer>();
  let lastSeq = store.lastSeq();
  const stop = store.onCommitted(({ events }) => {
    if (events.length === 0) return;
    const before = lastSeq;
    lastSeq = events.at(-1)?.seq ?? lastSeq;
    for (const consumer of consumers.values()) consumer.offer(before, events);
    for (const subscription of subscriptions) tell(subscription, events, log);
  });
  return {
    async consume(config, handler) {
      const { name } = config;
      if (consumers.has(name)) throw new Error(`the consumer ${name} is there already`);
      const consumer = new LogConsumer({
        store,
        clock,
        log,
        config,
        handler,
        leave: () => void consumers.delete(name),
      });
      consumers.set(name, consumer);
      try {
        await consumer.start();
      } catch (error) {
        consumers.delete(name);
        throw error;
      }
      return consumer;
    },
    subscribe(subscription) {
      subscriptions.add(subscription);
      return () => subscriptions.delete(subscription);
    },
    async close() {
      stop();
      await Promise.all([...consumers.values()].map((consumer) => consumer.close()));
      subscriptions.clear();
    },
  };
}

function tell(subscription: Subscription, events: Event[], log: Logger): void {
  try {
    for (const event of events) if (subscription.wants(event)) subscription.onEvent(event);
  } catch (error) {
    // It runs inside the commit of somebody else, who must not suffer for it.
    log.error({ err: error }, "a live subscriber failed");
  }
}

interface ConsumerParts extends BusOptions {
  config: ConsumerConfig;
  handler(event: Event): Promise<void>;
  leave(): void;
}

class LogConsumer implements Consumer {
  readonly name: string;
  readonly #parts: ConsumerParts;
  /** Everything up to here was looked at: wanted events are in the buffer or out, the others are done with. */
  #readSeq = 0;
  #saved = 0;
  #buffer: Event[] = [];
  /** Handed out, not acknowledged; in log order, as a Map keeps its order. */
  readonly #out = new Map<number, Event>();
  /** Those of them that were rejected and wait for their pause to end, by `seq`. */
  readonly #pauses = new Map<number, () => void>();
  /** Those whose pause is over. */
  #again: { event: Event; attempt: number }[] = [];
  /** Handlers that have not settled. */
  #working = 0;
  #reading = false;
  /** Until it has begun, and when it was asked to. */
  #paused = true;
  #closing: Promise<void> | undefined;
  #cancelSave: (() => void) | undefined;
  #onIdle: (() => void) | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.name = parts.config.name;
  }

  async start(): Promise<void> {
    const { store, clock, config } = this.#parts;
    const cursor = (await store.readCursor(this.name)) ?? (config.from === "now" ? store.lastSeq() : 0);
    this.#readSeq = cursor;
    this.#saved = cursor;
    await store.saveCursor(this.name, cursor, clock.nowMs());
    this.resume();
  }

  get cursor(): number {
    const firstOut = this.#out.keys().next().value;
    const first = firstOut ?? this.#buffer[0]?.seq;
    return first === undefined ? this.#readSeq : first - 1;
  }

  /** Takes just committed events from memory, if it had read everything before them. */
  offer(before: number, events: Event[]): void {
    if (this.#paused || this.#closing) return;
    const upToDate = this.#readSeq >= before && !this.#reading && this.#buffer.length < BUFFER;
    if (upToDate) this.#accept(events);
    this.pump();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.pump();
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  pump(): void {
    if (this.#paused || this.#closing) return;
    const again = this.#again.splice(0).sort((a, b) => a.event.seq - b.event.seq);
    for (const { event, attempt } of again) this.#hand(event, attempt);
    while (this.#out.size < this.#parts.config.maxInFlight) {
      const event = this.#buffer.shift();
      if (!event) break;
      this.#out.set(event.seq, event);
      this.#hand(event, 1);
    }
    if (this.#buffer.length === 0 && this.#readSeq < this.#parts.store.lastSeq()) void this.#read();
    this.#scheduleSave();
  }

  #hand(event: Event, attempt: number): void {
    this.#working += 1;
    // A handler that throws before its first await rejects as well.
    const work = (async () => this.#parts.handler(event))();
    work
      .then(
        () => this.#out.delete(event.seq),
        (error: unknown) => this.#comeAgain(event, attempt, error),
      )
      .finally(() => {
        this.#working -= 1;
        if (this.#working === 0) this.#onIdle?.();
        this.pump();
      });
  }

  #comeAgain(event: Event, attempt: number, error: unknown): void {
    if (this.#closing) return;
    const pauseMs = backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS);
    this.#parts.log.warn(
      { err: error, consumer: this.name, event_id: event.id, attempt, pauseMs },
      "an event was not taken; it comes again",
    );
    const next = { event, attempt: attempt + 1 };
    if (this.#paused) {
      this.#again.push(next);
      return;
    }
    const cancel = this.#parts.clock.after(pauseMs, () => {
      this.#pauses.delete(event.seq);
      this.#again.push(next);
      this.pump();
    });
    this.#pauses.set(event.seq, cancel);
  }

  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const { store, clock, log } = this.#parts;
    try {
      const last = store.lastSeq();
      const events = await store.readLog(this.#readSeq, PAGE);
      this.#accept(events);
      // The newest may have been cleaned up.
      if (events.length === 0) this.#readSeq = Math.max(this.#readSeq, last);
    } catch (error) {
      if (this.#closing) return;
      log.warn({ err: error, consumer: this.name }, "the log could not be read; trying again");
      clock.after(RETRY_BASE_MS, () => this.pump());
      return;
    } finally {
      this.#reading = false;
    }
    this.pump();
  }

  #accept(events: Event[]): void {
    for (const event of events) {
      if (event.seq <= this.#readSeq) continue;
      this.#readSeq = event.seq;
      if (this.#parts.config.wants(event)) this.#buffer.push(event);
    }
  }

  #scheduleSave(): void {
    if (this.#cancelSave || this.cursor === this.#saved) return;
    this.#cancelSave = this.#parts.clock.after(SAVE_AFTER_MS, () => {
      this.#cancelSave = undefined;
      this.#save().catch((error: unknown) =>
        this.#parts.log.warn({ err: error, consumer: this.name }, "a cursor was not saved"),
      );
    });
  }

  async #save(): Promise<void> {
    const cursor = this.cursor;
    if (cursor === this.#saved) return;
    await this.#parts.store.saveCursor(this.name, cursor, this.#parts.clock.nowMs());
    this.#saved = cursor;
  }

  /** What waits for another try comes after the next start. */
  async #finish(): Promise<void> {
    for (const cancel of this.#pauses.values()) cancel();
    this.#cancelSave?.();
    if (this.#working > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#parts.leave();
    await this.#save();
  }
}
