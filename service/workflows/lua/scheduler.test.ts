import { describe, expect, it } from "vitest";
import { request, source, testLimits } from "../../../test/harness/lua.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";
import { Scheduler } from "./scheduler.ts";

const LOOP = 'sekia.on("x", function() while true do end end)';
const QUICK = 'sekia.on("x", function() return 1 end)';

function open(sliceMs = 5) {
  const sent: FromWorker[] = [];
  const meter = { enter() {}, leave() {}, tick() {} };
  const scheduler = new Scheduler({ ...testLimits, sliceMs }, meter, (message) => sent.push(message));
  let job = 0;
  const accept = (message: ToWorker) => scheduler.accept(message);
  return {
    sent,
    scheduler,
    load: (key: string, text: string) => accept({ kind: "load", job: ++job, key, source: source(key, text) }),
    run(key: string) {
      const { workflow: _, ...rest } = request(key);
      accept({ kind: "run", job: ++job, key, request: rest });
      return job;
    },
    resume: (key: string, run_id: string) =>
      accept({ kind: "resume", job: ++job, key, run_id, end: { ok: true, value: null }, now_ms: 1 }),
    finished: () => sent.flatMap((message) => (message.kind === "outcome" ? [message.job] : [])),
    settle() {
      while (scheduler.turn());
    },
  };
}

describe("turns", () => {
  it("a workflow that loops delays the others by one slice in each round", () => {
    // Long enough for two quick runs, also when the machine does other things in between.
    const { scheduler, load, run, settle, finished } = open(100);
    load("loop", LOOP);
    load("quick", QUICK);
    load("other", QUICK);
    settle();
    run("loop");
    for (let round = 0; round < 5; round++) {
      const jobs = [run("quick"), run("quick"), run("other")];
      // The loop, and each of the two others.
      for (let turn = 0; turn < 3; turn++) expect(scheduler.turn()).toBe(true);
      expect(finished().slice(-3)).toEqual(jobs);
    }
  });

  it("a workflow's runs begin in the order they were given, and one that waits lets the next begin", () => {
    const { load, run, resume, settle, sent } = open();
    load(
      "w",
      `local n = 0 sekia.on("x", function() n = n + 1 local mine = n if n == 1 then signalbox.after(1) end return mine end)`,
    );
    settle();
    const jobs = [run("w"), run("w"), run("w")];
    settle();
    const outcomes = () => sent.flatMap((message) => (message.kind === "outcome" ? [message] : []));
    expect(outcomes().map(({ job, outcome }) => [job, outcome.kind])).toEqual([
      [jobs[0], "suspended"],
      [jobs[1], "done"],
      [jobs[2], "done"],
    ]);
    resume("w", "unknown");
    settle();
    expect(outcomes().at(-1)).toMatchObject({ outcome: { kind: "stopped", reason: "lost" } });
  });

  it("a new text holds back new runs until it has loaded, and the run under way ends in the old one", () => {
    const { load, run, settle, sent, scheduler } = open();
    load("w", 'sekia.on("x", function() local n = 0 for i = 1, 2000000 do n = n + i end return "old" end)');
    settle();
    const under = run("w");
    scheduler.turn();
    load("w", 'sekia.on("x", function() return "new" end)');
    const after = run("w");
    settle();
    expect(
      sent.flatMap((message) => (message.kind === "outcome" ? [[message.job, message.outcome]] : [])),
    ).toMatchObject([
      [under, { kind: "done", output: "old" }],
      [after, { kind: "done", output: "new" }],
    ]);
  });

  it("unloading gives back everything that was under way", () => {
    const { scheduler, load, run, settle, sent } = open();
    load("loop", LOOP);
    settle();
    const jobs = [run("loop"), run("loop")];
    scheduler.turn();
    scheduler.accept({ kind: "unload", job: 99, key: "loop" });
    expect(sent.slice(-3)).toMatchObject([
      { kind: "outcome", job: jobs[0], outcome: { kind: "stopped", reason: "lost" } },
      { kind: "outcome", job: jobs[1], outcome: { kind: "stopped", reason: "lost" } },
      { kind: "unloaded", job: 99 },
    ]);
    expect(scheduler.turn()).toBe(false);
  });
});
