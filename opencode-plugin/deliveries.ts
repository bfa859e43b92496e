/** The claims that sessions of this process hold: their leases renewed, their ends told to the service. */
import { SignalboxError } from "../service/contract/errors.ts";
import type { Claimed } from "../service/contract/topics.ts";
import type { Clock } from "../service/lib/clock.ts";
import { isAway, type Link } from "./link.ts";
import type { Inflight } from "./session.ts";
import type { Settings } from "./settings.ts";

export interface Held {
  readonly claimed: Claimed;
  readonly session: string;
  readonly topic: string;
}

interface DeliveriesOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly settings: Settings;
  onLost(session: string): void;
  onOverdue(session: string, message: string): void;
  onProblem(error: unknown): void;
}

/** An accepted prompt is told within moments; after this long it was swallowed. */
const ACCEPT_MS = 30_000;
const RETRY_MS = 1_000;

export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #held = new Map<string, Held & { stop(): void }>();
  #closing = false;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
  }

  /** What a session works on. */
  of(session: string): Held | undefined {
    return [...this.#held.values()].find((held) => held.session === session);
  }

  get size(): number {
    return this.#held.size;
  }

  /** From now on the claim is renewed, until `end`. */
  begin(held: Held, isAccepted: () => boolean): void {
    const { clock, settings, onOverdue } = this.#options;
    const id = held.claimed.event.id;
    const stops = [
      this.#beat(held),
      clock.after(ACCEPT_MS, () => {
        if (!isAccepted()) onOverdue(held.session, "OpenCode did not take the prompt in");
      }),
      clock.after(settings.maxTurnMs, () =>
        onOverdue(held.session, `the turn took longer than ${Math.round(settings.maxTurnMs / 1_000)} s`),
      ),
    ];
    const stop = () => {
      for (const one of stops) one();
    };
    this.#held.set(id, { ...held, stop });
  }

  end(event_id: string): void {
    this.#held.get(event_id)?.stop();
    this.#held.delete(event_id);
  }

  /** Renews the lease three times in its life, whatever the turn waits for. */
  #beat({ claimed, session }: Held): () => void {
    const { link, clock, settings, onLost, onProblem } = this.#options;
    const { lease, event } = claimed;
    let cancel = () => {};
    const arm = () => {
      cancel = clock.after(settings.leaseMs / 3, () => {
        link
          .call((client) => client.extendClaim({ event_id: event.id, lease, lease_ms: settings.leaseMs }))
          .then(arm, (error: unknown) => {
            if (isNotOurs(error)) onLost(session);
            else {
              onProblem(error);
              arm();
            }
          });
      });
    };
    arm();
    return () => cancel();
  }

  receipt(inflight: Inflight, session: string, kind: "delivered" | "seen" | "acted", detail: string | null) {
    const { event_id, lease } = inflight;
    const more = detail === null ? {} : { detail };
    return this.#inOrder(event_id, () =>
      this.#options.link.call((client) => client.giveReceipt({ event_id, lease, kind, session, ...more })),
    );
  }

  ack({ event_id, lease }: Inflight): Promise<void> {
    return this.#inOrder(event_id, () =>
      this.#options.link.call((client) => client.completeClaim({ event_id, lease })),
    );
  }

  nack({ event_id, lease }: Inflight, error: string): Promise<void> {
    return this.#inOrder(event_id, () =>
      this.#options.link.call((client) =>
        client.failClaim({ event_id, lease, error: error.slice(0, 10_000) }),
      ),
    );
  }

  reply(inflight: Inflight, session: string, body: string): Promise<void> {
    const { event_id, lease } = inflight;
    return this.#inOrder(event_id, () =>
      this.#options.link.call((client) =>
        client.reply({ event_id, lease, agent: this.#options.settings.name, body, session }),
      ),
    );
  }

  async release(event_id: string, lease: string, delay_ms?: number): Promise<void> {
    const more = delay_ms === undefined ? {} : { delay_ms };
    await this.#surely(() =>
      this.#options.link.call((client) => client.releaseClaim({ event_id, lease, ...more })),
    );
  }

  /** Once all that was said of an event has arrived. */
  async told(event_id: string): Promise<void> {
    await this.#orders.get(event_id);
  }

  /** What is on its way gets one more try each, then none. */
  close(): void {
    this.#closing = true;
    for (const { stop } of this.#held.values()) stop();
  }

  readonly #orders = new Map<string, Promise<void>>();

  /** Of one event, one after the other: a receipt that came after the end would be refused. */
  #inOrder(event_id: string, tell: () => Promise<unknown>): Promise<void> {
    const turn = (this.#orders.get(event_id) ?? Promise.resolve()).then(() => this.#surely(tell));
    this.#orders.set(event_id, turn);
    void turn.finally(() => {
      if (this.#orders.get(event_id) === turn) this.#orders.delete(event_id);
    });
    return turn;
  }

  /** Until the service has heard it, for as long as the lease may live; after that it comes again by itself. */
  async #surely(tell: () => Promise<unknown>): Promise<void> {
    const { clock, settings, onProblem } = this.#options;
    const endMs = clock.nowMs() + settings.leaseMs;
    for (;;) {
      try {
        await tell();
        return;
      } catch (error) {
        // Somebody else has it, or it is finished: there is nothing left to say.
        if (isNotOurs(error)) return;
        const mayHelp = isAway(error) || SignalboxError.is(error, "busy");
        if (!mayHelp || this.#closing || clock.nowMs() > endMs) {
          onProblem(error);
          return;
        }
      }
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    }
  }
}

function isNotOurs(error: unknown): boolean {
  return (
    SignalboxError.is(error, "lease_lost") ||
    SignalboxError.is(error, "conflict") ||
    SignalboxError.is(error, "not_found")
  );
}
