import type { Bus, Consumer } from "../bus/bus.ts";
import type { Event } from "../contract/events.ts";
import type { EventLog } from "../events/log.ts";
import type { Store } from "../store/store.ts";

/**
 * Tells once of each chain of events that was parked for its length (design: loops stop). A durable consumer, so that
 * a crash in between does not lose the news; the foreign id makes it one however often it is tried.
 */
export function watchChains(options: {
  store: Store;
  bus: Bus;
  events: EventLog;
  maxDepth: number;
}): Promise<Consumer> {
  const { store, bus, events, maxDepth } = options;
  return bus.consume(
    {
      name: "signalbox:chains",
      from: "now",
      maxInFlight: 1,
      wants: (event) => event.parked && event.depth > maxDepth,
    },
    async (event) => {
      const root = await rootOf(store, event, 4 * (maxDepth + 1));
      const draft = events.draft(
        {
          type: "signalbox.chain.parked",
          source: "signalbox",
          body: `A chain of ${event.depth + 1} events was stopped at ${event.type} from ${event.source}; it began with ${root.type}`,
          payload: { event_id: event.id, root_id: root.id, depth: event.depth, source: event.source },
          external_id: `chain:${root.id}`,
          origin_kind: "system",
        },
        // At the limit itself: workflows hear of it, but what they publish then is parked, as part of the same chain.
        { id: event.id, depth: maxDepth - 1, correlation_id: event.correlation_id },
      );
      await store.append([draft]);
    },
  );
}

/** The event that the chain began with, as far back as the log goes; `depth` begins anew where the news was told. */
async function rootOf(store: Store, event: Event, maxSteps: number): Promise<Event> {
  let root = event;
  for (let left = maxSteps; root.parent_id !== null && left > 0; left--) {
    const parent = await store.getEvent(root.parent_id);
    if (!parent) break;
    root = parent;
  }
  return root;
}
