import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SignalboxError } from "../contract/errors.ts";
import type { Info } from "../contract/system.ts";
import { assertPrivateFolder, type Environment, type Paths } from "./paths.ts";
import { type Endpoint, errorFromReply, type Transport, type WireReply } from "./transport.ts";
import { wire } from "./wire.ts";

export interface StartOptions {
  /** The service's own file. Default: `service.js` beside this one. */
  readonly entry?: string | undefined;
  /** The Node to run it with, for hosts whose own executable is no Node. */
  readonly node?: string | undefined;
  /** Further arguments, such as `--set log.level=debug`. */
  readonly args?: readonly string[] | undefined;
}

export interface FindOptions {
  readonly paths: Paths;
  readonly env?: Environment | undefined;
  /** False: fail when the service does not run. Default: start it, unless SIGNALBOX_NO_AUTOSTART is set. */
  readonly start?: boolean | StartOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads anew where the service is, since a service that started meanwhile may have moved or changed its token. */
export function readEndpoint(paths: Paths, env: Environment = process.env): Endpoint {
  const socket = env.SIGNALBOX_SERVICE_SOCKET || readText(paths.addressFile) || paths.socket;
  if (socket.startsWith("/")) assertPrivateFolderOf(socket, paths);
  return { socket, token: readText(paths.tokenFile) ?? "" };
}

/** The place in the temporary folder could have been taken by somebody else; the others are in the user's folders. */
function assertPrivateFolderOf(socket: string, paths: Paths): void {
  if (socket === paths.socket && dirname(socket) !== dirname(paths.tokenFile)) {
    assertPrivateFolder(dirname(socket));
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    // Not there yet: the service writes it when it starts.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new SignalboxError("unauthorized", `${file} can't be read: ${(error as Error).message}`, {
      cause: error,
      hint: "The service runs as another user, or the file's permissions were changed.",
    });
  }
}

/**
 * Asks the service who it is.
 * @throws SignalboxError `protocol_mismatch` before anything else can go wrong, `service_unreachable`, `unauthorized`
 */
export async function checkProtocol(transport: Transport, signal?: AbortSignal): Promise<Info> {
  const reply = await transport.request({ method: "GET", path: wire.routes.getInfo.path, signal });
  if (reply.status >= 400) throw errorFromReply(reply);
  return acceptInfo(reply);
}

function acceptInfo(reply: WireReply): Info {
  const info = JSON.parse(reply.text) as Partial<Info>;
  if (info.protocol === wire.protocol) return info as Info;
  throw new SignalboxError(
    "protocol_mismatch",
    `The service (version ${info.version ?? "unknown"}) speaks protocol ${info.protocol ?? "unknown"}, ` +
      `this program speaks ${wire.protocol}`,
  );
}

/** The service's file beside this one: `dist/service.js`, or `service/main.ts` in the sources. */
export function serviceEntry(): string {
  const here = import.meta.dirname;
  const built = join(here, "service.js");
  return existsSync(built) ? built : join(here, "..", "main.ts");
}
