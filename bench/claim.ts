import { join } from "node:path";
import type { NewEvent } from "../service/contract/events.ts";
import type { Scope } from "../service/lib/scope.ts";
import { makeEvent } from "./events.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import { alternate, type Comparison, type Contest, compare, inFlight, rate } from "./measure.ts";
import { present } from "./peer.ts";
import { openRaw } from "./raw.ts";
import { type RunningService, startService } from "./service.ts";
import { openStore } from "./store.ts";

const TOPIC = "work";
const WORKERS = 8;
const TEN = 10;

/** A queue's own work: take the oldest event, finish it. Filling it beforehand is not timed. */
export const claim: Line = {
  name: "claim",
  title: "2. Claim and complete",
  async run(context, scope) {
    const skipped: string[] = [];
    const count = context.scaled(3_000);
    const ours = await storeContests(context, scope, count);
    const raw = rawContests(context, scope, count);
    const plainjob = await plainjobContests(context, scope, count, skipped);
    const service = await serviceContests(context, scope, context.scaled(1_000));
    context.progress("claim: one by one, ten at a time, eight workers");
    const figures = await alternate(context.rounds, { ...ours, ...raw, ...plainjob, ...service });
    const against = (mine: string, theirs: string) => {
      const [one, other] = [figures[mine], figures[theirs]];
      return one && other ? compare(one, other) : null;
    };
    return { rows: rowsOf(against), skipped };
  },
};

type Contests = Record<string, Contest>;

/** Gives each round's queue events that nobody had before. */
function work(): (count: number) => NewEvent[] {
  let next = 0;
  return (count) => Array.from({ length: count }, () => ({ ...makeEvent(next++), topic: TOPIC }));
}

async function storeContests(context: BenchContext, scope: Scope, count: number): Promise<Contests> {
  const bare = scope.use(await openStore(join(context.folder("claim-store"), "signalbox.db")));
  const { store } = bare;
  let filled = 0;
  const contest =
    (width: number, limit: number): Contest =>
    async () => {
      await bare.fill(count, (index) => ({ ...makeEvent(index), topic: TOPIC }), filled);
      filled += count;
      let left = count;
      const take = async () => {
        while (left > 0) {
          const now_ms = Date.now();
          const claimed = await store.claim({
            topic: TOPIC,
            agent: "@bench",
            limit,
            lease_ms: undefined,
            now_ms,
          });
          left -= claimed.length;
          if (claimed.length === 0) return;
          await store.settleAll(claimed.map(({ event, lease }) => toFinish(event.id, lease)));
        }
      };
      return rate(count, async () => void (await Promise.all(Array.from({ length: width }, take))));
    };
  const toFinish = (event_id: string, lease: string) => ({
    event_id,
    holder: { lease },
    settlement: { kind: "complete" } as const,
    now_ms: Date.now(),
    events: [],
  });
  return { store: contest(1, 1), storeTen: contest(1, TEN), storeWorkers: contest(WORKERS, 1) };
}

function rawContests(context: BenchContext, scope: Scope, count: number): Contests {
  const raw = scope.use(openRaw(join(context.folder("claim-raw"), "raw.db")));
  const next = work();
  const contest =
    (limit: number, counted: boolean): Contest =>
    () => {
      raw.insert(next(count));
      return rate(count, () => {
        for (let done = 0; done < count; ) done += raw.claimAndComplete(TOPIC, limit, counted);
      });
    };
  return { raw: contest(1, true), rawUncounted: contest(1, false), rawTen: contest(TEN, true) };
}

async function plainjobContests(
  { peers, folder }: BenchContext,
  scope: Scope,
  count: number,
  skipped: string[],
): Promise<Contests> {
  const queue = await present(skipped, async () =>
    scope.use(await (await peers.load("plainjob")).openPlainjob(join(folder("claim-plainjob"), "jobs.db"))),
  );
  if (!queue) return {};
  const next = work();
  return {
    plainjob() {
      queue.add(next(count));
      return rate(count, () => {
        while (queue.claimAndComplete());
      });
    },
    plainjobWorkers() {
      queue.add(next(count));
      return rate(count, () => queue.drain(WORKERS, count));
    },
  };
}

async function serviceContests(context: BenchContext, scope: Scope, count: number): Promise<Contests> {
  const service = scope.use(await startService({ product: context.product, home: context.folder("claim") }));
  const contest =
    (width: number, limit: number): Contest =>
    async () => {
      await fillService(service, count);
      return rate(count, () => takeAll(service, count, width, limit));
    };
  return { socket: contest(1, 1), socketTen: contest(1, TEN), socketWorkers: contest(WORKERS, 1) };
}

async function fillService({ client }: RunningService, count: number): Promise<void> {
  await inFlight(count, 200, (index) => client.push({ ...makeEvent(index), topic: TOPIC }));
  await client.searchEvents({ text: "nothingiscalledthis", limit: 1 });
}

async function takeAll(
  { client }: RunningService,
  count: number,
  width: number,
  limit: number,
): Promise<void> {
  let left = count;
  const take = async () => {
    while (left > 0) {
      const { claimed } = await client.claimEvents({ topic: TOPIC, agent: "@bench", limit });
      left -= claimed.length;
      if (claimed.length === 0) return;
      const items = claimed.map(({ event, lease }) => ({ action: "complete", event_id: event.id, lease }));
      const [first] = claimed;
      if (claimed.length === 1 && first)
        await client.completeClaim({ event_id: first.event.id, lease: first.lease });
      else await client.settleClaims({ items });
    }
  };
  await Promise.all(Array.from({ length: width }, take));
}

function rowsOf(against: (mine: string, theirs: string) => Comparison | null): Row[] {
  const row = (what: string, mine: string, theirs: string, name: string, bar?: number): Row[] => {
    const result = against(mine, theirs);
    if (!result) return [];
    const { ours, ratio, spread } = result;
    const asked: Row["bar"] = bar === undefined ? null : { of: "ratio", kind: "at least", value: bar };
    const peer = { name, value: result.theirs };
    return [{ what, unit: "events/s", ours, peer, ratio, spread, bar: asked }];
  };
  const raw = "raw SQLite, same state afterwards";
  return [
    ...row("claim + complete one by one, store in-process", "store", "plainjob", "plainjob", 1),
    ...row("claim + complete one by one, store in-process", "store", "raw", raw, 0.8),
    ...row(
      "claim + complete one by one, store in-process",
      "store",
      "rawUncounted",
      "raw SQLite, no counters kept",
    ),
    ...row("claim ten, complete ten, store in-process", "storeTen", "plainjob", "plainjob one by one", 1.5),
    ...row(
      "claim ten, complete ten, store in-process",
      "storeTen",
      "rawTen",
      `${raw}, two transactions a ten`,
    ),
    ...row("8 workers, store in-process", "storeWorkers", "plainjobWorkers", "plainjob, 8 workers"),
    ...row(
      "claim + complete one by one, through the socket",
      "socket",
      "plainjob",
      "plainjob in the same process",
    ),
    ...row(
      "claim ten, complete ten, through the socket",
      "socketTen",
      "plainjob",
      "plainjob in the same process",
    ),
    ...row(
      "8 workers, through the socket",
      "socketWorkers",
      "plainjobWorkers",
      "plainjob, 8 workers, same process",
    ),
  ];
}
