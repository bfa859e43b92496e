import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";

const shipped = readFileSync(new URL("../../skills/signalbox/SKILL.md", import.meta.url), "utf8");
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "signalbox-skill-"));
  mkdirSync(join(root, "project"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const run = (args: string) =>
  runCli(["skill", ...args.split(" ")], {
    home: join(root, "signalbox"),
    cwd: join(root, "project"),
    env: { HOME: root },
  });
const read = (path: string) => readFileSync(join(root, path, "signalbox/SKILL.md"), "utf8");

describe("skill", () => {
  it("show prints it", async () => {
    expect(await run("show")).toMatchObject({ code: 0, stdout: shipped });
  });

  it.each([
    ["--for claude", ".claude/skills"],
    ["--for opencode", ".config/opencode/skills"],
    ["--for codex", ".agents/skills"],
    ["--for claude --project", "project/.claude/skills"],
    ["--for opencode --project", "project/.opencode/skills"],
    ["--for codex --project", "project/.agents/skills"],
    ["--dir mine", "project/mine"],
  ])("install %s puts it in %s, and uninstall takes it away", async (where, folder) => {
    expect((await run(`install ${where}`)).stdout).toBe(`${join(root, folder, "signalbox/SKILL.md")}\n`);
    expect(read(folder)).toBe(shipped);
    expect((await run(`install ${where}`)).code).toBe(0);
    expect((await run(`uninstall ${where}`)).code).toBe(0);
    expect(existsSync(join(root, folder, "signalbox"))).toBe(false);
    expect((await run(`uninstall ${where}`)).stderr).toBe("It is not there.\n");
  });

  it("without a name it is for the programs that are found here", async () => {
    expect((await run("install")).code).toBe(2);
    mkdirSync(join(root, ".claude"));
    mkdirSync(join(root, ".codex"));
    expect((await run("install")).code).toBe(0);
    expect([read(".claude/skills"), read(".agents/skills")]).toEqual([shipped, shipped]);
    expect(existsSync(join(root, ".config/opencode"))).toBe(false);
    expect((await run("install --for emacs")).code).toBe(2);
  });

  it("one that was changed is neither replaced nor removed without --force", async () => {
    await run("install --for claude --for codex");
    const file = join(root, ".claude/skills/signalbox/SKILL.md");
    writeFileSync(file, "mine");
    for (const command of ["install", "uninstall"]) {
      const refused = await run(`${command} --for claude`);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("--force")]);
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
    await run("install --for claude --force");
    expect(readFileSync(file, "utf8")).toBe(shipped);
  });
});
