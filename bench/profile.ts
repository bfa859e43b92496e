import type { Profiler } from "node:inspector";
import type { LayerShare } from "./line.ts";

/** What a CPU profile needs to have; `--cpu-prof` writes more. */
export type CpuProfile = Profiler.Profile;

/** A layer and the frames that belong to it, by `url` and by `function url`. */
export type LayerRule = readonly [layer: string, frames: RegExp];

/** Left out: the process was only coming up. */
const STARTING = /internal\/(modules|main|bootstrap|process\/esm_loader)|node:internal\/(vm|deps\/amaro)/;

/**
 * Sums the time of each layer. A frame that no rule names, such as `JSON.parse`, counts for whoever called it; the
 * first rule that fits the innermost frame wins.
 */
export function sumLayers(profile: CpuProfile, rules: readonly LayerRule[]): Map<string, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) for (const child of children ?? []) parents.set(child, id);
  const layers = new Map<number, string | null>();
  const layerOf = (id: number): string | null => {
    const known = layers.get(id);
    if (known !== undefined) return known;
    const frame = nodes.get(id)?.callFrame;
    const parent = parents.get(id);
    const own = frame === undefined ? null : layerOfFrame(frame.functionName, frame.url, rules);
    const isStarting = parent !== undefined && STARTING.test(frame?.url ?? "");
    const layer = isStarting ? null : (own ?? (parent === undefined ? "other" : layerOf(parent)));
    layers.set(id, layer);
    return layer;
  };
  const sums = new Map<string, number>();
  profile.samples?.forEach((id, index) => {
    const layer = layerOf(id);
    if (layer === null) return;
    sums.set(layer, (sums.get(layer) ?? 0) + (profile.timeDeltas?.[index] ?? 0));
  });
  return sums;
}

function layerOfFrame(name: string, url: string, rules: readonly LayerRule[]): string | null {
  if (name === "(idle)") return "waiting";
  if (name === "(garbage collector)") return "garbage collection";
  if (name === "(program)") return "Node itself and the kernel";
  const found = rules.find(([, frames]) => frames.test(`${name} ${url}`));
  return found ? found[0] : null;
}

/** Largest first, what is below half a percent together as "other". */
export function toShares(of: string, sums: ReadonlyMap<string, number>, count: number): LayerShare[] {
  const total = [...sums.values()].reduce((sum, value) => sum + value, 0);
  const small = [...sums].filter(([layer, value]) => value < total / 200 || layer === "other");
  const rest = small.reduce((sum, [, value]) => sum + value, 0);
  const large = [...sums].filter(([layer, value]) => value >= total / 200 && layer !== "other");
  const all = rest > 0 ? [...large.sort((a, b) => b[1] - a[1]), ["other", rest] as const] : large;
  return all.map(([layer, value]) => ({ of, layer, share: value / total, perEventUs: value / count }));
}

/** The service's own folders and the packages under it. */
export const serviceRules: readonly LayerRule[] = [
  ["commit: pages into the log", /^#commitGroup .*store\/sqlite\/committer/],
  ["index, where no thread does it", /store\/sqlite\/(index-|indexer|words)|store\/search-text/],
  ["statements (SQLite)", /store\/sqlite\/|better-sqlite3/],
  ["Lua host", /workflows\/lua\//],
  ["workflow engine", /service\/workflows\//],
  ["bus and queue", /service\/(bus|topics)\//],
  ["effects and agents", /service\/(effects|agents)\//],
  ["making the event", /service\/events\/|lib\/ids|node_modules\/ulid/],
  [
    "parsing and checking",
    /node_modules\/zod|service\/contract|compat\/event-shapes|parseJson |readInput |^parse .*http\/register/,
  ],
  ["token and Origin", /^guard |lib\/secret/],
  ["reply", /fastify\/lib\/reply|^answer .*http\/register|http\/stream/],
  [
    "socket and HTTP",
    /node:_http|node:http|node:net|node:internal\/(stream|http|js_stream)|node_modules\/(fastify|find-my-way|avvio)|service\/http|node:stream|node:events|node:buffer/,
  ],
];

export const clientRules: readonly LayerRule[] = [
  ["checking replies", /node_modules\/zod|service\/contract/],
  ["gathering and JSON", /service\/client\/(push|call)/],
  [
    "socket and HTTP",
    /service\/client\/|node:_http|node:http|node:net|node:internal\/(stream|http|js_stream)|node:stream|node:events|node:buffer/,
  ],
  ["the benchmark", /\/bench\//],
];
