import { SignalboxError } from "../../contract/errors.ts";
import { type Event, type EventPage, newEvent } from "../../contract/events.ts";
import { compileSubject } from "../../lib/subject.ts";
import type { FoundEvents, Store } from "../../store/store.ts";
import { toRun } from "../../workflows/run-view.ts";
import { type Handlers, invalid } from "../register.ts";
import { followEvents } from "../stream.ts";
import type { Parts } from "./parts.ts";

type EventRoutes =
  | "pushEvent"
  | "pushEvents"
  | "findEvents"
  | "searchEvents"
  | "streamEvents"
  | "exportEvents"
  | "getEvent"
  | "viewEvent";

const CAUSES = 32;
const EXPORT_PAGE = 500;
/**
 * How long a page is looked for when the caller does not say. What an index leads to takes less, however large the log
 * is; the rest is for callers who can wait, or go on from `next`.
 */
const WITHIN_MS = 2;

export function eventHandlers(parts: Parts): Pick<Handlers, EventRoutes> {
  const { store, events } = parts;
  const require = async (id: string): Promise<Event> => {
    const event = await store.getEvent(id);
    if (!event) throw new SignalboxError("not_found", `there is no event ${id}`);
    return event;
  };
  return {
    pushEvent: (input) => events.push(input),
    async pushEvents(input) {
      const checked = input.events.map((one: unknown) => {
        if (SignalboxError.is(one)) return one;
        const result = newEvent.safeParse(one);
        return result.success ? result.data : invalid(result.error.issues, "event");
      });
      const results = await events.pushAll(checked);
      return {
        results: results.map((one) =>
          SignalboxError.is(one) ? { error: { code: one.code, message: one.message, hint: one.hint } } : one,
        ),
      };
    },
    findEvents: async (input) =>
      page(store, await store.findWithin(input, input.within_ms ?? WITHIN_MS), input.limit),
    async searchEvents(input) {
      const found = await store.searchWithin(input, input.within_ms ?? WITHIN_MS);
      const { next, ...rest } = await page(store, found, input.limit);
      return { ...rest, next: input.order === "ranked" ? null : next };
    },
    streamEvents(input, stream, context) {
      const last = /^\d{1,15}$/.test(context.lastEventId ?? "") ? Number(context.lastEventId) : undefined;
      const newest = store.lastSeq();
      // A place beyond the end is one of another database: then it begins with what happens from now on.
      const after = Math.min(last ?? input.after ?? newest, newest);
      return followEvents({ ...parts, stream, after, wants: filterOf(input) });
    },
    exportEvents: (input) => exportAll(parts, input),
    async getEvent({ event_id }) {
      const event = await require(event_id);
      const [raw, deliveries, receipts, caused, runs, effects] = await Promise.all([
        store.getRaw(event_id),
        store.getDeliveries(event_id),
        store.getReceipts(event_id),
        store.getCaused(event_id),
        store.runsOfEvent(event_id),
        store.listEffects({ event_id, limit: 200 }),
      ]);
      return {
        event,
        raw,
        deliveries,
        receipts,
        causes: await causesOf(parts, event),
        caused,
        runs: runs.map(toRun),
        effects: effects.map(parts.ledger.view).reverse(),
      };
    },
    async viewEvent({ event_id, shape }) {
      const event = await require(event_id);
      const [delivery] = await store.getDeliveries(event_id);
      return parts.viewEvent(shape, event, delivery ?? null, await store.getRaw(event_id));
    },
  };
}

/** One row more than asked for tells that there is a next page. */
async function page(store: Store, { events: rows, cut }: FoundEvents, limit: number): Promise<EventPage> {
  const events = rows.slice(0, limit);
  const next = rows.length > limit ? (events.at(-1)?.seq ?? null) : cut;
  const [last] = cut === null ? [] : await store.readLog(cut - 1, 1);
  return { events, next, ...(last ? { searched_to_ms: last.recorded_ms } : {}) };
}

function filterOf(filter: {
  subject?: string | undefined;
  topic?: string | undefined;
  type?: string | undefined;
  source?: string | undefined;
}): (event: Event) => boolean {
  const subject = filter.subject === undefined ? () => true : compileSubject(filter.subject);
  return (event) =>
    subject(event.subject) &&
    (filter.topic === undefined || event.topic === filter.topic) &&
    (filter.type === undefined || event.type === filter.type) &&
    (filter.source === undefined || event.source === filter.source);
}

async function causesOf({ store }: Parts, event: Event): Promise<Event[]> {
  const causes: Event[] = [];
  for (let at = event; at.parent_id !== null && causes.length < CAUSES; ) {
    const parent = await store.getEvent(at.parent_id);
    if (!parent) break;
    causes.push(parent);
    at = parent;
  }
  return causes;
}

async function* exportAll(
  { store }: Parts,
  filter: { topic?: string | undefined; since_ms?: number | undefined },
): AsyncGenerator<Event> {
  let seq = filter.since_ms === undefined ? 0 : await store.seqBefore(filter.since_ms);
  const last = store.lastSeq();
  while (seq < last) {
    const events = await store.readLog(seq, EXPORT_PAGE);
    for (const event of events) {
      seq = event.seq;
      if (filter.topic === undefined || event.topic === filter.topic) yield event;
    }
    if (events.length === 0) return;
  }
}
