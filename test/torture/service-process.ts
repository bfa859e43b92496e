import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Client } from "../../service/client/call.ts";
import { createClient } from "../../service/client/client.ts";
import { readEndpoint } from "../../service/client/discover.ts";
import { type Paths, resolvePaths } from "../../service/client/paths.ts";
import { socketTransport } from "../../service/client/socket-transport.ts";

export const projectRoot = resolve(import.meta.dirname, "../..");

/** One installation in a folder of its own. */
export interface Home {
  readonly folder: string;
  readonly paths: Paths;
  /** Extra variables of every service started here. */
  readonly env: Record<string, string>;
  /** A new client, closed with the home. It reads the token again for each call, as a restart changes it. */
  client(): Client;
  writeConfig(toml: string): void;
  writeWorkflow(name: string, lua: string): void;
  /** What the service wrote to its output and its log. */
  log(): string;
  remove(): void;
}

export function createHome(folder = mkdtempSync(join(tmpdir(), "signalbox-torture-"))): Home {
  const paths = resolvePaths({ home: folder, env: {} });
  const clients: Client[] = [];
  const read = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
  return {
    folder,
    paths,
    env: {},
    client() {
      const client = createClient(socketTransport(() => readEndpoint(paths, {})));
      clients.push(client);
      return client;
    },
    writeConfig: (toml) => writeFileSync(paths.configFile, toml),
    writeWorkflow(name, lua) {
      mkdirSync(paths.workflowsDir, { recursive: true });
      writeFileSync(join(paths.workflowsDir, `${name}.lua`), lua);
    },
    log: () => read(join(folder, "output.log")) + read(paths.logFile),
    remove() {
      for (const client of clients) client.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface ServiceProcess {
  readonly pid: number;
  /** Resolves when it has ended, however. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly isAlive: boolean;
  /** Signal 9; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
  /** Memory in use. */
  rssBytes(): number;
}

/**
 * The file to run: the bundle, which starts faster, unless a source is newer than it or it is not there.
 */
export function serviceFile(): string {
  const built = join(projectRoot, "dist/service.js");
  const sources = join(projectRoot, "service");
  const isFresh =
    existsSync(built) &&
    existsSync(join(projectRoot, "dist/lua-worker.js")) &&
    statSync(built).mtimeMs > newest(sources);
  return isFresh ? built : join(sources, "main.ts");
}

function newest(folder: string): number {
  let latest = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/\.(ts|sql)$/.test(entry.name) || entry.name.endsWith(".test.ts")) continue;
    latest = Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
  }
  return latest;
}

interface SpawnOptions {
  entry?: string | undefined;
  /** `section.key=value`. */
  set?: readonly string[];
  /** Put before the command, such as `prlimit --nofile=…`. */
  wrap?: readonly string[];
}

/** Starts the service and does not wait for it. */
export function spawnService(home: Home, options: SpawnOptions = {}): ServiceProcess {
  const output = openSync(join(home.folder, "output.log"), "a");
  const command = [
    ...(options.wrap ?? []),
    process.execPath,
    options.entry ?? serviceFile(),
    "--background",
    ...(options.set ?? []).flatMap((one) => ["--set", one]),
  ];
  let child: ChildProcess;
  try {
    child = spawn(command[0] ?? "", command.slice(1), {
      cwd: home.folder,
      stdio: ["ignore", output, output],
      env: { PATH: process.env.PATH, HOME: home.folder, ...home.env, SIGNALBOX_HOME: home.folder },
    });
  } finally {
    closeSync(output);
  }
  return watch(child);
}

function watch(child: ChildProcess): ServiceProcess {
  const { promise: ended, resolve: end } = Promise.withResolvers<{
    code: number | null;
    signal: NodeJS.Signals | null;
  }>();
  child.on("exit", (code, signal) => end({ code, signal }));
  child.on("error", () => end({ code: null, signal: null }));
  const pid = child.pid ?? -1;
  return {
    pid,
    ended,
    get isAlive() {
      return child.exitCode === null && child.signalCode === null;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async stop() {
      child.kill("SIGTERM");
      return (await ended).code;
    },
    rssBytes() {
      const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
      return pages * 4_096;
    },
  };
}

/** Starts the service and resolves when it answers. Kills it and throws with its output if it does not. */
export async function startService(home: Home, options: SpawnOptions = {}): Promise<ServiceProcess> {
  const service = spawnService(home, options);
  if (await isReady(home, service)) return service;
  await service.kill();
  throw new Error(`the service did not start:\n${home.log().slice(-4_000)}`);
}

const READY_MS = 30_000;

/** False when it ended, or has not answered for too long. */
export async function isReady(home: Home, service: ServiceProcess): Promise<boolean> {
  const deadline = performance.now() + READY_MS;
  while (service.isAlive && performance.now() < deadline) {
    if (await answers(home.paths.socket)) return true;
    await pause(5);
  }
  return false;
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = httpRequest({ socketPath: socket, path: "/healthz", agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
      response.on("error", () => resolve(false));
    });
    // One that was taken while the service came up or was killed may never be answered.
    request.setTimeout(2_000, () => request.destroy());
    request.on("error", () => resolve(false));
    request.on("close", () => resolve(false));
    request.end();
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again and again until the answer is yes. @throws when it still is not after `timeoutMs` */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await isSo();
    if (answer) return;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await pause(20);
  }
}
