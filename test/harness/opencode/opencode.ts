/** The real OpenCode, with folders of its own and nothing but the fake model to talk to. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { createOpencodeClient, type OpencodeClient } from "@opencode-ai/sdk";
import { eventually } from "../eventually.ts";

/**
 * The program itself, whose npm package only chooses between platforms. Null where there is none for this platform.
 * @throws Error on a build server, where leaving these tests out would go unseen
 */
export function opencodeBinary(): string | null {
  const { platform, arch } = process;
  const name = `opencode-${platform === "win32" ? "windows" : platform}-${arch}`;
  const file = join(dirname(require.resolve("opencode-ai/package.json")), "..", name, "bin", "opencode");
  if (existsSync(file)) return file;
  if (process.env.CI === "true") throw new Error(`opencode is not there: ${file}`);
  return null;
}
const require = createRequire(import.meta.url);

export interface OpencodePlace {
  /** Everything is below it. */
  readonly root: string;
  readonly env: Record<string, string>;
  /** A folder to work in, with its own opencode.json. */
  project(name: string, settings: ProjectSettings): string;
  remove(): void;
}

export interface ProjectSettings {
  /** What stands in opencode.json under `plugin`. */
  readonly plugin: readonly unknown[];
  /** More of opencode.json. */
  readonly config?: object;
}

/** Folders of its own, in which OpenCode knows nobody but the fake model. */
export function makePlace(llmUrl: string, env: Record<string, string> = {}): OpencodePlace {
  const root = mkdtempSync(join(tmpdir(), "signalbox-opencode-"));
  const xdg = Object.fromEntries(
    ["config", "data", "state", "cache"].map((kind) => {
      const folder = join(root, kind);
      mkdirSync(folder, { recursive: true });
      return [`XDG_${kind.toUpperCase()}_HOME`, folder];
    }),
  );
  settleInstall(join(root, "config", "opencode"));
  return {
    root,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: root,
      TMPDIR: tmpdir(),
      ...xdg,
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_SHARE: "1",
      ...env,
    },
    project(name, { plugin, config }) {
      const folder = join(root, name);
      settleInstall(join(folder, ".opencode"));
      const settings = { ...fakeConfig(llmUrl), plugin, ...config };
      writeFileSync(join(folder, "opencode.json"), JSON.stringify(settings));
      return folder;
    },
    remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** OpenCode installs its own types into each such folder before it starts; without a registry that takes a minute. */
function settleInstall(folder: string): void {
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  const lock = { lockfileVersion: 3, packages: { "": { dependencies: { "@opencode-ai/plugin": "*" } } } };
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
}

function fakeConfig(baseURL: string) {
  const model = { name: "Fake", tool_call: true, limit: { context: 100_000, output: 4_000 } };
  return {
    $schema: "https://opencode.ai/config.json",
    autoupdate: false,
    share: "disabled",
    model: "fake/fake-1",
    small_model: "fake/fake-1",
    enabled_providers: ["fake"],
    provider: {
      fake: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL, apiKey: "none" },
        models: { "fake-1": model, "fake-2": { ...model, variants: { high: { reasoningEffort: "high" } } } },
      },
    },
  };
}

export interface OpencodeServer {
  readonly url: string;
  readonly pid: number;
  /** A client for one folder, whose instance with its plugins is loaded then. */
  open(project: string): Promise<OpencodeClient>;
  output(): string;
  /** As a crash does. */
  kill9(): Promise<void>;
  close(): Promise<void>;
}

/** `opencode serve`, once it answers. */
export async function startServer(binary: string, place: OpencodePlace): Promise<OpencodeServer> {
  const port = await freePort();
  const child = spawn(binary, ["serve", "--port", String(port), "--hostname", "127.0.0.1", "--print-logs"], {
    cwd: place.root,
    env: place.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => {
      output += piece.toString();
    });
  const url = `http://127.0.0.1:${port}`;
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  try {
    await eventually(() => answers(child, url, () => output), Boolean, 90_000);
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
  return {
    url,
    pid: child.pid ?? 0,
    async open(directory) {
      const client = createOpencodeClient({ baseUrl: url, directory });
      await client.session.list();
      return client;
    },
    output: () => output,
    kill9: () => end("SIGKILL"),
    close: () => end("SIGTERM"),
  };
}

/** The plugin as npm would publish it, as what stands in opencode.json. */
export async function packPlugin(): Promise<{ spec: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-tarball-"));
  const script = resolve(import.meta.dirname, "../../../scripts/pack-opencode-plugin.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, "--out", folder]);
  return {
    spec: `opencode-signalbox@file:${stdout.trim().split("\n").at(-1)}`,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function answers(child: ChildProcess, url: string, output: () => string): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error(`opencode ended at once:\n${output()}`);
  try {
    // A connection made while it starts may hang for minutes.
    return (await fetch(`${url}/global/health`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false; // Not yet.
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
