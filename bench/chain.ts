import type { JsonObject } from "../service/contract/common.ts";
import type { Scope } from "../service/lib/scope.ts";
import { startAgent } from "./agent.ts";
import { makeIssue, RULE } from "./handler.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import { alternate, compare, inFlight, median, percentile, rate, timings, until } from "./measure.ts";
import { type BusPeer, present } from "./peer.ts";
import { freePort } from "./port.ts";
import { type RunningService, startService } from "./service.ts";
import { createPoster, startSink } from "./sink.ts";

const IN_FLIGHT = 32;
const TYPE = "github.issue.opened";

/** From an event to what comes of it. */
export const chain: Line = {
  name: "chain",
  title: "3. Event, workflow, command",
  async run(context, scope) {
    const skipped: string[] = [];
    const nats = await present(skipped, async () =>
      scope.use(await (await context.peers.load("nats")).startNats(context.folder("chain-nats"))),
    );
    const bus = nats && scope.use(await nats.bus());
    const rows = [...(await commands(context, scope, bus)), ...(await webhooks(context, scope, skipped))];
    return { rows, skipped };
  },
};

/** Tells of each arrival by the number inside. */
class Arrivals {
  readonly #waiting = new Map<number, () => void>();
  count = 0;

  arrived(number: number): void {
    this.count += 1;
    this.#waiting.get(number)?.();
    this.#waiting.delete(number);
  }

  of(number: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(number, resolve));
  }
}

async function commands(context: BenchContext, scope: Scope, bus: BusPeer | null): Promise<Row[]> {
  context.progress("chain: event → Lua → command");
  const service = scope.use(
    await startService({
      product: context.product,
      home: context.folder("chain"),
      workflows: { triage: RULE },
    }),
  );
  const arrivals = new Arrivals();
  scope.use(
    await startAgent(context.product, service, "add_labels", (payload) => {
      arrivals.arrived(Number(payload.number));
      return null;
    }),
  );
  const theirs = new Arrivals();
  if (bus)
    scope.use(await bus.subscribe("issues", (data) => theirs.arrived(Number(JSON.parse(data).number))));
  let next = 0;
  const pushIssue = () => service.client.push({ type: TYPE, source: "bench", payload: issue(next++) });
  const single = context.scaled(400);
  const many = context.scaled(5_000);
  const latencies: number[] = [];
  const figures = await alternate(context.rounds, {
    async chain() {
      const times = await timings(single, async () => {
        const arrival = arrivals.of(next);
        await Promise.all([pushIssue(), arrival]);
      });
      latencies.push(...times);
      return median(times);
    },
    push: async () => median(await timings(single, (index) => pushElsewhere(service, index))),
    bus: async () =>
      bus ? median(await timings(single, () => publishAndWait(bus, theirs, next++))) : Number.NaN,
    async chainRate() {
      const wanted = arrivals.count + many;
      return rate(many, async () => {
        await inFlight(many, IN_FLIGHT, pushIssue);
        await until(() => arrivals.count >= wanted, "commands at the agent");
      });
    },
    async busRate() {
      if (!bus) return Number.NaN;
      const wanted = theirs.count + many;
      return rate(many, async () => {
        for (let index = 0; index < many; index++) bus.publish("issues", JSON.stringify(issue(index)));
        await bus.flush();
        await until(() => theirs.count >= wanted, "messages at the subscriber");
      });
    },
  });
  return commandRows(figures, latencies, bus !== null);
}

const issue = (number: number): JsonObject => ({ ...makeIssue(number) });

/** The same push where no workflow listens. */
function pushElsewhere({ client }: RunningService, index: number): Promise<unknown> {
  return client.push({ type: "github.issue.closed", source: "bench", payload: issue(index) });
}

async function publishAndWait(bus: BusPeer, arrivals: Arrivals, number: number): Promise<void> {
  const arrival = arrivals.of(number);
  bus.publish("issues", JSON.stringify(issue(number)));
  await arrival;
}

type CommandFigures = Record<"chain" | "push" | "bus" | "chainRate" | "busRate", number[]>;

function commandRows(figures: CommandFigures, latencies: number[], hasBus: boolean): Row[] {
  const row = (what: string, unit: Row["unit"], mine: number[], theirs: number[], name: string): Row => {
    const result = compare(mine, theirs);
    const { ours, ratio, spread } = result;
    return { what, unit, ours, peer: { name, value: result.theirs }, ratio, spread, bar: null };
  };
  const p50 = "event → Lua → command at the agent, p50";
  const persecond = "event → Lua → command at the agent, acknowledged";
  const withNats = [
    row(p50, "ms", figures.chain, figures.bus, "NATS core publish → subscriber (stores nothing)"),
    row(
      persecond,
      "events/s",
      figures.chainRate,
      figures.busRate,
      "NATS core publish → subscriber (stores nothing)",
    ),
  ];
  return [
    {
      ...row(p50, "ms", figures.chain, figures.push, "a push's own round trip"),
      note: `p99 ${percentile(latencies, 99).toFixed(1)} ms`,
      bar: { of: "ratio", kind: "at most", value: 3 },
    },
    ...(hasBus ? withNats : []),
  ];
}

const SECRET = "bench-secret";
const INGRESS_RULE = RULE.replaceAll(TYPE, "webhook.received").replace(
  "local issue = event.payload",
  `local issue = { title = event.payload.issue.title, number = event.payload.issue.number, repository = event.payload.repository.full_name }
  if event.payload.action ~= "opened" then return end`,
);

/** A signed webhook comes in, a rule decides, an HTTP call goes out. */
async function webhooks(context: BenchContext, scope: Scope, skipped: string[]): Promise<Row[]> {
  context.progress("chain: webhook → rule → HTTP out");
  const sink = scope.use(await startSink());
  const poster = scope.use(createPoster());
  const url = await startOurWebhook(context, scope, `${sink.url}`);
  const nodeRed = await present(skipped, async () =>
    scope.use(
      await (await context.peers.load("node-red")).startNodeRed(context.folder("node-red"), sink.url),
    ),
  );
  const count = context.scaled(2_000);
  let next = 0;
  const run = (target: string) => async () => {
    const wanted = sink.received() + count;
    return rate(count, async () => {
      await inFlight(count, IN_FLIGHT, async () => {
        const status = await poster.post(target, webhookBody(next++), { "x-bench-secret": SECRET });
        if (status >= 300) throw new Error(`${target} answered ${status}`);
      });
      await until(() => sink.received() >= wanted, `calls at the sink because of ${target}`);
    });
  };
  const theirs = nodeRed ? { theirs: run(nodeRed.url) } : {};
  const figures: Record<string, number[]> = await alternate<string>(context.rounds, {
    ours: run(url),
    ...theirs,
  });
  if (!figures.ours || !figures.theirs) return [];
  const { ours, ratio, spread, theirs: value } = compare(figures.ours, figures.theirs);
  return [
    {
      what: `webhook → rule → HTTP out, ${IN_FLIGHT} in flight`,
      note: "ours stores each step",
      unit: "events/s",
      ours,
      peer: { name: "Node-RED (keeps nothing)", value },
      ratio,
      spread,
      bar: { of: "ratio", kind: "at least", value: 2 },
    },
  ];
}

/** Ingress → event → Lua → command → agent → HTTP. Answers with where to post. */
async function startOurWebhook(context: BenchContext, scope: Scope, target: string): Promise<string> {
  const port = await freePort();
  const service = scope.use(
    await startService({
      product: context.product,
      home: context.folder("webhook"),
      env: { BENCH_SECRET: SECRET },
      workflows: { triage: INGRESS_RULE },
      config: `[ingress]\nenabled = true\nport = ${port}\n
[[connectors.webhook.routes]]\npath = "/hook"\nauth = "header"\nheader = "x-bench-secret"\nsecret = { env = "BENCH_SECRET" }\n`,
    }),
  );
  const poster = scope.use(createPoster());
  scope.use(
    await startAgent(context.product, service, "add_labels", async ({ repository, number, labels }) => {
      const path = `/repos/${String(repository)}/issues/${Number(number)}/labels`;
      return await poster.post(`${target}${path}`, JSON.stringify({ labels: labels ?? [] }));
    }),
  );
  return `http://127.0.0.1:${port}/hook`;
}

function webhookBody(number: number): string {
  const { title, repository, author } = makeIssue(number);
  return JSON.stringify({
    action: "opened",
    issue: { number, title, user: author, labels: [], state: "open" },
    repository: { full_name: repository, private: false },
    sender: author,
  });
}
