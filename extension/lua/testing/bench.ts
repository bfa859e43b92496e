/** How long the editor's answers take in a file of 5,000 lines with 200 actions: `node extension/lua/testing/bench.ts`. */
import { LARGE, openLarge } from "./large.ts";

const { service, source } = openLarge(5_000, 200);
const places = [
  ...source.matchAll(/actions\.|event\.payload\.|answer\.|\{ query|sekia\.|options\.name/g),
].map((found) => found.index + found[0].length - (found[0].startsWith("{") ? 5 : 0));

function measure(name: string, act: (round: number) => void, rounds = 200): void {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Time of this thread alone: what else the machine does is not the editor's.
    const begin = process.threadCpuUsage();
    act(round);
    const { user, system } = process.threadCpuUsage(begin);
    times.push((user + system) / 1_000);
  }
  times.sort((one, other) => one - other);
  const at = (share: number) => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(2);
  process.stdout.write(`${name.padEnd(34)} p50 ${at(0.5)} ms  p95 ${at(0.95)} ms  max ${at(1)} ms\n`);
}

const placeOf = (round: number) => places[(round * 37) % places.length] ?? 0;
process.stdout.write(`${source.split("\n").length} lines\n`);
measure("completion, nothing changed", (round) => {
  service.complete(LARGE, placeOf(round));
});
measure("a letter, then completion", (round) => {
  const at = placeOf(round);
  service.edit(LARGE, [{ from: at, to: at, text: "a" }]);
  service.complete(LARGE, at + 1);
  service.edit(LARGE, [{ from: at, to: at + 1, text: "" }]);
});
measure("an open block, then completion", (round) => {
  const at = source.indexOf("\n", placeOf(round)) + 1;
  service.edit(LARGE, [{ from: at, to: at, text: "  if event.\n" }]);
  service.complete(LARGE, at + 11);
  service.edit(LARGE, [{ from: at, to: at + 12, text: "" }]);
});
measure("hover", (round) => {
  service.hover(LARGE, placeOf(round) - 2);
});
measure(
  "diagnostics after a letter",
  (round) => {
    const at = placeOf(round);
    service.edit(LARGE, [{ from: at, to: at, text: "a" }]);
    service.diagnostics(LARGE);
    service.edit(LARGE, [{ from: at, to: at + 1, text: "" }]);
  },
  20,
);
measure("the whole file anew", () => service.set(LARGE, source, "workflow"), 20);
