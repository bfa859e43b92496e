import { beforeEach, describe, expect, it } from "vitest";
import { manualClock } from "../../test/harness/clock.ts";
import { eventually } from "../../test/harness/eventually.ts";
import type { Command } from "../contract/agents.ts";
import { type ErrorCode, SignalboxError } from "../contract/errors.ts";
import type { Outcome } from "./sdk-commands.ts";
import { FinishedCommands } from "./sdk-finished.ts";
import { CommandWork } from "./sdk-work.ts";

interface Said {
  effect_id: string;
  lease?: string | undefined;
  status: string;
  result?: unknown;
  error?: string | undefined;
}

let said: Said[];
let runs: string[];
let errors: unknown[];
/** What the service answers, call by call; afterwards it takes everything. */
let answers: (ErrorCode | (() => void))[];
let outcome: Outcome;

beforeEach(() => {
  [said, runs, errors, answers] = [[], [], [], []];
  outcome = { status: "succeeded", result: "done", retry: false };
});

const clock = manualClock();

function startWork(concurrency = 4) {
  return new CommandWork({
    clock,
    concurrency,
    client: {
      async finish(input) {
        said.push(input);
        const answer = answers.shift();
        if (typeof answer === "function") answer();
        else if (answer !== undefined) throw new SignalboxError(answer, answer);
        return { effect_id: input.effect_id, state: "succeeded" };
      },
    },
    async run({ effect_id }) {
      runs.push(effect_id);
      return outcome;
    },
    onError: (error) => errors.push((error as SignalboxError).code),
  });
}

const delivery = (effect_id: string, attempt = 1): Command => ({
  ...{ effect_id, command: "sync", payload: {}, source: "cli", event_id: null },
  ...{ attempt, lease: `lea_${attempt}`, lease_until_ms: 0 },
});

describe("commands in hand", () => {
  it("U6 one that comes again after it was done is answered with its first outcome", async () => {
    const work = startWork();
    answers = ["lease_lost"];
    work.take(delivery("eff_1"));
    await work.drained();
    work.take(delivery("eff_1", 2));
    await work.drained();
    expect(runs).toEqual(["eff_1"]);
    expect(said).toMatchObject([
      { effect_id: "eff_1", lease: "lea_1", status: "succeeded", result: "done" },
      { effect_id: "eff_1", lease: "lea_2", status: "succeeded", result: "done" },
    ]);
    expect(work.effectIds).toEqual([]);
  });

  it("U6 one that comes again while its outcome is told is told under its new lease", async () => {
    const work = startWork();
    answers = [
      () => {
        work.take(delivery("eff_1", 2));
        throw new SignalboxError("lease_lost", "too late");
      },
    ];
    work.take(delivery("eff_1"));
    await work.drained();
    expect(runs).toEqual(["eff_1"]);
    expect(said.map(({ lease }) => lease)).toEqual(["lea_1", "lea_2"]);
  });

  it("U6 an outcome is told until the service takes it, and stays in hand for so long", async () => {
    const work = startWork();
    answers = ["service_unreachable", "unauthorized", "storage_full"];
    work.take(delivery("eff_1"));
    for (let told = 1; told <= 3; told++) {
      await eventually(() => clock.pending === 1);
      expect(said).toHaveLength(told);
      expect(work.effectIds).toEqual(["eff_1"]);
      clock.advance(5_000);
    }
    await work.drained();
    expect(said).toHaveLength(4);
    expect(errors).toEqual(["service_unreachable", "unauthorized", "storage_full"]);
  });

  it("U6 nothing more is said of a command that has ended otherwise", async () => {
    const work = startWork();
    answers = ["conflict", "not_found"];
    work.take(delivery("eff_1"));
    work.take(delivery("eff_2"));
    await work.drained();
    expect(said).toHaveLength(2);
    expect(errors).toEqual([]);
  });

  it("an outcome that the service refuses becomes a failure that says why, once", async () => {
    const work = startWork();
    answers = ["too_large", "invalid_request"];
    work.take(delivery("eff_1"));
    await work.drained();
    expect(said).toMatchObject([
      { status: "succeeded" },
      { status: "failed", error: "its outcome can't be recorded: too_large" },
    ]);
    expect(work.effectIds).toEqual([]);
  });

  it("U6 a failure that the service has recorded is done again when it comes again", async () => {
    const work = startWork();
    outcome = { status: "failed", error: "broken", retry: false };
    work.take(delivery("eff_1"));
    await work.drained();
    outcome = { status: "succeeded", result: "repaired", retry: false };
    work.take(delivery("eff_1", 2));
    await work.drained();
    expect(said).toMatchObject([{ error: "broken" }, { result: "repaired" }]);
  });

  it("stopping gives up what was not begun, and what can't be told", async () => {
    const work = startWork(1);
    answers = ["service_unreachable"];
    work.take(delivery("eff_1"));
    await eventually(() => clock.pending === 1);
    work.stop();
    work.take(delivery("eff_2"));
    await work.drained();
    expect(runs).toEqual(["eff_1"]);
    expect(clock.pending).toBe(0);
  });
});

describe("memory of finished commands", () => {
  const kept = (count: number, result: string) => {
    const memory = new FinishedCommands();
    for (let n = 0; n < count; n++) memory.keep(`eff_${n}`, { status: "succeeded", result, retry: false });
    return Array.from({ length: count }, (_, n) => memory.get(`eff_${n}`) !== undefined);
  };

  it("U6 keeps the latest thousand, and forgets the oldest first", () => {
    const known = kept(1_003, "done");
    expect(known.indexOf(true)).toBe(3);
    expect(known.slice(3)).not.toContain(false);
  });

  it("U6 keeps no more than 8 M characters", () => {
    const known = kept(12, "x".repeat(1024 * 1024));
    expect(known.filter(Boolean)).toHaveLength(7);
    expect(known.at(-1)).toBe(true);
  });
});
