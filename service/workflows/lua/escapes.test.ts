import { describe, expect, it } from "vitest";
import { done, request, source, suspended, testHost } from "../../../test/harness/lua.ts";
import type { RunOutcome } from "./host.ts";

const HANG = 'string.find(string.rep("a", 100000), string.rep("a-", 30) .. "b")';
const handler = (body: string) => `sekia.on("x", function(event)\n${body}\nend)`;
const QUICK = handler("return 1");
const COUNTER = 'local n = 0 sekia.on("x", function() n = n + 1 return n end)';

/**
 * Runs `body` in one thread with another workflow, which must go on working afterwards. `isAlive` tells whether
 * that thread, and with it the other's global, is still the same.
 */
async function attempt(
  body: string,
  limits: Parameters<typeof testHost>[0],
): Promise<{ outcome: RunOutcome; isAlive: boolean }> {
  const host = testHost(limits);
  await host.load(source("good", COUNTER));
  await host.load(source("bad", handler(body)));
  expect(done(await host.run(request("good"))).output).toBe(1);
  const outcome = await host.run(request("bad"));
  const count = done(await host.run(request("good"))).output;
  expect([1, 2]).toContain(count);
  return { outcome, isAlive: count === 2 };
}

describe("handlers that never end", () => {
  it.each([
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "local function again() pcall(again) while true do end end again()",
    "repeat xpcall(function() while true do end end, function() while true do end end) until false",
    "::top:: goto top",
    "local t = setmetatable({}, { __index = function(t, k) return t[k .. 'x'] end }) while true do pcall(function() return t.x end) end",
    "for _ in function() return 1 end do end",
    "local s = 'x' while true do s:upper():lower() end",
    "while true do pcall(error, {}) end",
    'pcall(error, "x") while true do end',
    'xpcall(error, print, "x") while true do end',
    "error(setmetatable({}, { __tostring = function() while true do end end }))\n",
  ])("B3 B14 %s is stopped, or ends with its error", async (body) => {
    const { outcome, isAlive } = await attempt(body, { handlerTimeoutMs: 100 });
    expect(isAlive).toBe(true);
    if (body.endsWith("\n")) expect(outcome).toMatchObject({ kind: "failed" });
    else
      expect(outcome).toMatchObject({
        kind: "stopped",
        reason: "timeout",
        message: "computed for more than 100 ms",
      });
  });

  it.each([
    "table.sort({ 3, 2, 1 }, function() while true do end end)",
    'string.gsub("abc", "%w", function() while true do pcall(function() while true do end end) end end)',
  ])("B14 %s is stopped after the time for what can't be interrupted", async (body) => {
    const { outcome, isAlive } = await attempt(body, { stallMs: 200 });
    expect(isAlive).toBe(true);
    expect(outcome).toMatchObject({
      kind: "stopped",
      reason: "timeout",
      message: expect.stringContaining("can't be interrupted"),
    });
  });

  it.each([
    HANG,
    `pcall(string.find, string.rep("a", 100000), string.rep("a-", 30) .. "b")`,
    "table.move({}, 1, 2^31 - 3, 2)",
  ])("B14 one call that never comes back is ended from outside: %s", async (body) => {
    const { outcome, isAlive } = await attempt(body, { stallMs: 200 });
    expect(isAlive).toBe(false);
    expect(outcome).toMatchObject({
      kind: "stopped",
      reason: "timeout",
      message: expect.stringContaining("one step"),
    });
  });

  it("B3 the handler's own timeout holds inside one call, too", async () => {
    const { outcome, isAlive } = await attempt(HANG, { handlerTimeoutMs: 200 });
    expect(isAlive).toBe(false);
    expect(outcome).toMatchObject({
      kind: "stopped",
      reason: "timeout",
      message: "computed for more than 200 ms",
    });
  });

  it("B3 many short calls are no stall, and waiting is not computing", async () => {
    const host = testHost({ handlerTimeoutMs: 60_000, stallMs: 400 });
    // 150 calls of some ms each, over a second in all, in fewer than 1000 instructions.
    const body = `local text = string.rep("a", 1500) for i = 1, 150 do string.find(text, "a-b") end signalbox.after(1) return "fine"`;
    await host.load(source("w", handler(body)));
    const asked = request("w");
    suspended(await host.run(asked));
    expect(done(await host.resume(asked.run_id, { ok: true, value: null }, 1)).output).toBe("fine");
  });

  it("B14 a workflow that loops lets another in the same thread finish everything meanwhile", async () => {
    const host = testHost();
    await host.load(source("good", QUICK));
    await host.load(source("loop", handler("while true do end")));
    let hasEnded = false;
    const loop = host.run(request("loop")).then((outcome) => {
      hasEnded = true;
      return outcome;
    });
    for (let round = 0; round < 30; round++) done(await host.run(request("good")));
    expect(hasEnded).toBe(false);
    await host.close();
    expect(await loop).toMatchObject({ kind: "stopped", reason: "lost" });
  });
});

describe("handlers that take memory", () => {
  it.each([
    "local t = {} while true do t[#t + 1] = {} end",
    'local t = {} while true do t[#t + 1] = string.rep("x", 1000000) end',
    'local t = {} while true do pcall(function() t[#t + 1] = { string.rep("x", 100000) .. #t } end) end',
    'string.gsub(string.rep("x", 1000000), "x", string.rep("y", 1000000))',
  ])("B14 %s ends with its worker, and the service lives on", async (body) => {
    const { outcome, isAlive } = await attempt(body, { memoryMb: 96 });
    expect(isAlive).toBe(false);
    expect(outcome).toMatchObject({ kind: "stopped", reason: "memory" });
  });

  it.each([
    ['local s = "x" while true do s = s .. s end', "string is too long"],
    ['return string.rep("x", 1e9)', "more than 16777216 bytes"],
    ["local function f() return 1 + f() end f()", "stack overflow"],
    ["return { table.unpack({}, 1, 1e7) }", "too many results to unpack"],
  ])("B14 %s is an error before it hurts", async (body, message) => {
    const { outcome, isAlive } = await attempt(body, { memoryMb: 256 });
    expect(isAlive).toBe(true);
    expect(outcome).toMatchObject({ kind: "failed", error: { message: expect.stringContaining(message) } });
  });
});

describe("after a thread was ended", () => {
  it("the others' runs are lost, their workflows are loaded again with their durable state", async () => {
    const host = testHost({ stallMs: 300 });
    const text = `local n = 0 sekia.on("x", function(event)
      if event.payload.wait then signalbox.after(1) end
      n = n + 1
      signalbox.state.total = (signalbox.state.total or 0) + 1
      return { n, signalbox.state.total }
    end)`;
    await host.load(source("good", text, { total: 10 }));
    await host.load(source("bad", handler(HANG)));
    expect(done(await host.run(request("good"))).output).toEqual([1, 11]);
    const waiting = request("good", { event: { payload: { wait: true } } });
    suspended(await host.run(waiting));

    const bad = host.run(request("bad"));
    const meanwhile = host.run(request("good"));
    expect(await bad).toMatchObject({ kind: "stopped", reason: "timeout" });
    // It was posted after the other had begun, so it was waiting or had ended.
    expect(["stopped", "done"]).toContain((await meanwhile).kind);
    expect(host.isSuspended(waiting.run_id)).toBe(false);
    expect(await host.resume(waiting.run_id, { ok: true, value: null }, 1)).toMatchObject({ reason: "lost" });
    const [n, total] = done(await host.run(request("good"))).output as number[];
    expect(n).toBe(1);
    expect(total).toBeGreaterThanOrEqual(12);
  });

  it("whoever ended it has a thread of its own from then on", async () => {
    const host = testHost({ stallMs: 200 });
    await host.load(source("good", 'local n = 0 sekia.on("x", function() n = n + 1 return n end)'));
    await host.load(source("bad", handler(HANG)));
    expect(await host.run(request("bad"))).toMatchObject({ reason: "timeout" });
    expect(done(await host.run(request("good"))).output).toBe(1);
    for (let again = 2; again <= 3; again++) {
      expect(await host.run(request("bad"))).toMatchObject({ reason: "timeout" });
      // Its global lives on: this thread was not ended again.
      expect(done(await host.run(request("good"))).output).toBe(again);
    }
    await host.unload("bad");
    expect(done(await host.run(request("good"))).output).toBe(4);
  });

  it("a text that ends the thread while it loads leaves the version before running", async () => {
    const host = testHost({ stallMs: 200 });
    await host.load(source("w", QUICK));
    await host.load(source("other", QUICK));
    await expect(host.load(source("w", HANG))).rejects.toMatchObject({
      code: "workflow_load_failed",
      details: { message: expect.stringContaining("one step") },
    });
    expect(done(await host.run(request("w"))).output).toBe(1);
    expect(done(await host.run(request("other"))).output).toBe(1);
  });

  it("a load that another workflow interrupted is tried again", async () => {
    const host = testHost({ stallMs: 300 });
    await host.load(source("bad", handler(HANG)));
    const bad = host.run(request("bad"));
    const loading = host.load(source("good", QUICK));
    expect(await bad).toMatchObject({ reason: "timeout" });
    expect((await loading).handlers).toHaveLength(1);
    expect(done(await host.run(request("good"))).output).toBe(1);
  });

  it("a worker that can't start fails what was asked of it instead of keeping it waiting", async () => {
    const host = testHost({}, { workerUrl: new URL("./no-such-worker.ts", import.meta.url) });
    await expect(host.load(source("w", QUICK))).rejects.toMatchObject({ code: "workflow_load_failed" });
  });
});
