import { SignalboxError } from "../contract/errors.ts";
import type { Delivery, Event } from "../contract/events.ts";
import type { ReceiptKind } from "../contract/receipts.ts";
import type { Claim, Claimed, Reply, Topic, UpdateTopic } from "../contract/topics.ts";
import type { EventLog } from "../events/log.ts";
import type { Clock } from "../lib/clock.ts";
import type { Closeable } from "../lib/scope.ts";
import { Wakeups } from "../lib/wakeups.ts";
import type {
  EventDraft,
  Holder,
  ReceiptDraft,
  Settled,
  Settlement,
  SettleRequest,
  Store,
} from "../store/store.ts";

export interface TopicQueue extends Closeable {
  /** Takes the oldest waiting events, or waits up to `wait_ms` for one. Creates the topic on first use. */
  claim(topic: string, request: Claim, signal: AbortSignal): Promise<Claimed[]>;
  settle(event_id: string, holder: Holder, settlement: Settlement): Promise<Delivery>;
  /** Settles and answers many, which share a transaction. Each has its own end, in order. */
  settleAll(items: (QueueItem | SignalboxError)[]): Promise<(SettledItem | Answered | SignalboxError)[]>;
  /** Keeps a receipt of a claim, and tells it by an event. A second one of its kind changes nothing. */
  receive(event_id: string, given: GivenReceipt): Promise<Delivery>;
  /** Records the answer and finishes the event in one transaction (M8). */
  reply(event_id: string, reply: Reply): Promise<Answered>;
  update(topic: string, patch: UpdateTopic): Promise<Topic>;
}

export interface Answered {
  event: Event;
  answer: Event;
  status: "completed" | "failed";
}

/** One of many: how a claim ends, or its answer. */
export type QueueItem = { event_id: string } & (
  | { holder: Holder; settlement: Settlement }
  | { reply: Reply }
);

export interface SettledItem {
  event_id: string;
  delivery: Delivery;
}

export interface GivenReceipt {
  lease: string;
  kind: ReceiptKind;
  session?: string | undefined;
  detail?: string | undefined;
}

interface QueueOptions {
  store: Store;
  clock: Clock;
  events: EventLog;
}

export function createTopicQueue({ store, clock, events }: QueueOptions): TopicQueue {
  const wakeups = new Wakeups();
  const stop = store.onCommitted(({ topics }) => {
    for (const topic of topics) wakeups.wake(topic);
  });

  const claimOnce = async (topic: string, request: Claim): Promise<Claimed[]> => {
    const taken = await store.claim({
      topic,
      agent: request.agent,
      limit: request.limit,
      event_id: request.event_id,
      lease_ms: request.lease_ms,
      now_ms: clock.nowMs(),
    });
    if (taken.length === 0) return [];
    // There may be more for whoever waits next.
    wakeups.wake(topic);
    const settings = await store.getTopic(topic);
    return taken.map((one) => ({ ...one, prompt: settings?.prompt ?? null }));
  };

  const claim: TopicQueue["claim"] = async (topic, request, signal) => {
    if ((await store.getTopic(topic)) === null) await store.saveTopic(topic, {}, clock.nowMs());
    if (request.wait_ms === 0) return claimOnce(topic, request);
    const endMs = performance.now() + request.wait_ms;
    for (;;) {
      // Waiting begins before the look, so that nothing can slip in between.
      const stopWaiting = new AbortController();
      const either = AbortSignal.any([signal, stopWaiting.signal]);
      const woken = wakeups.wait(topic, endMs - performance.now(), either);
      let wasNeeded = false;
      let claimed: Claimed[];
      try {
        claimed = await claimOnce(topic, request);
        wasNeeded = claimed.length === 0;
        if (wasNeeded) {
          if (await woken) continue;
          return [];
        }
      } finally {
        stopWaiting.abort();
        // A wake-up that was not needed here belongs to whoever waits next.
        if (!wasNeeded && (await woken)) wakeups.wake(topic);
      }
      return claimed;
    }
  };

  return {
    claim,
    async settle(event_id, holder, settlement) {
      const now_ms = clock.nowMs();
      const settled = await store.settle({ event_id, holder, settlement, now_ms, events: [] });
      return deliveryOf(event_id, settled);
    },
    settleAll: (items) => settleAll({ store, clock, events }, items),
    receive: (event_id, given) => receive({ store, clock, events }, event_id, given),
    reply: (event_id, reply) => answer({ store, clock, events }, event_id, reply),
    update: (topic, patch) => {
      const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
      return store.saveTopic(topic, given, clock.nowMs());
    },
    close: () => void stop(),
  };
}

async function receive(
  { store, clock, events }: QueueOptions,
  event_id: string,
  { lease, kind, session, detail }: GivenReceipt,
): Promise<Delivery> {
  const event = await requireEvent(store, event_id);
  const [held] = await store.getDeliveries(event_id);
  const draft = receiptEvent(events, event, {
    ...{ lease, kind, session: session ?? null, detail: detail ?? null },
    agent: held?.claimed_by ?? "api",
  });
  const { delivery } = await store.settle({
    event_id,
    holder: { lease },
    settlement: { kind: "keep" },
    now_ms: clock.nowMs(),
    events: [draft],
    receipt: { kind, session: session ?? null, detail: detail ?? null },
  });
  if (!delivery) throw new SignalboxError("conflict", `${event_id} is in no topic`);
  return delivery;
}

/** Everybody who follows the log sees it; the lease and the kind make it one of its kind. */
function receiptEvent(
  events: EventLog,
  event: Event,
  told: ReceiptDraft & { lease: string; agent: string },
): EventDraft {
  const { lease, kind, agent, session, detail } = told;
  return events.draft(
    {
      type: `signalbox.receipt.${kind}`,
      source: agent,
      subject: `receipts.${event.topic ?? event.source}`,
      body: `${event.id} ${kind} by ${agent}${detail === null ? "" : `: ${detail}`}`,
      payload: { event_id: event.id, kind, agent, session, detail },
      external_id: `${lease}:${event.id}:${kind}`,
      origin_kind: "system",
    },
    // News of an event are no link in its chain: they must not bring it nearer to the limit.
    { id: event.id, depth: event.depth - 1, correlation_id: event.correlation_id },
  );
}

async function requireEvent(store: Store, event_id: string): Promise<Event> {
  const event = await store.getEvent(event_id);
  if (!event) throw new SignalboxError("not_found", `there is no event ${event_id}`);
  return event;
}

async function answer(options: QueueOptions, event_id: string, reply: Reply): Promise<Answered> {
  const event = await requireEvent(options.store, event_id);
  const request = answerTo(options, event, reply);
  return answered(event, request, await options.store.settle(request));
}

/** What records the answer to an event and finishes it. */
function answerTo({ clock, events }: QueueOptions, event: Event, reply: Reply) {
  const status: Answered["status"] =
    reply.status === "failed" || reply.status === "failure" ? "failed" : "completed";
  const draft = events.draft(
    {
      type: "message.replied",
      source: reply.agent ?? reply.source ?? "api",
      topic: reply.topic,
      subject: reply.topic === undefined ? `replies.${event.topic ?? event.source}` : undefined,
      body: reply.body,
      payload: { ...reply.payload, reply_to: event.id, status },
      meta: reply.meta,
      correlation_id: event.correlation_id ?? event.id,
      conversation_key: event.conversation_key ?? undefined,
      user_key: event.user_key ?? undefined,
      scope: event.scope ?? undefined,
      origin_kind: reply.origin_kind ?? "agent",
    },
    event,
  );
  return {
    event_id: event.id,
    holder: { lease: reply.lease, agent: reply.agent },
    settlement: { kind: "answer", status },
    now_ms: clock.nowMs(),
    events: [draft],
    receipt: { kind: "acted", session: reply.session ?? null, detail: "reply" },
  } as const satisfies SettleRequest;
}

function answered(event: Event, request: ReturnType<typeof answerTo>, settled: Settled): Answered {
  const [appended] = settled.appended;
  if (!appended) throw new Error("an answer was recorded without its event");
  return { event, answer: appended.event, status: request.settlement.status };
}

function deliveryOf(event_id: string, { delivery }: Settled): Delivery {
  if (!delivery) throw new SignalboxError("conflict", `${event_id} is in no topic`);
  return delivery;
}

/** One item of many: what is asked of the store, and what its answer means. */
interface Prepared {
  request: SettleRequest;
  read(settled: Settled): SettledItem | Answered;
}

async function settleAll(
  options: QueueOptions,
  items: (QueueItem | SignalboxError)[],
): Promise<(SettledItem | Answered | SignalboxError)[]> {
  const prepared = await Promise.all(
    items.map((item) => (SignalboxError.is(item) ? item : prepare(options, item).catch(asRefusal))),
  );
  const good = prepared.filter((one): one is Prepared => !SignalboxError.is(one));
  const ends = await options.store.settleAll(good.map(({ request }) => request));
  let next = 0;
  return prepared.map((one) => {
    if (SignalboxError.is(one)) return one;
    const end = ends[next++];
    if (end === undefined) throw new Error("an item was settled without an answer");
    return SignalboxError.is(end) ? end : one.read(end);
  });
}

async function prepare(options: QueueOptions, item: QueueItem): Promise<Prepared> {
  const { event_id } = item;
  if ("reply" in item) {
    const event = await requireEvent(options.store, event_id);
    const request = answerTo(options, event, item.reply);
    return { request, read: (settled) => answered(event, request, settled) };
  }
  const { holder, settlement } = item;
  const request = { event_id, holder, settlement, now_ms: options.clock.nowMs(), events: [] };
  return { request, read: (settled) => ({ event_id, delivery: deliveryOf(event_id, settled) }) };
}

function asRefusal(error: unknown): SignalboxError {
  if (SignalboxError.is(error)) return error;
  throw error;
}
