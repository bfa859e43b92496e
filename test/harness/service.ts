/** The real service in a folder of its own, for tests of what its users see. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type App, startApp } from "../../service/app.ts";
import { type Client, connect } from "../../service/client/index.ts";
import type { Paths } from "../../service/client/paths.ts";
import { loadConfig } from "../../service/config-load.ts";
import type { Clock } from "../../service/lib/clock.ts";
import { type Logger, silentLog } from "../../service/lib/log.ts";
import { luaWorker, serviceEntry } from "./built.ts";
import { eventually } from "./eventually.ts";

export { eventually } from "./eventually.ts";

export interface TestServiceOptions {
  /** Keep using this folder, which stays when the service is closed. Default: a new one that goes with it. */
  home?: string;
  /** Settings as `--set` takes them: `agents.stale_ms=1000`. */
  set?: string[];
  /** Variables besides SIGNALBOX_HOME; nothing else of the environment counts. */
  env?: Record<string, string>;
  /** Text of workflow files by name, written before the start: `{ "labeller.lua": "…" }`. */
  workflows?: Record<string, string>;
}

interface TestServiceBase {
  readonly home: string;
  readonly paths: Paths;
  /** Finds the service anew with each call, so it goes on working after a restart. Never starts one. */
  readonly client: Client;
  /** In an orderly way, also the client; a folder that was made for it is removed. Safe to call twice. */
  close(): Promise<void>;
}

/** Runs in this process, so that a test can turn its clock and look at its parts. */
export interface TestService extends TestServiceBase {
  /** Of the present start. */
  readonly app: App;
  /** Stops it in an orderly way and starts it again on the same files. */
  restart(): Promise<void>;
}

export async function startTestService(
  options: TestServiceOptions & { clock?: Clock; log?: Logger; onStop?: () => void } = {},
): Promise<TestService> {
  const place = await prepare(options);
  const { clock, log = silentLog, onStop = () => {} } = options;
  const open = () =>
    startApp({
      ...{ loaded: place.load(), log, onStop },
      ...luaWorker(),
      ...(clock === undefined ? {} : { clock }),
    });
  let app = await open().catch((error: unknown) => {
    place.remove();
    throw error;
  });
  const client = await place.connect().catch(async (error: unknown) => {
    await app.close();
    place.remove();
    throw error;
  });
  return {
    home: place.home,
    paths: place.load().paths,
    client,
    get app() {
      return app;
    },
    async restart() {
      await app.close();
      app = await open();
    },
    async close() {
      client.close();
      await app.close();
      place.remove();
    },
  };
}

/** Runs as a process of its own, so that a test can kill it. */
export interface TestServiceProcess extends TestServiceBase {
  readonly pid: number;
  /** Everything it wrote to its standard output and error so far. */
  output(): string;
  /** Null while it runs, and when a signal ended it. */
  exitCode(): number | null;
  /** Ends it without warning, as a crash does, and waits until it is gone. */
  kill9(): Promise<void>;
  /** After `kill9` or an end of its own: starts it again on the same files. */
  start(): Promise<void>;
}

export async function startTestServiceProcess(options: TestServiceOptions = {}): Promise<TestServiceProcess> {
  const place = await prepare(options);
  let output = "";
  let child: ChildProcess;
  const start = async () => {
    child = spawn(
      process.execPath,
      [serviceEntry(), ...(options.set ?? []).flatMap((one) => ["--set", one])],
      {
        cwd: place.home,
        env: place.env,
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (piece: Buffer) => {
        output += piece.toString();
      });
    await waitUntilReady(place, child, () => output).catch((error: unknown) => {
      child.kill("SIGKILL");
      throw error;
    });
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  await start();
  const client = await place.connect();
  return {
    home: place.home,
    paths: place.load().paths,
    client,
    get pid() {
      return child.pid ?? 0;
    },
    output: () => output,
    exitCode: () => child.exitCode,
    kill9: () => end("SIGKILL"),
    start,
    async close() {
      client.close();
      await end("SIGTERM");
      place.remove();
    },
  };
}

async function prepare(options: TestServiceOptions) {
  const home = options.home ?? mkdtempSync(join(tmpdir(), "signalbox-test-"));
  const env = { ...options.env, SIGNALBOX_HOME: home, HOME: home, PATH: process.env.PATH ?? "" };
  const load = () => loadConfig({ env, cwd: home, set: options.set });
  for (const [name, text] of Object.entries(options.workflows ?? {})) {
    const file = join(load().paths.workflowsDir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return {
    home,
    env,
    load,
    connect: () => connect({ home, env, start: false }),
    remove() {
      if (options.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

async function waitUntilReady(
  place: { connect(): Promise<Client> },
  child: ChildProcess,
  output: () => string,
): Promise<void> {
  await eventually(
    async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the service ended at once:\n${output()}`);
      try {
        (await place.connect()).close();
        return true;
      } catch {
        return false; // It does not listen yet, or has not written this start's token yet.
      }
    },
    Boolean,
    30_000,
  );
}
