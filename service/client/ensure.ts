import { SignalboxError } from "../contract/errors.ts";
import type { Info } from "../contract/system.ts";
import { checkProtocol, type FindOptions, type StartOptions } from "./discover.ts";
import { isNotListening, type Transport } from "./transport.ts";

/**
 * The running service's description, once one answers: tries the socket and, where nobody listens, starts the
 * service and waits for it. Eight callers at once end up with one service, since a second one gives way.
 * @throws SignalboxError `service_unreachable` (not running and not to be started, or it did not start: the
 * message has the last lines of its log), `protocol_mismatch`, `unauthorized`
 */
export async function ensureService(transport: Transport, options: FindOptions): Promise<Info> {
  try {
    return await checkProtocol(transport, options.signal);
  } catch (error) {
    if (!isNotListening(error) && !SignalboxError.is(error, "unavailable")) throw error;
    const start = startOptions(options);
    if (start === null) throw error;
    const { startService } = await import("./start.ts");
    return await startService(transport, { ...options, start });
  }
}

function startOptions(options: FindOptions): StartOptions | null {
  const env = options.env ?? process.env;
  if (options.start === false || isSet(env.SIGNALBOX_NO_AUTOSTART)) return null;
  return typeof options.start === "object" ? options.start : {};
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "0";
}
