import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type CliOptions, runCli } from "../../test/harness/cli.ts";
import { eventually, startTestService, type TestService } from "../../test/harness/service.ts";
import { completeLua } from "./repl-completion.ts";

const examples = resolve(import.meta.dirname, "../../examples");

async function service(): Promise<TestService> {
  const started = await startTestService({ set: ["actions.debounce_ms=10"] });
  onTestFinished(() => started.close());
  return started;
}

/** A service whose actions repository is what `actions init` writes. */
async function started() {
  const { home, client, paths } = await service();
  const run = (args: string[], options: Partial<CliOptions> = {}) => runCli(args, { home, ...options });
  const made = await run(["actions", "init"]);
  expect(made).toMatchObject({ code: 0 });
  return { home, client, paths, run, made };
}

const save = (home: string, name: string, text: string) => writeFileSync(join(home, name), text);

describe("signalbox run", () => {
  it("K20 K21 U30 asks its owner once for a new program, with all that is approved, and prints to stdout alone", async () => {
    const { run, paths } = await started();
    const script = join(paths.actionsDir, "scripts/hello.lua");
    const first = await run(["run", script, "you"], { typed: "y\n" });
    expect(first).toMatchObject({ code: 0, stdout: "hello, you\n" });
    for (const part of [
      "hello.greet",
      /source +\S*|line +hello.lua:2/,
      /digest +[0-9a-f]{64}/,
      /runs +python3 .*greet\.py/,
      /sandbox +(bubblewrap|none)/,
      /variables +none/,
      /hosts +none/,
      /parameters +\{"name":"you"\}/,
      "Run exactly this? [y/N]",
      "greeting you",
    ])
      expect(first.stderr).toMatch(part);
    const second = await run(["run", script, "them"], { typed: "" });
    expect([second.code, second.stdout]).toEqual([0, "hello, them\n"]);
    expect(second.stderr).not.toContain("Run exactly this?");
  });

  it("U30 without a terminal and without --yes it stops, says how, and nothing runs later", async () => {
    const { run, client, paths } = await started();
    const script = join(paths.actionsDir, "scripts/hello.lua");
    const stopped = await run(["run", script, "you"]);
    expect(stopped).toMatchObject({ code: 1, stdout: "" });
    expect(stopped.stderr).toContain("hello.greet needs your approval, and nobody is here to ask");
    expect(stopped.stderr).toContain("signalbox actions approve hello.greet");
    const { effects } = await client.listEffects({ limit: 5 });
    expect(effects).toMatchObject([{ state: "skipped" }]);
    const json = await run(["run", script, "--json"]);
    expect(JSON.parse(json.stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({
      error: { code: "approval_required", details: { target: "hello.greet", bound: { executor: "native" } } },
    });
  });

  it("U30 --yes accepts for this run, and the audit trail has it as a decision", async () => {
    const { run, client, paths } = await started();
    const ran = await run(["run", join(paths.actionsDir, "scripts/hello.lua"), "you", "--yes"]);
    expect([ran.code, ran.stdout]).toEqual([0, "hello, you\n"]);
    const { entries } = await client.listAudit({});
    expect(entries.find(({ kind }) => kind === "approved")).toMatchObject({
      actor: "cli",
      detail: { reason: "--yes at the command line" },
    });
  });

  it("K16 an uncaught failure ends it with Kael's words and exit code 1", async () => {
    const { home, run, paths } = await started();
    cpSync(join(examples, "actions"), join(home, "repo"), { recursive: true });
    save(
      home,
      "fails.lua",
      `print("before")\nactions.prometheus.query({ query = "up", endpoint = "http://gone" })`,
    );
    const ran = await run(["run", "fails.lua", "--actions", "repo", "--yes"]);
    expect([ran.code, ran.stdout]).toEqual([1, "before\n"]);
    expect(ran.stderr).toContain("\nError: prometheus.query failed: connection refused\n");
    expect(ran.stderr).toContain("at fails.lua:2");
    expect(existsSync(paths.actionsDir)).toBe(true);
    save(home, "bad.lua", "x =");
    const bad = await run(["run", "bad.lua"]);
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringMatching(/^Error: bad.lua:1: /)]);
  });

  it("a no at the terminal is an error of the call", async () => {
    const { run, paths } = await started();
    const ran = await run(["run", join(paths.actionsDir, "scripts/hello.lua")], { typed: "n\n" });
    expect([ran.code, ran.stdout]).toEqual([1, ""]);
    expect(ran.stderr).toContain("Error: hello.greet denied: denied by cli");
  });

  it("--dry-run shows what would be done and does nothing; --json gives every item", async () => {
    const { run, client, paths } = await started();
    const script = join(paths.actionsDir, "scripts/hello.lua");
    const dry = await run(["run", script, "--dry-run"]);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain("would Run hello.greet");
    expect(dry.stderr).toContain("1 act outside, none of them done.");
    expect((await client.listEffects({ limit: 5 })).effects).toEqual([]);
    const json = await run(["run", script, "you", "--yes", "--json"]);
    const items = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: string });
    expect(items.filter(({ kind }) => kind !== "effect" && kind !== "progress")).toMatchObject([
      { kind: "print", text: "hello, you" },
      { kind: "end", run: { status: "succeeded" } },
    ]);
  });

  it("reads standard input, works in its folder, and ends on Ctrl-C with 130", async () => {
    const { home, run } = await started();
    mkdirSync(join(home, "work"));
    const ran = await run(["run", "-", "a"], {
      stdin: `#!/usr/bin/env signalbox run\nwritefile("out.txt", arg[1]) print(readfile("out.txt"))`,
      cwd: join(home, "work"),
    });
    expect([ran.code, ran.stdout, readFileSync(join(home, "work/out.txt"), "utf8")]).toEqual([0, "a\n", "a"]);
    const stop = new AbortController();
    save(home, "endless.lua", `print("on") while true do end`);
    const ended = await run(["run", "endless.lua"], { signal: stop.signal, onOutput: () => stop.abort() });
    expect([ended.code, ended.stdout]).toEqual([130, "on\n"]);
  });

  it("B19 exec runs one action with words, an object or a pipe, and prints JSON", async () => {
    const { run } = await started();
    const words = await run(["exec", "hello.greet", "--yes", "--", "--name", "x"]);
    expect([words.code, JSON.parse(words.stdout)]).toEqual([0, { greeting: "hello, x" }]);
    const object = await run(["exec", "hello.greet", "-p", `{"name":"y"}`]);
    expect(JSON.parse(object.stdout)).toEqual({ greeting: "hello, y" });
    const piped = await run(["exec", "hello.greet"], { stdin: `{"name":"z"}` });
    expect(JSON.parse(piped.stdout)).toEqual({ greeting: "hello, z" });
    expect(await run(["exec", "os.exit()"])).toMatchObject({ code: 2 });
    const wrong = await run(["exec", "hello.greet", "-p", `{"name":1}`]);
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining(`Error: Schema Validation Failure: field "name": expected string, got number`),
    ]);
  });
});

describe("kael", () => {
  it("K21 K22 B19 its words work: --actions before the verb, kit, exec, repl", async () => {
    const { home, run, paths } = await started();
    cpSync(join(examples, "actions"), join(home, "repo"), { recursive: true });
    const kael = (args: string[], options: Partial<CliOptions> = {}) =>
      run(args, { name: "kael", ...options });
    save(home, "t.lua", "print(#actions.internal.list_tenants({}))");
    expect(await kael(["--actions", "./repo", "run", "t.lua", "--yes"])).toMatchObject({
      code: 0,
      stdout: "2\n",
    });
    expect((await kael(["kit", "list", "--actions", "repo"])).stdout).toContain("text.word_count");
    expect((await kael(["kit", "describe", "hello.greet"])).stdout).toContain("greet.py");
    expect(await kael(["kit", "validate"])).toMatchObject({ code: 0 });
    expect(await kael(["kit", "init", "infra.net"])).toMatchObject({ code: 0 });
    expect(existsSync(join(paths.actionsDir, "infra/net/init.lua"))).toBe(true);
    expect(await kael(["setup"])).toMatchObject({ code: 1, stderr: expect.stringContaining("already") });
    const typed = "t = actions.internal.list_tenants()\n#t\n";
    expect(await kael(["--actions", "./repo", "repl"], { stdin: typed })).toMatchObject({
      code: 0,
      stdout: "2\n",
    });
  });

  it("K27 U21 actions_path of its file is where the actions are, until ours says something else", async () => {
    const { loadConfig } = await import("../config-load.ts");
    const { home } = await service();
    mkdirSync(join(home, ".config/kael"), { recursive: true });
    const file = join(home, ".config/kael/config.yaml");
    writeFileSync(file, `# mine\nactions_path: "~/my-actions" # here\n`);
    const env = { HOME: home };
    const loaded = loadConfig({ env, cwd: home });
    expect(loaded.config.actions.path).toMatch(/\/my-actions$/);
    expect(loaded.entries.find(({ key }) => key === "actions.path")?.origin).toBe(`${file}:2 (actions_path)`);
    expect(loaded.aliases).toContainEqual(expect.objectContaining({ name: `actions_path in ${file}` }));
    const own = loadConfig({ env: { ...env, SIGNALBOX_ACTIONS_PATH: "/mine" }, cwd: home });
    expect(own.config.actions.path).toBe("/mine");
    const url = "git@github.com:acme/actions.git";
    expect(loadConfig({ env: { ...env, KAEL_KIT: url }, cwd: home }).config.actions.path).toBe(url);
  });
});

describe("signalbox repl", () => {
  it("K22 takes blocks, shows values, goes on after errors, and tells them by its exit code in a pipe", async () => {
    const { run } = await started();
    const typed = `
x = { 1, 2 }
for _, v in ipairs(x) do
  print(v)
end
x
nothing.here
actions.hello.greet({ name = "you" })
.actions
.what
.exit
print("never")
`;
    const ran = await run(["repl", "--yes"], { stdin: typed });
    expect(ran.stdout).toBe('1\n2\n{\n  1,\n  2\n}\n{\n  greeting = "hello, you"\n}\nhello.greet\n');
    expect(ran.stderr).toContain("Error: attempt to index a nil value (global 'nothing')");
    expect(ran.stderr).toContain("There is no .what; .help lists what there is.");
    expect(ran.code).toBe(1);
    expect(await run(["repl"], { stdin: "for i = 1, 2 do\n" })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("the last block has no end"),
    });
  });

  it("K22 asks for an approval in a pipe by stopping, and leaves no session open", async () => {
    const { run } = await started();
    const ran = await run(["repl"], { stdin: "actions.hello.greet()\nprint('on')\n" });
    expect([ran.code, ran.stdout]).toEqual([1, "on\n"]);
    expect(ran.stderr).toContain("hello.greet needs your approval");
  });

  it("K22 completes names a step at a time", () => {
    const actions = ["hello.greet", "hello.part", "web.fetch"];
    expect(completeLua("x = act", actions)).toEqual([["actions."], "act"]);
    expect(completeLua("actions.", actions)).toEqual([
      ["actions.all", "actions.hello.", "actions.web."],
      "actions.",
    ]);
    expect(completeLua("print(actions.hello.g", actions)).toEqual([
      ["actions.hello.greet"],
      "actions.hello.g",
    ]);
    expect(completeLua("x = 1 + ", actions)).toEqual([[], ""]);
  });
});

describe("signalbox actions", () => {
  it("says what to do where there is none, and init writes one that validates", async () => {
    const { home } = await service();
    const run = (args: string[]) => runCli(args, { home });
    expect((await run(["actions"])).stderr).toBe(
      "There is no actions repository yet. signalbox actions init writes one to begin with.\n",
    );
    const none = await run(["actions", "validate"]);
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringContaining("`signalbox actions init` makes one"),
    ]);
    expect(await run(["actions", "init"])).toMatchObject({ code: 0 });
    const valid = await run(["actions", "validate"]);
    expect([valid.code, valid.stdout]).toEqual([0, "ok   hello.greet  hello/greet.lua:7\n"]);
    expect((await run(["actions"])).stdout).toMatch(
      /hello\.greet +native +new +\.\/programs\/hello +Greets somebody/,
    );
    expect(await run(["actions", "init"])).toMatchObject({ code: 1 });
  });

  it("describe shows all of it, approve records it, and a change makes it new again", async () => {
    const { run, paths } = await started();
    const shown = await run(["actions", "describe", "hello.greet"], { columns: 100 });
    expect(shown.stdout).toContain("not approved yet");
    expect(shown.stdout).toMatch(/name\? {2}string/);
    expect(await run(["actions", "approve", "hello.greet"])).toMatchObject({ code: 2 });
    expect(await run(["actions", "approve", "hello.greet"], { typed: "n\n" })).toMatchObject({ code: 2 });
    const approved = await run(["actions", "approve", "hello.greet", "--reason", "mine"], { typed: "y\n" });
    expect([approved.code, approved.stdout]).toEqual([
      0,
      expect.stringContaining("approved by cli  hello.greet"),
    ]);
    expect((await run(["exec", "hello.greet"])).code).toBe(0);
    const program = join(paths.actionsDir, "programs/hello/greet.py");
    writeFileSync(program, `${readFileSync(program, "utf8")}\n# changed\n`);
    expect((await run(["actions", "describe", "hello.greet"])).stdout).toContain("not approved yet");
    expect((await run(["exec", "hello.greet"])).stderr).toContain("hello.greet needs your approval");
  });

  it("add takes a script or a folder, remove takes it away again, edit says where it is", async () => {
    const { home, run, client, paths } = await started();
    mkdirSync(join(home, "tool"));
    save(home, "tool/up.mjs", `process.stdout.write('"UP"');`);
    const added = await run(["actions", "add", "tool/up.mjs", "infra.net.up", "--description", "Says up"]);
    expect(added.code).toBe(0);
    expect(readFileSync(join(paths.actionsDir, "init.lua"), "utf8")).toContain(
      `M.hello = require("hello")\nM.infra = require("infra")\n\nreturn M\n`,
    );
    expect((await client.getAction({ action: "infra.net.up" })).description).toBe("Says up");
    expect(JSON.parse((await run(["exec", "infra.net.up", "--yes"])).stdout)).toBe("UP");
    expect(await run(["actions", "add", "tool", "infra.net.up"])).toMatchObject({ code: 1 });
    expect((await run(["actions", "edit", "infra.net.up"])).stdout).toBe(
      `${join(paths.actionsDir, "infra/net/up.lua")}\n`,
    );
    expect(await run(["actions", "remove", "infra.net.up"])).toMatchObject({ code: 2 });
    expect(await run(["actions", "remove", "infra.net.up", "--yes"])).toMatchObject({ code: 0 });
    expect((await client.listActions({})).actions.map(({ name }) => name)).toEqual(["hello.greet"]);
    expect(await run(["actions", "add", "gone", "a.b"])).toMatchObject({ code: 2 });
  });

  it("K23 U20 add pins a git source to its commit, update moves the pin and shows what changed", async () => {
    const { home, run, client, paths } = await started();
    const repo = join(home, "tool.git");
    mkdirSync(repo);
    const git = (...words: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.c", ...words], {
        cwd: repo,
        encoding: "utf8",
      });
    git("init", "-q", "-b", "main");
    writeFileSync(join(repo, "main.mjs"), `process.stdout.write("1");`);
    git("add", ".");
    git("commit", "-qm", "one");
    const first = git("rev-parse", "HEAD").trim();
    const added = await run(["actions", "add", `file://${repo}`, "web.one", "--tag", "main"]);
    expect([added.code, added.stderr]).toEqual([0, expect.stringContaining(`Pinned to ${first}.`)]);
    expect(readFileSync(join(paths.actionsDir, "web/one.lua"), "utf8")).toContain(`file://${repo}#${first}`);
    expect((await run(["exec", "web.one", "--yes"])).stdout).toBe("1\n");
    writeFileSync(join(repo, "main.mjs"), `process.stdout.write("2");`);
    writeFileSync(join(repo, "more.txt"), "more");
    git("add", ".");
    git("commit", "-qm", "two");
    expect((await run(["exec", "web.one"])).stdout).toBe("1\n");
    const second = git("rev-parse", "HEAD").trim();
    const updated = await run(["actions", "update"]);
    expect(updated.stdout).toContain(`web.one  ${first} → ${second}\n  ~ main.mjs\n  + more.txt\n`);
    await eventually(
      () => client.getAction({ action: "web.one" }),
      ({ identity }) => identity?.commit === second,
    );
    expect((await run(["exec", "web.one"])).stderr).toContain("web.one needs your approval");
    expect((await run(["exec", "web.one", "--yes"])).stdout).toBe("2\n");
    expect((await run(["actions", "update", "web.one"])).stdout).toContain("unchanged");
  });
});
