import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { newHome } from "../../test/harness/stub-service.ts";
import { translateVerb } from "../compat/verbs.ts";
import { readQuickly } from "./flags.ts";

const root = resolve(import.meta.dirname, "../..");

describe("reading arguments without commander", () => {
  const flags = [
    { flags: "-b, --body <text>", description: "" },
    {
      flags: "--tool-call <name>",
      description: "",
      parse: (text: string, earlier: string[] = []) => [...earlier, text],
    },
    { flags: "--stdin", description: "" },
    {
      flags: "-n, --number <n>",
      description: "",
      parse: (text: string) => {
        if (!/^\d+$/.test(text)) throw new Error("no number");
        return Number(text);
      },
    },
  ];

  it("takes plain words and options", () => {
    expect(
      readQuickly(
        ["t", "-b", "x y", "--tool-call", "a", "--tool-call", "b", "--json", "--stdin", "-n", "3"],
        flags,
      ),
    ).toEqual({
      words: ["t"],
      options: { body: "x y", toolCall: ["a", "b"], stdin: true, number: 3 },
    });
    expect(readQuickly(["t", "--body", "-"], flags)?.options).toEqual({ body: "-" });
  });

  it.each([
    [["--help"]],
    [["--body=x"]],
    [["-bx"]],
    [["--", "x"]],
    [["--body"]],
    [["-n", "x"]],
    [["--body", "--stdin"]],
  ])("leaves %j to commander", (args) => {
    expect(readQuickly(args, flags)).toBeNull();
  });
});

it("U27 verbs of the older command lines are understood", () => {
  expect(translateVerb(["workflows", "reload"])).toEqual(["workflow", "reload"]);
  expect(translateVerb(["serve", "--background"])).toEqual(["up", "--background"]);
  expect(translateVerb(["workflows", "--json"])).toEqual(["workflows", "--json"]);
  expect(translateVerb(["push", "serve"])).toEqual(["push", "serve"]);
});

describe("completion", () => {
  const home = newHome();
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  const scriptFor = async (shell: string) => (await runCli(["completion", shell], { home })).stdout;

  it("offers commands, their options and the values of these, in bash", async () => {
    const file = join(home, "completion.bash");
    writeFileSync(file, await scriptFor("bash"));
    const complete = (words: string[]) =>
      spawnSync(
        "bash",
        [
          "--norc",
          "-c",
          `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _signalbox; echo "\${COMPREPLY[@]}"`,
        ],
        { encoding: "utf8" },
      ).stdout.trim();
    expect(complete(["signalbox", "pu"])).toBe("push pull");
    expect(complete(["signalbox", "topics", "pu"])).toBe("purge");
    expect(complete(["signalbox", "topics", "purge", "x", "--y"])).toBe("--yes");
    expect(complete(["signalbox", "topics", "purge", "--status", "d"])).toBe("dead");
    expect(complete(["signalbox", "workflow", "lo"])).toBe("logs");
    expect(complete(["signalbox", "completion", "z"])).toBe("zsh");
  });

  it("is made for zsh and fish as well, and for nothing else", async () => {
    expect(await scriptFor("zsh")).toContain("bashcompinit");
    expect(await scriptFor("fish")).toContain("__fish_seen_subcommand_from topics");
    expect((await runCli(["completion", "tcsh"], { home })).code).toBe(2);
  });
});

describe("the built command line", () => {
  let out: string;
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), "signalbox-built-"));
    const built = spawnSync(
      process.execPath,
      ["scripts/build.ts", "--quiet", "--out", join(out, "dist"), "cli"],
      {
        cwd: root,
        encoding: "utf8",
      },
    );
    expect(built.stderr).toBe("");
    spawnSync("cp", ["-r", join(root, "bin"), join(out, "bin")]);
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));
  const bin = (name: string, args: string[], node = process.execPath, env = {}) =>
    spawnSync(node, [join(out, "bin", name), ...args], {
      encoding: "utf8",
      env: {
        PATH: process.env.PATH,
        SIGNALBOX_HOME: out,
        SIGNALBOX_NO_AUTOSTART: "1",
        XDG_CACHE_HOME: out,
        ...env,
      },
    });

  it("holds no schemas: loading them takes longer than a whole command may", () => {
    const text = readFileSync(join(out, "dist/cli.cjs"), "utf8");
    for (const mark of ["ZodError", "_zod", "toJSONSchema"]) expect(text).not.toContain(mark);
  });

  it("U27 M16 runs as signalbox and as oc-events, each under its own name", () => {
    expect(bin("signalbox.cjs", ["version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(bin("oc-events.cjs", ["push", "--help"]).stdout).toContain("Usage: oc-events push");
    const wrong = bin("oc-events.cjs", ["pull"]);
    expect([wrong.status, wrong.stdout]).toEqual([2, ""]);
  });

  it("an old Node gets a clear error instead of a crash", () => {
    const old = join(out, "old.cjs");
    // Stands in for the versions that lack what is needed; the real one of the machine is tried below, if it is old.
    writeFileSync(
      old,
      `Object.defineProperty(process.versions, "node", { value: "20.19.0" });
       require(${JSON.stringify(join(out, "bin/launch.cjs"))})("signalbox");`,
    );
    const run = (args: string[]) => spawnSync(process.execPath, [old, ...args], { encoding: "utf8" });
    expect(run([])).toMatchObject({
      status: 1,
      stdout: "",
      stderr:
        "Signalbox needs Node.js 22.12 or newer; this is 20.19.0.\nInstall Node.js 22.12 or newer; in a checkout, `npx signalbox` brings its own.\n",
    });
    expect(JSON.parse(run(["--json"]).stderr).error.code).toBe("node_too_old");
    const system = spawnSync("/usr/bin/env", ["node", "--version"], {
      encoding: "utf8",
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    });
    const isOld = /^v(1\d|20|21)\./.test(system.stdout);
    if (isOld) {
      const path = spawnSync("/bin/sh", ["-c", "command -v node"], {
        encoding: "utf8",
        env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      });
      const result = bin("signalbox.cjs", ["push", "x"], path.stdout.trim());
      expect([result.status, result.stderr.split("\n")[0]]).toEqual([
        1,
        expect.stringContaining("needs Node.js 22.12"),
      ]);
    }
  });

  it("says how to build it when it is not built", () => {
    const result = spawnSync(process.execPath, [join(out, "bin/signalbox.cjs")], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, SIGNALBOX_HOME: out },
    });
    expect(result.status).toBe(0);
    const bare = mkdtempSync(join(tmpdir(), "signalbox-bare-"));
    spawnSync("cp", ["-r", join(root, "bin"), join(bare, "bin")]);
    const missing = spawnSync(process.execPath, [join(bare, "bin/signalbox.cjs")], { encoding: "utf8" });
    rmSync(bare, { recursive: true });
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining("npm run build")]);
  });

  it("stops quietly when nobody reads its output any more", () => {
    const command = `${process.execPath} ${join(out, "bin/signalbox.cjs")} --help | true; echo "\${PIPESTATUS[0]}"`;
    const result = spawnSync("bash", ["--norc", "-c", command], {
      encoding: "utf8",
      env: { SIGNALBOX_HOME: out, PATH: process.env.PATH },
    });
    expect([result.stderr, result.stdout]).toEqual(["", "0\n"]);
  });
});
