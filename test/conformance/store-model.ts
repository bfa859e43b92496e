import fc from "fast-check";
import { expect, it } from "vitest";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { DeliveryStatus } from "../../service/contract/events.ts";
import type { Settlement } from "../../service/store/store.ts";
import { append, type OpenedStore, type OpenStore, testTopics } from "../harness/store.ts";

/** One delivery as a plain object: what the store must agree with after every step. */
interface Item {
  id: string;
  topic: string;
  status: DeliveryStatus;
  claimed_by: string | null;
  lease: string | null;
  lease_until_ms: number | null;
  due_ms: number;
  attempts: number;
}

class Model {
  now = 0;
  /** In the order they were pushed. */
  items: Item[] = [];
  /** Events of deliveries that were purged stay in the log. */
  purged: string[] = [];

  expire(): void {
    for (const item of this.items) {
      if (item.status !== "processing" || (item.lease_until_ms ?? 0) > this.now) continue;
      const dead = item.attempts >= testTopics.max_attempts;
      Object.assign(item, {
        status: dead ? "dead" : "pending",
        lease: null,
        lease_until_ms: null,
        due_ms: 0,
      });
      if (!dead) item.claimed_by = null;
    }
  }

  claimable(topic: string): Item[] {
    return this.items.filter(
      (item) => item.topic === topic && item.status === "pending" && item.due_ms <= this.now,
    );
  }

  /** The error that a settlement must end with, or null. */
  refusal(item: Item, kind: Settlement["kind"], lease: string | undefined, agent: string | undefined) {
    if (item.status === "pending") {
      if (lease !== undefined) return "lease_lost";
      return kind === "answer" ? null : "conflict";
    }
    if (item.status !== "processing") return "conflict";
    if (lease !== undefined && lease !== item.lease) return "lease_lost";
    if (agent !== undefined && agent !== item.claimed_by) return "lease_lost";
    return null;
  }

  settle(item: Item, settlement: Settlement, agent: string | undefined): void {
    const end = (status: DeliveryStatus) =>
      Object.assign(item, { status, lease: null, lease_until_ms: null });
    const back = (due_ms: number) =>
      Object.assign(item, { status: "pending", claimed_by: null, lease: null, lease_until_ms: null, due_ms });
    if (settlement.kind === "extend")
      item.lease_until_ms = this.now + (settlement.lease_ms ?? testTopics.lease_ms);
    else if (settlement.kind === "keep") return;
    else if (settlement.kind === "complete") end("completed");
    else if (settlement.kind === "reject") end("failed");
    else if (settlement.kind === "answer") {
      item.claimed_by ??= agent ?? null;
      end(settlement.status);
    } else if (settlement.kind === "release") {
      back(settlement.delay_ms === undefined ? 0 : this.now + settlement.delay_ms);
      item.attempts = Math.max(0, item.attempts - 1);
    } else if (item.attempts >= testTopics.max_attempts) end("dead");
    else back(this.now + (settlement.retry_in_ms ?? 1_000 * 2 ** (item.attempts - 1)));
  }
}

type Command = fc.AsyncCommand<Model, OpenedStore>;

const topics = ["a", "b"] as const;
const topic = fc.constantFrom(...topics);
const agent = fc.constantFrom("@one", "@two");

async function agrees(model: Model, real: OpenedStore): Promise<void> {
  for (const item of model.items) {
    const [delivery] = await real.store.getDeliveries(item.id);
    expect(delivery).toMatchObject({
      status: item.status,
      attempts: item.attempts,
      claimed_by: item.claimed_by,
      lease_until_ms: item.lease_until_ms,
    });
  }
  for (const id of model.purged) expect(await real.store.getDeliveries(id)).toEqual([]);
  const counted = await real.countDeliveries();
  for (const one of await real.store.listTopics()) {
    const { delayed, ...counts } = one.counts;
    const mine = model.items.filter((item) => item.topic === one.name);
    expect(delayed).toBe(mine.filter((item) => item.status === "pending" && item.due_ms > model.now).length);
    for (const [status, n] of Object.entries(counts)) {
      expect(n, `${one.name} ${status}`).toBe(mine.filter((item) => item.status === status).length);
      const row = counted.find((count) => count.topic === one.name && count.status === status);
      expect(row?.n ?? 0, `rows ${one.name} ${status}`).toBe(n);
    }
  }
}

function command(name: string, run: (model: Model, real: OpenedStore) => Promise<void>): Command {
  return {
    check: () => true,
    async run(model, real) {
      await run(model, real);
      await agrees(model, real);
    },
    toString: () => name,
  };
}

const push = fc.tuple(topic, fc.option(fc.integer({ min: 1, max: 20_000 }))).map(([to, delay_ms]) =>
  command(`push(${to}, ${delay_ms})`, async (model, real) => {
    const { event } = await append(real, { topic: to, ...(delay_ms === null ? {} : { delay_ms }) });
    model.items.push({
      id: event.id,
      topic: to,
      status: "pending",
      claimed_by: null,
      lease: null,
      lease_until_ms: null,
      due_ms: delay_ms === null ? 0 : model.now + delay_ms,
      attempts: 0,
    });
  }),
);

const claim = fc.tuple(topic, agent, fc.integer({ min: 1, max: 3 })).map(([from, by, limit]) =>
  command(`claim(${from}, ${by}, ${limit})`, async (model, real) => {
    if ((await real.store.getTopic(from)) === null) return;
    const request = { topic: from, agent: by, limit, lease_ms: undefined, now_ms: model.now };
    const claimed = await real.store.claim(request);
    model.expire();
    const expected = model.claimable(from).slice(0, limit);
    expect(claimed.map((one) => one.event.id)).toEqual(expected.map((item) => item.id));
    expected.forEach((item, index) => {
      const lease_until_ms = model.now + testTopics.lease_ms;
      Object.assign(item, {
        status: "processing",
        claimed_by: by,
        lease: claimed[index]?.lease,
        lease_until_ms,
      });
      item.attempts += 1;
    });
  }),
);

const settlement: fc.Arbitrary<Settlement> = fc.oneof(
  fc.record({ kind: fc.constant("extend" as const), lease_ms: fc.constantFrom(undefined, 3_000) }),
  fc.constant({ kind: "complete" as const }),
  fc.constant({ kind: "release" as const }),
  fc.constant({ kind: "reject" as const, error: "no" }),
  fc.record({
    kind: fc.constant("retry" as const),
    error: fc.constant("again"),
    retry_in_ms: fc.constantFrom(undefined, 0, 4_000),
  }),
  fc.record({
    kind: fc.constant("answer" as const),
    status: fc.constantFrom("completed" as const, "failed" as const),
  }),
);
const holder = fc.constantFrom("lease", "stale lease", "agent", "other agent", "nobody");

const settle = fc.tuple(fc.nat(), settlement, holder).map(([pick, what, who]) =>
  command(`settle(${pick}, ${JSON.stringify(what)}, ${who})`, async (model, real) => {
    const item = model.items[pick % Math.max(1, model.items.length)];
    if (!item) return;
    const lease =
      who === "lease" ? (item.lease ?? undefined) : who === "stale lease" ? "lea_stale" : undefined;
    const by =
      who === "agent" ? (item.claimed_by ?? undefined) : who === "other agent" ? "@nobody" : undefined;
    const refusal = model.refusal(item, what.kind, lease, by);
    const request = { event_id: item.id, holder: { lease, agent: by }, settlement: what, now_ms: model.now };
    const outcome = await real.store.settle({ ...request, events: [] }).then(
      () => null,
      (error: unknown) => (SignalboxError.is(error) ? error.code : error),
    );
    expect(outcome).toBe(refusal);
    if (refusal === null) model.settle(item, what, by);
  }),
);

const steps = fc.oneof(fc.integer({ min: 1, max: 9_999 }), fc.constant(testTopics.lease_ms));
const pass = steps.map((ms) =>
  command(`advance(${ms})`, async (model, real) => {
    real.clock.advance(ms);
    model.now = real.clock.nowMs();
    await real.store.promoteDue(model.now);
    model.expire();
    expect(real.store.nextDue() ?? Number.POSITIVE_INFINITY).toBeGreaterThan(model.now);
  }),
);

const redrive = fc.tuple(topic, fc.boolean()).map(([of, include_failed]) =>
  command(`redrive(${of}, ${include_failed})`, async (model, real) => {
    const from = include_failed ? ["dead", "failed"] : ["dead"];
    const items = model.items.filter((item) => item.topic === of && from.includes(item.status));
    expect(await real.store.redrive(of, undefined, include_failed)).toBe(items.length);
    for (const item of items) {
      Object.assign(item, { status: "pending", claimed_by: null, lease: null, due_ms: 0, attempts: 0 });
    }
  }),
);

const purge = fc.tuple(topic, fc.constantFrom("pending", "completed", "dead", "all")).map(([of, status]) =>
  command(`purge(${of}, ${status})`, async (model, real) => {
    const goes = (item: Item) =>
      item.topic === of && (status === "all" ? item.status !== "processing" : item.status === status);
    const gone = model.items.filter(goes);
    expect(await real.store.purge(of, status as "all")).toBe(gone.length);
    model.items = model.items.filter((item) => !goes(item));
    model.purged.push(...gone.map((item) => item.id));
  }),
);

const reopen = fc.constant(command("reopen", (_model, real) => real.reopen()));

export function modelConformance(open: OpenStore): void {
  it("U15 U2 M10 any order of pushes, claims, settlements, time, redrives and purges ends as a plain model says", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.commands([push, push, claim, claim, settle, settle, settle, pass, redrive, purge, reopen], {
          maxCommands: 50,
          size: "+1",
        }),
        async (commands) => {
          const real = await open();
          try {
            const setup = () => {
              const model = new Model();
              model.now = real.clock.nowMs();
              return { model, real };
            };
            await fc.asyncModelRun(setup, commands);
          } finally {
            await real.close();
          }
        },
      ),
      { numRuns: 60 },
    );
  });
}
