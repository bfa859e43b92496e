import type Database from "better-sqlite3";
import type { EventQuery, SearchQuery } from "../service/contract/events.ts";
import { Scope as NewScope, type Scope } from "../service/lib/scope.ts";
import { makeEvent } from "./events.ts";
import type { BenchContext, GrowthPoint, Line, Row } from "./line.ts";
import { alternate, compare, inFlight, median, percentile, timings } from "./measure.ts";
import { openPlain } from "./plain.ts";
import { makeProbes, type Probe } from "./queries.ts";
import { type RunningService, startService } from "./service.ts";
import { openStore } from "./store.ts";

const SMALL = 10_000;
const MIDDLE = 100_000;
const LARGE = 1_000_000;
const HUGE = 10_000_000;
/** As a client gets it without asking for more. */
const LIMIT = 50;
/** How long a page is looked for by default: then it is answered as far as it is, with where to go on. */
const PAGE_MS = 2;
/** A statement may take a second, so each is given no more than this. */
const BUDGET_MS = 2_000;

/** Reading and writing a log of many events, through the socket. */
export const query: Line = {
  name: "query",
  title: "6. Queries, searches, and writing as the log grows",
  async run(context, scope) {
    const sizes = context.quick ? [SMALL] : [SMALL, MIDDLE, LARGE, ...(context.large ? [HUGE] : [])];
    const small = await startSmall(context, scope);
    const rows: Row[] = [];
    const growth: GrowthPoint[] = [];
    for (const size of sizes) {
      const measured = await measureSize(context, size, small, sizes.length > 1 && size >= LARGE);
      growth.push(...measured.growth);
      const isWhole = size >= LARGE || sizes.length === 1;
      rows.push(...(isWhole ? measured.rows : [slowest(measured.rows, size), ...telling(measured.rows)]));
    }
    return { rows, skipped: [], growth };
  },
};

/** What the large log is compared with. */
async function startSmall(context: BenchContext, scope: Scope): Promise<RunningService> {
  const service = scope.use(await startService({ product: context.product, home: context.folder("small") }));
  await pushMany(service, SMALL);
  return service;
}

async function measureSize(
  context: BenchContext,
  size: number,
  small: RunningService,
  isCompared: boolean,
): Promise<{ rows: Row[]; growth: GrowthPoint[] }> {
  const { home, file, fillMs } = await context.filled.reach(size);
  const scope = new NewScope();
  try {
    context.progress(`query: the plain database of ${size.toLocaleString("en-US")} events`);
    const db = openPlain(file);
    scope.defer(() => void db.close());
    context.progress(`query: ${size.toLocaleString("en-US")} events`);
    const probes = makeProbes(middleOf(db));
    const alone = await measureStore(context, file, probes);
    const service = scope.use(await startService({ product: context.product, home }));
    const rows: Row[] = [];
    const searches: GrowthPoint[] = [];
    for (const probe of probes) {
      const row = await measureProbe(context, service, db, probe, size);
      rows.push({ ...row, note: `${row.note}, store alone p99 ${alone.get(probe)?.toFixed(2)} ms` });
      if (probe.kind === "search" && /common word, |rare word, recent/.test(probe.name)) {
        searches.push({ events: size, what: `${probe.name}, p99`, value: row.ours });
      }
    }
    const growth = [...(await measureWrites(context, service, size)), ...searches];
    if (fillMs !== null) growth.push({ events: size, what: "push, in bulk", value: fillMs });
    if (isCompared) rows.push(...(await compareWrites(context, service, small, size)));
    return { rows, growth };
  } finally {
    await scope.close();
  }
}

function middleOf(db: Database.Database): { seq: number; recorded_ms: number } {
  const row = db
    .prepare<[], { seq: number; recorded_ms: number }>(
      "SELECT seq, recorded_ms FROM events WHERE seq >= (SELECT max(seq) / 2 FROM events) ORDER BY seq LIMIT 1",
    )
    .get();
  if (!row) throw new Error("the database is empty");
  return row;
}

/** Without socket, checks and JSON: p99 in this process. */
async function measureStore(
  context: BenchContext,
  file: string,
  probes: readonly Probe[],
): Promise<Map<Probe, number>> {
  const bare = await openStore(file);
  try {
    const alone = new Map<Probe, number>();
    for (const probe of probes) {
      const { order = "recent", text = "" } = probe.input as Partial<SearchQuery>;
      const ask = () =>
        probe.kind === "search"
          ? bare.store.searchWithin({ ...probe.input, text, order, limit: LIMIT }, PAGE_MS)
          : bare.store.findWithin({ ...probe.input, limit: LIMIT }, PAGE_MS);
      await timings(5, ask, BUDGET_MS);
      const times = await timings(Math.max(100, context.scaled(400)), ask, context.scaled(BUDGET_MS));
      alone.set(probe, percentile(times, 99));
    }
    return alone;
  } finally {
    await bare.close();
  }
}

async function measureProbe(
  context: BenchContext,
  { client }: RunningService,
  db: Database.Database,
  probe: Probe,
  size: number,
): Promise<Row> {
  // The wire has the same fields as these inputs; the service checks them. One page, not all that the client would
  // go on to ask for.
  let cut = 0;
  const ask = async (within: object = { within_ms: PAGE_MS }) => {
    const input = { ...probe.input, ...within };
    const page =
      probe.kind === "search"
        ? await client.searchEvents(input as unknown as SearchQuery)
        : await client.findEvents(input as unknown as EventQuery);
    if (page.searched_to_ms !== undefined) cut += 1;
  };
  const budgetMs = context.scaled(BUDGET_MS);
  await timings(5, () => ask(), budgetMs);
  cut = 0;
  const ours = await timings(Math.max(100, context.scaled(400)), () => ask(), budgetMs);
  // Some are cut because the machine did something else just then; these are cut by what they ask.
  const isCut = cut > ours.length / 4;
  const whole = isCut ? median(await timings(20, () => ask({}), budgetMs)) : null;
  const statement = db.prepare(`SELECT e.* FROM ${probe.sql}`);
  const plain = await timings(100, () => statement.all(...probe.values), budgetMs);
  const value = percentile(plain, 99);
  const p99 = percentile(ours, 99);
  return {
    what: `${probe.name}, p99 at ${size.toLocaleString("en-US")}`,
    note: `p50 ${median(ours).toFixed(2)} ms${whole === null ? "" : `, a page with where to go on; the whole ${whole.toFixed(1)} ms`}`,
    unit: "ms",
    ours: p99,
    peer: { name: "plain SQL, an index a column, in-process", value },
    ratio: p99 / value,
    spread: null,
    bar: size >= LARGE ? { of: "ours", kind: "at most", value: 5 } : null,
  };
}

function slowest(rows: readonly Row[], size: number): Row {
  const worst = rows.reduce((one, other) => (other.ours > one.ours ? other : one));
  return {
    ...worst,
    what: `the slowest of ${rows.length} queries at ${size.toLocaleString("en-US")}: ${worst.what}`,
  };
}

/** Of the smaller logs: common and rare words, recent and ranked, and a plain page. */
function telling(rows: readonly Row[]): Row[] {
  return rows.filter(({ what }) =>
    /^(newest|topic|search a (common|rare) word, (recent|ranked)), p99/.test(what),
  );
}

async function pushMany({ client }: RunningService, count: number): Promise<void> {
  await inFlight(count, 32, (index) => client.push(makeEvent(index)));
  await client.searchEvents({ text: "nothingiscalledthis", limit: 1 });
}

async function measureWrites(
  context: BenchContext,
  service: RunningService,
  size: number,
): Promise<GrowthPoint[]> {
  const { client } = service;
  const pushes = await timings(context.scaled(300), (index) => client.push(makeEvent(index)));
  const count = context.scaled(3_000);
  const begun = performance.now();
  await pushMany(service, count);
  const together = (performance.now() - begun) / count;
  const claims = await timings(context.scaled(300), async (index) => {
    const topic = `topic-${index % 20}`;
    const { claimed } = await client.claimEvents({ topic, agent: "@bench" });
    await Promise.all(claimed.map(({ event, lease }) => client.completeClaim({ event_id: event.id, lease })));
  });
  return [
    { events: size, what: "push, one by one", value: median(pushes) },
    { events: size, what: "push, 32 in flight", value: together },
    { events: size, what: "claim + complete", value: median(claims) },
  ];
}

/** The same work on both logs in turn: what growing costs. */
async function compareWrites(
  context: BenchContext,
  large: RunningService,
  small: RunningService,
  size: number,
): Promise<Row[]> {
  context.progress(
    `query: pushes at ${size.toLocaleString("en-US")} and at ${SMALL.toLocaleString("en-US")}`,
  );
  const count = context.scaled(1_500);
  const microseconds = async (work: Promise<unknown>, of: number) => {
    const begun = performance.now();
    await work;
    return ((performance.now() - begun) * 1_000) / of;
  };
  const single = context.scaled(300);
  const oneByOne = ({ client }: RunningService) =>
    microseconds(
      inFlight(single, 1, (index) => client.push(makeEvent(index))),
      single,
    );
  const figures = await alternate(context.rounds, {
    large: () => microseconds(pushMany(large, count), count),
    small: () => microseconds(pushMany(small, count), count),
    largeOne: () => oneByOne(large),
    smallOne: () => oneByOne(small),
  });
  const row = (what: string, mine: number[], theirs: number[]): Row => {
    const result = compare(mine, theirs);
    const { ours, ratio, spread } = result;
    return {
      what: `${what}, at ${size.toLocaleString("en-US")} events`,
      unit: "µs",
      ours,
      peer: { name: `at ${SMALL.toLocaleString("en-US")} events`, value: result.theirs },
      ratio,
      spread,
      bar: { of: "ratio", kind: "at most", value: 1.2 },
    };
  };
  return [
    row("a push, 32 in flight", figures.large, figures.small),
    row("a push, one by one", figures.largeOne, figures.smallOne),
  ];
}
