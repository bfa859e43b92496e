import { describe, expect, it } from "vitest";
import { busConformance, type OpenedBus } from "../../../test/conformance/bus.ts";
import { eventually } from "../../../test/harness/service.ts";
import { append, openSqlite } from "../../../test/harness/store.ts";
import type { Event } from "../../contract/events.ts";
import { silentLog } from "../../lib/log.ts";
import type { Store } from "../../store/store.ts";
import { openSqliteBus } from "./bus.ts";

busConformance("sqlite", openBus);

async function openBus(): Promise<OpenedBus> {
  const opened = await openSqlite();
  const { clock } = opened;
  const open = (store: Store) => openSqliteBus({ store, clock, log: silentLog });
  let bus = open(opened.store);
  return {
    clock,
    get bus() {
      return bus;
    },
    publish: async (...inputs) =>
      Promise.all(inputs.map(async (input) => (await append(opened, input)).event)),
    queueStatus: async (id) => (await opened.store.getDeliveries(id))[0]?.status,
    async restart() {
      await bus.close();
      await opened.reopen();
      bus = open(opened.store);
    },
    async crash() {
      await opened.reopen();
      bus = open(opened.store);
    },
    async close() {
      await bus.close();
      await opened.close();
    },
  };
}

describe("the embedded bus", () => {
  it("an event that is cleaned up before it was read does not hold a consumer up", async () => {
    const opened = await openSqlite();
    await append(opened, { body: "1" });
    await append(opened, { body: "2" });
    opened.clock.advance(10);
    const now_ms = opened.clock.nowMs();
    const past = { completed_before_ms: now_ms, raw_before_ms: 0, pending_before_ms: 0 };
    await opened.store.cleanup({ ...past, dry_run: false, now_ms, batch: 10 });
    const bus = openSqliteBus({ store: opened.store, clock: opened.clock, log: silentLog });
    const seen: Event[] = [];
    const consumer = await bus.consume(
      { name: "late", wants: () => true, from: "start", maxInFlight: 1 },
      async (event) => void seen.push(event),
    );
    await eventually(() => consumer.cursor === 2);
    await append(opened, { body: "3" });
    await eventually(() => seen.length === 1);
    expect(seen[0]).toMatchObject({ seq: 3, body: "3" });
    await bus.close();
    await opened.close();
  });

  it("the log is read again when it could not be read", async () => {
    const opened = await openSqlite();
    await append(opened, { body: "1" });
    let failures = 1;
    const store: Store = {
      ...opened.store,
      readLog: (after, limit) =>
        failures-- > 0 ? Promise.reject(new Error("disk")) : opened.store.readLog(after, limit),
    };
    const bus = openSqliteBus({ store, clock: opened.clock, log: silentLog });
    const consumer = await bus.consume(
      { name: "patient", wants: () => true, from: "start", maxInFlight: 1 },
      async () => {},
    );
    await eventually(() => opened.clock.pending > 0);
    opened.clock.advance(250);
    await eventually(() => consumer.cursor === 1);
    await bus.close();
    await opened.close();
  });
});
