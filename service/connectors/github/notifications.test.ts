import { afterEach, describe, expect, it } from "vitest";
import { listenContext, type RecordedListen } from "../../../test/harness/connector-context.ts";
import { newEvent } from "../../contract/events.ts";
import { type GithubConfig, githubConfig } from "./config.ts";
import { type FakeNotification, type GithubFake, startGithubFake } from "./fake.ts";
import { github } from "./index.ts";
import { pollNotifications } from "./notifications.ts";

const TOKEN = "ghp_notARealToken1234567890";
const closing: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function startFake(pollIntervalS = 60): Promise<GithubFake> {
  const fake = await startGithubFake({ token: TOKEN, pollIntervalS });
  closing.push(() => fake.close());
  return fake;
}

interface Polling extends RecordedListen<GithubConfig> {
  waits: number[];
  /** Resolves when a poll is over and the next one is waited for. */
  polled(): Promise<void>;
  /** Ends the wait, then waits for the next poll to be over. */
  next(): Promise<void>;
  done: Promise<void>;
}

/** The polling loop with its waits in the test's hand. */
function startPolling(fake: GithubFake, cursor: string | null = null): Polling {
  const config = githubConfig.parse({ api_url: fake.url, poll: true });
  const recorded = listenContext(config, { GITHUB_TOKEN: TOKEN }, cursor);
  const waits: number[] = [];
  let goOn = () => {};
  let arrived = () => {};
  let arrival = new Promise<void>((resolve) => (arrived = resolve));
  const done = pollNotifications(recorded.context, (ms, signal) => {
    waits.push(ms);
    arrived();
    return new Promise((resolve, reject) => {
      goOn = resolve;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  const polled = () => Promise.race([arrival, done]);
  const next = () => {
    arrival = new Promise<void>((resolve) => (arrived = resolve));
    goOn();
    return polled();
  };
  closing.push(async () => {
    recorded.stop();
    await done.catch(() => "the test has seen it");
  });
  return { ...recorded, waits, polled, next, done };
}

function about(number: number, second: number, more: Partial<FakeNotification> = {}): FakeNotification {
  const updated_at = `2026-03-01T10:00:${String(second).padStart(2, "0")}Z`;
  const place = { owner: "acme", repo: "site", number };
  return { id: String(number), updated_at, ...place, title: `Title ${number}`, type: "Issue", ...more };
}

const events = (polling: Polling) => polling.emitted.flatMap((one) => one.events);

describe("polling notifications", () => {
  it("B4 an issue that moved becomes github.issue.updated with the payload of B6 and polled = true", async () => {
    const fake = await startFake();
    fake.addIssue({ owner: "acme", repo: "site", number: 3, title: "It broke", labels: ["bug"] });
    fake.addIssue({
      owner: "acme",
      repo: "site",
      number: 4,
      pull: { head: "fix", base: "main", reviews: [] },
    });
    const polling = startPolling(fake);
    await polling.polled();
    fake.notify(about(4, 2, { type: "PullRequest" }));
    fake.notify(about(3, 1));
    await polling.next();
    const [first, second] = events(polling);
    expect(newEvent.parse(first)).toEqual({
      type: "github.issue.updated",
      source: "github",
      subject: "github.issue.updated",
      payload: {
        owner: "acme",
        repo: "site",
        number: 3,
        title: "It broke",
        body: "A text",
        author: "octocat",
        url: "https://github.com/acme/site/issues/3",
        labels: ["bug"],
        polled: true,
      },
      body: "Title 3\n\nA text",
      conversation_key: "github:acme/site:3",
      external_id: "notification:3:2026-03-01T10:00:01Z",
      origin_kind: "webhook",
      meta: { thread_id: "3", reason: "subscribed" },
      time_ms: Date.parse("2026-03-01T10:00:01Z"),
    });
    expect(second).toMatchObject({
      type: "github.pr.updated",
      payload: { number: 4, head_branch: "fix", base_branch: "main", polled: true },
    });
    expect(polling.reports).toEqual(["ready", "ready"]);
  });

  it("begins with what comes after the first poll, not with the whole inbox", async () => {
    const fake = await startFake();
    fake.notify(about(1, 1));
    const polling = startPolling(fake);
    await polling.polled();
    expect(events(polling)).toEqual([]);
    fake.notify(about(2, 1));
    fake.notify(about(3, 2));
    await polling.next();
    expect(events(polling).map((event) => event.payload?.number)).toEqual([2, 3]);
    expect(JSON.parse(polling.emitted.at(-1)!.cursor)).toEqual({
      last_modified: "Sun, 01 Mar 2026 10:00:02 GMT",
      updated_at: "2026-03-01T10:00:02Z",
      seen: ["3"],
    });
  });

  it("asks with If-Modified-Since and waits as X-Poll-Interval says, but never less than set", async () => {
    const fake = await startFake(90);
    fake.notify(about(1, 1));
    const polling = startPolling(fake);
    await polling.polled();
    await polling.next();
    expect(fake.requests[0]?.headers["if-modified-since"]).toBeUndefined();
    expect(fake.requests[1]?.headers["if-modified-since"]).toBe("Sun, 01 Mar 2026 10:00:01 GMT");
    expect(polling.emitted).toHaveLength(1);
    expect(polling.waits).toEqual([90_000, 90_000]);
    const quick = await startFake(1);
    const other = startPolling(quick);
    await other.polled();
    expect(other.waits).toEqual([60_000]);
  });

  it("reads every page, oldest first, and commits as it goes", async () => {
    const fake = await startFake();
    const polling = startPolling(fake);
    await polling.polled();
    for (let number = 1; number <= 59; number++) fake.notify(about(number, number));
    fake.notify(about(60, 59, { type: "Release" }));
    await polling.next();
    const lists = fake.requests.filter((request) => request.path.startsWith("/notifications"));
    expect(lists.slice(1).map((request) => /[?&]page=(\d)/.exec(request.path)?.[1])).toEqual(["1", "2"]);
    expect(events(polling).map((event) => event.payload?.number)).toEqual(
      Array.from({ length: 59 }, (_, index) => index + 1),
    );
    expect(polling.emitted.map((one) => one.events.length)).toEqual([0, 20, 20, 19, 0]);
  });

  it("an interrupted poll is taken up after the last commit", async () => {
    const fake = await startFake();
    const polling = startPolling(fake);
    await polling.polled();
    for (let number = 1; number <= 30; number++) fake.notify(about(number, number));
    await polling.next();
    const halfway = polling.emitted[1]!.cursor;
    expect(JSON.parse(halfway)).toMatchObject({ last_modified: null, updated_at: "2026-03-01T10:00:20Z" });
    const resumed = startPolling(fake, halfway);
    await resumed.polled();
    expect(events(resumed).map((event) => event.payload?.number)).toEqual([
      21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    ]);
  });

  it("an issue that can't be read any more still tells its number", async () => {
    const fake = await startFake();
    const polling = startPolling(fake);
    await polling.polled();
    fake.notify(about(9, 1));
    await polling.next();
    expect(events(polling)[0]?.payload).toEqual({
      owner: "acme",
      repo: "site",
      number: 9,
      title: "Title 9",
      polled: true,
    });
  });

  it("ends with an error that says what to do, and leaves the repetition to its owner", async () => {
    const fake = await startFake();
    fake.trouble({ kind: "rate_limit", resetInS: 30 });
    const polling = startPolling(fake);
    await expect(polling.done).rejects.toMatchObject({ code: "rate_limited" });
    fake.trouble({ kind: "not_json" });
    await expect(startPolling(fake).done).rejects.toMatchObject({ code: "remote_failed" });
    fake.trouble({ kind: "drop" });
    await expect(startPolling(fake).done).rejects.toMatchObject({ code: "unavailable" });
  });

  it("a cursor that can't be read starts again from now", async () => {
    const fake = await startFake();
    fake.notify(about(1, 1));
    const polling = startPolling(fake, "not json");
    await polling.polled();
    expect(events(polling)).toEqual([]);
    expect(JSON.parse(polling.emitted[0]!.cursor)).toMatchObject({ updated_at: "2026-03-01T10:00:01Z" });
  });

  it("stops at once in the middle of a wait", async () => {
    const fake = await startFake();
    const config = githubConfig.parse({ api_url: fake.url, poll: true });
    const recorded = listenContext(config, { GITHUB_TOKEN: TOKEN });
    let emitted = () => {};
    const first = new Promise<void>((resolve) => (emitted = resolve));
    const listening = github.listen!({ ...recorded.context, emit: async () => emitted() });
    await first;
    recorded.stop();
    await listening;
  });
});
