import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import packageJson from "../../../package.json" with { type: "json" };
import type { Context } from "../context.ts";
import { duration } from "../parse.ts";

/** A model that works on one event for longer says so by `extend`. */
const HOLD_MS = 2 * 3_600_000;

interface McpOptions {
  agent?: string;
  hold?: number;
  readOnly?: boolean;
  sekiaNames?: boolean;
}

/** Of service/mcp, which is a bundle of its own: its library would slow every other command down. */
interface McpModule {
  serveMcp(options: {
    version: string;
    connect: { env: Context["io"]["env"] };
    agent: string | undefined;
    holdMs: number;
    sekiaNames: boolean;
    readOnly: boolean;
    stdin: Readable;
    stdout: Writable;
    signal: AbortSignal;
    log(line: string): void;
  }): Promise<void>;
}

export function register(program: Command, context: Context): void {
  program
    .command("mcp")
    .description("serve other programs' agents through the Model Context Protocol")
    .option("-a, --agent <name>", "who acts; default SIGNALBOX_AGENT, OC_AGENT_ID, or the client's name")
    .option("--hold <time>", "how long a claim is renewed without a sign of life; default 2h", duration)
    .option("--read-only", "offer only what changes nothing")
    .option("--sekia-names", "offer Sekia's tools by their older names as well")
    .action((options: McpOptions) => serve(context, options));
}

async function serve({ io, out, agent }: Context, options: McpOptions): Promise<void> {
  if (io.stdin.isTTY)
    out.remark(
      "This is for a program that speaks MCP, not for typing. Ctrl-D ends it; docs/mcp.md says more.",
    );
  const { serveMcp } = (await import(entry())) as McpModule;
  const stop = new AbortController();
  const end = () => stop.abort();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, end);
  io.signal?.addEventListener("abort", end, { once: true });
  await serveMcp({
    version: packageJson.version,
    connect: { env: io.env },
    agent: agent(options.agent),
    holdMs: options.hold ?? HOLD_MS,
    sekiaNames: options.sekiaNames === true,
    readOnly: options.readOnly === true,
    stdin: io.stdin as Readable,
    stdout: io.stdout as unknown as Writable,
    signal: stop.signal,
    log: (line) => out.remark(line),
  });
}

/** `dist/mcp.js` beside the built command line, or the source. */
function entry(): string {
  const built = join(import.meta.dirname, "mcp.js");
  return pathToFileURL(existsSync(built) ? built : join(import.meta.dirname, "../../mcp/main.ts")).href;
}
