import type { Store } from "../store/store.ts";

const RECENT = 200;

/** Parts of which the log says that they are unwell: an earlier process told it and did not see them recover. */
export async function readTold(store: Store): Promise<Set<string>> {
  const [bad, good] = await Promise.all(
    ["signalbox.health.degraded", "signalbox.health.recovered"].map((type) =>
      store.findEvents({ type, limit: RECENT }),
    ),
  );
  const events = [...(bad ?? []), ...(good ?? [])].sort((a, b) => a.seq - b.seq);
  const told = new Set<string>();
  for (const { type, source, payload } of events) {
    if (source !== "signalbox" || typeof payload.part !== "string") continue;
    if (type === "signalbox.health.degraded") told.add(payload.part);
    else told.delete(payload.part);
  }
  return told;
}
