import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import { sampleEffect, sampleEvent, sampleRun, sampleWorkflow } from "../../test/harness/samples.ts";
import { newHome, type Stub, type StubReplies, startStub } from "../../test/harness/stub-service.ts";
import type { Agent } from "../contract/agents.ts";
import { doubtOf } from "./agent-doubt.ts";

let service: Stub;
afterEach(() => service?.close());

async function run(replies: StubReplies, args: string[], options: Partial<CliOptions> = {}) {
  await service?.close();
  service = await startStub(replies, options.home);
  const result = await runCli(args, { home: service.home, ...options });
  const calls = service.calls.filter((call) => call.route !== "getInfo");
  return { ...result, calls: calls.map((call) => [call.route, call.input] as const) };
}

const pushed = { event_id: "evt_01", seq: 1, duplicate: false, run_id: "evt_01" };
const agent: Agent = {
  name: "github-agent",
  status: "online",
  kind: "connector",
  version: "1",
  capabilities: [],
  commands: [{ name: "add_label" }],
  registered_ms: 0,
  last_beat_ms: null,
  last_event_ms: null,
  events_processed: 0,
  errors: 0,
  connections: 1,
  open_commands: 0,
};

describe("a command that there is none of", () => {
  it.each([
    [
      "psuh",
      "There is no command signalbox psuh.\nDid you mean signalbox push? signalbox --help lists the commands.\n",
    ],
    ["help psuh", "There is no command signalbox psuh.\nDid you mean signalbox push?"],
    ["psuh --help", "There is no command signalbox psuh.\nDid you mean signalbox push?"],
    ["workflow lst", "There is no command signalbox workflow lst.\nDid you mean signalbox workflow list?"],
    [
      "topics vanish t",
      "There is no command signalbox topics vanish.\nsignalbox topics --help lists the commands.\n",
    ],
  ])("is named, with what was probably meant (%s)", async (line, expected) => {
    const { code, stdout, stderr } = await run({}, line.split(" "));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(expected);
  });

  it("U27 is told from an option of what a noun does by itself, and from another spelling", async () => {
    const replies = {
      listRuns: { runs: [], next: null },
      getWorkflow: sampleWorkflow(),
      listTopics: { topics: [] },
    };
    for (const line of ["runs --status failed", "workflows show labeller", "--json topics"]) {
      expect([line, (await run(replies, line.split(" "))).code]).toEqual([line, 0]);
    }
  });

  it("U27 wrong usage points to the help of that very command, in JSON as well", async () => {
    const { stderr } = await run({}, [..."topics set".split(" ")]);
    expect(stderr).toBe(
      "missing required argument 'topic'\nsignalbox topics set --help shows its options.\n",
    );
    const json = await run({}, [..."push t --boddy x --json".split(" ")]);
    expect(JSON.parse(json.stderr).error).toEqual({
      code: "wrong_usage",
      message: "unknown option '--boddy'\n(Did you mean --body?)",
      hint: "signalbox push --help shows its options.",
    });
  });
});

describe("an event that holds nothing", () => {
  it.each([
    ["a topic alone", ["push", "t"], {}],
    ["an empty pipe", ["push", "t"], { stdin: "" }],
  ])("is not recorded (%s)", async (_name, args, options) => {
    const { code, stderr, calls } = await run({ pushEvent: pushed }, args, options);
    expect([code, calls]).toEqual([2, []]);
    expect(stderr).toContain("There is nothing to record.\nGive --body or --payload");
  });

  it.each([
    ["an empty body that was asked for", ["push", "t", "--body", ""]],
    ["a type", ["push", "--type", "build.finished"]],
    ["data", ["push", "t", "--payload", "{}"]],
  ])("is one with %s not", async (_name, args) => {
    const { code, calls } = await run({ pushEvent: pushed }, args);
    expect([code, calls.length]).toEqual([0, 1]);
  });
});

describe("a command to an agent that is not there", () => {
  it("names the agent, or the command, that was probably meant", () => {
    expect(doubtOf([agent], "gihub-agent", "add_label")).toContain("Did you mean github-agent?");
    expect(doubtOf([agent], "builder", "build")).toBe(
      "No agent builder has registered here; a command to it waits for one.",
    );
    expect(doubtOf([agent], "github-agent", "add_lable")).toBe(
      "github-agent has no command add_lable. Did you mean add_label?",
    );
    expect(doubtOf([agent], "github-agent", "add_label")).toBeNull();
    expect(doubtOf([agent], "github-agent")).toBeNull();
  });

  it("is sent all the same, with a remark", async () => {
    const replies = { listAgents: { agents: [agent] }, sendCommand: sampleEffect({ state: "approved" }) };
    const { code, stderr } = await run(replies, ["agents", "send", "gihub-agent", "add_label"]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("Did you mean github-agent?")]);
  });
});

describe("a workflow that does nothing", () => {
  it("a dry run says what is wrong with the file of the event", async () => {
    const home = newHome();
    writeFileSync(join(home, "bad.json"), "{bad");
    const { code, stderr } = await run({}, [..."workflow test labeller --event bad.json".split(" ")], {
      home,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^bad\.json holds no event\. This is no JSON: .*\nWrite an event/);
  });

  it("ask says that nobody listened", async () => {
    const replies = { pushEvent: pushed, getRun: sampleRun({ status: "skipped", workflow: null }) };
    const { code, stdout, stderr } = await run(replies, ["ask", "hello"]);
    expect([code, JSON.parse(stdout).status]).toEqual([0, "succeeded"]);
    expect(stderr).toBe("No workflow listens to message.received.\n");
  });

  it("an empty log points to the runs that failed", async () => {
    const { stdout, stderr } = await run({ workflowLogs: { lines: [] } }, ["workflow", "logs", "labeller"]);
    expect([stdout, stderr]).toEqual([
      "",
      "No log lines. Failed runs: signalbox workflow runs labeller --status failed\n",
    ]);
  });

  it("a retried run that fails again ends with 1", async () => {
    const failed = sampleRun({ status: "failed" });
    expect((await run({ retryRun: failed }, ["runs", "retry", "run_01"])).code).toBe(1);
    expect((await run({ retryRun: sampleRun() }, ["runs", "retry", "run_01"])).code).toBe(0);
  });
});

describe("a file that can't be read", () => {
  it.each([
    ["workflow check nope.lua", "nope.lua can't be read: there is no such file\n"],
    ["workflow check .", ". can't be read: it is a folder\n"],
    ["events import nope.ndjson", "nope.ndjson can't be read: there is no such file\n"],
  ])("is said to be so (%s)", async (line, expected) => {
    const { code, stderr } = await run({}, line.split(" "));
    expect([code, stderr]).toEqual([2, `${expected}Check the path, or use - for standard input.\n`]);
  });
});

describe("a service that goes away", () => {
  const claimed = {
    event: sampleEvent(),
    lease: "l",
    lease_until_ms: 0,
    attempt: 1,
    prompt: null,
  };

  it("is waited for by an agent that waits for work", async () => {
    let asked = 0;
    const claimEvents = () => {
      asked += 1;
      if (asked < 3) service.dropConnections();
      return { claimed: asked < 3 ? [] : [claimed] };
    };
    const args = [..."pull inbox --claim --agent @bob --wait".split(" ")];
    const { code, stdout, stderr } = await run({ claimEvents }, args);
    expect([code, asked, stderr]).toEqual([0, 3, "The connection was lost; trying again.\n"]);
    expect(stdout).toContain(claimed.event.id);
  });

  it("is an error for one that does not wait", async () => {
    const claimEvents = () => {
      service.dropConnections();
      return { claimed: [] };
    };
    const { code } = await run({ claimEvents }, [..."pull inbox --claim --agent @bob".split(" ")]);
    expect(code).toBe(1);
  });
});

describe("watch", () => {
  const streamEvents = [sampleEvent({ seq: 9 })];

  it("--since begins with what was recorded since", async () => {
    const findEvents = { events: [sampleEvent({ seq: 7 })], next: null };
    const args = [..."watch --since 2h --limit 1".split(" ")];
    const { calls } = await run({ findEvents, streamEvents }, args);
    expect(calls[0]?.[1]).toMatchObject({ oldest_first: true, limit: 1 });
    expect(calls[1]).toEqual(["streamEvents", { after: 6 }]);
    const none = await run({ findEvents: { events: [], next: null }, streamEvents }, args);
    expect(none.calls[1]).toEqual(["streamEvents", {}]);
  });

  it("shows ids where there is room for them", async () => {
    const shown = async (columns?: number) => {
      const options = columns === undefined ? {} : { columns };
      return (await run({ streamEvents }, ["watch", "--limit", "1"], options)).stdout;
    };
    const { id } = sampleEvent();
    expect([await shown(), await shown(140), await shown(80)].map((text) => text.includes(id))).toEqual([
      true,
      true,
      false,
    ]);
  });
});
