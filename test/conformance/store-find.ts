import fc from "fast-check";
import { expect, it } from "vitest";
import { type EventQuery, type SearchQuery, searchQuery } from "../../service/contract/events.ts";
import { append, type OpenedStore } from "../harness/store.ts";

export function findConformance(current: () => OpenedStore): void {
  const find = async (query: Partial<EventQuery>) =>
    (await current().store.findEvents({ limit: 100, ...query })).map((event) => event.seq);
  const search = async (text: string, more: Partial<SearchQuery> = {}) =>
    (await current().store.searchEvents({ text, order: "recent", limit: 100, ...more })).map(
      (event) => event.seq,
    );
  const now = () => current().clock.nowMs();

  it("M18 each filter finds its events and no others, newest first", async () => {
    const cause = await append(current(), {
      type: "a.b",
      source: "github",
      topic: "t",
      conversation_key: "c:1",
    });
    current().clock.advance(1_000);
    await append(current(), { type: "a.b", source: "mail", scope: "org/x", body: "hi @Bob" });
    await append(current(), { type: "c.d.e", source: "github", parent_id: cause.event.id, body: "bash(ls)" });
    await append(current(), { type: "c.d", topic: "u", correlation_id: cause.event.id });
    const { store } = current();
    await store.claim({ topic: "t", agent: "@ann", limit: 1, lease_ms: undefined, now_ms: now() });
    expect(await find({})).toEqual([4, 3, 2, 1]);
    expect(await find({ oldest_first: true })).toEqual([1, 2, 3, 4]);
    expect(await find({ type: "a.b" })).toEqual([2, 1]);
    expect(await find({ source: "github" })).toEqual([3, 1]);
    expect(await find({ topic: "t" })).toEqual([1]);
    expect(await find({ status: "processing" })).toEqual([1]);
    expect(await find({ status: "pending" })).toEqual([4]);
    expect(await find({ status: "pending", topic: "t" })).toEqual([]);
    expect(await find({ agent: "@ann" })).toEqual([1]);
    expect(await find({ conversation_key: "c:1" })).toEqual([1]);
    expect(await find({ scope: "org/x" })).toEqual([2]);
    expect(await find({ parent_id: cause.event.id })).toEqual([3]);
    expect(await find({ correlation_id: cause.event.id })).toEqual([4, 1]);
    expect(await find({ subject: "a.*" })).toEqual([2]);
    expect(await find({ subject: "c.d.e" })).toEqual([3]);
    expect(await find({ subject: "topics.>" })).toEqual([4, 1]);
    expect(await find({ subject: "*.t" })).toEqual([1]);
    expect(await find({ subject: "*.*.e" })).toEqual([3]);
    expect(await find({ subject: "*.*" })).toEqual([4, 2, 1]);
    expect(await find({ subject: ">" })).toEqual([4, 3, 2, 1]);
    expect(await find({ subject: "c.>", source: "github" })).toEqual([3]);
    expect(await find({ subject: "none.>" })).toEqual([]);
    expect(await find({ since_ms: now() })).toEqual([4, 3, 2]);
    expect(await find({ until_ms: now() })).toEqual([1]);
    expect(await find({ since_ms: now() - 1_000, until_ms: now(), type: "c.d" })).toEqual([]);
    expect(await find({ type: "a.b", source: "github" })).toEqual([1]);
    expect(await find({ type: "none" })).toEqual([]);
  });

  it("M5 a mention finds events by @name, in any case and with or without @", async () => {
    await append(current(), { body: "hello @Bob and @ann" });
    await append(current(), { body: "mail bob@example.org" });
    for (const mention of ["@bob", "bob", "@BOB"]) expect(await find({ mention })).toEqual([1]);
    expect(await find({ mention: "@ann", tool: "bash" })).toEqual([]);
    expect(await find({ mention: "example" })).toEqual([]);
  });

  it("M6 a tool call finds events by the tool's name", async () => {
    await append(current(), { body: "then bash(ls -la)" });
    await append(current(), { meta: { tool: "read" } });
    await append(current(), { tool_calls: ["Bash"], body: "@bob" });
    expect(await find({ tool: "bash" })).toEqual([3, 1]);
    expect(await find({ tool: "READ" })).toEqual([2]);
    expect(await find({ tool: "bash", mention: "@bob" })).toEqual([3]);
  });

  it("M20 webhook, human, system, agent and workflow events are kept and found alike", async () => {
    const kinds = ["webhook", "human", "system", "agent", "workflow"] as const;
    for (const origin_kind of kinds) await append(current(), { origin_kind, topic: "t", body: "same words" });
    const listed = await current().store.findEvents({ topic: "t", limit: 10 });
    expect(listed.map((event) => event.origin_kind).reverse()).toEqual([...kinds]);
    expect(await search("same words")).toHaveLength(kinds.length);
  });

  it("pages join without a gap or a repetition in both directions", async () => {
    for (let n = 1; n <= 157; n++) await append(current(), { topic: n % 3 === 0 ? "a" : "b", body: "word" });
    const pages = async (query: Partial<EventQuery>) => {
      const seen: number[] = [];
      for (let before: number | undefined; ; ) {
        const page = await find({ limit: 10, ...query, ...(before === undefined ? {} : { before }) });
        seen.push(...page.slice(0, 10));
        if (page.length <= 10) return seen;
        before = page[9];
      }
    };
    const all = Array.from({ length: 157 }, (_, index) => index + 1);
    expect(await pages({ oldest_first: true })).toEqual(all);
    expect(await pages({})).toEqual(all.toReversed());
    expect(await pages({ status: "pending" })).toEqual(all.toReversed());
    expect(await pages({ status: "pending", topic: "a", oldest_first: true })).toEqual(
      all.filter((n) => n % 3 === 0),
    );
    const second = await search("word", { limit: 10, before: 148 });
    expect(second).toEqual(all.toReversed().slice(10, 21));
  });

  it("M7 a search right after a push finds it, by type, body and payload", async () => {
    const { event } = await append(current(), {
      type: "github.issue.opened",
      body: "The flux capacitor überheats",
      payload: { issue: { title: "Plutonium", labels: ["1.21 gigawatts"] } },
    });
    for (const text of [
      "flux",
      "CAPACITOR flux",
      "uberheats",
      "plutonium",
      "gigawatts",
      "github.issue",
      '"flux capacitor"',
      "pluto*",
    ]) {
      expect(await search(text), text).toEqual([event.seq]);
    }
    for (const text of ["fluxx", '"capacitor flux"', "pluto", "flux missing"])
      expect(await search(text), text).toEqual([]);
  });

  it("M7 filters and order narrow a search", async () => {
    await append(current(), { topic: "a", body: "train train train" });
    await append(current(), {
      topic: "b",
      source: "mail",
      body: "train and a rather long text that speaks of many things",
    });
    await append(current(), { type: "x.y", body: "one train" });
    expect(await search("train")).toEqual([3, 2, 1]);
    expect(await search("train", { order: "ranked" })).toEqual([1, 3, 2]);
    expect(await search("train", { order: "ranked", limit: 1 })).toEqual([1]);
    expect(await search("train", { topic: "b" })).toEqual([2]);
    expect(await search("train", { source: "mail" })).toEqual([2]);
    expect(await search("train", { type: "x.y" })).toEqual([3]);
    expect(await search("train", { status: "pending" })).toEqual([2, 1]);
    expect(await search("train", { status: "failed" })).toEqual([]);
    expect(await search("train", { before: 3, topic: "a" })).toEqual([1]);
  });

  it("U26 what looks like search syntax is only words", async () => {
    const { event } = await append(current(), {
      body: "NEAR AND OR NOT body text columns @bob c++ a-b x:y 50%",
    });
    const found = [
      "NEAR( body text )",
      "NEAR(AND",
      "body AND text",
      "NOT body",
      "body:text",
      "^body",
      "-body",
      "@bob",
      "c++",
      "a-b",
      '"body',
      'text"',
      "{body} : (text)",
      "x:y",
      "50%",
      "body*",
      "*body",
      '"" body',
    ];
    for (const text of found) expect(await search(text), text).toEqual([event.seq]);
    for (const text of ["🚂", "***", '"', '""', "( ) : ^ -", " ", "'; DROP TABLE events; --"]) {
      expect(await search(text), text).toEqual([]);
    }
  });

  it("U26 no text makes a search fail", async () => {
    await append(current(), { body: "some text to search in", topic: "t" });
    const nasty = fc.constantFrom(
      '"',
      "*",
      "NEAR(",
      "AND",
      "OR",
      "NOT",
      "-",
      ":",
      "^",
      "(",
      ")",
      "{",
      "}",
      "+",
      ",",
      "\0",
      "\ud800",
      "🚂",
      "é",
      "e\u0301",
      "text",
      " ",
      "\n",
      "'",
      "\\",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.array(nasty, { maxLength: 30 }).map((parts) => parts.join("")),
      fc.array(nasty, { maxLength: 400 }).map((parts) => parts.join(" ")),
    );
    const order = fc.constantFrom("recent" as const, "ranked" as const);
    await fc.assert(
      fc.asyncProperty(text, order, fc.boolean(), async (words, by, filtered) => {
        await search(words, { order: by, ...(filtered ? { topic: "t" } : {}) });
      }),
      { numRuns: 400 },
    );
  });

  it("U26 a text of a million characters, NUL and lone surrogates are refused at the edge", () => {
    expect(searchQuery.safeParse({ text: "x".repeat(1_000_000) }).success).toBe(false);
    expect(searchQuery.safeParse({ text: "a\0b" }).success).toBe(false);
    expect(searchQuery.safeParse({ text: "\ud800" }).success).toBe(false);
    expect(searchQuery.safeParse({ text: 'any "other text*' }).success).toBe(true);
  });

  it("U26 NUL and lone surrogates inside an event's JSON neither break it nor the search", async () => {
    const payload = { text: "before\0after \ud800 end", "key\0": 1 };
    const { event } = await append(current(), { body: "plain", payload });
    expect((await current().store.getEvent(event.id))?.payload).toEqual(payload);
    expect(await search("plain end")).toEqual([event.seq]);
  });

  it("S22 subject patterns find their events among more subjects than are looked up one by one", async () => {
    const { store, events } = current();
    const drafts = Array.from({ length: 400 }, (_, n) =>
      events.draft({ subject: `many.s${n}.${n % 2}` }, null),
    );
    await store.append(drafts);
    const odd = Array.from({ length: 200 }, (_, n) => 400 - 2 * n);
    expect(await find({ subject: "many.*.1", limit: 300 })).toEqual(odd);
    expect(await find({ subject: "many.*.1", limit: 9, before: 300 })).toEqual(odd.slice(51, 61));
    expect(await find({ subject: "many.s7.*" })).toEqual([8]);
  });

  it("what is cleaned up is no longer found by any way", async () => {
    await append(current(), { topic: "t", body: "gone @bob bash(ls)" });
    await append(current(), { type: "kept.here", body: "gone" });
    const { store } = current();
    const [claimed] = await store.claim({
      topic: "t",
      agent: "@a",
      limit: 1,
      lease_ms: undefined,
      now_ms: now(),
    });
    const settlement = { kind: "complete" } as const;
    await store.settle({
      event_id: claimed?.event.id ?? "",
      holder: {},
      settlement,
      now_ms: now(),
      events: [],
    });
    expect(await search("gone")).toEqual([2, 1]);
    await store.saveTopic("t", { retention_ms: 0 }, now());
    const request = { completed_before_ms: 0, raw_before_ms: 0, pending_before_ms: 0, dry_run: false };
    const removed = await store.cleanup({ ...request, now_ms: now() + 1, batch: 10 });
    expect(removed).toMatchObject({ events: 1, more: false });
    expect(await search("gone")).toEqual([2]);
    for (const query of [{ mention: "bob" }, { tool: "bash" }, { topic: "t" }, { agent: "@a" }]) {
      expect(await find(query)).toEqual([]);
    }
  });
}
