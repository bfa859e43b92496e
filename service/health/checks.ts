import type { Bus } from "../bus/bus.ts";
import type { Store } from "../store/store.ts";
import type { Part, PartReport } from "./health.ts";

const well: PartReport = { state: "ok" };

/** Whether the database can be read, and whether the last write to it was committed. */
export function storePart(store: Store): Part {
  return {
    name: "store",
    needed: true,
    check() {
      store.totals();
      const problem = store.writeProblem();
      return problem === null ? well : { state: "failed", message: problem.message };
    },
  };
}

/** Whether what is recorded reaches those who listen. */
export function busPart(bus: Bus, store: Store): Part & { close(): void } {
  let heard = store.lastSeq();
  // What was recorded by the last time anybody asked must have been heard by now.
  let expected = heard;
  const stop = bus.subscribe({
    wants: () => true,
    onEvent: (event) => {
      heard = event.seq;
    },
  });
  return {
    name: "bus",
    needed: true,
    check() {
      const isBehind = heard < expected;
      const message = `events up to ${expected} are recorded, but only those up to ${heard} were handed out`;
      expected = store.lastSeq();
      return isBehind ? { state: "failed", message } : well;
    },
    close: stop,
  };
}

/**
 * Whether those who read the log one after the other get on. `read` tells how far each is and how many events wait
 * for it; one that stands still for `stuckMs` while some do is named.
 */
export function progressPart(
  name: string,
  nowMs: () => number,
  stuckMs: number,
  read: () => Promise<{ name: string; cursor: number; lag: number }[]>,
): Part {
  const seen = new Map<string, { cursor: number; sinceMs: number }>();
  return {
    name,
    async check() {
      const now = nowMs();
      const readers = await read();
      const stuck = readers.find((reader) => {
        const before = seen.get(reader.name);
        if (reader.lag > 0 && before?.cursor === reader.cursor) return now - before.sinceMs > stuckMs;
        seen.set(reader.name, { cursor: reader.cursor, sinceMs: now });
        return false;
      });
      if (stuck === undefined) return well;
      return { state: "degraded", message: `${stuck.name} does not get on; ${stuck.lag} events wait for it` };
    },
  };
}
