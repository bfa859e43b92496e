import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAgent } from "../../service/agents/sdk.ts";
import { http, open, tokenOf } from "../harness/http.ts";
import { collectingLog } from "../harness/log.ts";
import {
  eventually,
  startTestService,
  startTestServiceProcess,
  type TestServiceProcess,
} from "../harness/service.ts";
import { eventOf, eventsOf, nextCommand, pushAndRun, serviceWith, succeed } from "../harness/workflows.ts";

type Options = Parameters<typeof startTestServiceProcess>[0];

async function startProcess(options: Options = {}): Promise<TestServiceProcess> {
  const service = await startTestServiceProcess(options);
  onTestFinished(() => service.close());
  return service;
}

/** One more service process in the same folder. */
function startAnother(home: string): ChildProcess {
  const entry = resolve(import.meta.dirname, "../../service/main.ts");
  const child = spawn(process.execPath, [entry], {
    cwd: home,
    env: { SIGNALBOX_HOME: home, HOME: home, PATH: process.env.PATH ?? "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const mode = (file: string) => statSync(file).mode & 0o777;

describe("the whole service", () => {
  it("S42 an agent registers and beats, the API shows it, and an event becomes its command", async () => {
    const service = await startProcess({
      workflows: {
        "labeller.lua": `sekia.on("sekia.events.github", function(event)
  if event.type ~= "github.issue.opened" then return end
  sekia.command("github-agent", "add_label", { number = event.payload.number, label = "bug" })
end)`,
      },
    });
    const { client, home, paths } = service;
    const carriedOut: unknown[] = [];
    const agent = await createAgent({
      name: "github-agent",
      version: "0.2.2",
      capabilities: ["github"],
      commands: {
        add_label: (payload) => {
          carriedOut.push(payload);
          return { ok: true };
        },
      },
      home,
      env: {},
      start: false,
    });
    onTestFinished(() => agent.close());
    const status = await http(paths, "GET", "/api/v1/status");
    expect(status.body).toMatchObject({ status: "ok", agent_count: 1, workflow_count: 1 });
    const { run_id, event_id } = await agent.publish({
      type: "github.issue.opened",
      subject: "sekia.events.github",
      payload: { number: 42 },
    });
    const done = await eventOf(client, "signalbox.effect.succeeded");
    expect(carriedOut).toEqual([{ number: 42, label: "bug" }]);
    expect(done).toMatchObject({
      payload: { workflow: "labeller", result: { ok: true } },
      correlation_id: event_id,
    });
    expect((await client.getRun({ run_id })).status).toBe("succeeded");
    const { body } = await http(paths, "GET", "/api/v1/agents");
    expect(body).toMatchObject([
      {
        name: "github-agent",
        version: "0.2.2",
        status: "running",
        capabilities: ["github"],
        commands: ["add_label"],
        last_heartbeat: expect.stringMatching(/^20/),
      },
    ]);
    const workflows = await http(paths, "GET", "/api/v1/workflows");
    expect(workflows.body).toMatchObject([{ name: "labeller", events: 1, errors: 0 }]);
  });

  it("S3 S4 parts open in order, listeners last, and close in reverse", async () => {
    const lines: string[] = [];
    const service = await startTestService({
      log: collectingLog(lines),
      set: ["ingress.enabled=true", "ingress.port=0"],
    });
    await service.close();
    const parts = lines.map((line) => JSON.parse(line)).filter((line) => line.part !== undefined);
    const order = (msg: string) => parts.filter((line) => line.msg === msg).map((line) => line.part);
    const core = [
      "store",
      "bus",
      "agents",
      "lua",
      "effects",
      "workflows",
      "connectors",
      "ingress",
      "control",
    ];
    expect(order("opened").filter((part) => core.includes(part))).toEqual(core);
    expect(order("closed")).toEqual(order("opened").reverse());
  });

  it("S3 a start that fails leaves nothing open and nothing behind", async () => {
    const first = await startTestService();
    const { home, paths } = first;
    await first.client.pushEvent({ body: "1" });
    await first.app.close();
    // Somebody's file where the socket should be.
    writeFileSync(paths.socket, "not a socket");
    await expect(startTestService({ home })).rejects.toMatchObject({ code: "invalid_config" });
    expect(existsSync(paths.tokenFile)).toBe(false);
    expect(readFileSync(paths.socket, "utf8")).toBe("not a socket");
    const other = await startTestService({ home, set: [`service.socket=${home}/other.sock`] });
    expect((await other.client.findEvents({})).events).toHaveLength(1);
    await other.close();
    await first.close();
  });
});

describe("P4 P5 an event's run", () => {
  it("P4 P5 POST /v1/events answers its id once all is durable, and GET /v1/runs its status and output", async () => {
    const service = await startProcess({
      workflows: {
        "answer.lua": `sekia.on("question.asked", function(event) return "you said " .. event.body end)
sekia.on("question.bad", function() error("no answer") end)
sekia.on("question.slow", function() return signalbox.call("oracle", "ask") end)`,
      },
    });
    const { client, paths } = service;
    const ask = async (type: string) => {
      const { status, body } = await http(paths, "POST", "/v1/events", { body: { type, text: "ping" } });
      expect(status).toBe(201);
      return (body as { run_id: string }).run_id;
    };
    const ended = (run_id: string) =>
      eventually(
        () => client.getRun({ run_id }),
        ({ status }) => !["queued", "running"].includes(status),
      );
    const asked = await ask("question.asked");
    await service.kill9();
    await service.start();
    expect(await ended(asked)).toMatchObject({ run_id: asked, status: "succeeded", output: "you said ping" });
    expect(await ended(await ask("question.bad"))).toMatchObject({
      status: "failed",
      output: null,
      error: { message: expect.stringContaining("no answer"), line: 2 },
    });
    expect(await ended(await ask("question.other"))).toMatchObject({ status: "skipped", output: null });
    const slow = await ask("question.slow");
    expect(await ended(slow)).toMatchObject({ status: "waiting", waiting_for: "result of oracle.ask" });
    await succeed(client, await nextCommand(client, "oracle"), "42");
    await eventually(
      () => client.getRun({ run_id: slow }),
      ({ status, output }) => status === "succeeded" && output === "42",
    );
  });
});

describe("its files", () => {
  it("U12 only the owner can reach the socket and read token, database and log", async () => {
    const { paths, home } = await startProcess();
    expect(mode(home)).toBe(0o700);
    for (const file of [
      paths.socket,
      paths.tokenFile,
      paths.addressFile,
      paths.databaseFile,
      paths.logFile,
      paths.lockFile,
    ])
      expect([file, mode(file)]).toEqual([file, 0o600]);
    expect(statSync(paths.socket).isSocket()).toBe(true);
  });

  it("S14 U12 socket and token are where the settings say, and gone after a stop", async () => {
    const plain = await startTestService();
    expect(plain.paths.socket).toBe(join(plain.home, "signalbox.sock"));
    await plain.app.close();
    for (const file of [plain.paths.socket, plain.paths.tokenFile, plain.paths.addressFile])
      expect([file, existsSync(file)]).toEqual([file, false]);
    await plain.close();
  });

  it("U12 the token is new with each start, and the one before worth nothing", async () => {
    const service = await startTestService();
    const before = tokenOf(service.paths);
    expect(before).toMatch(/^[\w-]{43}$/);
    await service.restart();
    expect(tokenOf(service.paths)).not.toBe(before);
    expect((await http(service.paths, "GET", "/v1/info", { token: before })).status).toBe(401);
    expect((await http(service.paths, "GET", "/v1/info")).status).toBe(200);
    await service.close();
  });
});

describe("one service at a time", () => {
  it("a second one gives way with exit code 75 and says why", async () => {
    const service = await startProcess();
    const second = startAnother(service.home);
    let said = "";
    second.stderr?.on("data", (piece) => {
      said += piece.toString();
    });
    expect(await exitOf(second)).toBe(75);
    expect(said).toContain("another service of this user is running");
    expect((await service.client.getInfo()).pid).toBe(service.pid);
  });

  it("eight that start at once end up as one", async () => {
    const place = await startTestService();
    await place.app.close();
    const children = Array.from({ length: 8 }, () => startAnother(place.home));
    const codes: (number | null)[] = [];
    for (const child of children) void exitOf(child).then((code) => codes.push(code));
    await eventually(() => codes.length === 7, Boolean, 50_000);
    expect(codes).toEqual(Array(7).fill(75));
    const running = children.find((child) => child.exitCode === null);
    const info = await eventually(() => place.client.getInfo().catch(() => null));
    expect(info?.pid).toBe(running?.pid);
    await place.client.shutdown();
    expect(await exitOf(running as ChildProcess)).toBe(0);
    await place.close();
  });

  it("a socket left behind by kill -9 is replaced", async () => {
    const service = await startProcess();
    await service.client.pushEvent({ body: "1" });
    await service.kill9();
    expect(existsSync(service.paths.socket)).toBe(true);
    await service.start();
    expect((await service.client.findEvents({})).events).toHaveLength(1);
  });
});

describe("a stop", () => {
  const endless = {
    workflows: { "endless.lua": `sekia.on("work.asked", function() while true do end end)` },
    set: ["workflows.handler_timeout_ms=600000", "service.drain_ms=500"],
  };

  it("S4 POST /v1/shutdown answers, and the service is gone with exit code 0", async () => {
    const service = await startProcess();
    const stream = await open(service.paths, "GET", "/v1/events/stream");
    stream.resume();
    const streamEnded = once(stream, "close");
    const begun = performance.now();
    expect(await service.client.shutdown()).toEqual({ ok: true });
    await eventually(() => !isAlive(service.pid));
    await streamEnded;
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(service.exitCode()).toBe(0);
    expect(readFileSync(service.paths.logFile, "utf8")).toContain('"msg":"stopped"');
  });

  it("S4 waits for handlers no longer than it may, and their events come again", async () => {
    const service = await startProcess(endless);
    const { run_id } = await service.client.pushEvent({ type: "work.asked" });
    await eventually(async () => (await service.client.getRun({ run_id })).status !== "skipped");
    const begun = performance.now();
    await service.client.shutdown();
    await eventually(() => !isAlive(service.pid));
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(service.exitCode()).toBe(0);
    writeFileSync(
      join(service.paths.workflowsDir, "endless.lua"),
      `sekia.on("work.asked", function() return "done" end)`,
    );
    await service.start();
    const run = await eventually(
      () => service.client.getRun({ run_id }),
      ({ status }) => status === "succeeded",
    );
    expect(run.output).toBe("done");
  });

  it("S4 a handler under way that ends in time is finished and recorded once", async () => {
    const service = await serviceWith({
      slow: `sekia.on("work.asked", function()
  local x = 0
  for i = 1, 3000000 do x = x + i % 7 end
  sekia.publish("work.done", "work.done")
  return "done"
end)`,
    });
    const { run_id } = await service.client.pushEvent({ type: "work.asked" });
    await service.restart();
    expect(await service.client.getRun({ run_id })).toMatchObject({ status: "succeeded", attempts: 1 });
    expect(await eventsOf(service.client, { type: "work.done" })).toHaveLength(1);
  });

  it("a second signal ends it at once", async () => {
    const service = await startProcess({
      ...endless,
      set: ["workflows.handler_timeout_ms=600000", "service.drain_ms=60000"],
    });
    await service.client.pushEvent({ type: "work.asked" });
    await eventually(async () => (await service.client.getWorkflow({ workflow: "endless" })).lag > 0);
    process.kill(service.pid, "SIGTERM");
    await eventually(() => readFileSync(service.paths.logFile, "utf8").includes('"msg":"stopping"'));
    expect(isAlive(service.pid)).toBe(true);
    process.kill(service.pid, "SIGINT");
    await eventually(() => !isAlive(service.pid));
    expect(service.exitCode()).toBe(1);
  });

  it("a connection that says nothing does not hold it up", async () => {
    const service = await startTestService({ set: ["service.drain_ms=300"] });
    const silent = createConnection(service.paths.socket);
    await once(silent, "connect");
    silent.write("GET /v1/info HTTP/1.1\r\nhost: signal");
    const closed = once(silent, "close");
    silent.resume();
    const begun = performance.now();
    await service.close();
    await closed;
    expect(performance.now() - begun).toBeLessThan(4_000);
  });
});

describe("its log", () => {
  const secrets = {
    SIGNALBOX_TEST_TOKEN: "planted-github-token",
    GITHUB_TOKEN: "planted-github-token",
    GITHUB_WEBHOOK_SECRET: "planted-webhook-secret",
    SIGNALBOX_CONNECTORS_GITHUB_TOKEN: "planted-setting-token",
  };

  it("holds no secret and no token, whatever is asked and whatever fails", async () => {
    const service = await startProcess({
      env: secrets,
      set: ["log.level=debug", "connectors.github.api_url=http://127.0.0.1:9"],
      workflows: { "bad.lua": `sekia.on("work.asked", function(event) error(event.type) end)` },
    });
    const { client, paths } = service;
    const token = tokenOf(paths);
    await http(paths, "GET", "/v1/none", {
      headers: { "x-secret": "planted-header", cookie: "planted-cookie" },
    });
    await http(paths, "GET", "/v1/info?token=planted-query", { token: "planted-wrong-token" });
    await http(paths, "POST", "/v1/events", { body: `{"type":"planted-body` });
    await http(paths, "POST", "/v1/events", { body: { authorization: "planted-field" } });
    await client.getConfig();
    await client.doctor();
    await pushAndRun(client, { type: "work.asked" });
    await eventOf(client, "signalbox.run.failed");
    const config = JSON.stringify(await client.getConfig());
    await client.shutdown();
    await eventually(() => !isAlive(service.pid));
    const all = `${readFileSync(paths.logFile, "utf8")}${service.output()}${config}`;
    expect(all).toContain("run failed");
    for (const word of [
      ...Object.values(secrets),
      token,
      "planted-header",
      "planted-cookie",
      "planted-query",
    ])
      expect(all).not.toContain(word);
    for (const word of ["planted-wrong-token", "planted-body", "planted-field"])
      expect(all).not.toContain(word);
  });

  it("P22 names run, workflow and conversation on the lines of a run", async () => {
    const lines: string[] = [];
    const service = await serviceWith(
      {
        bad: `sekia.on("work.asked", function() sekia.log("warn", "about to fail") error("no") end)`,
      },
      { log: collectingLog(lines, "info") },
    );
    const { event_id } = await pushAndRun(service.client, { type: "work.asked", conversation_key: "chat:1" });
    const [run] = (await service.client.listRuns({ event_id: event_id ?? "" })).runs;
    const of = (msg: string) => JSON.parse(lines.find((line) => line.includes(msg)) ?? "{}");
    const known = { run_id: run?.run_id, workflow_name: "bad", event_id, conversation_key: "chat:1" };
    expect(of("about to fail")).toMatchObject({ ...known, line: 1 });
    expect(of("run failed")).toMatchObject({ ...known, error: expect.stringContaining("no") });
  });
});

describe("a service that is started", () => {
  it("tells what is wrong with its folder before it opens anything", async () => {
    const home = join((await startTestService()).home, "open");
    mkdirSync(home, { mode: 0o755 });
    const child = startAnother(home);
    let said = "";
    child.stderr?.on("data", (piece) => {
      said += piece.toString();
    });
    expect(await exitOf(child)).toBe(1);
    expect(said).toContain("is not a folder that only you can enter");
    expect(existsSync(join(home, "signalbox.db"))).toBe(false);
  });
});
