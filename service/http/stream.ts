import type { FastifyReply } from "fastify";
import type { Bus } from "../bus/bus.ts";
import { PROTOCOL } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import type { Store } from "../store/store.ts";

/** A comment now and then, so that both ends notice a dead connection. */
const KEEP_ALIVE_MS = 15_000;
/** Events read at once, and so kept in memory for a reader that is slow. */
const PAGE = 100;

/**
 * Server-sent events on one connection. Begins with the first thing that is sent, or with `open`: up to then an
 * error can still be an ordinary reply.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #raw: FastifyReply["raw"];
  /** Aborts when the connection is gone or the service stops. */
  readonly signal: AbortSignal;
  readonly #closed: Promise<void>;
  #isOpen = false;
  #onDrained = () => {};

  constructor(reply: FastifyReply, signal: AbortSignal) {
    this.#reply = reply;
    this.#raw = reply.raw;
    this.signal = signal;
    this.#closed = new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the reader has yet to take what was written before. */
  get isFull(): boolean {
    return this.#raw.writableNeedDrain;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#reply.hijack();
    this.#raw.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "signalbox-protocol": String(PROTOCOL),
    });
    this.#raw.write(": open\n\n");
    const timer = setInterval(() => {
      if (!this.isFull) this.#raw.write(": alive\n\n");
    }, KEEP_ALIVE_MS);
    timer.unref();
    this.#raw.on("drain", () => this.#onDrained());
    void this.#closed.then(() => {
      clearInterval(timer);
      this.#onDrained();
      this.#raw.end();
    });
  }

  /** False when the reader is slower than what is written: wait for `drained` then. */
  send(data: unknown, id?: string | number, event?: string): boolean {
    if (this.signal.aborted) return false;
    this.open();
    const head = `${id === undefined ? "" : `id: ${id}\n`}${event === undefined ? "" : `event: ${event}\n`}`;
    return this.#raw.write(`${head}data: ${JSON.stringify(data)}\n\n`);
  }

  /** Begins the stream, and resolves when `signal` aborts. */
  closed(): Promise<void> {
    this.open();
    return this.#closed;
  }

  /** Resolves when the reader has taken what was written, or is gone. One may wait at a time. */
  drained(): Promise<void> {
    if (this.signal.aborted || !this.isFull) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
    });
  }

  fail(error: unknown): void {
    const known = SignalboxError.is(error)
      ? error
      : new SignalboxError("internal", "the stream broke", { cause: error });
    this.send(known.toBody(), undefined, "error");
    this.end();
  }

  end(): void {
    this.open();
    this.#raw.end();
  }
}

interface FollowOptions {
  store: Store;
  bus: Bus;
  stream: EventStream;
  /** Begin after this place in the log. */
  after: number;
  wants(event: Event): boolean;
}

/**
 * Sends matching events from `after` on, live once it has caught up. A reader that is slow is sent the rest from
 * the log when it is ready again, so it holds neither memory nor the others up.
 */
export async function followEvents({ store, bus, stream, after, wants }: FollowOptions): Promise<void> {
  let sent = after;
  let live = false;
  stream.open();
  const unsubscribe = bus.subscribe({
    wants: () => live,
    onEvent(event) {
      if (!live || event.seq <= sent) return;
      sent = event.seq;
      if (wants(event) && !stream.send(event, event.seq)) {
        live = false;
        void stream
          .drained()
          .then(catchUp)
          .catch((error: unknown) => stream.fail(error));
      }
    },
  });
  const catchUp = async (): Promise<void> => {
    while (!stream.signal.aborted) {
      const events = await store.readLog(sent, PAGE);
      for (const event of events) {
        sent = event.seq;
        if (wants(event) && !stream.send(event, event.seq)) await stream.drained();
      }
      // No await between the last look and going live: nothing can be committed in between.
      if (events.length === 0 || sent >= store.lastSeq()) {
        live = true;
        return;
      }
    }
  };
  try {
    await catchUp();
    await stream.closed();
  } finally {
    unsubscribe();
  }
}
