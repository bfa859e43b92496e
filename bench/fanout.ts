import { connect, type Socket } from "node:net";
import type { Closeable } from "../service/lib/scope.ts";
import { Scope } from "../service/lib/scope.ts";
import { makeLogEvent } from "./events.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import { alternate, compare, inFlight, rate, until } from "./measure.ts";
import { type BusPeer, present } from "./peer.ts";
import { type RunningService, startService } from "./service.ts";

const SUBSCRIBERS = [1, 10, 100];
const WORKFLOWS = 50;
const SLOW = 10;
const IN_FLIGHT = 32;

/** One event to many. */
export const fanout: Line = {
  name: "fanout",
  title: "8. Fan-out",
  async run(context, scope) {
    const skipped: string[] = [];
    const nats = await present(skipped, async () =>
      scope.use(await (await context.peers.load("nats")).startNats(context.folder("fanout-nats"))),
    );
    const bus = nats && scope.use(await nats.bus());
    const service = scope.use(
      await startService({ product: context.product, home: context.folder("fanout") }),
    );
    const rows: Row[] = [];
    for (const count of SUBSCRIBERS) rows.push(...(await subscribers(context, service, bus, count)));
    rows.push(await slowOnes(context, service));
    rows.push(await workflows(context, scope));
    return { rows, skipped };
  },
};

interface Counter extends Closeable {
  /** Of all subscribers together. */
  received(): number;
}

/** Follows the stream on a plain socket: what is measured is the service, not a client that parses. */
function follow(service: RunningService, subject: string, isSlow = false): Promise<Counter> {
  let received = 0;
  const socket: Socket = connect(service.socket);
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.once("data", () => {
      if (isSlow) socket.pause();
      resolve({ received: () => received, close: () => void socket.destroy() });
    });
    // Each message has one id, on a line of its own; a piece may end within it.
    let rest = "";
    socket.on("data", (piece) => {
      const text = rest + piece.toString("latin1");
      let at = -4;
      let last = 0;
      for (at = text.indexOf("\nid: "); at >= 0; at = text.indexOf("\nid: ", at + 5)) {
        received += 1;
        last = at + 5;
      }
      rest = text.slice(Math.max(last, text.length - 4));
    });
    const query = `subject=${encodeURIComponent(subject)}`;
    socket.write(
      `GET /v1/events/stream?${query} HTTP/1.1\r\nHost: signalbox\r\nAuthorization: Bearer ${service.token}\r\n\r\n`,
    );
  });
}

async function pushAll({ client }: RunningService, count: number): Promise<void> {
  await inFlight(count, IN_FLIGHT, (index) =>
    client.push({ ...makeLogEvent(index), subject: "fanout.event" }),
  );
}

/** Messages a second at all subscribers together, while events are pushed. */
function deliver(service: RunningService, counters: readonly Counter[], count: number): Promise<number> {
  const total = () => counters.reduce((sum, counter) => sum + counter.received(), 0);
  const wanted = total() + count * counters.length;
  return rate(count * counters.length, async () => {
    await pushAll(service, count);
    await until(() => total() >= wanted, "messages at the subscribers");
  });
}

async function subscribers(
  context: BenchContext,
  service: RunningService,
  bus: BusPeer | null,
  width: number,
): Promise<Row[]> {
  context.progress(`fanout: ${width} subscribers`);
  const count = context.scaled(width === 100 ? 1_000 : 3_000);
  const scope = new Scope();
  try {
    const counters: Counter[] = [];
    let theirs = 0;
    for (let index = 0; index < width; index++) {
      counters.push(scope.use(await follow(service, "fanout.>")));
      if (bus) scope.use(await bus.subscribe("fanout.event", () => void theirs++));
    }
    const figures = await alternate(context.rounds, {
      ours: () => deliver(service, counters, count),
      async theirs() {
        if (!bus) return Number.NaN;
        const wanted = theirs + count * width;
        return rate(count * width, async () => {
          for (let index = 0; index < count; index++)
            bus.publish("fanout.event", JSON.stringify(makeLogEvent(index)));
          await bus.flush();
          await until(() => theirs >= wanted, "messages at the subscribers");
        });
      },
    });
    const { ours, ratio, spread, theirs: value } = compare(figures.ours, figures.theirs);
    const row: Row = {
      what: `live stream, ${width} subscribers`,
      note: "ours stores each event first",
      unit: "messages/s",
      ours,
      peer: bus ? { name: "NATS core", value } : null,
      ratio: bus ? ratio : null,
      spread: bus ? spread : null,
      bar: null,
    };
    return [row];
  } finally {
    await scope.close();
  }
}

/** Ten quick subscribers, with and without ten more that read nothing. */
async function slowOnes(context: BenchContext, service: RunningService): Promise<Row> {
  context.progress("fanout: slow subscribers");
  const count = context.scaled(3_000);
  const scope = new Scope();
  try {
    const quick: Counter[] = [];
    for (let index = 0; index < SLOW; index++) quick.push(scope.use(await follow(service, "fanout.>")));
    const figures = await alternate(context.rounds, {
      async ours() {
        const slow = await Promise.all(Array.from({ length: SLOW }, () => follow(service, "fanout.>", true)));
        try {
          return await deliver(service, quick, count);
        } finally {
          for (const one of slow) await one.close();
        }
      },
      alone: () => deliver(service, quick, count),
    });
    const { ours, theirs, ratio, spread } = compare(figures.ours, figures.alone);
    return {
      what: `${SLOW} subscribers beside ${SLOW} that read nothing`,
      unit: "messages/s",
      ours,
      peer: { name: `${SLOW} subscribers alone`, value: theirs },
      ratio,
      spread,
      bar: { of: "ratio", kind: "at least", value: 0.9 },
    };
  } finally {
    await scope.close();
  }
}

/** Fifty workflows hear each event, against one. */
async function workflows(context: BenchContext, scope: Scope): Promise<Row> {
  context.progress(`fanout: ${WORKFLOWS} workflows`);
  const handler = `sekia.on("fanout.event", function(event) return event.payload.number end)\n`;
  const start = async (count: number) => {
    const names = Array.from({ length: count }, (_, index) => [`hear-${index}`, handler]);
    return scope.use(
      await startService({
        product: context.product,
        home: context.folder(`workflows-${count}`),
        workflows: Object.fromEntries(names),
      }),
    );
  };
  const [many, one] = [await start(WORKFLOWS), await start(1)];
  const handled = async ({ client }: RunningService) =>
    (await client.listWorkflows()).workflows.reduce((sum, workflow) => sum + workflow.events, 0);
  const run = (service: RunningService, count: number, width: number) => async () => {
    const wanted = (await handled(service)) + count * width;
    return rate(count * width, async () => {
      await pushAll(service, count);
      await until(async () => (await handled(service)) >= wanted, "handlers that ran", 120_000, 20);
    });
  };
  const figures = await alternate(context.rounds, {
    ours: run(many, context.scaled(200), WORKFLOWS),
    one: run(one, context.scaled(5_000), 1),
  });
  const { ours, theirs, ratio, spread } = compare(figures.ours, figures.one);
  return {
    what: `${WORKFLOWS} workflows hear each event, runs recorded`,
    unit: "handlers/s",
    ours,
    peer: { name: "one workflow hears each", value: theirs },
    ratio,
    spread,
    bar: null,
  };
}
