import { until } from "../service-process.ts";
import { fault, type Trial } from "./trial.ts";

const MB = 1_048_576;

/** Each does one thing that no handler should; `jobs.x` events reach all of them. */
export const offenders: Readonly<Record<string, string>> = {
  loops: "while true do end",
  never_yields: "while true do pcall(function() while true do end end) end",
  allocates: 'local t = {} for i = 1, 1e9 do t[i] = string.rep("x", 4194304) .. i end',
  one_huge_string: 'local s = string.rep("x", 4294967296) signalbox.log(#s)',
  one_slow_pattern:
    'local s = string.rep("a", 28) .. "b" for i = 1, 1e6 do s:find(string.rep("a-", 28) .. "c") end',
  throws_a_table: "error({ why = 'no text' })",
  throws_nothing: "error(nil)",
  throws_a_function: "error(function() end)",
  recurses: "local function f(n) return 1 + f(n + 1) end return f(1)",
  floods_the_log: 'for i = 1, 1e9 do signalbox.log("info", string.rep("x", 1000)) end',
  floods_the_bus: 'for i = 1, 1e9 do signalbox.publish("flood.all", "flood.made", { i = i }) end',
};

const good = `
signalbox.on("jobs.>", function(event)
  signalbox.state.count = (signalbox.state.count or 0) + 1
  signalbox.command("worker", "do", { n = event.payload.n })
end)`;

const JOBS = 12;

/** Ill-behaved workflows beside a good one, which must not notice. */
export const hangingWorkers = fault("Lua workers that hang, eat memory or die", async (trial) => {
  trial.home.writeWorkflow("good", good);
  for (const [name, body] of Object.entries(offenders)) {
    trial.home.writeWorkflow(name, `signalbox.on("jobs.>", function(event)\n${body}\nend)`);
  }
  trial.home.writeConfig(
    '[workflows]\nhandler_timeout_ms = 600\nstall_ms = 300\nmemory_mb = 64\nworkers = 2\n[log]\nlevel = "warn"\n',
  );
  const service = await trial.start();
  const before = service.rssBytes();
  let largest = 0;
  const measure = () => {
    if (service.isAlive) largest = Math.max(largest, service.rssBytes() - before);
  };
  const timer = setInterval(measure, 20);
  try {
    for (let n = 0; n < JOBS; n++) {
      const pushed = trial.client.pushEvent({ type: "job.wanted", subject: "jobs.all", payload: { n } });
      const error = await trial.refusal(pushed);
      trial.expect(error === null, `beside bad workflows a push was refused: ${error?.code}`);
    }
    await checkGood(trial);
    await checkOffenders(trial);
  } finally {
    clearInterval(timer);
  }
  trial.expect(service.isAlive, "the service ended");
  trial.expect(largest < 1_200 * MB, `bad workflows cost ${Math.round(largest / MB)} MB`);
});

async function checkGood({ client }: Trial): Promise<void> {
  await until("the good workflow has done all", async () => {
    const { events, lag, state } = await client.getWorkflow({ workflow: "good" });
    return state === "active" && events === JOBS && lag === 0;
  });
}

/** Each has failed or was parked, and says why. */
async function checkOffenders(trial: Trial): Promise<void> {
  await until(
    "every bad workflow is parked or has failed each time",
    async () => {
      const { workflows } = await trial.client.listWorkflows();
      return workflows.every(
        ({ name, state, errors, lag }) =>
          name === "good" ||
          state === "parked" ||
          (errors > 0 && errors >= Math.min(3, JOBS) && (lag === 0 || errors > 5)),
      );
    },
    120_000,
  );
  const { workflows } = await trial.client.listWorkflows();
  for (const { name, state, problem } of workflows) {
    if (state === "parked")
      trial.expect((problem?.message ?? "") !== "", `${name} was parked without a reason`);
  }
  const { runs } = await trial.client.listRuns({ status: "failed", limit: 1_000 });
  for (const { run_id, error } of runs)
    trial.expect((error?.message ?? "") !== "", `${run_id} failed without a reason`);
}
