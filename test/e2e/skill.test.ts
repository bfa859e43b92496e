/** skills/signalbox/SKILL.md, as an agent runs it that has read it. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { environment, type Installed, install, newHome } from "../harness/mcp.ts";

const text = readFileSync(resolve(import.meta.dirname, "../../skills/signalbox/SKILL.md"), "utf8");

let installed: Installed;
beforeAll(() => {
  installed = install();
});
afterAll(() => installed.remove());

/** A shell with `signalbox` on its path. */
function startShell() {
  const home = newHome(installed);
  mkdirSync(join(home, "bin"));
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${installed.command}' "$@"\n`;
  writeFileSync(join(home, "bin/signalbox"), shim, { mode: 0o755 });
  const base = environment(installed, home);
  const env = { ...base, PATH: `${join(home, "bin")}:${base.PATH}`, SIGNALBOX_AGENT: "@writer" };
  const run = (script: string) =>
    execFileSync("sh", ["-euc", script], {
      cwd: home,
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  return { run, claim: () => claim(run) };
}

/** The id of a fresh event that this agent holds. */
function claim(run: (script: string) => string): string {
  run('signalbox push inbox --body "a job"');
  return JSON.parse(run("signalbox pull inbox --claim --json")).claimed[0].event.id;
}

/** Each line of a block and each command in a sentence. */
const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = ""]) => block.split("\n"));
const inSentences = [...text.replaceAll(/```[\s\S]*?```/g, "").matchAll(/`([^`]+)`/g)].map(
  ([, code = ""]) => code,
);
const commands = [...blocks, ...inSentences]
  .map((line) => line.trim())
  .filter((line) => /(^|\| )signalbox /.test(line));

describe("the skill", () => {
  it("has the frontmatter that the Agent Skills convention asks for, and is short", () => {
    const [, head = "", body = ""] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? [];
    const fields = Object.fromEntries(head.split("\n").map((line) => line.split(/: (.*)/).slice(0, 2)));
    expect(Object.keys(fields)).toEqual(["name", "description", "license", "compatibility"]);
    expect(fields.name).toBe("signalbox");
    expect(fields.description?.length).toBeLessThanOrEqual(1_024);
    expect(fields.description).not.toMatch(/: |#/);
    expect(body.split("\n").length).toBeLessThan(150);
  });

  it("has commands in it", () => {
    expect(commands.length).toBeGreaterThan(20);
    expect(commands.filter((command) => /approve |deny /.test(command))).toEqual([]);
  });

  it.each(commands.filter((command) => command !== "signalbox mcp"))("%s does what it says", (command) => {
    const { run, claim } = startShell();
    const id = claim();
    // What waits, waits for this one.
    run('signalbox push inbox --body "another job"');
    const effect = JSON.parse(run("signalbox agents send deployer deploy --json")).id;
    const script = command
      .replaceAll("EVENT_ID", id)
      .replaceAll("EFFECT_ID", effect)
      .replaceAll("YOUR_NAME", "writer")
      .replaceAll("SOMETHING_UNIQUE", "one");
    expect(run(script)).toEqual(expect.any(String));
    if (command.includes("--claim"))
      expect(JSON.parse(run("signalbox query --agent @writer --json")).events).toHaveLength(2);
    if (command.includes("reply"))
      expect(JSON.parse(run(`signalbox events show ${id} --json`)).caused).toHaveLength(1);
  });

  it("says the truth about names: a command of an agent waits for a person, and it can't approve it", () => {
    const { run } = startShell();
    const sent = JSON.parse(run("signalbox agents send deployer deploy --json"));
    expect(sent).toMatchObject({ state: "waiting", cause: { source: "@writer" } });
    const decide = `signalbox approvals approve ${sent.id} --yes --sha256 ${sent.sha256}`;
    expect(() => run(decide)).toThrow(/a person has to/);
    expect(() => run(`signalbox approvals deny ${sent.id}`)).toThrow(/a person has to/);
    expect(JSON.parse(run(`signalbox effects show ${sent.id} --json`)).state).toBe("waiting");
  });

  it("says the truth about errors and empty queues", () => {
    const { run, claim } = startShell();
    const id = claim();
    expect(run("signalbox pull inbox --claim --json")).toBe('{"claimed":[]}\n');
    run(`signalbox release ${id}`);
    expect(() => run(`SIGNALBOX_AGENT=@other signalbox extend ${id}`)).toThrow(/not claimed/);
    expect(() => run("signalbox pull inbx --claim")).toThrow(/Did you mean inbox/);
    expect(run("signalbox pull later --claim --create --wait 1 --json")).toBe('{"claimed":[]}\n');
  });
});
