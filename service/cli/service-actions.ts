import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { serviceEntry } from "../client/discover.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Context } from "./context.ts";

/** A little more than `service.drain_ms` takes by default. */
const STOP_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 15;

interface UpOptions {
  background?: boolean;
  set?: string[];
  logLevel?: string;
}

export async function up(context: Context, options: UpOptions): Promise<void> {
  const level = options.logLevel === undefined ? [] : [`log.level=${options.logLevel}`];
  const args = [...(options.set ?? []), ...level].flatMap((one) => ["--set", one]);
  if (options.background) await startInBackground(context, args);
  else await becomeService(context, args);
}

async function startInBackground(context: Context, args: readonly string[]): Promise<void> {
  const { out } = context;
  const before = await context.runningClient();
  const client = before ?? (await context.startedClient(args));
  const info = await client.getInfo();
  out.result(info, () => {
    out.line(
      `The service ${before === null ? "runs" : "was running already"} (process ${info.pid}, ${info.socket})`,
    );
    if (before !== null) {
      out.remark(
        "It keeps the settings and the environment of its start; for others stop it first: signalbox down",
      );
    }
  });
}

/** The service takes over this process, with its own arguments, signals and exit code. */
async function becomeService(context: Context, args: readonly string[]): Promise<void> {
  const client = await context.runningClient();
  if (client !== null) {
    const { pid } = await client.getInfo();
    throw new SignalboxError("already_running", `The service runs already (process ${pid})`);
  }
  context.close();
  const entry = serviceEntry();
  process.argv = [process.execPath, entry, ...args];
  await import(pathToFileURL(entry).href);
}

export async function down(context: Context): Promise<void> {
  const { out } = context;
  const client = await context.runningClient();
  if (client === null) {
    out.result({ stopped: false, running: false }, () => out.line("The service does not run."));
    return;
  }
  const { pid } = await client.getInfo();
  await client.shutdown();
  context.close();
  await ended(pid);
  out.result({ stopped: true, running: false, pid }, () =>
    out.line(`The service has stopped (process ${pid}).`),
  );
}

/** Comes back when the process is gone, so that whoever starts it again finds the lock free. */
async function ended(pid: number): Promise<void> {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (Date.now() > deadline) {
      throw new SignalboxError("unavailable", `The service (process ${pid}) is still stopping`, {
        hint: `It waits for work under way. To end it at once: kill ${pid}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    // EPERM: it lives, as somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** In a container the first process may never ask how its orphans ended, and then their numbers stay taken. */
function isZombie(pid: number): boolean {
  if (process.platform !== "linux") return false;
  try {
    return /\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true; // It ended in between.
  }
}
