import { expect, it } from "vitest";
import { Wakeups } from "./wakeups.ts";

const never = new AbortController().signal;

it("one waiter is woken at a time, oldest first", async () => {
  const wakeups = new Wakeups();
  const woken: string[] = [];
  const waits = ["a", "b"].map((name) =>
    wakeups.wait("key", 60_000, never).then((isWoken) => woken.push(`${name} ${isWoken}`)),
  );
  expect(wakeups.count("key")).toBe(2);
  wakeups.wake("other");
  wakeups.wake("key");
  await waits[0];
  expect(woken).toEqual(["a true"]);
  wakeups.wake("key");
  await waits[1];
  expect(woken).toEqual(["a true", "b true"]);
  expect(wakeups.count("key")).toBe(0);
  wakeups.wake("key");
});

it("who waits for too long or is told to stop is not woken, and takes no wake-up from others", async () => {
  const wakeups = new Wakeups();
  expect(await wakeups.wait("key", 1, never)).toBe(false);
  expect(await wakeups.wait("key", 0, never)).toBe(false);
  expect(await wakeups.wait("key", 60_000, AbortSignal.abort())).toBe(false);
  const stop = new AbortController();
  const stopped = wakeups.wait("key", 60_000, stop.signal);
  const other = wakeups.wait("key", 60_000, never);
  stop.abort();
  expect(await stopped).toBe(false);
  wakeups.wake("key");
  expect(await other).toBe(true);
  expect(wakeups.count("key")).toBe(0);
});
