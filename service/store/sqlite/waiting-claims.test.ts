import Database from "better-sqlite3";
import { beforeEach, expect, it } from "vitest";
import type { EffectRow } from "../store.ts";
import { Committer } from "./committer.ts";
import { Memory } from "./context.ts";
import { WaitingClaims } from "./waiting-claims.ts";

let committer: Committer;
let waiting: WaitingClaims;

beforeEach(() => {
  const db = new Database(":memory:");
  db.exec("CREATE TABLE counts (topic, status, n, PRIMARY KEY (topic, status))");
  committer = new Committer({ db, file: ":memory:", memory: new Memory(), maxPending: 10, busyMs: 0 });
  waiting = new WaitingClaims(committer);
  return () => void db.close();
});

const row = { id: "eff_1" } as EffectRow;
const until = new AbortController().signal;
const makeReady = () => committer.write((changes) => void changes.targets.add("github"));

it("U6 what keeps a claim from being recorded is told to whoever claims, who waits no longer", async () => {
  let takes = 0;
  const take = () => {
    takes += 1;
    throw new Error("disk full");
  };
  await expect(waiting.claim("github", { isReady: () => true, take, until })).rejects.toThrow("disk full");
  const before = takes;
  await makeReady();
  expect(takes).toBe(before);
});

it("U6 a group that is run again gives a claim what it took the second time, and nothing more", async () => {
  const answers = [[], [row]];
  let takes = 0;
  const take = () => answers[takes++] ?? [row];
  const claimed = waiting.claim("github", { isReady: () => true, take, until });
  const refused = committer.write((changes) => {
    changes.targets.add("github");
    throw new Error("not this one");
  });
  const other = makeReady();
  await expect(refused).rejects.toThrow("not this one");
  await other;
  expect(await claimed).toEqual([row]);
  expect(takes).toBe(2);
});

it("a claim that waits, or comes, when the store is closed is refused by name", async () => {
  const waits = waiting.claim("github", { isReady: () => false, take: () => [], until });
  waiting.close();
  await expect(waits).rejects.toMatchObject({ code: "unavailable" });
  const late = waiting.claim("github", { isReady: () => false, take: () => [], until });
  await expect(late).rejects.toMatchObject({ code: "unavailable" });
});
