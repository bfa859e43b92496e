import { buildClient, type Client } from "../client/call.ts";
import { checkProtocol, readEndpoint } from "../client/discover.ts";
import { type Paths, resolvePaths } from "../client/paths.ts";
import { quickTransport } from "../client/quick-transport.ts";
import { isNotListening, type Transport } from "../client/transport.ts";
import { wire } from "../client/wire.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { RouteName, Output as RouteOutput } from "../contract/routes.ts";
import type { Io, Output } from "./output.ts";

/** What every command is given. */
export interface Context {
  readonly io: Io;
  readonly out: Output;
  readonly paths: Paths;
  /** The service, started if nobody listens. @throws SignalboxError `service_unreachable`, `protocol_mismatch` */
  client(): Promise<Client>;
  /** The service, or null when it does not run. */
  runningClient(): Promise<Client | null>;
  /** Runs `up --background`: like `client`, also where SIGNALBOX_NO_AUTOSTART is set. */
  startedClient(args: readonly string[]): Promise<Client>;
  /** Who acts: the option, else SIGNALBOX_AGENT, else OC_AGENT_ID. */
  agent(option: string | undefined): string | undefined;
  /** What the command ends with; 0 unless somebody says otherwise. */
  exitCode: number;
  exit(code: number): void;
  close(): void;
}

export function createContext(io: Io, out: Output): Context {
  const paths = resolvePaths({ env: io.env, cwd: io.cwd });
  const transport = quickTransport(() => readEndpoint(paths, io.env));
  // Asked at once, so that the answer is there when the arguments have been read.
  const greeting = greet(transport);
  const ready = once(async () => {
    await ensure(greeting, transport, paths, io.env);
    return rawClient(transport);
  });
  const context: Context = {
    io,
    out,
    paths,
    exitCode: 0,
    exit(code) {
      context.exitCode = code;
    },
    client: ready,
    async runningClient() {
      const { error } = await greeting;
      if (error === null) return rawClient(transport);
      if (isNotListening(error)) return null;
      throw error;
    },
    async startedClient(args) {
      await ensure(greeting, transport, paths, { ...io.env, SIGNALBOX_NO_AUTOSTART: undefined }, args);
      return rawClient(transport);
    },
    agent: (option) => option || io.env.SIGNALBOX_AGENT || io.env.OC_AGENT_ID || undefined,
    close: () => transport.close(),
  };
  return context;
}

/** Replies are taken as they are: the protocol's number was compared, and parsing would cost more than the call. */
function rawClient(transport: Transport): Client {
  return buildClient(
    transport,
    wire.routes,
    <N extends RouteName>(_: N, reply: unknown) => reply as RouteOutput<N>,
  );
}

interface Greeting {
  /** Why nobody answered, or why the answer was no good. */
  readonly error: unknown;
}

async function greet(transport: Transport): Promise<Greeting> {
  try {
    await checkProtocol(transport);
    return { error: null };
  } catch (error) {
    return { error };
  }
}

async function ensure(
  greeting: Promise<Greeting>,
  transport: Transport,
  paths: Paths,
  env: Io["env"],
  args?: readonly string[],
): Promise<void> {
  const { error } = await greeting;
  if (error === null) return;
  if (!isNotListening(error) && !SignalboxError.is(error, "unavailable")) throw error;
  const { ensureService } = await import("../client/ensure.ts");
  await ensureService(transport, { paths, env, ...(args ? { start: { args } } : {}) });
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
