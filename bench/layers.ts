import { readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { makeEvent } from "./events.ts";
import type { BenchContext, LayerShare } from "./line.ts";
import { inFlight } from "./measure.ts";
import { type CpuProfile, clientRules, serviceRules, sumLayers, toShares } from "./profile.ts";
import { startService } from "./service.ts";

/** Where the time of a push goes, in both processes. */
export async function profilePushes(context: BenchContext): Promise<LayerShare[]> {
  const count = context.scaled(20_000);
  context.progress("push: profile");
  const home = context.folder("profile");
  const service = await startService({
    product: { ...context.product, ...context.product.sources },
    home,
    nodeArgs: ["--cpu-prof", `--cpu-prof-dir=${home}`, "--cpu-prof-name=service.cpuprofile"],
  });
  const events = Array.from({ length: count }, (_, index) => makeEvent(index));
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.start");
  await inFlight(count, 32, (index) => service.client.push(events[index] ?? {}));
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  await service.client.searchEvents({ text: "nothingiscalledthis", limit: 1 });
  await service.close();
  const file = readdirSync(home).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error("the service wrote no profile");
  const served = JSON.parse(readFileSync(join(home, file), "utf8")) as CpuProfile;
  return [
    ...toShares("service", sumLayers(served, serviceRules), count),
    ...toShares("client", sumLayers(profile, clientRules), count),
  ];
}
