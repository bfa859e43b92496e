import { spawnSync } from "node:child_process";
import { makeEvent } from "./events.ts";
import type { Line, Row } from "./line.ts";
import { alternate, compare, median } from "./measure.ts";
import { startService } from "./service.ts";

const PER_ROUND = 5;

/** Whole processes, as a script calls them, against a Node that does nothing. */
export const cli: Line = {
  name: "cli",
  title: "5. Command line",
  async run(context, scope) {
    const { product } = context;
    const service = scope.use(await startService({ product, home: context.folder("cli") }));
    for (let index = 0; index < 100; index++)
      await service.client.push({ ...makeEvent(index), topic: "work" });
    const run = (args: readonly string[]) => () => {
      const times = Array.from({ length: PER_ROUND }, () => timeProcess(args, service.environment));
      return median(times);
    };
    context.progress("cli: push, pull, status");
    const signalbox = (...args: string[]) => run([product.cli, ...args]);
    const figures = await alternate(context.rounds, {
      node: run(["-e", "0"]),
      push: signalbox("push", "work", "--body", "hello"),
      pull: signalbox("pull", "work"),
      claim: signalbox("pull", "work", "--claim", "--agent", "@bench"),
      status: signalbox("status"),
    });
    const row = (what: string, name: Exclude<keyof typeof figures, "node">, bar: Row["bar"]): Row => {
      const { ours, theirs, ratio, spread } = compare(figures[name], figures.node);
      return { what, unit: "ms", ours, peer: { name: "node -e 0", value: theirs }, ratio, spread, bar };
    };
    const rows = [
      row("signalbox push", "push", { of: "ratio", kind: "at most", value: 1.6 }),
      row("signalbox pull", "pull", null),
      row("signalbox pull --claim", "claim", null),
      row("signalbox status", "status", null),
    ];
    return { rows, skipped: [] };
  },
};

/** @throws Error when the process fails */
function timeProcess(args: readonly string[], env: Record<string, string>): number {
  const begun = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    env,
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  const took = performance.now() - begun;
  if (status !== 0) throw new Error(`${args.join(" ")} failed: ${stderr}`);
  return took;
}
