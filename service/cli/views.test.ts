import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import {
  sampleEffect,
  sampleEvent,
  sampleRun,
  sampleStatus,
  sampleWorkflow,
} from "../../test/harness/samples.ts";
import { newHome, type Stub, type StubReplies, startStub } from "../../test/harness/stub-service.ts";
import type { Agent } from "../contract/agents.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Receipt } from "../contract/receipts.ts";

let service: Stub;
afterEach(() => service.close());

const pushed = { event_id: "evt_01", seq: 1, duplicate: false, run_id: "evt_01" };
const agent: Agent = {
  name: "github-agent",
  status: "online",
  kind: "connector",
  version: "1.0.0",
  capabilities: ["issues"],
  commands: [{ name: "add_label", title: "Add a label" }],
  registered_ms: 0,
  last_beat_ms: null,
  last_event_ms: null,
  events_processed: 4,
  errors: 1,
  connections: 1,
  open_commands: 0,
};

async function run(replies: StubReplies, args: string[], options: Partial<CliOptions> = {}) {
  service = await startStub(replies, options.home);
  const result = await runCli(args, { home: service.home, ...options });
  const calls = service.calls.filter((call) => call.route !== "getInfo");
  return { ...result, calls: calls.map((call) => [call.route, call.input] as const) };
}

describe("the service", () => {
  it("S9 status", async () => {
    const { code, stdout } = await run({ getStatus: sampleStatus() }, ["status"]);
    expect(code).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "service     0.1.0, process 42, up for 1 d 1 h
      events      7 in 2 topics
      deliveries  3 pending, 1 processing, 0 dead
      agents      1 of 2 online
      workflows   1 of 1 active, 0 failed
      effects     0 waiting, 0 running, 0 of unknown end
      ingress     off
      connectors  github ready
      "
    `);
  });

  it("U21 status names the older names in use, with what to write instead", async () => {
    const aliases = [{ name: "SEKIA_WORKFLOWS_DIR", use: "SIGNALBOX_WORKFLOWS_DIR" }];
    const { stderr } = await run({ getStatus: sampleStatus({ aliases }) }, ["status"]);
    expect(stderr).toContain("SEKIA_WORKFLOWS_DIR is an older name: use SIGNALBOX_WORKFLOWS_DIR");
  });

  it("status and down do not start a service to ask", async () => {
    const home = newHome();
    service = await startStub({}, newHome());
    const env = { SIGNALBOX_NO_AUTOSTART: "" };
    const status = await runCli(["status"], { home, env });
    expect([status.code, status.stderr]).toEqual([1, expect.stringContaining("The service does not run.")]);
    expect((await runCli(["down", "--json"], { home, env })).stdout).toBe(
      '{"stopped":false,"running":false}\n',
    );
    expect(existsSync(join(home, "service.log"))).toBe(false);
  });

  it("config lists values with their origin", async () => {
    const getConfig = {
      files: ["/c.toml"],
      entries: [
        { key: "log.level", value: "debug", origin: "/c.toml:3", description: "" },
        { key: "log.keep", value: 3, origin: "default", description: "" },
        {
          key: "connectors.github.token",
          value: { env: "GITHUB_TOKEN" },
          origin: "default",
          description: "",
        },
      ],
    };
    const { stdout } = await run({ getConfig }, ["config"]);
    expect(stdout).toMatchInlineSnapshot(`
      "SETTING                  VALUE                   FROM
      log.level                debug                   /c.toml:3
      log.keep                 3                       default
      connectors.github.token  {"env":"GITHUB_TOKEN"}  default
      "
    `);
    await service.close();
    const changed = await run({ getConfig }, ["config", "log", "--changed", "--json"]);
    expect(JSON.parse(changed.stdout).entries.map((one: { key: string }) => one.key)).toEqual(["log.level"]);
  });

  it("doctor fails when a check does, and says what to do", async () => {
    const findings = [
      { check: "database", ok: true, message: "sound", hint: null },
      { check: "alias", ok: false, message: "SEKIA_X is set", hint: "Use SIGNALBOX_X." },
    ];
    const { code, stdout } = await run({ doctor: { findings } }, ["doctor"]);
    expect(code).toBe(1);
    expect(stdout).toContain("ok   database: sound\nbad  alias: SEKIA_X is set\n      Use SIGNALBOX_X.\n");
  });

  it("backup and cleanup", async () => {
    const backup = await run({ backup: { file: "/b.db", bytes: 2_048, events: 1 } }, ["backup", "copy.db"]);
    expect(backup.calls[0]?.[1]).toEqual({ file: join(service.home, "copy.db"), overwrite: false });
    expect(backup.stdout).toBe("/b.db  1 event, 2 KB\n");
    await service.close();
    const reply = { events: 2, raw: 0, runs: 1, effects: 0, dry_run: true };
    const cleanup = await run({ cleanup: reply }, ["cleanup", "--older-than", "7d", "--dry-run"]);
    expect(cleanup.calls[0]?.[1]).toEqual({ completed_older_than_ms: 604_800_000, dry_run: true });
    expect(cleanup.stdout).toBe("2 events, 0 original messages, 1 run, 0 effects would be removed\n");
  });

  it("the first run says what to do next", async () => {
    const home = newHome();
    service = await startStub({}, newHome());
    const first = await runCli([], { home });
    expect(first.code).toBe(0);
    expect(first.stdout).toContain('signalbox push inbox --body "hello"');
    writeFileSync(join(home, "signalbox.db"), "");
    expect((await runCli([], { home })).stdout).toContain("Usage: signalbox");
  });
});

describe("agents and effects", () => {
  it("S10 agents", async () => {
    const { stdout } = await run({ listAgents: { agents: [agent] } }, ["agents"]);
    expect(stdout).toMatchInlineSnapshot(`
      "AGENT         STATUS  VERSION  LAST BEAT  EVENTS  ERRORS  OPEN  COMMANDS
      github-agent  online  1.0.0    –          4       1       0     add_label
      "
    `);
  });

  it("agents send and remove", async () => {
    const args = [
      "agents",
      "send",
      "github-agent",
      "add_label",
      "--payload",
      '{"label":"bug"}',
      "--expires-in",
      "1h",
    ];
    const send = await run(
      { listAgents: { agents: [agent] }, sendCommand: sampleEffect({ state: "approved" }) },
      args,
    );
    expect([send.code, send.stderr]).toEqual([0, ""]);
    expect(send.calls[1]?.[1]).toEqual({
      agent: "github-agent",
      command: "add_label",
      payload: { label: "bug" },
      source: "cli",
      expires_in_ms: 3_600_000,
    });
    expect(send.stdout).toBe('eff_01  approved  Add label "bug" to acme/site#7\n');
    await service.close();
    const remove = await run({ removeAgent: { ok: true } }, ["agents", "remove", "a/b"]);
    expect(remove.calls).toEqual([["removeAgent", { agent: "a/b" }]]);
  });

  it("effects are listed, shown, retried and skipped", async () => {
    const list = await run({ listEffects: { effects: [sampleEffect()], next: null } }, [
      "effects",
      "--state",
      "failed",
    ]);
    expect(list.calls[0]?.[1]).toEqual({ state: "failed", limit: 50 });
    await service.close();
    const show = await run({ getEffect: sampleEffect() }, ["effects", "show", "eff_01"]);
    expect(show.stdout).toContain("workflow:labeller at labeller.lua:5");
    await service.close();
    const retry = await run({ retryEffect: sampleEffect() }, ["effects", "retry", "eff_01"]);
    expect(retry.calls).toEqual([["retryEffect", { effect_id: "eff_01" }]]);
    await service.close();
    const skip = await run({ skipEffect: sampleEffect() }, ["effects", "skip", "eff_01"]);
    expect(skip.calls).toEqual([["skipEffect", { effect_id: "eff_01" }]]);
  });

  it("connectors", async () => {
    const { stdout } = await run({ getStatus: sampleStatus() }, ["connectors", "--json"]);
    expect(JSON.parse(stdout).connectors[0]).toMatchObject({ id: "github", state: "ready" });
    await service.close();
    const status = { id: "github", title: "GitHub", state: "ready" as const, message: null };
    const reply = { ...status, last_event_ms: null, mend: null };
    const again = await run({ reconnectConnector: reply }, ["connectors", "reconnect", "github"]);
    expect([again.stdout, again.calls]).toEqual([
      "GitHub  ready\n",
      [["reconnectConnector", { connector: "github" }]],
    ]);
  });
});

describe("workflows", () => {
  const workflows = { workflows: [sampleWorkflow()] };

  it("S11 workflows is workflow list", async () => {
    const short = await run({ listWorkflows: workflows }, ["workflows"]);
    await service.close();
    const long = await run({ listWorkflows: workflows }, ["workflow", "list"]);
    expect(short.stdout).toBe(long.stdout);
    expect(long.stdout).toMatch(/labeller +active +3 +0 +0 +– +github\.issue\.\*/);
  });

  it("a workflow that does not load shows file and line", async () => {
    const problem = { message: "unexpected symbol", file: "labeller.lua", line: 7, traceback: null };
    const broken = { workflows: [sampleWorkflow({ state: "failed", problem })] };
    const { stdout } = await run({ listWorkflows: broken }, ["workflows"]);
    expect(stdout).toContain("labeller.lua:7: unexpected symbol");
  });

  it("workflow test sends the file's text and the event, and prints what would happen", async () => {
    const home = newHome();
    writeFileSync(join(home, "w.lua"), "-- text");
    writeFileSync(join(home, "event.json"), '{"type":"github.issue.opened"}');
    const { status: _, ...event } = sampleEvent();
    const tested = {
      event,
      runs: [
        {
          handler: sampleWorkflow().handlers[0]!,
          status: "succeeded",
          waiting_for: null,
          output: null,
          error: null,
          logs: [],
          effects: [
            {
              kind: "command",
              summary: 'Add label "bug"',
              target: "github-agent",
              payload: {},
              line: "w.lua:4",
            },
            {
              kind: "publish",
              summary: "Publish a on b",
              target: "b",
              payload: {},
              topic: "ops",
              body: "all well",
              line: "w.lua:5",
            },
          ],
        },
      ],
    } as const;
    const { code, stdout, stderr, calls } = await run(
      {
        listAgents: { agents: [] },
        testWorkflow: {
          event: tested.event,
          runs: [{ ...tested.runs[0], logs: [], effects: [...tested.runs[0].effects] }],
        },
      },
      [..."workflow test w.lua --event event.json --result [1] --fail no --result 2".split(" ")],
      { home },
    );
    expect(calls[0]?.[1]).toEqual({
      source: "-- text",
      file: "w.lua",
      event: { type: "github.issue.opened" },
      results: [],
      answers: [{ result: [1] }, { error: "no" }, { result: 2 }],
    });
    expect(code).toBe(0);
    expect(stdout).toContain('would Add label "bug"  (w.lua:4)');
    expect(stdout).toMatch(/ {4}topic {2}ops\n {4}body {3}all well\n/);
    expect(stderr).toBe("No agent github-agent has registered here; a command to it waits for one.\n");
    await runCli(["workflow", "test", "labeller", "--event", "evt_9"], { home });
    expect(service.calls.findLast(({ route }) => route === "testWorkflow")?.input).toMatchObject({
      workflow: "labeller",
      event_id: "evt_9",
    });
    const missing = await runCli(["workflow", "test", "w.lua", "--event", "nope.json"], { home });
    expect([missing.code, missing.stderr]).toEqual([
      2,
      expect.stringContaining("There is no file nope.json."),
    ]);
  });

  it("workflow new writes a file that begins to work, and never over another one", async () => {
    const home = newHome();
    const getConfig = {
      files: [],
      entries: [{ key: "workflows.dir", value: join(home, "flows"), origin: "flag", description: "" }],
    };
    const { code, stdout } = await run({ getConfig }, ["workflow", "new", "hello"], { home });
    const file = join(home, "flows/hello.lua");
    expect([code, stdout]).toEqual([0, `${file}\n`]);
    expect(readFileSync(file, "utf8")).toContain('signalbox.on("topics.hello"');
    const again = await runCli(["workflow", "new", "hello"], { home });
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("is there already")]);
    expect((await runCli(["workflow", "new", "../evil"], { home })).code).toBe(2);
  });

  it("workflow check tells of each file and fails when one does not load", async () => {
    const home = newHome();
    mkdirSync(join(home, "flows"));
    writeFileSync(join(home, "flows/a.lua"), "a");
    writeFileSync(join(home, "flows/b.lua"), "b");
    const entry = { key: "workflows.dir", value: join(home, "flows"), origin: "default", description: "" };
    const error = { message: "b.lua:1: oops", file: "b.lua", line: 1, traceback: null };
    const { code, stdout } = await run(
      {
        getConfig: { files: [], entries: [entry] },
        checkWorkflow: ({ source }) =>
          source === "a" ? { ok: true, handlers: [], error: null } : { ok: false, handlers: [], error },
      },
      ["workflow", "check"],
      { home },
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/ok {2}.*a\.lua {2}0 handlers\nbad {2}.*b\.lua {2}0 handlers\nb\.lua:1: oops\n/);
  });

  it("P9 starts a named workflow with arguments and prints what it gave back", async () => {
    const { stdout, calls } = await run(
      {
        getWorkflow: sampleWorkflow({
          handlers: [{ id: 1, kind: "event", pattern: "report.wanted", every_ms: null, line: 1 }],
        }),
        pushEvent: pushed,
        getRun: sampleRun(),
        listRuns: { runs: [sampleRun({ output: { pages: 3 } })], next: null },
      },
      ["workflow", "run", "labeller", "--payload", '{"week":7}'],
    );
    expect(calls[1]?.[1]).toMatchObject({ type: "report.wanted", payload: { week: 7 } });
    expect(JSON.parse(stdout)).toEqual({
      event_id: "evt_01",
      run_id: "run_01",
      status: "succeeded",
      output: { pages: 3 },
    });
  });

  it("P9 run status, result and log tail", async () => {
    const show = await run({ getRun: sampleRun({ output: 7 }) }, ["runs", "show", "run_01", "--json"]);
    expect(JSON.parse(show.stdout)).toMatchObject({ status: "succeeded", output: 7 });
    await service.close();
    const line = { time_ms: 0, level: "info", message: "hi", line: 3 } as const;
    const ended = new AbortController();
    const follow = await run(
      {
        workflowLogs: { lines: [{ ...line, run_id: null, event_id: null }] },
        streamLogs: [
          { ...line, level: "debug" },
          { ...line, message: "later" },
        ],
      },
      ["workflow", "logs", "labeller", "-f", "--level", "info"],
      { signal: ended.signal, onOutput: (text) => text.includes("later") && ended.abort() },
    );
    expect(follow.stdout.match(/info {2}:3 (hi|later)/g)).toEqual(["info  :3 hi", "info  :3 later"]);
  });

  it("enable, disable, reload, retry and cancel", async () => {
    const home = newHome();
    service = await startStub(
      {
        enableWorkflow: { workflow: sampleWorkflow() },
        disableWorkflow: { workflow: sampleWorkflow({ state: "disabled" }) },
        reloadWorkflows: { status: "reloaded", workflows: 2, failed: 1 },
        retryRun: sampleRun({ status: "queued" }),
        cancelRun: sampleRun({ status: "cancelled" }),
      },
      home,
    );
    expect((await runCli(["workflow", "enable", "labeller"], { home })).stdout).toBe("labeller is active\n");
    expect((await runCli(["workflow", "disable", "labeller"], { home })).stdout).toBe(
      "labeller is disabled\n",
    );
    expect(await runCli(["workflow", "reload"], { home })).toMatchObject({
      code: 1,
      stdout: "2 workflows loaded, 1 failed\n",
    });
    // The word that sekiactl has for it.
    expect((await runCli(["workflows", "reload"], { home })).stdout).toBe("2 workflows loaded, 1 failed\n");
    expect((await runCli(["runs", "retry", "run_01"], { home })).stdout).toContain("queued");
    expect((await runCli(["runs", "cancel", "run_01"], { home })).stdout).toContain("cancelled");
  });
});

describe("ask", () => {
  it("P7 records the message as an event and prints JSON", async () => {
    const { stdout, calls } = await run({ pushEvent: pushed, getRun: sampleRun() }, [
      "ask",
      "how",
      "are",
      "you",
    ]);
    expect(calls[0]?.[1]).toMatchObject({ type: "message.received", body: "how are you", source: "cli" });
    expect(JSON.parse(stdout)).toMatchObject({ event_id: "evt_01" });
  });

  it("P8 ask --json has run_id, status, and output when succeeded", async () => {
    const looks = [
      sampleRun({ status: "queued" }),
      sampleRun({ status: "waiting" }),
      sampleRun({ output: "pong" }),
    ];
    const { code, stdout } = await run({ pushEvent: pushed, getRun: () => looks.shift()! }, [
      "ask",
      "ping",
      "--json",
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      event_id: "evt_01",
      run_id: "run_01",
      status: "succeeded",
      output: "pong",
    });
  });

  it("P8 says running when it need not wait, failed with the reason and exit code 1", async () => {
    const running = await run({ pushEvent: pushed, getRun: sampleRun({ status: "running" }) }, [
      "ask",
      "x",
      "--no-wait",
    ]);
    expect([running.code, JSON.parse(running.stdout).status]).toEqual([0, "running"]);
    await service.close();
    const error = { message: "w.lua:3: boom", file: "w.lua", line: 3, traceback: null };
    const failed = await run({ pushEvent: pushed, getRun: sampleRun({ status: "failed", error }) }, [
      "ask",
      "x",
    ]);
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.stdout)).toMatchObject({ status: "failed", error: "w.lua:3: boom" });
  });
});

describe("events", () => {
  it("watch follows the stream with filters, one JSON document a line", async () => {
    const { calls, stdout } = await run(
      { streamEvents: [sampleEvent({ seq: 4 }), sampleEvent({ seq: 5 })] },
      [..."watch --subject topics.> --type a.b --after 3 --limit 2 --json".split(" ")],
    );
    expect(calls[0]?.[1]).toEqual({ subject: "topics.>", type: "a.b", after: 3 });
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).seq),
    ).toEqual([4, 5]);
  });

  it("events show tells all that came of an event", async () => {
    const { status: _, ...event } = sampleEvent({ meta: { tool: "bash" } });
    const getEvent = {
      event,
      raw: null,
      deliveries: [],
      receipts: [
        {
          ...{
            kind: "acted" as const,
            attempt: 1,
            agent: "opencode:shop",
            session: "ses_1",
            detail: "reply",
          },
          time_ms: 1,
        },
      ],
      causes: [],
      caused: [event],
      runs: [sampleRun()],
      effects: [sampleEffect({ state: "failed", error: "no such label" })],
    };
    const { stdout } = await run({ getEvent }, ["events", "show", "evt_01"]);
    for (const part of [
      "acted by opencode:shop in ses_1: reply",
      "Runs",
      "run_01",
      "Effects",
      "no such label",
      "Caused",
      '{"tool":"bash"}',
    ]) {
      expect(stdout).toContain(part);
    }
  });

  it("what was exported can be imported, and its ids make a second import harmless", async () => {
    const { status: _, ...event } = sampleEvent({ id: "evt_old", parent_id: "evt_older", depth: 3 });
    const other = { ...event, id: "evt_gh", source: "github", external_id: "delivery-1" };
    const results = [pushed, { ...pushed, duplicate: true }];
    const home = newHome();
    service = await startStub({ exportEvents: [event, other], pushEvents: { results } }, home);
    const out = await runCli(["events", "export", "all.ndjson", "--topic", "inbox"], { home });
    expect(out.stdout).toBe("2 events written to all.ndjson\n");
    expect((await runCli(["events", "export", "all.ndjson"], { home })).code).toBe(2);
    const back = await runCli(["events", "import", "all.ndjson"], { home });
    expect([back.code, back.stdout]).toEqual([0, "1 event, 1 there already\n"]);
    const sent = service.calls.at(-1)?.input.events as Record<string, unknown>[];
    expect(sent.map((one) => one.external_id)).toEqual(["evt_old", "delivery-1"]);
    expect(sent.map((one) => one.history)).toEqual([true, true]);
    await runCli(["events", "import", "all.ndjson", "--run"], { home });
    const heard = service.calls.at(-1)?.input.events as Record<string, unknown>[];
    expect(heard.map((one) => one.history)).toEqual([undefined, undefined]);
    expect(Object.keys(sent[0] ?? {}).sort()).toEqual(
      "body external_id history meta origin_kind parent_id payload schema_version source subject time_ms topic type".split(
        " ",
      ),
    );
  });
});

describe("errors and exit codes", () => {
  const failing = {
    getTopic: () => {
      throw new SignalboxError("not_found", "there is no topic x", { hint: "Look again." });
    },
  };

  it("U13 prints message, then hint, and ends with 1", async () => {
    const { code, stdout, stderr } = await run(failing, ["topics", "show", "x"]);
    expect([code, stdout, stderr]).toEqual([1, "", "there is no topic x\nLook again.\n"]);
  });

  it("U27 with --json an error is a JSON document of its own, apart from the data", async () => {
    const { code, stdout, stderr } = await run(failing, ["topics", "show", "x", "--json"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(JSON.parse(stderr)).toEqual({
      error: { code: "not_found", message: "there is no topic x", hint: "Look again." },
    });
    await service.close();
    const usage = await run({}, ["topics", "shwo", "--json"]);
    expect(usage.code).toBe(2);
    expect(JSON.parse(usage.stderr).error.code).toBe("wrong_usage");
  });

  it("U27 wrong usage ends with 2 and names what was probably meant", async () => {
    const { code, stderr } = await run({}, ["psuh"]);
    expect(code).toBe(2);
    expect(stderr).toContain("push");
    await service.close();
    expect((await run({}, ["--help"])).code).toBe(0);
  });

  it("U31 says that the service does not run where nobody listens", async () => {
    service = await startStub();
    const { code, stderr } = await runCli(["query", "--json"], { home: newHome() });
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error.code).toBe("service_unreachable");
  });

  it("a service of another protocol is not spoken to", async () => {
    const replies: StubReplies = { findEvents: { events: [], next: null } };
    service = await startStub(replies);
    const info = service.replies.getInfo as { protocol: number };
    service.replies.getInfo = { ...(info as never as object), protocol: 99 } as never;
    const { code, stderr } = await runCli(["query", "--json"], { home: service.home });
    expect([code, JSON.parse(stderr).error.code]).toEqual([1, "protocol_mismatch"]);
    expect(service.calls.map((call) => call.route)).toEqual(["getInfo"]);
  });
});

describe("what is printed", () => {
  const hostile = "a\u001b]0;owned\u0007\u001b[31mred\u009b2J\u202egnp.exe\r\nsecond";

  it("control characters of events never reach the terminal, in no view", async () => {
    const event = sampleEvent({ body: hostile, type: "t", source: "s\u001b[2J" });
    const { status: _, ...plain } = event;
    const receipt = {
      kind: "seen",
      attempt: 1,
      agent: hostile,
      session: hostile,
      detail: hostile,
      time_ms: 1,
    };
    const shown = {
      ...{ event: plain, raw: null, deliveries: [], causes: [], caused: [], runs: [], effects: [] },
      receipts: [receipt as Receipt],
    };
    const home = newHome();
    service = await startStub(
      { findEvents: { events: [event], next: null }, getEvent: shown, streamEvents: [plain] },
      home,
    );
    const views = [
      ["query"],
      ["query", "--json"],
      ["events", "show", "x"],
      ["watch", "-n", "1"],
      ["watch", "-n", "1", "--json"],
    ];
    for (const args of views) {
      const { stdout } = await runCli(args, { home, columns: 500 });
      expect(stdout).toContain("red");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
      expect(stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
    const { stdout } = await runCli(["query", "--json"], { home });
    expect(JSON.parse(stdout).events[0].body).toBe(hostile);
  });

  it("tables fit the terminal and are whole where nobody looks", async () => {
    const event = sampleEvent({ body: "wide 漢字 👩‍👩‍👧 ".repeat(30), type: "github.issue_comment.created" });
    const home = newHome();
    service = await startStub({ findEvents: { events: [event], next: null } }, home);
    const { widthOf } = await import("./width.ts");
    for (const columns of [120, 100]) {
      const { stdout } = await runCli(["query"], { home, columns });
      for (const line of stdout.trimEnd().split("\n")) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      expect(stdout).toContain("…");
    }
    expect((await runCli(["query"], { home })).stdout).not.toContain("…");
  });
});
