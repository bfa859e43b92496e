import { EventEmitter } from "node:events";
import type { FastifyReply } from "fastify";
import { describe, expect, it, onTestFinished } from "vitest";
import { http, open } from "../../test/harness/http.ts";
import { collectingLog } from "../../test/harness/log.ts";
import { eventually, startTestService, type TestService } from "../../test/harness/service.ts";
import { append, openSqlite } from "../../test/harness/store.ts";
import { openSqliteBus } from "../bus/sqlite/bus.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Event } from "../contract/events.ts";
import { silentLog } from "../lib/log.ts";
import { EventStream, followEvents } from "./stream.ts";

async function start(): Promise<TestService> {
  const service = await startTestService();
  onTestFinished(() => service.close());
  return service;
}

/** Follows from `after` in the background; `stop` ends it. */
function follow(service: TestService, query: Record<string, unknown> = {}) {
  const seen: Event[] = [];
  const stop = new AbortController();
  const done = (async () => {
    for await (const event of service.client.streamEvents(query, { signal: stop.signal })) seen.push(event);
  })();
  return {
    seen,
    async stop() {
      stop.abort();
      await done;
    },
  };
}

const pushMany = (service: TestService, count: number, type = "count.made") =>
  service.client.pushEvents({ events: Array.from({ length: count }, (_, n) => ({ type, payload: { n } })) });

const seqs = (events: Event[]) => events.map(({ seq }) => seq);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Reads bare server-sent events up to `count` of them, then hangs up. */
async function readSome(service: TestService, count: number, lastEventId?: number): Promise<number[]> {
  const headers = lastEventId === undefined ? {} : { "last-event-id": String(lastEventId) };
  const response = await open(service.paths, "GET", "/v1/events/stream?after=0", { headers });
  response.setEncoding("utf8");
  let text = "";
  for await (const piece of response) {
    text += piece;
    if (text.split("\n\n").length > count + 1) break;
  }
  response.destroy();
  const ids = [...text.matchAll(/^id: (\d+)\ndata: \{.*\}\n\n/gm)].map(([, id]) => Number(id));
  return ids.slice(0, count);
}

describe("following events", () => {
  it("misses and repeats nothing over many lost connections while events flow", async () => {
    const service = await start();
    const writing = (async () => {
      for (let round = 0; round < 40; round++) await pushMany(service, 25);
    })();
    const ids: number[] = [];
    while (ids.length < 1_000)
      ids.push(...(await readSome(service, Math.min(37, 1_000 - ids.length), ids.at(-1))));
    await writing;
    expect(ids).toEqual(upTo(1_000));
  });

  it("goes over from the log to live without a gap, for many at once", async () => {
    const service = await start();
    await pushMany(service, 500);
    const readers = [follow(service, { after: 0 }), follow(service, { after: 250 }), follow(service)];
    for (let round = 0; round < 10; round++) await pushMany(service, 50);
    await eventually(() => readers.every(({ seen }) => seen.at(-1)?.seq === 1_000));
    expect(seqs(readers[0]?.seen ?? [])).toEqual(upTo(1_000));
    expect(seqs(readers[1]?.seen ?? [])).toEqual(upTo(1_000).slice(250));
    // The last began somewhere on the way, and then has everything.
    const late = seqs(readers[2]?.seen ?? []);
    expect(late).toEqual(upTo(1_000).slice(-late.length));
    for (const reader of readers) await reader.stop();
  });

  it("M21 a filter lets through what it names, from the log and live", async () => {
    const service = await start();
    const events = [
      { type: "github.issue.opened", source: "github" },
      { type: "github.push", source: "github" },
      { type: "mail.received", source: "gmail" },
      { topic: "inbox", body: "1" },
    ];
    await service.client.pushEvents({ events });
    const filters = [
      { subject: "github.>" },
      { subject: "github.*" },
      { topic: "inbox" },
      { type: "mail.received" },
      { source: "github", type: "github.push" },
    ];
    const readers = filters.map((filter) => follow(service, { ...filter, after: 0 }));
    await eventually(() => readers.every(({ seen }) => seen.length > 0));
    await service.client.pushEvents({ events });
    await eventually(() => readers.map(({ seen }) => seen.length).join() === "4,2,2,2,2");
    expect(readers.map(({ seen }) => seqs(seen))).toEqual([
      [1, 2, 5, 6],
      [2, 6],
      [4, 8],
      [3, 7],
      [2, 6],
    ]);
    for (const reader of readers) await reader.stop();
  });

  it("a reader that stands still does not slow the others, and is sent the rest when it reads on", async () => {
    const service = await start();
    const stalled = await open(service.paths, "GET", "/v1/events/stream?after=0");
    stalled.setEncoding("utf8");
    let text = "";
    stalled.on("data", (piece) => {
      text += piece;
    });
    stalled.pause();
    const quick = follow(service, { after: 0 });
    const filler = "x".repeat(20_000);
    for (let n = 0; n < 30; n++)
      await service.client.pushEvents({ events: Array(20).fill({ type: "big.made", body: filler }) });
    await eventually(() => quick.seen.length === 600);
    stalled.resume();
    await eventually(() => text.includes("id: 600\n"));
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids).toEqual(upTo(600));
    await quick.stop();
  });

  it("an empty Last-Event-ID or one of another kind is no place in the log", async () => {
    const service = await start();
    await pushMany(service, 3);
    for (const id of ["", "abc", "-1", "1.5"]) {
      const response = await open(service.paths, "GET", "/v1/events/stream?after=2", {
        headers: { "last-event-id": id },
      });
      response.setEncoding("utf8");
      let text = "";
      for await (const piece of response) {
        text += piece;
        if (text.includes("data:")) break;
      }
      expect(text).toContain("id: 3\n");
      expect(text).not.toContain("id: 2\n");
    }
  });
});

describe("an export", () => {
  it("has all events, oldest first, one a line", async () => {
    const service = await start();
    for (const count of [1_000, 200]) await pushMany(service, count);
    const seen: Event[] = [];
    for await (const event of service.client.exportEvents()) seen.push(event);
    expect(seqs(seen)).toEqual(upTo(1_200));
  });

  it("that breaks on its way says so in its last line, and one that can't begin is an error", async () => {
    const lines: string[] = [];
    const service = await startTestService({ log: collectingLog(lines) });
    onTestFinished(() => service.close());
    await pushMany(service, 900);
    const { store } = service.app.parts;
    const { readLog } = store;
    const seen: Event[] = [];
    const readAll = async () => {
      for await (const event of service.client.exportEvents()) seen.push(event);
    };
    store.readLog = (after, limit) =>
      after > 0 ? Promise.reject(new Error("planted")) : readLog(after, limit);
    await expect(readAll()).rejects.toMatchObject({ code: "internal" });
    expect(seen).toHaveLength(500);
    expect(lines.filter((line) => line.includes("a stream broke"))).toHaveLength(1);
    store.readLog = () => Promise.reject(new SignalboxError("storage_failed", "no disk"));
    const reply = await http(service.paths, "GET", "/v1/events/export");
    expect([reply.status, reply.body]).toMatchObject([503, { error: { code: "storage_failed" } }]);
    store.readLog = readLog;
  });
});

/** A connection that takes nothing until it is told to. */
class Stalled extends EventEmitter {
  written: string[] = [];
  writableNeedDrain = false;
  writeHead(): void {}
  write(text: string): boolean {
    this.written.push(text);
    this.writableNeedDrain = true;
    return false;
  }
  end(): void {}
  drain(): void {
    this.writableNeedDrain = false;
    this.emit("drain");
  }
}

describe("a reader that stands still", () => {
  it("is written no more than one event at a time, however many there are", async () => {
    const opened = await openSqlite();
    const bus = openSqliteBus({ store: opened.store, clock: opened.clock, log: silentLog });
    const raw = new Stalled();
    const stop = new AbortController();
    const stream = new EventStream({ raw, hijack() {} } as unknown as FastifyReply, stop.signal);
    const following = followEvents({ store: opened.store, bus, stream, after: 0, wants: () => true });
    for (let n = 0; n < 300; n++) await append(opened, { body: String(n) });
    await eventually(() => raw.written.length >= 1);
    for (let n = 0; n < 300; n++) await append(opened, { body: String(n) });
    // ": open" may be one of them.
    expect(raw.written.length).toBeLessThanOrEqual(2);
    while (raw.written.filter((text) => text.startsWith("id:")).length < 600) {
      raw.drain();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ids = raw.written
      .filter((text) => text.startsWith("id:"))
      .map((text) => Number(text.split(/\s/)[1]));
    expect(ids).toEqual(upTo(600));
    stop.abort();
    await following;
    expect(raw.listenerCount("drain")).toBe(1);
    await bus.close();
    await opened.close();
  });
});

describe("a stop", () => {
  it("S4 ends streams and long polls at once", async () => {
    const service = await startTestService({ set: ["service.drain_ms=10000"] });
    await service.client.registerAgent({ name: "a" });
    const ended: string[] = [];
    const ends = async (name: string, method: string, path: string, body?: object) => {
      const response = await open(service.paths, method, path, { body });
      response.resume();
      await new Promise((resolve) => response.once("close", resolve));
      ended.push(name);
      return response.statusCode;
    };
    const waiting = [
      ends("events", "GET", "/v1/events/stream"),
      ends("commands", "GET", "/v1/agents/a/commands/stream"),
      ends("claim", "POST", "/v1/topics/work/claim", { agent: "@a", wait_ms: 60_000 }),
      ends("claim commands", "POST", "/v1/agents/a/commands/claim", { wait_ms: 60_000 }),
    ];
    await eventually(async () => (await service.client.getAgent({ agent: "a" })).connections === 1);
    await eventually(async () => (await service.client.listTopics()).topics.length === 1);
    const begun = performance.now();
    await service.close();
    expect(await Promise.all(waiting)).toEqual([200, 200, 200, 200]);
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(ended.sort()).toEqual(["claim", "claim commands", "commands", "events"]);
  });
});
