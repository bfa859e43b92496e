import { faults } from "./faults/index.ts";
import { fuzzes } from "./fuzz/index.ts";
import { killRound } from "./kill.ts";

/** What the long run needs: how long, from which seed, and whom to tell. */
export interface LongRun {
  /** On the clock of `performance`. */
  readonly deadlineMs: number;
  readonly seed: number;
  /** The service's file. */
  readonly entry: string;
  say(line: string): void;
}

export interface Summary {
  kills: number;
  restarts: number;
  operations: number;
  cases: number;
  violations: string[];
}

export function emptySummary(): Summary {
  return { kills: 0, restarts: 0, operations: 0, cases: 0, violations: [] };
}

/** Kills of one round, after which the whole database is held against the ledger and a new one begins. */
const KILLS_A_ROUND = 40;

/** Rounds of kill -9 until the time is over. `first` numbers them, so that each has a seed of its own. */
export async function runKills(run: LongRun, untilMs: number, first: number): Promise<Summary> {
  const all = emptySummary();
  for (let round = first; performance.now() < untilMs && all.violations.length === 0; round++) {
    const seed = run.seed + round;
    const { counts, operations, violations } = await killRound({
      seed,
      entry: run.entry,
      lifeMs: 600,
      withSdk: round % 2 === 1,
      isEnough: (ledger) => ledger.counts.kills >= KILLS_A_ROUND || performance.now() > untilMs,
    });
    all.kills += counts.kills;
    all.restarts += counts.restarts;
    all.operations += operations;
    all.violations.push(...violations.map((text) => `kills, seed ${seed}: ${text}`));
    const { pushes, claims, completions, commands, kills } = counts;
    run.say(
      `kills      seed ${seed}: ${kills} kills, ${operations} operations (${pushes} pushes, ${claims} claims, ${completions} ends, ${commands} commands), ${violations.length} violations`,
    );
  }
  return all;
}

/** Each fault once, as far as the time goes. */
export async function runFaults(run: LongRun): Promise<Summary> {
  const all = emptySummary();
  for (const fault of faults) {
    if (performance.now() > run.deadlineMs) {
      run.say(`fault      ${fault.name}: not reached`);
      continue;
    }
    const begun = performance.now();
    const { operations, violations } = await fault.run({ seed: run.seed, entry: run.entry });
    all.operations += operations;
    all.violations.push(...violations.map((text) => `${fault.name}: ${text}`));
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    run.say(
      `fault      ${fault.name}: ${operations} operations in ${seconds} s, ${violations.length} violations`,
    );
  }
  return all;
}

/** Cases of all edges together in one go; the next go has another seed. */
const CASES_A_GO = 2_000;

/** Goes of all edges until the time is over or there were enough; the machine is the kills' then. */
export async function runFuzz(run: LongRun, enough: number): Promise<Summary> {
  const all = emptySummary();
  for (let go = 0; performance.now() < run.deadlineMs && all.cases < enough; go++) {
    for (const { fuzz, share } of fuzzes) {
      const cases = Math.round((CASES_A_GO * share) / 1_000);
      try {
        await fuzz.run(cases, run.seed + go);
        all.cases += cases;
      } catch (error) {
        const text =
          error instanceof Error ? `${error.message}\n${String(error.cause ?? "")}` : String(error);
        all.violations.push(`${fuzz.name}, seed ${run.seed + go}: ${text}`);
        run.say(`fuzz       ${fuzz.name}: ${text.slice(0, 2_000)}`);
        return all;
      }
      if (performance.now() > run.deadlineMs) break;
    }
    if (go % 10 === 9) run.say(`fuzz       ${all.cases} cases, 0 failures`);
  }
  run.say(`fuzz       ${all.cases} cases, ${all.violations.length} failures`);
  return all;
}
