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
  const consumers = new Set<LogConsumer>();
  let lastSeq = store.lastSeq();
  const stop = store.onCommitted(({ events }) => {
    if (events.length === 0) return;
    const before = lastSeq;
    lastSeq = events.at(-1)?.seq ?? lastSeq;
    for (const consumer of consumers) consumer.offer(before, events);
    for (const subscription of subscriptions) {
      for (const event of events) if (subscription.wants(event)) subscription.onEvent(event);
    }
  });
  return {
    async consume(config, handler) {
      const cursor = (await store.readCursor(config.name)) ?? (config.from === "now" ? store.lastSeq() : 0);
      await store.saveCursor(config.name, cursor, clock.nowMs());
      const consumer = new LogConsumer({
        store,
        clock,
        log,
        config,
        handler,
        cursor,
        leave: () => consumers.delete(consumer),
      });
      consumers.add(consumer);
      consumer.pump();
      return consumer;
    },
    subscribe(subscription) {
      subscriptions.add(subscription);
      return () => subscriptions.delete(subscription);
    },
    async close() {
      stop();
      await Promise.all([...consumers].map((consumer) => consumer.close()));
      subscriptions.clear();
    },
  };
}

interface ConsumerParts extends BusOptions {
  config: ConsumerConfig;
  handler(event: Event): Promise<void>;
  cursor: number;
  leave(): void;
}

class LogConsumer implements Consumer {
  readonly name: string;
  readonly #parts: ConsumerParts;
  /** Everything up to here was looked at: wanted events are in the buffer or out, the others are done with. */
  #readSeq: number;
  #saved: number;
  #buffer: Event[] = [];
  /** Out, not acknowledged; in log order, as a Map keeps its order. */
  readonly #out = new Map<number, Event>();
  #reading = false;
  #paused = false;
  #closing: Promise<void> | undefined;
  #cancelSave: (() => void) | undefined;
  #onDrained: (() => void) | undefined;

  constructor(parts: ConsumerParts) {
    this.#parts = parts;
    this.name = parts.config.name;
    this.#readSeq = parts.cursor;
    this.#saved = parts.cursor;
  }

  get cursor(): number {
    const firstOut = this.#out.keys().next().value;
    const first = firstOut ?? this.#buffer[0]?.seq;
    return first === undefined ? this.#readSeq : first - 1;
  }

  /** Takes just committed events from memory, if it had read everything before them. */
  offer(before: number, events: Event[]): void {
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
    while (!this.#paused && !this.#closing && this.#out.size < this.#parts.config.maxInFlight) {
      const event = this.#buffer.shift();
      if (!event) break;
      this.#out.set(event.seq, event);
      void this.#hand(event, 1);
    }
    if (this.#buffer.length === 0 && this.#readSeq < this.#parts.store.lastSeq()) void this.#read();
    this.#scheduleSave();
  }

  async #hand(event: Event, attempt: number): Promise<void> {
    try {
      await this.#parts.handler(event);
    } catch (error) {
      const pauseMs = backoffMs(attempt, RETRY_BASE_MS, RETRY_MAX_MS);
      this.#parts.log.warn(
        { err: error, consumer: this.name, event_id: event.id, attempt, pauseMs },
        "an event was not taken; it comes again",
      );
      if (this.#closing) return this.#settle(event, false);
      this.#parts.clock.after(pauseMs, () => void this.#hand(event, attempt + 1));
      return;
    }
    this.#settle(event, true);
  }

  #settle(event: Event, acknowledged: boolean): void {
    if (acknowledged) this.#out.delete(event.seq);
    if (this.#out.size === 0) this.#onDrained?.();
    this.pump();
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#paused || this.#closing) return;
    this.#reading = true;
    try {
      const events = await this.#parts.store.readLog(this.#readSeq, PAGE);
      if (events.length > 0) this.#accept(events);
      else this.#readSeq = Math.max(this.#readSeq, this.#parts.store.lastSeq());
    } catch (error) {
      this.#parts.log.warn({ err: error, consumer: this.name }, "the log could not be read; trying again");
      this.#parts.clock.after(RETRY_BASE_MS, () => this.pump());
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
    if (this.#cancelSave || this.#closing || this.cursor === this.#saved) return;
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

  async #finish(): Promise<void> {
    this.#cancelSave?.();
    this.#parts.leave();
    if (this.#out.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onDrained = resolve;
      });
    }
    await this.#save();
  }
}
