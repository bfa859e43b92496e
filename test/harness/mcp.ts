/** The built command line in a folder of its own, and MCP clients of another project that speak with it. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type CallToolResult, Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { expect, onTestFinished } from "vitest";

const root = resolve(import.meta.dirname, "../..");

export interface Installed {
  readonly folder: string;
  /** The `signalbox` of this folder. */
  readonly command: string;
  remove(): void;
}

/** What npm would install: the package, built from these sources. */
export function install(): Installed {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-installed-"));
  const bundles = ["cli", "service", "lua-worker", "mcp"];
  const args = ["scripts/build.ts", "--quiet", "--out", join(folder, "dist"), ...bundles];
  execFileSync(process.execPath, args, { cwd: root });
  for (const part of ["bin", "package.json", "skills"])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return {
    folder,
    command: join(folder, "bin/signalbox.cjs"),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }),
  };
}

/** Runs `signalbox` as a person would, and gives back what it printed. */
export function signalbox(installed: Installed, home: string, ...args: string[]): string {
  return execFileSync(process.execPath, [installed.command, ...args], {
    ...{ cwd: home, env: environment(installed, home), encoding: "utf8" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A folder with nothing in it. Its service, if one was started there, ends with the test. */
export function newHome(installed: Installed): string {
  const home = mkdtempSync(join(tmpdir(), "signalbox-home-"));
  onTestFinished(() => {
    signalbox(installed, home, "down");
    rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  });
  return home;
}

export function environment(installed: Installed, home: string): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: home, SIGNALBOX_HOME: home, XDG_CACHE_HOME: installed.folder };
}

/** The two families of the protocol's revisions: with a handshake, and without. */
export const eras = ["2025-11-25", "2026-07-28"] as const;
export type Era = (typeof eras)[number];

export interface McpConnection {
  readonly client: Client;
  /** Of the server's process. */
  readonly pid: number;
  /** What it wrote to standard error. */
  log(): string;
  /** Structured result and text; fails the test where the tool answers with an error. */
  call(name: string, args?: Record<string, unknown>): Promise<{ data: Data; text: string }>;
  /** The error's code and hint; fails the test where there is none. */
  refusal(
    name: string,
    args?: Record<string, unknown>,
  ): Promise<{ code: string; message: string; hint: string }>;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into results of many shapes, which the client has checked.
type Data = any;

interface McpOptions {
  home: string;
  era?: Era;
  args?: string[];
  env?: Record<string, string>;
  name?: string;
}

export async function connectMcp(installed: Installed, options: McpOptions): Promise<McpConnection> {
  const { home, era = eras[0], args = [], env = {}, name = "Test Client" } = options;
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [installed.command, "mcp", ...args],
    env: { ...environment(installed, home), ...env },
    cwd: home,
    stderr: "pipe",
  });
  let log = "";
  transport.stderr?.on("data", (piece: Buffer) => {
    log += piece.toString();
  });
  const client = new Client(
    { name, version: "1.0.0" },
    { versionNegotiation: { mode: era === "2026-07-28" ? { pin: era } : "legacy" } },
  );
  await client.connect(transport);
  onTestFinished(() => client.close());
  const ask = async (tool: string, input: Record<string, unknown>) =>
    (await client.callTool({ name: tool, arguments: input })) as CallToolResult;
  return {
    client,
    pid: transport.pid ?? 0,
    log: () => log,
    async call(tool, input = {}) {
      const result = await ask(tool, input);
      expect(result.isError, textOf(result)).not.toBe(true);
      return { data: result.structuredContent, text: textOf(result) };
    },
    async refusal(tool, input = {}) {
      const result = await ask(tool, input);
      expect(result.isError, textOf(result)).toBe(true);
      expect(result.structuredContent).toBeUndefined();
      const error = result._meta?.["signalbox/error"] as { code: string; message: string; hint: string };
      expect(textOf(result)).toBe(`${error.code}: ${error.message}\n${error.hint}`);
      return error;
    },
    close: () => client.close(),
  };
}

function textOf({ content }: CallToolResult): string {
  return content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
}
