import type { Json, JsonObject } from "../service/contract/common.ts";
import type { Closeable } from "../service/lib/scope.ts";
import type { Product } from "./product.ts";
import type { RunningService } from "./service.ts";

/** An agent in this process, made with the SDK, that carries out one command, many at once. */
export async function startAgent(
  product: Product,
  service: RunningService,
  command: string,
  carryOut: (payload: JsonObject) => Promise<Json> | Json,
): Promise<Closeable> {
  const { createAgent } = await product.agent();
  return await createAgent({
    name: "bench-agent",
    commands: { [command]: carryOut },
    concurrency: 64,
    home: service.home,
    start: false,
    env: service.environment,
  });
}
