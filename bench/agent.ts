import type { Json, JsonObject } from "../service/contract/common.ts";
import type { Closeable } from "../service/lib/scope.ts";
import type { RunningService } from "./service.ts";

/** An agent in this process that carries out one command, many at once. */
export async function startAgent(
  { client }: RunningService,
  command: string,
  carryOut: (payload: JsonObject) => Promise<Json> | Json,
): Promise<Closeable> {
  const agent = "bench-agent";
  await client.registerAgent({ name: agent, version: "1.0.0", commands: [command] });
  const stop = new AbortController();
  const underWay = new Set<Promise<unknown>>();
  const listening = (async () => {
    for await (const one of client.streamCommands({ agent, capacity: 64 }, { signal: stop.signal })) {
      const work = Promise.resolve(carryOut(one.payload))
        .then((result) =>
          client.finishEffect({ effect_id: one.effect_id, lease: one.lease, status: "succeeded", result }),
        )
        .finally(() => underWay.delete(work));
      underWay.add(work);
    }
  })();
  return {
    async close() {
      await Promise.all(underWay);
      stop.abort();
      await listening;
    },
  };
}
