import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

let installed: string;
let home: string;
beforeAll(() => {
  installed = mkdtempSync(join(tmpdir(), "signalbox-installed-"));
  const args = [
    "scripts/build.ts",
    "--quiet",
    "--out",
    join(installed, "dist"),
    "cli",
    "service",
    "lua-worker",
  ];
  const built = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  expect(built.stderr).toBe("");
  cpSync(join(root, "bin"), join(installed, "bin"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"));
});
afterAll(() => rmSync(installed, { recursive: true, force: true }));
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "signalbox-home-"));
});
afterEach(() => {
  cli("down");
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});

const environment = (extra: Record<string, string> = {}) => ({
  PATH: process.env.PATH,
  HOME: home,
  SIGNALBOX_HOME: home,
  XDG_CACHE_HOME: installed,
  ...extra,
});
const command = (name: string) => join(installed, "bin", `${name}.cjs`);

function cliWith(
  options: { name?: string; env?: Record<string, string>; input?: string },
  ...args: string[]
) {
  const result = spawnSync(process.execPath, [command(options.name ?? "signalbox"), ...args], {
    encoding: "utf8",
    cwd: home,
    env: environment(options.env),
    input: options.input ?? "",
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}
const cli = (...args: string[]) => cliWith({}, ...args);
function json(...args: string[]) {
  const { code, stdout, stderr } = cli(...args, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

describe("the command line and the service, as a user has them", () => {
  it("M3 M4 M8 M16 U31 push, claim, reply through oc-events, with nothing started before", () => {
    const makiso = (...args: string[]) =>
      cliWith({ name: "oc-events", env: { OC_AGENT_ID: "@ci" } }, ...args);
    const id = makiso("push", "review", "--body", "look at @bob", "--meta", '{"pr":7}').stdout.trim();
    expect(id).toMatch(/^evt_/);
    makiso("topics", "set-prompt", "review", "Be kind.");
    const pulled = makiso("pull", "review", "--claim", "--agent", "@reviewer");
    for (const part of ["Be kind.", "look at @bob", '{"pr":7}', id]) expect(pulled.stdout).toContain(part);
    expect(makiso("pull", "review", "--claim", "--json").stdout).toBe('{"claimed":[]}\n');
    const reply = cliWith({ name: "oc-events" }, "reply", id, "--status", "success", "--body", "done");
    expect([reply.code, reply.stderr]).toEqual([0, ""]);
    const shown = json("events", "show", id);
    expect(shown.deliveries[0].status).toBe("completed");
    expect(shown.caused[0]).toMatchObject({ body: "done", correlation_id: shown.event.correlation_id ?? id });
  });

  it("M5 M6 M7 M22 finds by mention, tool call and text, and keeps a delayed one back", () => {
    json("push", "t", "--body", "ask @bob about bash(ls)", "--mention", "@carol");
    json("push", "t", "--body", "later", "--delay", "1h");
    const bodies = (...args: string[]) => json(...args).events.map((event: { body: string }) => event.body);
    expect(bodies("query", "--mention", "@bob")).toEqual(["ask @bob about bash(ls)"]);
    expect(bodies("query", "--mention", "carol")).toHaveLength(1);
    expect(bodies("query", "--tool-call", "bash")).toHaveLength(1);
    expect(bodies("search", "about")).toHaveLength(1);
    for (const nasty of ['"', "*", "NEAR(", "a AND", "@bob", "'"]) expect(cli("search", nasty).code).toBe(0);
    expect(json("pull", "t", "--claim", "--agent", "@a", "--limit", "5").claimed).toHaveLength(1);
    expect(json("topics", "show", "t").counts).toMatchObject({ delayed: 1, processing: 1 });
  });

  it("U31 eight commands at once start one service", async () => {
    const args = (index: number) => [command("signalbox"), "push", "t", "--body", `${index}`, "--json"];
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        run(process.execPath, args(index), { env: environment(), cwd: home }),
      ),
    );
    expect(new Set(results.map((result) => JSON.parse(result.stdout).event_id)).size).toBe(8);
    expect(json("status")).toMatchObject({ events: 8 });
    const starts = readFileSync(join(home, "service.log"), "utf8").match(/signalbox is ready/g);
    expect(starts).toHaveLength(1);
  });

  it("S9 S10 S11 status, agents and workflows", () => {
    json("push", "t", "--body", "x");
    expect(json("status")).toMatchObject({ events: 1, topics: 1 });
    expect(json("agents")).toHaveProperty("agents");
    expect(json("workflows")).toEqual({ workflows: [] });
  });

  it("P7 P8 ask runs the workflow that listens and prints what it returns", async () => {
    mkdirSync(join(home, "workflows"));
    writeFileSync(
      join(home, "workflows/pong.lua"),
      'signalbox.on("message.received", function(event) return { pong = event.body } end)',
    );
    const answer = json("ask", "ping");
    expect(answer).toMatchObject({ status: "succeeded", output: { pong: "ping" } });
    expect(json("runs", "show", answer.run_id)).toMatchObject({ status: "succeeded" });
    expect(json("workflow", "test", "pong", "--event", answer.event_id).runs[0].output).toEqual({
      pong: "ping",
    });
  });

  it("the workflow that workflow new writes loads and runs", async () => {
    const { file } = json("workflow", "new", "hello");
    expect(json("workflow", "check", file).results[0]).toMatchObject({ ok: true });
    expect(json("workflow", "reload")).toMatchObject({ workflows: 1, failed: 0 });
    expect(json("ask", "x", "--type", "topics.hello")).toMatchObject({ output: { greeting: "hello" } });
  });

  it("every template of workflow new loads, and handles the event it is made for", () => {
    const issue = { owner: "acme", repo: "site", number: 7, title: "A bug" };
    const events: Record<string, object> = { github: { type: "github.issue.opened", payload: issue } };
    const { templates } = json("workflow", "new", "--list-templates");
    expect(templates.length).toBeGreaterThan(5);
    for (const { name } of templates) {
      const { file } = json("workflow", "new", name, "--template", name);
      expect(json("workflow", "check", file).results, name).toMatchObject([{ ok: true }]);
      if (name === "schedule") continue;
      const event = join(home, "event.json");
      writeFileSync(event, JSON.stringify(events[name] ?? { topic: name, body: "hello" }));
      const answer = { ask: '"now"', http: '{"status":200}' }[name as string] ?? "{}";
      const { runs } = json("workflow", "test", file, "--event", event, "--result", answer);
      expect(runs, name).toMatchObject([{ status: "succeeded", error: null }]);
    }
    expect(json("workflow", "reload")).toMatchObject({ workflows: templates.length, failed: 0 });
  });

  it("workflow new begins with an event, which the workflow then handles", () => {
    const { event_id } = json("push", "jobs", "--payload", '{"who":{"name":"Ada"},"n":1}');
    const { file } = json("workflow", "new", "jobs", "--event", event_id);
    const text = readFileSync(file, "utf8");
    for (const part of ['signalbox.on("topics.jobs"', '~= "message.pushed"', "event.payload.who.name"])
      expect(text).toContain(part);
    expect(json("workflow", "test", file, "--event", event_id).runs).toMatchObject([{ status: "succeeded" }]);
    expect(cli("workflow", "new", "other", "--event", event_id, "--template", "ask").code).toBe(2);
    expect(cli("workflow", "new", "other", "--template", "nope").stderr).toContain(
      "There are starter, empty",
    );
    expect(cli("workflow", "new").code).toBe(2);
  });

  it("S12 S13 U21 config shows each origin, and doctor the older names in use", () => {
    const file = join(home, "config.toml");
    writeFileSync(file, '[log]\nlevel = "warn"\n');
    const env = { SEKIA_WORKFLOWS_HOT_RELOAD: "false", SIGNALBOX_LOG_KEEP: "2" };
    expect(cliWith({ env }, "up", "--background", "--set", "log.max_mb=5").code).toBe(0);
    const origins = Object.fromEntries(
      json("config", "--changed").entries.map((entry: { key: string; origin: string }) => [
        entry.key,
        entry.origin,
      ]),
    );
    expect(origins).toEqual({
      "log.level": `${file}:2`,
      "log.keep": "env SIGNALBOX_LOG_KEEP",
      "log.max_mb": "flag",
      "workflows.hot_reload": "env SEKIA_WORKFLOWS_HOT_RELOAD",
    });
    const doctor = cli("doctor").stdout;
    for (const part of ["SEKIA_WORKFLOWS_HOT_RELOAD", `settings: ${file} is sound`, " runs, process "]) {
      expect(doctor).toContain(part);
    }
    expect(cli("status").stderr).toContain("use SIGNALBOX_WORKFLOWS_HOT_RELOAD");
  });

  it("S14 a socket that the settings move is found by every command", () => {
    const moved = join(home, "moved", "s.sock");
    writeFileSync(join(home, "config.toml"), 'service.socket = "moved/s.sock"\n');
    expect(cli("push", "t", "--body", "x").code).toBe(0);
    expect(json("query").events).toHaveLength(1);
    expect(cli("up", "--background").stdout).toContain(moved);
  });

  it("bad settings keep the service from starting, and the command that wanted it says where they are", () => {
    writeFileSync(join(home, "config.toml"), '[log]\nlevle = "warn"\n');
    const { code, stderr } = cli("push", "t", "--body", "x");
    expect(code).toBe(1);
    expect(stderr).toContain(
      `${join(home, "config.toml")}:2: log.levle is no setting; did you mean log.level?`,
    );
    const doctor = cli("doctor");
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(
      /bad {2}settings: .*:2: log\.levle is no setting; did you mean log\.level\?\n {6}\w/,
    );
    expect(doctor.stdout).toContain(`log: ${join(home, "service.log")}`);
    writeFileSync(join(home, "config.toml"), "");
  });

  it("what is exported comes back whole into another home, once", () => {
    for (const body of ["one", "two"]) json("push", "t", "--body", body);
    const file = join(home, "all.ndjson");
    expect(json("events", "export", file)).toMatchObject({ events: 2 });
    // Into its own log: each of them is there.
    expect(json("events", "import", file)).toMatchObject({ pushed: 0, duplicates: 2 });
    cli("down");
    rmSync(join(home, "signalbox.db"));
    expect(json("events", "import", file)).toMatchObject({ pushed: 2, duplicates: 0 });
    expect(json("events", "import", file)).toMatchObject({ pushed: 0, duplicates: 2 });
    expect(json("search", "two")).toMatchObject({
      events: [{ body: "two", parked: true, status: "pending" }],
    });
  });

  it("P9 watch prints what is recorded while it runs, one document a line", async () => {
    json("push", "t", "--body", "before");
    const watching = spawn(
      process.execPath,
      [command("signalbox"), "watch", "--topic", "t", "--after", "0", "--limit", "2", "--json"],
      { env: environment(), cwd: home, stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines = collect(watching);
    await expect.poll(() => lines().length).toBe(1);
    json("push", "t", "--body", "after");
    await new Promise((ended) => watching.on("exit", ended));
    expect(lines().map((line) => JSON.parse(line).body)).toEqual(["before", "after"]);
  });

  it("up runs in the foreground until it is told to stop, and a second one says that it runs already", async () => {
    const up = spawn(process.execPath, [command("signalbox"), "up"], {
      env: environment(),
      cwd: home,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    up.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    await expect.poll(() => log, { timeout: 20_000 }).toContain("signalbox is ready");
    const second = cli("up", "--json");
    expect([second.code, JSON.parse(second.stderr).error.code]).toEqual([1, "already_running"]);
    const ended = new Promise((resolveCode) => up.on("exit", resolveCode));
    expect(cli("down").stdout).toContain(`process ${up.pid}`);
    expect(await ended).toBe(0);
    expect(cli("down").stdout).toBe("The service does not run.\n");
  });
});

function collect(child: ChildProcess): () => string[] {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  return () => text.split("\n").filter((line) => line !== "");
}
