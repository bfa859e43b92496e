/** The real OpenCode, with folders of its own and nothing but the fake model to talk to. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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
  readonly project: string;
  readonly env: Record<string, string>;
  remove(): void;
}

interface PlaceOptions {
  readonly llmUrl: string;
  /** What stands in opencode.json under `plugin`. */
  readonly plugin: unknown[];
  readonly env?: Record<string, string>;
  /** More of opencode.json. */
  readonly config?: object;
}

/** Folders with a configuration that knows only the fake model and the plugin. */
export function makePlace({ llmUrl, plugin, env = {}, config = {} }: PlaceOptions): OpencodePlace {
  const root = mkdtempSync(join(tmpdir(), "signalbox-opencode-"));
  const project = join(root, "project");
  const xdg = Object.fromEntries(
    ["config", "data", "state", "cache"].map((kind) => {
      const folder = join(root, kind);
      mkdirSync(folder, { recursive: true });
      return [`XDG_${kind.toUpperCase()}_HOME`, folder];
    }),
  );
  for (const folder of [join(root, "config", "opencode"), join(project, ".opencode")]) settleInstall(folder);
  writeFileSync(join(project, "opencode.json"), JSON.stringify({ ...fakeConfig(llmUrl), plugin, ...config }));
  return {
    root,
    project,
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
  readonly client: OpencodeClient;
  readonly url: string;
  readonly pid: number;
  output(): string;
  /** As a crash does. */
  kill9(): Promise<void>;
  close(): Promise<void>;
}

/** `opencode serve` in the project's folder, once it answers and has loaded its plugins. */
export async function startServer(binary: string, place: OpencodePlace): Promise<OpencodeServer> {
  const port = await freePort();
  const child = spawn(binary, ["serve", "--port", String(port), "--hostname", "127.0.0.1", "--print-logs"], {
    cwd: place.project,
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
    const client = createOpencodeClient({ baseUrl: url, directory: place.project });
    // An instance of the project, with its plugins, is made at its first request.
    await client.session.list();
    return {
      client,
      url,
      pid: child.pid ?? 0,
      output: () => output,
      kill9: () => end("SIGKILL"),
      close: () => end("SIGTERM"),
    };
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
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
