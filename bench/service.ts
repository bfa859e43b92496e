import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { Client } from "../service/client/index.ts";
import { allocation } from "../service/client/start.ts";
import type { Closeable } from "../service/lib/scope.ts";
import type { Product } from "./product.ts";

export interface ServiceOptions {
  product: Product;
  /** One folder for all its files; kept when the service stops. */
  home: string;
  /** Settings as `section.key=value`. */
  set?: readonly string[];
  /** TOML, for what `set` can't say. */
  config?: string;
  /** Lua text by name. */
  workflows?: Readonly<Record<string, string>>;
  env?: Readonly<Record<string, string>>;
  /** For Node itself, such as `--cpu-prof`. */
  nodeArgs?: readonly string[];
}

/** The real service in a process of its own. */
export interface RunningService extends Closeable {
  readonly client: Client;
  readonly pid: number;
  readonly home: string;
  readonly socket: string;
  readonly token: string;
  /** From the start of the process to its first answer that it is ready. */
  readonly readyMs: number;
  readonly environment: Record<string, string>;
}

export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { product, home } = options;
  prepareHome(options);
  const environment: Record<string, string> = {
    PATH: process.env.PATH ?? "",
    HOME: home,
    SIGNALBOX_HOME: home,
    SIGNALBOX_NO_AUTOSTART: "1",
    // As whoever finds no service starts one.
    ...allocation,
    ...options.env,
  };
  const log = openSync(join(home, "output.log"), "w");
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...(options.nodeArgs ?? []),
      product.service,
      "--set",
      "log.level=warn",
      ...(options.set ?? []).flatMap((setting) => ["--set", setting]),
    ],
    { cwd: home, env: environment, stdio: ["ignore", log, log] },
  );
  closeSync(log);
  const socket = join(home, "signalbox.sock");
  try {
    await untilReady(child, socket, home);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  const readyMs = performance.now() - begun;
  const { connect } = await product.client();
  const client = await connect({ home, start: false, env: environment });
  return {
    client,
    pid: child.pid ?? 0,
    home,
    socket,
    token: readFileSync(join(home, "token"), "utf8").trim(),
    readyMs,
    environment,
    async close() {
      client.close();
      await stopProcess(child);
    },
  };
}

function prepareHome({ home, config, workflows = {} }: ServiceOptions): void {
  mkdirSync(join(home, "workflows"), { recursive: true, mode: 0o700 });
  if (config !== undefined) writeFileSync(join(home, "config.toml"), config);
  for (const [name, source] of Object.entries(workflows)) {
    writeFileSync(join(home, "workflows", `${name}.lua`), source);
  }
}

/** Asks every millisecond: the answer is what is measured. */
async function untilReady(child: ChildProcess, socket: string, home: string): Promise<void> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; ) {
    if (child.exitCode !== null) break;
    if (await isReady(socket)) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const output = readFileSync(join(home, "output.log"), "utf8");
  throw new Error(`the service did not start:\n${output.slice(-2_000)}`);
}

function isReady(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request({ socketPath, path: "/readyz", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    outgoing.on("error", () => resolve(false));
    outgoing.end();
  });
}

/** Asks it to stop and waits for its end; after ten seconds it has to. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(force);
}
