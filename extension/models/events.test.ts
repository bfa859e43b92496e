import { describe, expect, it } from "vitest";
import type { ListedEvent } from "../../service/contract/events.ts";
import { type EventFilter, requestFor } from "./event-filter.ts";
import { EventsSource, eventRow } from "./events.ts";
import { english, type Row, type RowChange } from "./row.ts";

const NOW = Date.UTC(2026, 5, 1, 12);

function event(seq: number, fields: Partial<ListedEvent> = {}): ListedEvent {
  return {
    id: `evt_${seq}`,
    seq,
    schema_version: 1,
    type: "message.pushed",
    source: "cli",
    subject: "topics.inbox",
    topic: "inbox",
    time_ms: NOW - 1_000,
    recorded_ms: NOW - 1_000,
    body: `message ${seq}`,
    payload: {},
    meta: {},
    conversation_key: null,
    user_key: null,
    correlation_id: null,
    parent_id: null,
    external_id: null,
    scope: null,
    origin_kind: "human",
    depth: 0,
    parked: false,
    status: "pending",
    ...fields,
  };
}

/** A log as the service has it, read page by page. */
function logOf(count: number) {
  const all = Array.from({ length: count }, (_, index) => event(count - index));
  let reads = 0;
  const source = new EventsSource({
    load: async (_filter, { limit, before = Number.MAX_SAFE_INTEGER }) => {
      reads += 1;
      const start = all.findIndex(({ seq }) => seq < before);
      const events = start < 0 ? [] : all.slice(start, start + limit);
      const last = events.at(-1);
      return { events, next: last !== undefined && last.seq > 1 ? last.seq : null };
    },
    pageSize: () => 100,
    t: english,
    now: () => NOW,
  });
  const changes: RowChange[] = [];
  source.onChange((change) => changes.push(change));
  return { all, source, changes, reads: () => reads };
}

/** The rows at the bottom, all of them opened. */
async function leaves(rows: readonly Row[]): Promise<string[]> {
  const found: string[] = [];
  for (const row of rows) {
    if (row.children === undefined) found.push(row.id);
    else found.push(...(await leaves(await row.children())));
  }
  return found;
}

const countOf = ({ context, description }: Row) =>
  context === "page" ? Number.parseInt(description ?? "0", 10) : context === "more" ? 0 : 1;

const labels = (source: EventsSource) => source.rows().map((row) => row.id);

describe("the list of events", () => {
  it("shows the newest first, and reads on page by page to any depth", async () => {
    const { source } = logOf(1_000);
    await source.refresh();
    expect(labels(source)).toHaveLength(101);
    expect(labels(source)[0]).toBe("event:evt_1000");
    for (let page = 0; page < 9; page++) await source.loadMore();
    expect(labels(source).at(-1)).not.toBe("more");
    const pages = source.rows().filter((row) => row.context === "page");
    const older = await leaves(pages);
    expect(older.at(-1)).toBe("event:evt_1");
    expect(older).toHaveLength(900);
  });

  it("redraws once a batch, and keeps some hundred rows and events of 100,000", async () => {
    const { source, all, changes, reads } = logOf(100);
    await source.refresh();
    changes.length = 0;
    for (let batch = 0; batch < 1_000; batch++) {
      const events = Array.from({ length: 100 }, (_, index) => event(101 + batch * 100 + index));
      source.take(events);
      all.unshift(...events.toReversed());
      expect(source.rows().length).toBeLessThan(400);
    }
    expect(changes).toHaveLength(1_000);
    expect(reads()).toBe(1);
    expect(source.rows()[0]?.id).toBe("event:evt_100100");
    const kept = source.rows().filter((row) => row.item?.kind === "event");
    expect(kept.length).toBeLessThanOrEqual(200);
    const everything = await leaves(source.rows());
    expect(everything).toEqual(Array.from({ length: 100_100 }, (_, index) => `event:evt_${100_100 - index}`));
  });

  it("reads on to event 90,000 in less than a hundred requests, and opens what is there", async () => {
    const { source, reads } = logOf(100_000);
    await source.refresh();
    const depth = () => source.rows().reduce((sum, row) => sum + countOf(row), 0);
    while (depth() < 90_000) await source.loadMore();
    expect(reads()).toBeLessThan(100);
    expect(source.rows().length).toBeLessThan(400);
    const last = source.rows().findLast((row) => row.context === "page");
    const before = reads();
    const [first] = await leaves(last === undefined ? [] : [last]);
    expect(reads()).toBe(before + 1);
    expect(Number(first?.replace("event:evt_", ""))).toBeLessThan(11_000);
    // The editor asks again at each redraw.
    await leaves(last === undefined ? [] : [last]);
    expect(reads()).toBe(before + 1);
  });

  it("puts what a reading and the stream both bring into order, without a gap", async () => {
    const { source, all } = logOf(100);
    await source.refresh();
    const burst = Array.from({ length: 400 }, (_, index) => event(101 + index));
    source.take(burst.slice(0, 50));
    all.unshift(...burst.toReversed());
    // It finds the newest hundred, while the stream is still far behind.
    await source.refresh();
    source.take(burst.slice(50));
    for (let page = 0; page < 5; page++) await source.loadMore();
    expect(await leaves(source.rows())).toEqual(
      Array.from({ length: 500 }, (_, index) => `event:evt_${500 - index}`),
    );
  });

  it("has older events to load, when the first came by themselves before it was shown", async () => {
    const { source, all } = logOf(300);
    all.unshift(event(301));
    source.take([event(301)]);
    await source.refresh();
    expect(labels(source)).toHaveLength(101);
    expect(labels(source).at(-1)).toBe("more");
  });

  it("lets go of what the filter no longer admits, and of what was deleted", async () => {
    const { source, all } = logOf(10);
    await source.refresh();
    all.splice(4, 1);
    await source.refresh();
    expect(labels(source)).not.toContain("event:evt_6");
    expect(labels(source)).toHaveLength(9);
  });

  it("does not draw a short list again that has not changed", async () => {
    const { source, changes } = logOf(10);
    await source.refresh();
    await source.refresh();
    expect(changes).toEqual(["all"]);
  });

  it("takes an event once, whether it was read or came by itself", async () => {
    const { source, changes } = logOf(10);
    await source.refresh();
    changes.length = 0;
    source.take([event(10), event(11)]);
    expect(labels(source).filter((id) => id === "event:evt_10")).toHaveLength(1);
    expect(labels(source)[0]).toBe("event:evt_11");
    expect(changes).toEqual(["all"]);
  });

  it("draws only the rows again whose state is another one", async () => {
    const { source, all, changes } = logOf(300);
    await source.refresh();
    changes.length = 0;
    all[3] = { ...(all[3] as ListedEvent), status: "completed" };
    await source.refresh();
    expect(changes).toEqual([["event:evt_297"]]);
    await source.refresh();
    expect(changes).toHaveLength(1);
  });

  it("keeps what it has loaded when it reads anew, unless there is a gap", async () => {
    const { source, all } = logOf(500);
    await source.refresh();
    await source.loadMore();
    all.unshift(event(501));
    await source.refresh();
    expect(labels(source)[0]).toBe("event:evt_501");
    expect(source.rows().some((row) => row.context === "page")).toBe(true);
    for (let seq = 502; seq < 900; seq++) all.unshift(event(seq));
    await source.refresh();
    expect(source.rows().some((row) => row.context === "page")).toBe(false);
    expect(labels(source)[0]).toBe("event:evt_899");
  });

  it("leaves out what the filter does not admit, and asks the service where it can't tell", async () => {
    const asked: EventFilter[] = [];
    let stale = 0;
    const source = new EventsSource({
      load: async (filter) => {
        asked.push(filter);
        return { events: [], next: null };
      },
      pageSize: () => 100,
      t: english,
      onStale: () => {
        stale += 1;
      },
    });
    await source.setFilter({ topic: "deploys" });
    source.take([event(1), event(2, { topic: "deploys" })]);
    expect(labels(source)).toEqual(["event:evt_2"]);
    await source.setFilter({ text: "build" });
    source.take([event(3)]);
    expect([labels(source), stale]).toEqual([[], 1]);
    expect(asked).toEqual([{ topic: "deploys" }, { text: "build" }]);
  });

  it("drops an answer that comes after the filter has changed", async () => {
    const gate = Promise.withResolvers<void>();
    const source = new EventsSource({
      load: async (filter) => {
        if (filter.topic === "slow") await gate.promise;
        return { events: [event(1, { topic: filter.topic ?? null })], next: null };
      },
      pageSize: () => 100,
      t: english,
    });
    const slow = source.setFilter({ topic: "slow" });
    await source.setFilter({ topic: "fast" });
    gate.resolve();
    await slow;
    expect(source.rows()).toHaveLength(1);
    expect(source.rows()[0]?.item).toMatchObject({ topic: "fast" });
  });

  it("groups by correlation", async () => {
    const { source, all } = logOf(3);
    all.unshift(
      event(5, { correlation_id: "c", type: "message.replied" }),
      event(4, { correlation_id: "c" }),
    );
    await source.refresh();
    source.setGrouped(true);
    const [group, ...others] = source.rows();
    expect(group).toMatchObject({ label: "message.pushed", context: "group" });
    expect((await group?.children?.())?.map(({ id }) => id)).toEqual(["event:evt_5", "event:evt_4"]);
    expect(others).toHaveLength(3);
  });

  it("says of each event what it is, in words too", () => {
    const row = eventRow(event(1, { status: "failed", correlation_id: "c" }), NOW, english);
    expect(row).toMatchObject({
      label: "message.pushed",
      icon: { id: "error" },
      context: "event answerable correlated",
      spoken: expect.stringContaining("failed, from cli"),
    });
  });

  it("searches by words, and finds by everything else", () => {
    expect(requestFor({ text: "build", topic: "inbox", last_ms: 1 }, { limit: 10 }, NOW)).toEqual({
      route: "searchEvents",
      query: { text: "build", topic: "inbox", limit: 10 },
    });
    expect(requestFor({ agent: "a", last_ms: 1_000 }, { limit: 10, before: 7 }, NOW)).toEqual({
      route: "findEvents",
      query: { agent: "a", since_ms: NOW - 1_000, limit: 10, before: 7 },
    });
  });
});
