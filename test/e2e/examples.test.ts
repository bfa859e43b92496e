import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GithubFake, startGithubFake } from "../../service/connectors/github/fake.ts";
import type { Json, JsonObject } from "../../service/contract/common.ts";
import type { Event } from "../../service/contract/events.ts";
import type { Run } from "../../service/contract/workflows.ts";
import { type ManualClock, manualClock } from "../harness/clock.ts";
import { eventually, startTestService, type TestService } from "../harness/service.ts";

/** All five examples in one service, as somebody has them who copies the folder: they must not get in each other's way. */
const folder = resolve(import.meta.dirname, "../../workflows");
const names = ["daily-digest", "deploy-watch", "github-auto-label", "mention-router", "review-queue"];
const DAY_MS = 86_400_000;

let service: TestService;
let github: GithubFake;
let clock: ManualClock;
let secrets: string;

beforeAll(async () => {
  github = await startGithubFake({ token: "test-token" });
  secrets = mkdtempSync(join(tmpdir(), "signalbox-secrets-"));
  const token = join(secrets, "token");
  writeFileSync(token, "test-token", { mode: 0o600 });
  // Half a day before a full one, so that the digest is due when a test says so and not before.
  clock = manualClock(20_000 * DAY_MS + DAY_MS / 2);
  service = await startTestService({
    clock,
    set: [
      `workflows.dir=${folder}`,
      "workflows.hot_reload=false",
      `connectors.github.token={ file = "${token}" }`,
      `connectors.github.api_url=${github.url}`,
    ],
  });
});

afterAll(async () => {
  await service.close();
  await github.close();
  rmSync(secrets, { recursive: true, force: true });
});

/** Shown dry, by the same way as `signalbox workflow test`. */
async function dry(workflow: string, event: JsonObject, results: Json[] = []) {
  const file = `${workflow}.lua`;
  const source = readFileSync(join(folder, file), "utf8");
  return (await service.client.testWorkflow({ source, file, event, results })).runs;
}

async function runOf(workflow: string, event_id: string, status: Run["status"] = "succeeded"): Promise<Run> {
  return eventually(
    async () => (await service.client.listRuns({ workflow, event_id })).runs[0] as Run,
    (run) => run?.status === status,
  );
}

async function published(event_id: string): Promise<Event[]> {
  return (await service.client.getEvent({ event_id })).caused;
}

async function push(event: JsonObject): Promise<string> {
  return (await service.client.pushEvent(event)).event_id;
}

const issue = (number: number, title: string): JsonObject => ({
  type: "github.issue.opened",
  source: "github",
  payload: { owner: "acme", repo: "site", number, title, body: "", author: "mona", url: "", labels: [] },
});

const pullRequest = (type: string, number: number, more: JsonObject = {}): JsonObject => ({
  type,
  source: "github",
  payload: {
    ...{ owner: "acme", repo: "site", number, title: "Faster start", body: "Reads less.", author: "mona" },
    ...{ url: `https://github.com/acme/site/pull/${number}`, labels: [] },
    ...{ head_branch: "fast", base_branch: "main", ...more },
  },
});

it("S21 every shipped example loads, explains itself and is tested here", async () => {
  const { workflows } = await service.client.listWorkflows();
  expect(workflows.map(({ name, state }) => `${name} ${state}`)).toEqual(
    names.map((name) => `${name} active`),
  );
  expect(readdirSync(folder).filter((file) => file.endsWith(".lua"))).toEqual(
    names.map((name) => `${name}.lua`),
  );
  for (const name of names) {
    const [first = ""] = readFileSync(join(folder, `${name}.lua`), "utf8").split("\n");
    expect(first).toMatch(new RegExp(`^-- ${name}: .+\\.$`));
  }
});

describe("github-auto-label", () => {
  it("S41 S27 shows in a dry run which label an issue would get, and the line that says so", async () => {
    const [run] = await dry("github-auto-label", issue(42, "A BUG in the start page"));
    expect(run).toMatchObject({
      status: "succeeded",
      logs: [{ level: "info", message: "labelled issue #42 as bug" }],
      effects: [
        {
          kind: "command",
          target: "github-agent",
          payload: { owner: "acme", repo: "site", number: 42, label: "bug" },
          line: expect.stringMatching(/^github-auto-label\.lua:\d+$/),
        },
      ],
    });
    const [other] = await dry("github-auto-label", issue(7, "How do I start it?"));
    expect(other?.effects).toMatchObject([{ payload: { label: "triage" } }]);
    const [closed] = await dry("github-auto-label", { ...issue(7, "A bug"), type: "github.issue.closed" });
    expect(closed).toMatchObject({ status: "succeeded", effects: [] });
  });

  it("S41 labels a real issue once, and its result is an event that no workflow takes for a new issue", async () => {
    const there = github.addIssue({ owner: "acme", repo: "site", number: 43 });
    const id = await push(issue(43, "Bug: it does not start"));
    await runOf("github-auto-label", id);
    const { effects } = await eventually(
      () => service.client.listEffects({ event_id: id }),
      (page) => page.effects[0]?.state === "succeeded",
    );
    expect(effects).toHaveLength(1);
    expect(there.labels).toEqual(["bug"]);
    expect(github.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /repos/acme/site/issues/43/labels",
    ]);
    const results = await published(id);
    expect(results.map(({ type, source }) => `${type} ${source}`)).toEqual([
      "signalbox.effect.succeeded github-agent",
    ]);
    const { runs } = await service.client.listRuns({ event_id: results[0]?.id });
    expect(runs).toEqual([]);
  });

  it("S41 S27 a workflow in Sekia's words runs as it is: early return, bug or triage, then a line in the log", async () => {
    const source = `
      sekia.on("sekia.events.github", function(event)
        if event.type ~= "github.issue.opened" then return end
        local label = "triage"
        if string.find(string.lower(event.payload.title or ""), "bug") then label = "bug" end
        sekia.command("github-agent", "add_label", { number = event.payload.number, label = label })
        sekia.log("info", sekia.name .. " labelled #" .. event.payload.number)
      end)`;
    const shown = async (event: JsonObject) =>
      (await service.client.testWorkflow({ source, file: "labeller.lua", event })).runs;
    expect(await shown(issue(42, "Bug!"))).toMatchObject([
      {
        effects: [{ target: "github-agent", payload: { number: 42, label: "bug" } }],
        logs: [{ level: "info", message: "labeller labelled #42" }],
      },
    ]);
    expect(await shown(issue(42, "Question"))).toMatchObject([
      { effects: [{ payload: { label: "triage" } }] },
    ]);
    expect(await shown({ type: "github.push", source: "github" })).toMatchObject([{ effects: [], logs: [] }]);
  });
});

describe("review-queue", () => {
  it("S21 shows in a dry run what a reviewer would get to read", async () => {
    const [run] = await dry("review-queue", pullRequest("github.pr.opened", 1));
    expect(run).toMatchObject({
      status: "succeeded",
      effects: [
        { kind: "publish", target: "reviews.requested", payload: { owner: "acme", repo: "site", number: 1 } },
        { kind: "state", target: "acme/site#1" },
      ],
    });
  });

  it("S21 M19 an opened pull request can be claimed once, also when a review is requested, and again after closing", async () => {
    const claim = async () =>
      (await service.client.claimEvents({ topic: "reviews", agent: "@reviewer" })).claimed.map(
        ({ event }) => event,
      );
    await runOf("review-queue", await push(pullRequest("github.pr.opened", 2)));
    await runOf(
      "review-queue",
      await push(pullRequest("github.pr.review_requested", 2, { reviewer: "hubot" })),
    );
    const [first, ...more] = await claim();
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      type: "review.requested",
      source: "workflow:review-queue",
      topic: "reviews",
    });
    expect(first?.body).toBe(
      [
        "Please review acme/site#2: Faster start",
        "",
        "By mona, fast into main.",
        "https://github.com/acme/site/pull/2",
        "",
        "Reads less.",
      ].join("\n"),
    );
    expect(await claim()).toEqual([]);
    await runOf("review-queue", await push(pullRequest("github.pr.closed", 2)));
    await runOf(
      "review-queue",
      await push(pullRequest("github.pr.review_requested", 2, { reviewer: "hubot" })),
    );
    const [again] = await claim();
    expect(again?.body).toContain("Asked for: @hubot");
    const found = await service.client.findEvents({ mention: "@hubot", topic: "reviews" });
    expect(found.events.map(({ id }) => id)).toEqual([again?.id]);
  });
});

describe("mention-router", () => {
  it("S21 shows in a dry run whom a message would go to, each once and no mail address", async () => {
    const body = "@Alice and @bob-2: ask @alice, not me@example.com or @inbox";
    const [run] = await dry("mention-router", { topic: "inbox", body });
    expect(run).toMatchObject({
      effects: [{ target: "routed.alice" }, { target: "routed.bob-2" }],
      output: { routed_to: ["alice", "bob-2", "inbox"] },
    });
    const [silent] = await dry("mention-router", { topic: "inbox", body: "nobody" });
    expect(silent).toMatchObject({ effects: [], output: { routed_to: [] } });
  });

  it("S21 hands a message to the topics of those it speaks to, and never one of its own", async () => {
    const id = await push({ topic: "inbox", body: "@carol please look", source: "cli" });
    await runOf("mention-router", id);
    const [claimed] = (await service.client.claimEvents({ topic: "carol", agent: "@carol" })).claimed;
    expect(claimed?.event).toMatchObject({
      body: "@carol please look",
      payload: { about: id, from: "cli", to: "carol" },
      parent_id: id,
      correlation_id: id,
    });
    const { runs } = await service.client.listRuns({ workflow: "mention-router" });
    expect(runs.map(({ event_id }) => event_id)).toEqual([id]);
  });
});

describe("deploy-watch", () => {
  const toMain = (after: string): JsonObject => ({
    type: "github.push",
    source: "github",
    payload: {
      ...{ owner: "acme", repo: "site", ref: "refs/heads/main", before: "v1", after },
      ...{ commits_count: 1, pusher: "mona" },
    },
  });

  /** The deployer's next command, answered. */
  async function answer(command: string, result: { result?: Json } | { error: string }): Promise<JsonObject> {
    const { commands } = await service.client.claimCommands({ agent: "deployer", wait_ms: 20_000 });
    const [taken] = commands;
    expect(taken?.command).toBe(command);
    const status = "error" in result ? "failed" : "succeeded";
    await service.client.finishEffect({
      effect_id: taken?.effect_id ?? "",
      lease: taken?.lease,
      status,
      ...result,
    });
    return taken?.payload ?? {};
  }

  /** Time passes only when the handler has begun to wait for it. */
  async function settle(event_id: string): Promise<void> {
    await eventually(
      async () =>
        (await service.client.listRuns({ workflow: "deploy-watch", event_id })).runs[0]?.waiting_for,
      (waiting) => waiting?.startsWith("time") === true,
    );
    clock.advance(60_000);
  }

  it("S21 shows in a dry run every call and what follows", async () => {
    const [run] = await dry("deploy-watch", toMain("v2"), [{}, {}]);
    expect(run).toMatchObject({
      status: "succeeded",
      effects: [{ target: "deployer" }, { target: "deployer" }, { target: "deploys.finished" }],
      output: { outcome: "deployed" },
    });
    const [waiting] = await dry("deploy-watch", toMain("v2"));
    expect(waiting).toMatchObject({ status: "waiting", waiting_for: "result of deployer.deploy" });
    const branch = { ...toMain("v2"), payload: { ref: "refs/heads/topic" } };
    expect(await dry("deploy-watch", branch)).toMatchObject([{ status: "succeeded", effects: [] }]);
  });

  it("S24 S21 deploys, waits a minute, looks, and says that it is done", async () => {
    const id = await push(toMain("v2"));
    expect(await answer("deploy", { result: {} })).toEqual({ repo: "acme/site", version: "v2" });
    await settle(id);
    await answer("check", { result: {} });
    expect(await runOf("deploy-watch", id)).toMatchObject({ output: { outcome: "deployed" } });
    expect((await published(id)).map(({ type }) => type)).toContain("deploy.finished");
  });

  it("S21 goes on after a restart of the service in the middle of the wait, and takes back what is not well", async () => {
    const id = await push(toMain("v3"));
    await answer("deploy", { result: {} });
    await eventually(
      async () =>
        (await service.client.listRuns({ workflow: "deploy-watch", event_id: id })).runs[0]?.waiting_for,
      (waiting) => waiting?.startsWith("time") === true,
    );
    await service.restart();
    await settle(id);
    await answer("check", { error: "the front page answers 500" });
    expect(await answer("rollback", { result: {} })).toEqual({ repo: "acme/site", version: "v1" });
    expect(await runOf("deploy-watch", id)).toMatchObject({ output: { outcome: "taken back" } });
    const [alarm] = (await service.client.peekEvents({ topic: "alerts" })).events;
    expect(alarm).toMatchObject({ type: "deploy.failed", payload: { version: "v3" } });
    expect(alarm?.body).toContain("the front page answers 500");
    const { effects } = await service.client.listEffects({ event_id: id });
    expect(effects.map(({ action }) => action).toSorted()).toEqual(["check", "deploy", "rollback"]);
  });

  it("S21 tells of a deployment that fails, and goes no further", async () => {
    const id = await push(toMain("v4"));
    await answer("deploy", { error: "no space left" });
    expect(await runOf("deploy-watch", id)).toMatchObject({ output: { outcome: "not deployed" } });
    const alarms = (await published(id)).filter(({ type }) => type === "deploy.failed");
    expect(alarms.map(({ body }) => body)).toEqual([expect.stringContaining("no space left")]);
  });
});

describe("daily-digest", () => {
  it("S21 shows in a dry run what it would remember", async () => {
    const [run] = await dry("daily-digest", { type: "github.push", source: "github" });
    expect(run?.effects).toMatchObject([{ kind: "state", target: "counts" }]);
  });

  it("S21 S26 publishes the sums of the day at midnight, once, and begins anew", async () => {
    const digests = async () =>
      (await service.client.findEvents({ topic: "digests", oldest_first: true })).events;
    const midnight = async () => {
      clock.advance(DAY_MS);
      return eventually(
        async () => (await service.client.listRuns({ workflow: "daily-digest", status: "succeeded" })).runs,
        (runs) => runs.some((run) => run.event_id === null && (run.started_ms ?? 0) > clock.nowMs() - DAY_MS),
      );
    };
    await midnight();
    const before = (await digests()).length;
    await runOf("daily-digest", await push({ type: "github.push", source: "github" }));
    await runOf("daily-digest", await push({ type: "github.push", source: "github" }));
    await runOf("daily-digest", await push({ type: "github.comment.created", source: "github" }));
    await midnight();
    const [digest, ...more] = (await digests()).slice(before);
    expect(more).toEqual([]);
    expect(digest).toMatchObject({
      type: "digest.published",
      source: "workflow:daily-digest",
      body: "3 events\n  1  github.comment.created\n  2  github.push",
      payload: { total: 3, counts: { "github.comment.created": 1, "github.push": 2 } },
    });
    await midnight();
    expect(await digests()).toHaveLength(before + 1);
  });
});
