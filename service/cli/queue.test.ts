import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import { sampleDelivery, sampleEvent, sampleStatus, sampleTopic } from "../../test/harness/samples.ts";
import { newHome, type Stub, type StubReplies, startStub } from "../../test/harness/stub-service.ts";

let service: Stub;
afterEach(() => service.close());

const pushed = { event_id: "evt_01", seq: 1, duplicate: false, run_id: "evt_01" };
const settled = { event_id: "evt_01", delivery: sampleDelivery({ status: "completed" }) };
const replied = {
  event_id: "evt_01",
  reply_id: "evt_02",
  seq: 2,
  correlation_id: "c",
  status: "completed",
} as const;
const { status: _, ...plainEvent } = sampleEvent();
const claimed = {
  event: plainEvent,
  prompt: "Be kind.",
  lease: "lease_1",
  lease_until_ms: Date.UTC(2026, 0, 1),
  attempt: 1,
};

async function run(replies: StubReplies, args: string[], options: Partial<CliOptions> = {}) {
  service = await startStub(replies);
  const result = await runCli(args, { home: service.home, ...options });
  const calls = service.calls.filter((call) => call.route !== "getInfo");
  return { ...result, calls: calls.map((call) => [call.route, call.input] as const) };
}

describe("push", () => {
  it("M3 records body and metadata in a topic and prints the event's id", async () => {
    const { code, stdout, calls } = await run({ pushEvent: pushed }, [
      "push",
      "inbox",
      "--body",
      "hello",
      "--meta",
      '{"a":1}',
    ]);
    expect(calls).toEqual([
      ["pushEvent", { topic: "inbox", source: "cli", origin_kind: "human", body: "hello", meta: { a: 1 } }],
    ]);
    expect([code, stdout]).toEqual([0, "evt_01\n"]);
  });

  it("M3 takes every option, in both notations of commander", async () => {
    const args =
      "push inbox -b hi --type a.b --payload {} --correlation c --conversation k --user u --key i --parent p";
    const more = [
      ..."--scope s --delay 10m --tool-call bash --tool-call read --subject x.y".split(" "),
      "--mention=@x",
    ];
    const { calls } = await run({ pushEvent: pushed }, [...args.split(" "), ...more]);
    expect(calls[0]?.[1]).toEqual({
      topic: "inbox",
      type: "a.b",
      subject: "x.y",
      source: "cli",
      origin_kind: "human",
      body: "hi",
      payload: {},
      correlation_id: "c",
      conversation_key: "k",
      user_key: "u",
      parent_id: "p",
      scope: "s",
      idempotency_key: "i",
      delay_ms: 600_000,
      mentions: ["@x"],
      tool_calls: ["bash", "read"],
    });
  });

  it("M22 --delay and --at say when it can be claimed", async () => {
    const { calls } = await run({ pushEvent: pushed }, [
      "push",
      "t",
      "--body",
      "x",
      "--at",
      "2026-12-01T09:00",
    ]);
    expect(calls[0]?.[1]).toMatchObject({ not_before_ms: new Date(2026, 11, 1, 9).getTime() });
    await service.close();
    const both = await run({}, ["push", "t", "-b", "x", "--at", "2026-12-01", "--delay", "1m"]);
    expect([both.code, both.calls]).toEqual([2, []]);
  });

  it.each([
    ["piped", ["push", "t"]],
    ["--body -", ["push", "t", "--body", "-"]],
    ["--stdin", ["push", "t", "--stdin", "--meta", "{}"]],
  ])("P9 reads the body from standard input (%s)", async (_name, args) => {
    const { calls } = await run({ pushEvent: pushed }, args, { stdin: "from a pipe\n" });
    expect(calls[0]?.[1]).toMatchObject({ body: "from a pipe\n" });
  });

  it("U9 M23 the agent comes from --agent, SIGNALBOX_AGENT, then OC_AGENT_ID", async () => {
    const env = { SIGNALBOX_AGENT: "@two", OC_AGENT_ID: "@three" };
    const source = async (args: string[], vars: Record<string, string>) => {
      const { calls } = await run({ pushEvent: pushed }, ["push", "t", "-b", "x", ...args], { env: vars });
      await service.close();
      return [calls[0]?.[1].source, calls[0]?.[1].origin_kind];
    };
    expect(await source(["--agent", "@one"], env)).toEqual(["@one", "agent"]);
    expect(await source([], env)).toEqual(["@two", "agent"]);
    expect(await source([], { OC_AGENT_ID: "@three" })).toEqual(["@three", "agent"]);
    expect(await source(["--source", "webhook"], {})).toEqual(["webhook", "webhook"]);
  });

  it("pushes one event a line, and a bad line does not keep the others back", async () => {
    const lines = ['{"body":"a"}', "nonsense", '{"body":"b","topic":"other"}', "[1]", ""];
    const { code, stdout, calls } = await run(
      { pushEvents: { results: [pushed, { error: { code: "invalid_request", message: "no", hint: "h" } }] } },
      ["push", "t", "--ndjson", "-", "--json"],
      { stdin: lines.join("\n") },
    );
    expect(calls).toEqual([
      [
        "pushEvents",
        {
          events: [
            { topic: "t", body: "a" },
            { topic: "other", body: "b" },
          ],
        },
      ],
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      pushed: 1,
      failed: [{ line: 2 }, { line: 3, code: "invalid_request", message: "no" }, { line: 4 }],
    });
  });

  it("wrong usage ends with 2, says what is wrong and sends nothing", async () => {
    for (const args of [
      ["push"],
      ["push", "t", "--meta", "{"],
      ["push", "t", "--meta", "[1]"],
      ["push", "t", "--delay", "soon"],
      ["push", "t", "--nonsense"],
      ["push", "t", "u"],
      ["push", "t", "--body"],
    ]) {
      const { code, stderr, stdout, calls } = await run({}, args);
      await service.close();
      expect([args, code, stdout, calls]).toEqual([args, 2, "", []]);
      expect(stderr).not.toBe("");
    }
  });
});

describe("pull", () => {
  it("M4 claims for an agent and prints prompt, body and metadata", async () => {
    const { code, stdout, calls } = await run(
      { claimEvents: { claimed: [{ ...claimed, event: { ...claimed.event, meta: { pr: 7 } } }] } },
      ["pull", "inbox", "--claim", "--agent", "@bob", "--limit", "3", "--lease", "5m"],
    );
    expect(calls).toEqual([
      [
        "claimEvents",
        { topic: "inbox", agent: "@bob", limit: 3, wait_ms: 0, create: false, lease_ms: 300_000 },
      ],
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("Be kind.");
    expect(stdout).toContain("hello");
    expect(stdout).toContain('{"pr":7}');
  });

  it("M4 --create claims from a topic that nobody has pushed to yet", async () => {
    const { calls } = await run({ claimEvents: { claimed: [] } }, [
      ..."pull inbox --claim --agent @bob --create".split(" "),
    ]);
    expect(calls[0]?.[1]).toMatchObject({ topic: "inbox", create: true });
  });

  it("M4 without events is no failure, also as JSON", async () => {
    const none = { claimEvents: { claimed: [] } };
    const json = await run(none, ["pull", "inbox", "--claim", "--agent", "@bob", "--json"]);
    await service.close();
    expect([json.code, json.stdout]).toEqual([0, '{"claimed":[]}\n']);
    const human = await run(none, ["pull", "inbox", "--claim", "--agent", "@bob"]);
    expect([human.code, human.stdout, human.stderr]).toEqual([0, "", "Nothing is waiting in inbox.\n"]);
  });

  it("U15 without --claim it is a peek", async () => {
    const { calls, stdout } = await run({ peekEvents: { events: [plainEvent], prompt: null } }, [
      "pull",
      "inbox",
    ]);
    expect(calls).toEqual([["peekEvents", { topic: "inbox", limit: 1 }]]);
    expect(stdout).toContain("hello");
  });

  it("waits in the service for as long as it is told to", async () => {
    const { calls } = await run({ claimEvents: { claimed: [claimed] } }, [
      ..."pull inbox --claim --agent @bob --wait 30".split(" "),
    ]);
    expect(calls[0]?.[1].wait_ms).toBeGreaterThan(29_000);
    await service.close();
    let asked = 0;
    const forEver = await run({ claimEvents: () => ({ claimed: ++asked < 3 ? [] : [claimed] }) }, [
      "pull",
      "inbox",
      "--claim",
      "--agent",
      "@bob",
      "--wait",
    ]);
    expect(forEver.calls.map(([, input]) => input.wait_ms)).toEqual([600_000, 600_000, 600_000]);
  });

  it("a peek that waits follows the topic from before its first look", async () => {
    let looks = 0;
    const { calls, stdout } = await run(
      {
        getStatus: sampleStatus({ last_seq: 41 }),
        peekEvents: () => ({ events: looks++ === 0 ? [] : [plainEvent], prompt: null }),
        streamEvents: [plainEvent],
      },
      ["pull", "inbox", "--wait", "30"],
    );
    expect(calls.map(([route]) => route)).toEqual(["getStatus", "peekEvents", "streamEvents", "peekEvents"]);
    expect(calls[2]?.[1]).toEqual({ topic: "inbox", after: 41 });
    expect(stdout).toContain("hello");
  });

  it("M23 asks who claims when nobody says so", async () => {
    const { code, stderr } = await run({}, ["pull", "inbox", "--claim"]);
    expect([code, stderr]).toEqual([2, "Who claims?\nGive --agent @name, or set SIGNALBOX_AGENT.\n"]);
  });
});

describe("what ends a claim", () => {
  it("M8 reply answers with a status and a body", async () => {
    const args = ["reply", "evt_01", "--status", "success", "--body", "done"];
    const { code, stdout, calls } = await run({ reply: replied }, args, { env: { OC_AGENT_ID: "@bob" } });
    expect(calls).toEqual([
      ["reply", { event_id: "evt_01", status: "success", body: "done", agent: "@bob" }],
    ]);
    expect([code, stdout]).toEqual([0, "evt_02  evt_01 is completed\n"]);
    await service.close();
    const byHand = await run({ reply: replied }, args);
    expect(byHand.calls[0]?.[1]).toMatchObject({ source: "cli", origin_kind: "human" });
    await service.close();
    const failed = await run({ reply: { ...replied, status: "failed" } }, [
      "reply",
      "evt_01",
      "--status",
      "failed",
    ]);
    expect(failed.calls[0]?.[1]).toMatchObject({ status: "failed", body: "" });
    await service.close();
    const wrong = await run({}, ["reply", "evt_01", "--status", "great"]);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining("success, completed, failed, failure"),
    ]);
  });

  it.each([
    ["extend", ["--lease", "1h"], "extendClaim", { lease_ms: 3_600_000 }],
    ["complete", ["--result", "[1]"], "completeClaim", { result: [1] }],
    [
      "fail",
      ["--error", "no disk", "--retry-in", "1m"],
      "failClaim",
      { error: "no disk", retry_in_ms: 60_000, retry: true },
    ],
    ["fail", ["--no-retry"], "failClaim", { error: "failed", retry: false }],
    ["release", ["--claim-token", "lease_1"], "releaseClaim", { lease: "lease_1" }],
  ] as const)("%s %j", async (verb, args, route, input) => {
    const { code, calls, stdout } = await run({ [route]: settled }, [verb, "evt_01", ...args]);
    expect(calls).toEqual([[route, { event_id: "evt_01", ...input }]]);
    expect([code, stdout]).toEqual([0, "evt_01 is completed\n"]);
  });
});

describe("settling several claims", () => {
  it("is one request, says what became of each, and exits with 1 when one was refused", async () => {
    const error = { code: "lease_lost", message: "evt_02 is now claimed by @b", hint: "" };
    const { code, calls, stdout, stderr } = await run({ settleClaims: { results: [settled, { error }] } }, [
      ...["complete", "evt_01", "evt_02", "--agent", "@a"],
    ]);
    const items = ["evt_01", "evt_02"].map((event_id) => ({ agent: "@a", action: "complete", event_id }));
    expect(calls).toEqual([["settleClaims", { items }]]);
    expect([code, stdout]).toEqual([1, "evt_01 is completed\n"]);
    expect(stderr).toContain("evt_02: evt_02 is now claimed by @b (lease_lost)");
  });
});

describe("finding events", () => {
  const page = { events: [sampleEvent()], next: null };

  it("M5 query --mention", async () => {
    const { calls, stdout } = await run({ findEvents: page }, ["query", "--mention", "@bob"]);
    expect(calls).toEqual([["findEvents", { mention: "@bob", limit: 50 }]]);
    expect(stdout).toContain("evt_01");
  });

  it("M6 query --tool-call", async () => {
    const { calls } = await run({ findEvents: page }, ["query", "--tool-call", "bash"]);
    expect(calls).toEqual([["findEvents", { tool: "bash", limit: 50 }]]);
  });

  it("queries by every filter there is", async () => {
    const before = Date.now();
    const args = `query --topic t --status dead --source s --type a.b --subject a.> --agent @a --correlation c
      --conversation k --parent p --scope o --since 2h --until 2026-01-02 -n 5 --before 9 --oldest-first`;
    const { calls } = await run({ findEvents: page }, args.split(/\s+/));
    expect(calls[0]?.[1]).toEqual({
      topic: "t",
      status: "dead",
      source: "s",
      type: "a.b",
      subject: "a.>",
      agent: "@a",
      correlation_id: "c",
      conversation_key: "k",
      parent_id: "p",
      scope: "o",
      since_ms: expect.any(Number),
      until_ms: new Date(2026, 0, 2).getTime(),
      limit: 5,
      before: 9,
      oldest_first: true,
    });
    expect(Number(calls[0]?.[1].since_ms)).toBeGreaterThanOrEqual(before - 7_200_000);
  });

  it("M7 search, by time or ranked", async () => {
    const { calls } = await run({ searchEvents: page }, ["search", "full text", "NEAR(", '"x*']);
    expect(calls).toEqual([["searchEvents", { text: 'full text NEAR( "x*', order: "recent", limit: 50 }]]);
    await service.close();
    const ranked = await run({ searchEvents: page }, ["search", "a", "--ranked", "--topic", "t", "--json"]);
    expect(ranked.calls[0]?.[1]).toMatchObject({ order: "ranked", topic: "t" });
    expect(JSON.parse(ranked.stdout)).toEqual(page);
  });

  it("tells how to get the next page, apart from the data", async () => {
    const { stdout, stderr } = await run({ findEvents: { ...page, next: 12 } }, ["query"]);
    expect(stderr).toBe("There is more: --before 12\n");
    expect(stdout).not.toContain("more");
  });
});

describe("topics", () => {
  const topics = { topics: [sampleTopic({ prompt: "Be kind." })] };

  it("M9 topics list, create and set-prompt", async () => {
    const list = await run({ listTopics: topics }, ["topics", "list"]);
    expect(list.stdout).toMatch(/inbox +1 +0 +0 +2 +0 +0 +Be kind\./);
    await service.close();
    const create = await run({ createTopic: topics.topics[0]! }, [
      ..."topics create inbox --lease 5m --max-attempts 2 --allow @a --allow @b --retention 30d".split(" "),
    ]);
    expect(create.calls[0]?.[1]).toEqual({
      name: "inbox",
      lease_ms: 300_000,
      max_attempts: 2,
      allow: ["@a", "@b"],
      retention_ms: 2_592_000_000,
    });
    await service.close();
    const prompt = await run({ updateTopic: topics.topics[0]! }, [
      "topics",
      "set-prompt",
      "inbox",
      "Be kind.",
    ]);
    expect(prompt.calls[0]?.[1]).toEqual({ topic: "inbox", prompt: "Be kind." });
  });

  it("M9 set-prompt reads a file or standard input, and removes the prompt", async () => {
    const home = newHome();
    writeFileSync(join(home, "prompt.md"), "From a file.\n");
    service = await startStub({ updateTopic: sampleTopic() }, home);
    await runCli(["topics", "set-prompt", "t", "--file", "prompt.md"], { home });
    await runCli(["topics", "set-prompt", "t", "-"], { home, stdin: "piped\n" });
    await runCli(["topics", "set-prompt", "t"], { home });
    const prompts = service.calls
      .filter((call) => call.route === "updateTopic")
      .map((call) => call.input.prompt);
    expect(prompts).toEqual(["From a file.", "piped", null]);
  });

  it("M9 delete asks a person, after a look at whether there is such a topic", async () => {
    const replies = { getTopic: sampleTopic({ name: "inbox" }), deleteTopic: { count: 2 } };
    const nobody = await run(replies, ["topics", "delete", "inbox"]);
    expect([nobody.code, nobody.calls.map(([route]) => route)]).toEqual([2, ["getTopic"]]);
    await service.close();
    const yes = await run(replies, ["topics", "delete", "inbox", "--force"], { typed: "y\n" });
    expect([yes.code, yes.stdout]).toEqual([0, "inbox is deleted\n"]);
    expect(yes.calls[1]).toEqual(["deleteTopic", { topic: "inbox", force: true }]);
  });

  it("purge asks a person, and wants --yes where nobody sits", async () => {
    const replies = { purgeTopic: { count: 3 } };
    const nobody = await run(replies, ["topics", "purge", "inbox"]);
    await service.close();
    expect([nobody.code, nobody.calls]).toEqual([2, []]);
    expect(nobody.stderr).toContain("Add --yes.");
    const no = await run(replies, ["topics", "purge", "inbox"], { typed: "n\n" });
    await service.close();
    expect([no.code, no.calls]).toEqual([2, []]);
    const yes = await run(replies, ["topics", "purge", "inbox", "--status", "dead"], { typed: "y\n" });
    await service.close();
    expect(yes.calls).toEqual([["purgeTopic", { topic: "inbox", status: "dead" }]]);
    expect(yes.stdout).toBe("3 deliveries ended\n");
    const sure = await run(replies, ["topics", "purge", "inbox", "--yes"]);
    expect(sure.calls).toEqual([["purgeTopic", { topic: "inbox", status: "pending" }]]);
  });

  it("dead letters are listed and made claimable again", async () => {
    const dead = await run({ findEvents: { events: [sampleEvent({ status: "dead" })], next: null } }, [
      ..."topics dead inbox".split(" "),
    ]);
    await service.close();
    expect(dead.calls[0]?.[1]).toMatchObject({ topic: "inbox", status: "dead" });
    const { calls } = await run({ redriveTopic: { count: 1 } }, [
      "topics",
      "redrive",
      "inbox",
      "evt_01",
      "--failed",
    ]);
    expect(calls).toEqual([
      ["redriveTopic", { topic: "inbox", event_ids: ["evt_01"], include_failed: true }],
    ]);
  });

  it("set changes what is given and nothing else", async () => {
    const { calls } = await run({ updateTopic: sampleTopic() }, [
      "topics",
      "set",
      "t",
      "--pause",
      "--pending-ttl",
      "never",
    ]);
    expect(calls[0]?.[1]).toEqual({ topic: "t", paused: true, pending_ttl_ms: null });
    await service.close();
    expect((await run({}, ["topics", "set", "t"])).code).toBe(2);
  });
});
