/** Public entry `signalbox/client`. */
import type { Client } from "./call.ts";
import { createClient } from "./client.ts";
import { type FindOptions, readEndpoint, type StartOptions } from "./discover.ts";
import { ensureService } from "./ensure.ts";
import { type Environment, resolvePaths } from "./paths.ts";
import { socketTransport } from "./socket-transport.ts";
import { isNotListening, type Transport } from "./transport.ts";

export { type ErrorCode, SignalboxError } from "../contract/errors.ts";
export type { Client, PlainRoute, StreamRoute } from "./call.ts";
export { createClient } from "./client.ts";
export type { StartOptions } from "./discover.ts";
export type { CallOptions, StreamOptions, Transport, WireReply, WireRequest } from "./transport.ts";

export interface ConnectOptions {
  /** One folder for everything, instead of SIGNALBOX_HOME or the user's folders. */
  readonly home?: string | undefined;
  /** False: fail when the service does not run. Default: start it, unless SIGNALBOX_NO_AUTOSTART is set. */
  readonly start?: boolean | StartOptions | undefined;
  readonly env?: Environment | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A client of the running service, which is started when nobody listens, also later when it is found gone.
 * @throws SignalboxError `service_unreachable`, `protocol_mismatch`, `unauthorized`
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const env = options.env ?? process.env;
  const paths = resolvePaths({ env, home: options.home });
  // A service that this call starts has to look at the same folder.
  const childEnv = options.home === undefined ? env : { ...env, SIGNALBOX_HOME: options.home };
  const find: FindOptions = { paths, env: childEnv, start: options.start };
  const transport = socketTransport(() => readEndpoint(paths, env));
  await ensureService(transport, { ...find, signal: options.signal });
  return createClient(startingAgain(transport, find));
}

/** Where nobody listens any more nothing was sent, so it is safe to start the service and send it once more. */
function startingAgain(transport: Transport, find: FindOptions): Transport {
  return {
    ...transport,
    async request(request) {
      try {
        return await transport.request(request);
      } catch (error) {
        if (!isNotListening(error)) throw error;
        await ensureService(transport, find);
        return await transport.request(request);
      }
    },
  };
}
