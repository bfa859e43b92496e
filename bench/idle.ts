import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import type { Scope } from "../service/lib/scope.ts";
import { makeEvent } from "./events.ts";
import { sizeOfDatabase } from "./filled.ts";
import { RULE } from "./handler.ts";
import type { Bar, BenchContext, Line, Row, Unit } from "./line.ts";
import { alternate, compare, inFlight, median } from "./measure.ts";
import { type NatsServer, present } from "./peer.ts";
import { cpuOf, memoryOf } from "./process-usage.ts";
import { startService } from "./service.ts";

/** What it costs to have it running, and to keep events. */
export const idle: Line = {
  name: "idle",
  title: "7. Start, idling, size",
  async run(context, scope) {
    const skipped: string[] = [];
    const events = context.quick ? 10_000 : 1_000_000;
    const { home, file } = await context.filled.reach(events);
    const bytes = sizeOfDatabase(file) / countEvents(file);
    const nats = await present(skipped, () => context.peers.load("nats"));
    const rows = [
      ...(await starting(context, home, events, nats)),
      ...(await idling(context, scope, home, events, skipped)),
      ...(await sizes(context, scope, bytes, skipped)),
    ];
    return { rows, skipped };
  },
};

function countEvents(file: string): number {
  const db = new Database(file, { readonly: true });
  try {
    return Number(db.prepare("SELECT count(*) FROM events").pluck().get());
  } finally {
    db.close();
  }
}

type Nats = { startNats(folder: string): Promise<NatsServer> } | null;

async function starting(context: BenchContext, home: string, events: number, nats: Nats): Promise<Row[]> {
  context.progress("idle: starting");
  // A folder that is used again may have workflows of the run before, and their thread takes its time.
  rmSync(join(home, "workflows"), { recursive: true, force: true });
  const start = async (where: string) => {
    const service = await startService({ product: context.product, home: where });
    await service.close();
    return service.readyMs;
  };
  const empty = context.folder("idle-empty");
  const stream = context.folder("idle-jetstream");
  const figures = await alternate(context.rounds, {
    ours: () => start(home),
    empty: () => start(empty),
    async nats() {
      const server = await nats?.startNats(stream);
      await server?.close();
      return server?.startMs ?? Number.NaN;
    },
  });
  const of = `start to ready with ${events.toLocaleString("en-US")} events`;
  const bar: Bar | null = events >= 1_000_000 ? { of: "ours", kind: "at most", value: 300 } : null;
  const row = (what: string, theirs: number[], name: string): Row => {
    const result = compare(figures.ours, theirs);
    const { ours, ratio, spread } = result;
    return { what, unit: "ms", ours, peer: { name, value: result.theirs }, ratio, spread, bar };
  };
  const rows = [row(of, figures.empty, "ours without events")];
  if (nats) rows.push({ ...row(of, figures.nats, "nats-server with JetStream, empty"), bar: null });
  return rows;
}

interface Usage {
  memory: number | null;
  cpu: number | null;
}

/** Over the same seconds for all of them. */
async function idling(
  context: BenchContext,
  scope: Scope,
  home: string,
  events: number,
  skipped: string[],
): Promise<Row[]> {
  const seconds = context.quick ? 5 : 30;
  context.progress(`idle: ${seconds} s`);
  const service = scope.use(
    await startService({ product: context.product, home, workflows: { triage: RULE } }),
  );
  await service.client.getStatus();
  const nats = await present(skipped, async () =>
    scope.use(await (await context.peers.load("nats")).startNats(context.folder("idle-nats"))),
  );
  const nodeRed = await present(skipped, async () =>
    scope.use(
      await (await context.peers.load("node-red")).startNodeRed(
        context.folder("idle-red"),
        "http://127.0.0.1:9",
      ),
    ),
  );
  // What a start leaves to do is no part of idling: each thread tidies its memory once, some ten seconds later.
  await pause(context.quick ? 1_000 : 15_000);
  const pids = { ours: service.pid, nats: nats?.pid, nodeRed: nodeRed?.pid };
  const before = Object.values(pids).map((pid) => (pid === undefined ? null : cpuOf(pid)));
  await pause(seconds * 1_000);
  const [ours, theirNats, theirRed] = Object.values(pids).map((pid, index): Usage => {
    const [from, to] = [before[index] ?? null, pid === undefined ? null : cpuOf(pid)];
    const cpu = from === null || to === null ? null : ((to - from) * 100) / (seconds * 1_000);
    return { memory: pid === undefined ? null : memoryOf(pid), cpu };
  });
  const what = (kind: string) =>
    `${kind} when idle for ${seconds} s, ${events.toLocaleString("en-US")} events, one workflow`;
  return [
    usageRow(what("memory"), "MB", ours?.memory, theirNats?.memory, "nats-server", 100),
    usageRow(what("memory"), "MB", ours?.memory, theirRed?.memory, "Node-RED with one flow", 100),
    usageRow(what("processor"), "%", ours?.cpu, theirNats?.cpu, "nats-server", 0.5),
    usageRow(what("processor"), "%", ours?.cpu, theirRed?.cpu, "Node-RED with one flow", 0.5),
  ].flat();
}

function usageRow(
  what: string,
  unit: Unit,
  ours: number | null | undefined,
  theirs: number | null | undefined,
  name: string,
  bar: number,
): Row[] {
  if (ours === null || ours === undefined) return [];
  const peer = theirs === null || theirs === undefined ? null : { name, value: theirs };
  const ratio = peer && peer.value > 0 ? ours / peer.value : null;
  return [{ what, unit, ours, peer, ratio, spread: null, bar: { of: "ours", kind: "at most", value: bar } }];
}

/** On the disk, for each event of the same kind. */
async function sizes(context: BenchContext, scope: Scope, ours: number, skipped: string[]): Promise<Row[]> {
  context.progress("idle: sizes");
  const count = context.scaled(10_000);
  const events = Array.from({ length: count }, (_, index) => makeEvent(index));
  const json = median(events.map((event) => JSON.stringify(event).length));
  const row = (name: string, value: number): Row => ({
    what: "size of the database, an event",
    unit: "bytes",
    ours,
    peer: { name, value },
    ratio: ours / value,
    spread: null,
    bar: null,
  });
  const rows = [row("the event's own JSON", json)];
  const folder = context.folder("size-jetstream");
  const nats = await present(skipped, async () =>
    scope.use(await (await context.peers.load("nats")).startNats(folder)),
  );
  if (nats) {
    const stream = await nats.jetStream();
    await inFlight(count, 200, (index) => stream.push(events[index] ?? {}));
    await stream.close();
    await nats.close();
    rows.push(row("JetStream's files (no full text)", sizeOfFolder(folder) / count));
  }
  const file = join(context.folder("size-plainjob"), "jobs.db");
  const queue = await present(skipped, async () =>
    scope.use(await (await context.peers.load("plainjob")).openPlainjob(file)),
  );
  queue?.add(events);
  if (queue) rows.push(row("plainjob's database (no full text)", queue.bytes() / count));
  return rows;
}

function sizeOfFolder(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
