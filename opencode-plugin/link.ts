/** The way to the service: found, started where that is allowed, and asked for its protocol before anything else. */
import { spawn } from "node:child_process";
import { homedir } from "node:os";
import type { Client } from "../service/client/call.ts";
import { createClient } from "../service/client/client.ts";
import { checkProtocol, readEndpoint } from "../service/client/discover.ts";
import { resolvePaths } from "../service/client/paths.ts";
import { socketTransport } from "../service/client/socket-transport.ts";
import { SignalboxError } from "../service/contract/errors.ts";
import type { Environment } from "./settings.ts";

export interface Link {
  /** Calls the service, after having made sure that it is one of ours. @throws SignalboxError */
  call<T>(ask: (client: Client) => Promise<T>): Promise<T>;
  /** The client itself, for streams. @throws SignalboxError */
  client(): Promise<Client>;
  close(): void;
}

export interface LinkOptions {
  readonly env: Environment;
  /** False: never start it. */
  readonly start: boolean;
  readonly command: string;
  /** Called each time the service was found: at the start, and after it was away. */
  onFound(client: Client): void;
}

const START_TIMEOUT_MS = 20_000;
const SAID_CHARS = 500;

export function createLink(options: LinkOptions): Link {
  const { env } = options;
  const paths = resolvePaths({ env });
  const transport = socketTransport(() => readEndpoint(paths, env));
  const client = createClient(transport);
  let found: Promise<Client> | undefined;
  const find = async (): Promise<Client> => {
    try {
      await checkProtocol(transport);
    } catch (error) {
      if (!isAway(error) || !options.start || isSet(env.SIGNALBOX_NO_AUTOSTART)) throw error;
      await startService(options);
      await checkProtocol(transport);
    }
    options.onFound(client);
    return client;
  };
  const ready = (): Promise<Client> => {
    if (found === undefined) {
      const looking = find();
      found = looking;
      // A failure is the caller's to see; the next call looks again.
      looking.catch(() => {
        if (found === looking) found = undefined;
      });
    }
    return found;
  };
  return {
    client: ready,
    async call(ask) {
      const here = await ready();
      try {
        return await ask(here);
      } catch (error) {
        // It may come back as another version, so the next call asks who it is.
        if (isAway(error) || SignalboxError.is(error, "unauthorized")) found = undefined;
        throw error;
      }
    },
    close: () => client.close(),
  };
}

/** Never by the system's error code: Bun has others than Node. */
export function isAway(error: unknown): boolean {
  return SignalboxError.is(error, "service_unreachable") || SignalboxError.is(error, "unavailable");
}

/** By its own command, since the program that runs us is no Node. */
function startService({ env, command }: LinkOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, hint: string) =>
      reject(new SignalboxError("service_unreachable", `\`${command} up\` ${why}`, { hint }));
    const child = spawn(command, ["up", "--background"], {
      cwd: homedir(),
      env: { ...env },
      stdio: ["ignore", "ignore", "pipe"],
      timeout: START_TIMEOUT_MS,
      shell: process.platform === "win32",
    });
    let said = "";
    child.stderr.on("data", (piece: Buffer) => {
      said = (said + piece.toString()).slice(0, SAID_CHARS);
    });
    child.on("error", (error) =>
      fail(
        `could not be run: ${error.message}`,
        "Install it with `npm install -g signalbox`, or set the plugin's option `command` to where it is.",
      ),
    );
    child.on("close", (code) =>
      code === 0
        ? resolve()
        : fail(`ended with ${code ?? "a signal"}: ${said.trim()}`, "Run it yourself to see more."),
    );
  });
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0";
}
