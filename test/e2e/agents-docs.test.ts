/** docs/agents.md and the two agents in examples/agents, as a reader runs them. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Client, connect } from "../../service/client/index.ts";
import { eventually } from "../harness/eventually.ts";
import { startTestService } from "../harness/service.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** What npm would install: the package, built from these sources. */
let installed: string;
beforeAll(() => {
  installed = mkdtempSync(join(tmpdir(), "signalbox-installed-"));
  const out = join(installed, "dist");
  const bundles = ["cli", "service", "lua-worker", "agent"];
  execFileSync(process.execPath, ["scripts/build.ts", "--quiet", "--out", out, ...bundles], { cwd: root });
  for (const part of ["bin", "package.json"])
    cpSync(join(root, part), join(installed, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(installed, "node_modules"));
});
afterAll(() => rmSync(installed, { recursive: true, force: true }));

/** A folder with `signalbox` and `curl` on its path and the package beside it. */
function startPlace() {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-agents-"));
  const home = join(folder, "home");
  mkdirSync(join(folder, "bin"));
  mkdirSync(join(folder, "node_modules"));
  mkdirSync(home, { mode: 0o700 });
  symlinkSync(installed, join(folder, "node_modules/signalbox"));
  const shims = { signalbox: join(installed, "bin/signalbox.cjs"), curl: join(root, "test/harness/curl.ts") };
  for (const [name, file] of Object.entries(shims))
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\nexec '${process.execPath}' '${file}' "$@"\n`, {
      mode: 0o755,
    });
  const env = {
    PATH: `${join(folder, "bin")}:${process.env.PATH}`,
    HOME: folder,
    SIGNALBOX_HOME: home,
  };
  const run = (script: string) =>
    execFileSync("sh", ["-euc", `exec 2>&1\n${script}`], { cwd: folder, env, encoding: "utf8" });
  onTestFinished(() => {
    run("signalbox down");
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, home, env, run };
}

interface Running {
  readonly child: ChildProcess;
  output(): string;
}

/** Ended with the test at the latest. */
function start(
  command: string,
  args: string[],
  options: { cwd: string; env: Record<string, string> },
): Running {
  const child = spawn(command, args, { ...options, stdio: "pipe" });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => {
      output += piece.toString();
    });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return { child, output: () => output };
}

/** One shell for a whole page, so that a block knows what the blocks before it defined. */
class Shell {
  readonly #running: Running;
  #read = 0;

  constructor(running: Running) {
    this.#running = running;
    running.child.stdin?.write("exec 2>&1\n");
  }

  /** What the script prints. @throws Error when its last command fails */
  async run(script: string): Promise<string> {
    const { child, output } = this.#running;
    child.stdin?.write(`${script}\nprintf '\\n--- ended %s\\n' $?\n`);
    const news = () => output().slice(this.#read);
    const [all, status] = await eventually(
      () => /^[\s\S]*?\n--- ended (\d+)\n/.exec(news()) ?? [],
      (found) => found.length > 0,
    );
    const printed = (all ?? "").replace(/\n--- ended \d+\n$/, "");
    this.#read += all?.length ?? 0;
    if (status !== "0") throw new Error(`${script}\nended with ${status}:\n${printed}`);
    return printed;
  }
}

/** Its fenced blocks as `[words after the fence, text]`. */
function blocksOf(page: string): [string, string][] {
  return [...page.matchAll(/^```(\S.*)\n([\s\S]*?)^```$/gm)].map(([, words = "", text = ""]) => [
    words,
    text,
  ]);
}

const isOnline = (client: Client, agent: string) =>
  eventually(
    () => client.getAgent({ agent }).catch(() => null),
    (one) => one?.status === "online" && one.commands.length > 0,
  );

const ended = (client: Client, effect_id: string) =>
  eventually(
    () => client.getEffect({ effect_id }),
    ({ state }) => state === "succeeded" || state === "failed",
  );

const spaces = (text: string) =>
  text
    .replace(/[ \t]+/g, " ")
    .replace(/ $/gm, "")
    .trim();

/** `…` stands for anything. */
function toPattern(expected: string): RegExp {
  const parts = spaces(expected).split("…");
  return new RegExp(
    `^${parts.map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("[\\s\\S]*?")}$`,
  );
}

describe("docs/agents.md", () => {
  it("S10 S19 U6 U9 works as it stands there, in TypeScript and over bare HTTP", async () => {
    const { folder, env, run } = startPlace();
    const blocks = blocksOf(read("docs/agents.md"));
    const shell = new Shell(start("sh", [], { cwd: folder, env }));
    for (const [index, [words, text]] of blocks.entries()) {
      if (words === "ts example agent.ts") {
        writeFileSync(join(folder, "agent.ts"), text);
        start(process.execPath, ["agent.ts"], { cwd: folder, env });
      }
      if (!words.startsWith("sh example")) continue;
      const [next, expected = ""] = blocks[index + 1] ?? [];
      const pattern = next === "text output" ? toPattern(expected) : /^/;
      const patienceMs = words.endsWith("eventually") ? 30_000 : 0;
      let printed = "";
      await eventually(
        async () => {
          printed = spaces(await shell.run(text));
          return patienceMs === 0 || pattern.test(printed);
        },
        Boolean,
        patienceMs,
      ).catch(() => {}); // What it printed last says more.
      expect(printed).toMatch(pattern);
    }
    run("signalbox down");
  });

  it("shows the agents of examples/agents as they are", () => {
    const blocks = new Map(blocksOf(read("docs/agents.md")));
    expect(blocks.get("ts example agent.ts")).toBe(read("examples/agents/typescript/agent.ts"));
    expect(blocks.get("python example agent.py")).toBe(read("examples/agents/python/agent.py"));
  });
});

describe("examples/agents", () => {
  it("S19 S8 the agent in TypeScript starts the service, deploys, tries again, and ends by itself", async () => {
    const { folder, home, env } = startPlace();
    cpSync(join(root, "examples/agents/typescript/agent.ts"), join(folder, "agent.ts"));
    const { child, output } = start(process.execPath, ["agent.ts"], { cwd: folder, env });
    await eventually(output, (text) => text.includes("deployer is registered") || child.exitCode !== null);
    const client = await connect({ home, env: {}, start: false });
    onTestFinished(() => client.close());
    await isOnline(client, "deployer");
    const send = (payload: { version: string }) =>
      client.sendCommand({ agent: "@deployer", command: "deploy", payload, source: "cli" });
    expect(await ended(client, (await send({ version: "v7" })).id)).toMatchObject({
      ...{ state: "succeeded", result: { deployed: "v7" }, attempts: 1 },
    });
    expect(await ended(client, (await send({ version: "v0" })).id)).toMatchObject({
      ...{ state: "succeeded", result: { deployed: "v0" }, attempts: 2 },
    });
    const { events } = await client.findEvents({ type: "deploy.finished", oldest_first: true });
    expect(events.map(({ source, payload }) => [source, payload.version])).toEqual([
      ["deployer", "v7"],
      ["deployer", "v0"],
    ]);
    // It ends because nothing is left open, not because it is made to.
    child.kill("SIGTERM");
    expect(await once(child, "exit"), output()).toEqual([0, null]);
    expect(await client.getAgent({ agent: "deployer" })).toMatchObject({
      status: "offline",
      events_processed: 3,
    });
  });

  it("S8 U6 the agent in Python takes its commands, answers them, and finds the service again", async () => {
    const service = await startTestService();
    onTestFinished(() => service.close());
    const env = { PATH: process.env.PATH ?? "", SIGNALBOX_HOME: service.home, PYTHONUNBUFFERED: "1" };
    const { output } = start("python3", [join(root, "examples/agents/python/agent.py")], {
      cwd: service.home,
      env,
    });
    await isOnline(service.client, "greeter");
    const send = (payload: { name?: string }, command = "greet") =>
      service.client.sendCommand({ agent: "greeter", command, payload, source: "cli" });
    expect(await ended(service.client, (await send({ name: "Ada" })).id), output()).toMatchObject({
      ...{ state: "succeeded", result: { text: "Hello, Ada" } },
    });
    const failed = await ended(service.client, (await send({})).id);
    expect(failed).toMatchObject({ state: "failed", error: "KeyError('name')" });
    await service.restart();
    const again = await send({ name: "Grace" });
    expect(await ended(service.client, again.id), output()).toMatchObject({
      ...{ state: "succeeded", result: { text: "Hello, Grace" } },
    });
    expect(read("examples/agents/python/agent.py").trimEnd().split("\n").length).toBeLessThanOrEqual(45);
  });
});
