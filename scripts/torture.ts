/**
 * Tortures the real service for as long as it is told to: `npm run torture -- --minutes 10 --seed 42`. Kill -9 at
 * random moments under mixed load, with a ledger outside; faults of disk, clock, network and workflows; fuzzing of
 * every edge, beside them in a process of its own. Ends with 1 when a promise was broken. The seed fixes what is tried
 * and in which order; how the machine times it differs from run to run.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import {
  emptySummary,
  type LongRun,
  runFaults,
  runFuzz,
  runKills,
  type Summary,
} from "../test/torture/long-run.ts";
import { serviceFile } from "../test/torture/service-process.ts";

const root = resolve(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    only: { type: "string", default: "all" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (
  !(minutes > 0) ||
  !Number.isSafeInteger(seed) ||
  !["all", "kills", "faults", "fuzz"].includes(values.only)
) {
  console.error("usage: npm run torture -- [--minutes N] [--seed S] [--only kills|faults|fuzz]");
  process.exit(2);
}

/** Beside the kills, which want the machine for themselves: 120,000 cases in ten minutes. */
const CASES_A_MINUTE = 12_000;
const beganMs = performance.now();
const totalMs = minutes * 60_000;
const summary = values.only === "fuzz" ? await fuzzOnly() : await everything();
process.exit(summary.violations.length > 0 ? 1 : 0);

function longRun(entry: string): LongRun {
  return { deadlineMs: beganMs + totalMs, seed, entry, say: (line) => console.log(line) };
}

async function fuzzOnly(): Promise<Summary> {
  const fuzzed = await runFuzz(
    longRun(""),
    process.send ? minutes * CASES_A_MINUTE : Number.POSITIVE_INFINITY,
  );
  process.send?.(fuzzed);
  return fuzzed;
}

async function everything(): Promise<Summary> {
  console.log(`torture for ${minutes} minutes, seed ${seed}`);
  const entry = copyService();
  try {
    const run = longRun(entry);
    const fuzzing = values.only === "all" ? fuzzBeside() : emptySummary();
    const killing = values.only === "faults" ? emptySummary() : await runKills(run, killsEndMs(), 0);
    const faulty = values.only === "kills" ? emptySummary() : await runFaults(run);
    const more = values.only === "all" ? await runKills(run, run.deadlineMs, 1_000) : emptySummary();
    return report([killing, faulty, more, await fuzzing]);
  } finally {
    rmSync(dirname(entry), { recursive: true, force: true });
  }
}

/** The faults need about a minute, which is left for them. */
function killsEndMs(): number {
  return beganMs + (values.only === "kills" ? totalMs : totalMs * 0.6);
}

/** A build in another terminal must not change what is running here. Inside the project, for its packages. */
function copyService(): string {
  const built = serviceFile();
  const folder = join(root, "node_modules/.cache", `signalbox-torture-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  if (!built.endsWith(".js")) throw new Error("the bundle is older than its sources: npm run build");
  for (const name of ["service.js", "lua-worker.js", "index-worker.js", "migrations"]) {
    cpSync(join(dirname(built), name), join(folder, name), { recursive: true });
  }
  return join(folder, "service.js");
}

function fuzzBeside(): Promise<Summary> {
  const args = [import.meta.filename, "--only", "fuzz", "--minutes", values.minutes, "--seed", String(seed)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const { promise, resolve: end } = Promise.withResolvers<Summary>();
  child.on("message", (found) => end(found as Summary));
  child.on("exit", (code) =>
    end({ ...emptySummary(), violations: [`the fuzzing process ended with ${code}`] }),
  );
  return promise;
}

function report(parts: Summary[]): Summary {
  const all = emptySummary();
  for (const part of parts) {
    all.kills += part.kills;
    all.restarts += part.restarts;
    all.operations += part.operations;
    all.cases += part.cases;
    all.violations.push(...part.violations);
  }
  for (const violation of all.violations) console.log(`VIOLATION  ${violation}`);
  const took = ((performance.now() - beganMs) / 60_000).toFixed(1);
  console.log(
    `\n${took} minutes: ${all.kills} kills, ${all.restarts} restarts, ${all.operations} operations, ${all.cases} fuzzed cases, ${all.violations.length} violations, seed ${seed}`,
  );
  if (all.violations.length > 0) {
    console.log(`The same plan again: npm run torture -- --minutes ${values.minutes} --seed ${seed}`);
  }
  return all;
}
