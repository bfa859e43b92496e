import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { runCli } from "../../test/harness/cli.ts";

const spec = `opencode-signalbox@${packageJson.version}`;
let root: string;
let project: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "signalbox-opencode-"));
  project = join(root, "project");
  mkdirSync(join(project, ".git"), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const file = (name: string) => join(root, name);
function write(name: string, text: string): string {
  mkdirSync(dirname(file(name)), { recursive: true });
  writeFileSync(file(name), text);
  return file(name);
}
const read = (name: string) => readFileSync(file(name), "utf8");

/** Puts an `opencode` of this version on the path. */
function haveOpenCode(version: string): void {
  chmodSync(write("bin/opencode", `#!/bin/sh\necho ${version}\n`), 0o755);
}

function run(args: string, options: { typed?: string; cwd?: string } = {}) {
  return runCli(["opencode", ...args.split(" ")], {
    home: join(root, "signalbox"),
    cwd: options.cwd ?? project,
    env: { HOME: root, PATH: [file("bin"), "/usr/bin", "/bin"].join(delimiter) },
    ...(options.typed === undefined ? {} : { typed: options.typed }),
  });
}

describe("opencode install and uninstall", () => {
  it("shows the change, asks, keeps comments and a copy, and comes out again without a trace", async () => {
    const text = '{\n  // ours\n  "model": "a/b", // fast\n}\n';
    write("project/opencode.jsonc", text);
    const nobody = await run("install");
    expect([nobody.code, nobody.stderr]).toEqual([2, "Nobody is here to ask.\nAdd --yes.\n"]);
    const no = await run("install", { typed: "n\n" });
    expect([no.code, read("project/opencode.jsonc")]).toEqual([2, text]);
    const yes = await run("install --topic inbox --topic builds --mode dedicated", { typed: "y\n" });
    expect(yes.code).toBe(0);
    const line = `  "plugin": [["${spec}", { "topics": ["inbox", "builds"], "mode": "dedicated" }]],`;
    expect(yes.stdout).toContain(`+ ${line}\n`);
    expect(read("project/opencode.jsonc")).toBe(text.replace("\n}\n", `\n${line}\n}\n`));
    const [, copy] = /before: (.*)\n/.exec(yes.stderr) ?? [];
    expect(readFileSync(copy ?? "", "utf8")).toBe(text);
    const again = await run("install --yes");
    expect(again.stderr).toContain("nothing to change");
    const gone = await run("uninstall --yes");
    expect([gone.code, read("project/opencode.jsonc")]).toEqual([0, text]);
    expect((await run("uninstall --yes")).stderr).toContain("nothing to change");
  });

  it("makes the file where there is none, for the user with --global, and removes it again", async () => {
    expect((await run("install --yes --json")).code).toBe(0);
    expect(JSON.parse(read("project/opencode.json"))).toMatchObject({ plugin: [spec] });
    await run("install --global --yes");
    expect(JSON.parse(read(".config/opencode/opencode.json"))).toMatchObject({ plugin: [spec] });
    await run("uninstall --yes");
    await run("uninstall --global --yes");
    expect([
      existsSync(file("project/opencode.json")),
      existsSync(file(".config/opencode/opencode.json")),
    ]).toEqual([false, false]);
  });

  it("finds the file of the repository from a folder below, and prefers the one that has the plugin", async () => {
    write("project/opencode.json", "{}\n");
    write("project/.opencode/opencode.json", '{ "plugin": ["opencode-signalbox"] }\n');
    mkdirSync(file("project/src/deep"), { recursive: true });
    await run("install --yes", { cwd: file("project/src/deep") });
    expect(read("project/.opencode/opencode.json")).toBe(`{ "plugin": ["${spec}"] }\n`);
    expect(read("project/opencode.json")).toBe("{}\n");
  });

  it("--dry-run shows the change alone, --from names another package, --file another file", async () => {
    write("else.json", '{ "plugin": ["a"] }\n');
    const dry = await run(`install --dry-run --from file:/tmp/a.tgz --file ${file("else.json")}`);
    expect(dry.stdout).toBe(
      '- { "plugin": ["a"] }\n+ { "plugin": ["a", "opencode-signalbox@file:/tmp/a.tgz"] }\n  \n',
    );
    expect(read("else.json")).toBe('{ "plugin": ["a"] }\n');
    const json = await run(`install --dry-run --json --file ${file("else.json")}`);
    expect(JSON.parse(json.stdout)).toMatchObject({
      file: file("else.json"),
      changed: false,
      diff: expect.any(Array),
    });
  });

  it("writes the form that the OpenCode on the path reads, or that is asked for", async () => {
    haveOpenCode("2.0.1");
    await run("install --yes --topic inbox");
    expect(JSON.parse(read("project/opencode.json"))).toMatchObject({
      plugins: [{ package: spec, options: { topics: ["inbox"] } }],
    });
    await run("install --yes --opencode 1");
    expect(JSON.parse(read("project/opencode.json"))).toMatchObject({
      plugin: [[spec, { topics: ["inbox"] }]],
      plugins: [],
    });
  });

  it("writes through a link, keeps permissions, and leaves a file alone that it can't read", async () => {
    const real = write("dotfiles/opencode.json", '{ "model": "a/b" }\n');
    chmodSync(real, 0o600);
    symlinkSync(real, join(project, "opencode.json"));
    await run("install --yes");
    expect(read("dotfiles/opencode.json")).toBe(`{ "model": "a/b", "plugin": ["${spec}"] }\n`);
    expect(statSync(real).mode & 0o777).toBe(0o600);
    writeFileSync(real, '{ "model" }\n');
    const broken = await run("install --yes");
    expect([broken.code, broken.stderr]).toEqual([
      1,
      expect.stringContaining("opencode.json:1 can't be read"),
    ]);
    expect(readFileSync(real, "utf8")).toBe('{ "model" }\n');
  });
});

describe("opencode doctor", () => {
  const findings = async (options = {}) => {
    const { code, stdout } = await run("doctor --json", options);
    const all = (
      JSON.parse(stdout) as { findings: { check: string; ok: boolean; message: string; hint: string }[] }
    ).findings;
    return { code, bad: all.filter(({ ok }) => !ok), good: all.filter(({ ok }) => ok) };
  };

  it("is content with a pinned plugin and an OpenCode that it knows", async () => {
    haveOpenCode("1.18.33");
    await run("install --yes");
    const { code, bad, good } = await findings();
    expect([code, bad]).toEqual([0, []]);
    expect(good.map(({ check }) => check)).toEqual(
      expect.arrayContaining(["opencode", "plugin", "service", "log"]),
    );
    expect((await run("doctor")).stdout).toMatch(/^ok {3}opencode: 1\.18\.33$/m);
  });

  it("says what is missing where there is neither", async () => {
    const { code, bad } = await findings();
    expect(code).toBe(1);
    expect(bad).toMatchObject([
      { check: "opencode", hint: expect.stringContaining("npm install") },
      { check: "plugin", hint: expect.stringContaining("signalbox opencode install") },
    ]);
  });

  it.each([
    ["1.17.0", "older than 1.18"],
    ["3.0.0", "newer than"],
    ["2.1.0", "but OpenCode 2.1.0 reads plugins"],
  ])("tells of an OpenCode %s", async (version, message) => {
    await run("install --yes");
    haveOpenCode(version);
    expect((await findings()).bad.map((one) => one.message).join("\n")).toContain(message);
  });

  it.each([
    ['{ "plugin": ["opencode-signalbox"] }', "stays at the first version"],
    ['{ "plugin": ["opencode-signalbox@^0.1.0"] }', "stays at the first version"],
    ['{ "plugin": ["opencode-signalbox@0.0.1"] }', "the plugin is 0.0.1"],
    ['{ "plugin": [ }', "can't be read"],
    [
      `{ "plugin": ["${spec}"], "mcp": { "s": { "command": ["signalbox", "mcp"] } } }`,
      "also starts signalbox mcp",
    ],
  ])("tells of %s", async (text, message) => {
    haveOpenCode("1.18.33");
    write("project/opencode.json", text);
    expect((await findings()).bad.map((one) => one.message).join("\n")).toContain(message);
  });

  it("tells of a second entry, which would load it twice", async () => {
    haveOpenCode("1.18.33");
    await run("install --yes");
    await run("install --yes --global");
    expect((await findings()).bad).toMatchObject([{ message: expect.stringContaining("names it as well") }]);
  });

  it("loads what OpenCode has fetched and says why that fails, which OpenCode itself does not", async () => {
    haveOpenCode("1.18.33");
    await run("install --yes");
    const folder = `.cache/opencode/packages/${spec}/node_modules/opencode-signalbox`;
    expect((await findings()).good.map(({ message }) => message).join()).toContain("has not fetched it yet");
    const manifest = (more: object) =>
      write(
        `${folder}/package.json`,
        JSON.stringify({ version: "0.1.0", main: "index.js", type: "module", ...more }),
      );
    manifest({});
    expect((await findings()).bad).toMatchObject([
      { message: expect.stringContaining("index.js is not there") },
    ]);
    write(`${folder}/index.js`, 'throw new Error("no disk");\n');
    expect((await findings()).bad).toMatchObject([{ message: expect.stringContaining("no disk") }]);
    write(`${folder}/index.js`, "export default { id: 'x' };\n");
    expect((await findings()).bad).toMatchObject([
      { message: expect.stringContaining("no server function") },
    ]);
    write(`${folder}/index.js`, "export default { id: 'x', server() {} };\n");
    expect((await findings()).bad).toEqual([]);
    await run("install --yes --from file:/tmp/x.tgz");
    const local =
      ".cache/opencode/packages/opencode-signalbox@file:/tmp/x.tgz/node_modules/opencode-signalbox";
    write(`${local}/package.json`, JSON.stringify({ version: "0.0.9", main: "i.js", type: "module" }));
    write(`${local}/i.js`, "export default { id: 'x', server() {} };\n");
    expect((await findings()).bad).toMatchObject([
      { message: expect.stringContaining("the plugin is 0.0.9") },
    ]);
    await run("install --yes");
    manifest({ signalbox: { protocol: 999 } });
    expect((await findings()).bad).toMatchObject([
      { check: "protocol", message: expect.stringContaining("999") },
    ]);
  });

  it("reads the newest logs of OpenCode for what went wrong with the plugin", async () => {
    haveOpenCode("1.18.33");
    await run("install --yes");
    const log = (name: string, text: string, ageS: number) => {
      const path = write(`.local/share/opencode/log/${name}.log`, text);
      utimesSync(path, Date.now() / 1_000 - ageS, Date.now() / 1_000 - ageS);
    };
    const failed = "ERROR service=plugin path=opencode-signalbox@0.1.0 error=boom failed to load plugin";
    log(
      "new",
      `INFO service=plugin path=opencode-signalbox loading plugin\n${failed}\nERROR service=x other\n`,
      10,
    );
    log("old", `${failed} long ago\n`, 100);
    expect((await findings()).bad.map(({ message }) => message)).toEqual([failed]);
    const line = (run: string, text: string) =>
      `timestamp=2026-11-21T10:00:00Z level=ERROR run=${run} message="${text}"\n`;
    log("opencode", line("aa1", "signalbox was away") + line("bb2", "something else"), 0);
    expect((await findings()).bad).toEqual([]);
    log("opencode", line("aa1", "signalbox was away") + line("bb2", "signalbox is away"), 0);
    expect((await findings()).bad.map(({ message }) => message)).toEqual([
      line("bb2", "signalbox is away").trim(),
    ]);
  });
});
