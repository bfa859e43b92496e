import { join } from "node:path";
import type { NewEvent } from "../service/contract/events.ts";
import type { Scope } from "../service/lib/scope.ts";
import { makeEvent } from "./events.ts";
import { profilePushes } from "./layers.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import { alternate, type Contest, compare, inFlight, rate } from "./measure.ts";
import { type PushPeer, present } from "./peer.ts";
import { openRaw } from "./raw.ts";
import { type RunningService, startService } from "./service.ts";
import { type BareStore, openStore } from "./store.ts";

const IN_FLIGHT = 32;
const BATCH = 100;

/** Durable pushes from another process, until the last of them can be found. */
export const push: Line = {
  name: "push",
  title: "1. Durable push",
  async run(context, scope) {
    const skipped: string[] = [];
    const service = scope.use(await startService({ product: context.product, home: context.folder("push") }));
    const peers = await openPeers(context, scope, skipped);
    const rows = [
      ...(await oneByOne(context, scope, service, peers)),
      ...(await many(context, scope, service, peers)),
      ...(await synced(context, scope)),
    ];
    return { rows, skipped, layers: await profilePushes(context) };
  },
};

interface PushPeers {
  jetStream: PushPeer | null;
  plainjob: PushPeer | null;
  pgBoss: PushPeer | null;
}

async function openPeers(context: BenchContext, scope: Scope, skipped: string[]): Promise<PushPeers> {
  const { peers, folder } = context;
  const nats = await present(skipped, async () =>
    scope.use(await (await peers.load("nats")).startNats(folder("jetstream"))),
  );
  return {
    jetStream: nats && scope.use(await nats.jetStream()),
    plainjob: await present(skipped, async () =>
      scope.use(await (await peers.load("plainjob")).openPlainjob(join(folder("plainjob"), "jobs.db"))),
    ),
    pgBoss: await present(skipped, async () => scope.use(await (await peers.load("postgres")).startPgBoss())),
  };
}

/** Gives each contestant events that nobody had before. */
function fresh(): () => NewEvent {
  let next = 0;
  return () => makeEvent(next++);
}

/** Waits until everything pushed is in the full text too: a search answers only then. */
async function untilIndexed({ client }: Pick<RunningService, "client">): Promise<void> {
  await client.searchEvents({ text: "nothingiscalledthis", limit: 1 });
}

function ourPush(service: RunningService, count: number, width: number): Contest {
  const next = fresh();
  return () => {
    const events = Array.from({ length: count }, next);
    return rate(count, async () => {
      await inFlight(count, width, (index) => service.client.push(events[index] ?? {}));
      await untilIndexed(service);
    });
  };
}

/** Without socket, checks and JSON. */
function storePush({ store, log }: BareStore, count: number): Contest {
  const next = fresh();
  return () => {
    const events = Array.from({ length: count }, next);
    return rate(count, async () => {
      await inFlight(count, IN_FLIGHT, (index) => store.append([log.draft(events[index] ?? {}, null)]));
      await store.searchEvents({ text: "nothingiscalledthis", order: "recent", limit: 1 });
    });
  };
}

function rawPush(folder: string, scope: Scope, count: number, batch: number, full = false): Contest {
  const raw = scope.use(openRaw(join(folder, "raw.db"), full ? "full" : "normal"));
  const next = fresh();
  return () => {
    const events = Array.from({ length: count }, next);
    return rate(count, () => {
      for (let at = 0; at < count; at += batch) raw.insert(events.slice(at, at + batch));
    });
  };
}

function peerPush(peer: PushPeer, count: number, width: number): Contest {
  const next = fresh();
  return () => {
    const events = Array.from({ length: count }, next);
    return rate(count, () => inFlight(count, width, (index) => peer.push(events[index] ?? {})));
  };
}

async function oneByOne(
  context: BenchContext,
  scope: Scope,
  service: RunningService,
  peers: PushPeers,
): Promise<Row[]> {
  const count = context.scaled(2_000);
  context.progress("push: one by one");
  const contests: Record<string, Contest> = {
    ours: ourPush(service, count, 1),
    raw: rawPush(context.folder("raw-one"), scope, count, 1),
    ...(peers.jetStream ? { jetStream: peerPush(peers.jetStream, count, 1) } : {}),
    ...(peers.plainjob ? { plainjob: peerPush(peers.plainjob, count, 1) } : {}),
    ...(peers.pgBoss ? { pgBoss: peerPush(peers.pgBoss, context.scaled(1_000), 1) } : {}),
  };
  const figures = await alternate(context.rounds, contests);
  return rowsOf("push, one by one, through the socket", figures, {
    raw: { name: "raw SQLite in the same process" },
    jetStream: { name: "JetStream file, acknowledged" },
    plainjob: { name: "plainjob in the same process (no full text)" },
    pgBoss: { name: "pg-boss on Postgres, fsync off" },
  });
}

async function many(
  context: BenchContext,
  scope: Scope,
  service: RunningService,
  peers: PushPeers,
): Promise<Row[]> {
  const count = context.scaled(20_000);
  context.progress(`push: ${IN_FLIGHT} in flight`);
  const bare = scope.use(await openStore(join(context.folder("push-store"), "signalbox.db")));
  const contests: Record<string, Contest> = {
    ours: ourPush(service, count, IN_FLIGHT),
    store: storePush(bare, count),
    raw: rawPush(context.folder("raw-many"), scope, count, BATCH),
    ...(peers.jetStream ? { jetStream: peerPush(peers.jetStream, count, IN_FLIGHT) } : {}),
    ...(peers.plainjob ? { plainjob: peerPush(peers.plainjob, count, IN_FLIGHT) } : {}),
    ...(peers.pgBoss ? { pgBoss: peerPush(peers.pgBoss, context.scaled(4_000), IN_FLIGHT) } : {}),
  };
  const figures = await alternate(context.rounds, contests);
  const { store = [], raw = [] } = figures;
  const inProcess = rowsOf(
    `push, ${IN_FLIGHT} in flight, store in-process`,
    { ours: store, raw },
    { raw: { name: `raw SQLite, transactions of ${BATCH}` } },
  );
  const throughSocket = rowsOf(`push, ${IN_FLIGHT} in flight, through the socket`, figures, {
    raw: {
      name: `raw SQLite, transactions of ${BATCH}`,
      bar: { of: "ratio", kind: "at least", value: 0.7 },
    },
    jetStream: {
      name: `JetStream file, acknowledged, ${IN_FLIGHT} in flight`,
      bar: { of: "ratio", kind: "at least", value: 1, isGoal: true },
    },
    plainjob: { name: "plainjob in the same process, one after the other (no full text)" },
    pgBoss: { name: `pg-boss on Postgres, fsync off, ${IN_FLIGHT} in flight` },
  });
  return [...throughSocket, ...inProcess];
}

/** With `store.durability = "full"`: each commit waits for the disk, ours and theirs. */
async function synced(context: BenchContext, scope: Scope): Promise<Row[]> {
  const count = context.scaled(4_000);
  context.progress("push: synced to the disk");
  const service = scope.use(
    await startService({
      product: context.product,
      home: context.folder("push-full"),
      set: ["store.durability=full"],
    }),
  );
  const figures = await alternate(context.rounds, {
    ours: ourPush(service, count, IN_FLIGHT),
    raw: rawPush(context.folder("raw-full"), scope, count, BATCH, true),
  });
  return rowsOf(`push, ${IN_FLIGHT} in flight, each commit synced`, figures, {
    raw: { name: `raw SQLite, transactions of ${BATCH}, synced` },
  });
}

function rowsOf(
  what: string,
  figures: Readonly<Record<string, number[]>>,
  peers: Readonly<Record<string, { name: string; bar?: Row["bar"] }>>,
): Row[] {
  return Object.entries(peers).flatMap(([key, { name, bar = null }]) => {
    const theirs = figures[key];
    if (!theirs || !figures.ours) return [];
    const result = compare(figures.ours, theirs);
    const { ours, ratio, spread } = result;
    return [{ what, unit: "events/s", ours, peer: { name, value: result.theirs }, ratio, spread, bar }];
  });
}
