/** The settings in docs/mcp.md, each started as its program would, and what the page says of the tools. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { parse as parseToml } from "smol-toml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectMcp, environment, type Installed, install, newHome } from "../harness/mcp.ts";

const page = readFileSync(resolve(import.meta.dirname, "../../docs/mcp.md"), "utf8");
const blocks = [...page.matchAll(/```(\w+) ?(\S*)\n([\s\S]*?)```/g)].map(
  ([, language, name = "", text = ""]) => ({
    language,
    name,
    text,
  }),
);

interface Server {
  command: string | string[];
  args?: string[];
}

/** The command that a program runs for the server named signalbox. */
function commandOf({ language, text }: (typeof blocks)[0]): string[] {
  const settings = (language === "toml" ? parseToml(text) : JSON.parse(text)) as Record<string, unknown>;
  const servers = settings.mcpServers ?? settings.mcp_servers ?? settings.servers ?? settings.mcp;
  const { command, args = [] } = (servers as { signalbox: Server }).signalbox;
  return [...[command].flat(), ...args];
}

const fromFiles = blocks
  .filter(({ name }) => /\.(json|toml)$/.test(name))
  .map((block) => [block.name, commandOf(block)] as const);
const fromCommands = [...page.matchAll(/^(claude|codex) mcp add .*signalbox -- (.*)$/gm)].map(
  ([, program = "", command = ""]) => [program, command.split(" ")] as const,
);

let installed: Installed;
beforeAll(() => {
  installed = install();
});
afterAll(() => installed.remove());

/** `signalbox` on the path, as after an install. */
function startPlace() {
  const home = newHome(installed);
  mkdirSync(join(home, "bin"));
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${installed.command}' "$@"\n`;
  writeFileSync(join(home, "bin/signalbox"), shim, { mode: 0o755 });
  const base = environment(installed, home);
  return { home, env: { ...base, PATH: `${join(home, "bin")}:${base.PATH}` } };
}

describe("docs/mcp.md", () => {
  it("has settings for five programs and commands for two", () => {
    expect(fromFiles.map(([name]) => name)).toEqual([
      ".mcp.json",
      "config.toml",
      ".vscode/mcp.json",
      ".cursor/mcp.json",
      "opencode.json",
    ]);
    expect(fromCommands.map(([program]) => program)).toEqual(["claude", "codex"]);
  });

  it.each([...fromFiles, ...fromCommands])(
    "the settings in %s start a server that works",
    async (_, [command = "", ...args]) => {
      const { env, home } = startPlace();
      const client = new Client({ name: "docs", version: "1" });
      await client.connect(new StdioClientTransport({ command, args, env, cwd: home }));
      const result = await client.callTool({ name: "push", arguments: { topic: "inbox", body: "hello" } });
      expect(result.isError).not.toBe(true);
      await client.close();
    },
  );

  it("lists every tool, option and resource that there is, and no other", async () => {
    const { client } = await connectMcp(installed, { home: newHome(installed) });
    const rows = [...page.matchAll(/^\| `([a-z_]+)` +\|/gm)].map(([, name]) => name);
    const codes = ["service_unreachable", "protocol_mismatch", "lease_lost"];
    const { tools } = await client.listTools();
    expect(rows.filter((row) => !codes.includes(row ?? "")).sort()).toEqual(
      tools.map(({ name }) => name).sort(),
    );
    const help = execFileSync(process.execPath, [installed.command, "mcp", "--help"], { encoding: "utf8" });
    const documented = [...page.matchAll(/^\| `(--[a-z-]+)/gm)].map(([, option]) => option ?? "");
    const options = [...help.matchAll(/(--[a-z-]+)/g)].map(([option]) => option);
    expect(documented.sort()).toEqual(
      [...new Set(options)].filter((one) => !["--help", "--json"].includes(one)).sort(),
    );
  });

  it("its commands do what the page says", () => {
    const { env, home } = startPlace();
    const script = blocks
      .filter(({ name }) => name === "example")
      .map(({ text }) => text)
      .join("");
    const printed = execFileSync("sh", ["-euc", script], { cwd: home, env, encoding: "utf8" });
    expect(printed).toContain("Which of our docs pages");
  });
});
