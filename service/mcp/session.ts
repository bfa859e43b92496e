import { CLIENT_INFO_META_KEY, type McpServer, type ServerContext } from "@modelcontextprotocol/server";
import type { Client } from "../client/call.ts";
import { type ConnectOptions, connect } from "../client/index.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { Claims } from "./claims.ts";

export interface SessionOptions {
  readonly connect: Pick<ConnectOptions, "env" | "home" | "start">;
  /** Who acts, if not the client's own name. */
  readonly agent: string | undefined;
  readonly holdMs: number;
  readonly clock?: Clock;
  onError(error: unknown): void;
}

/** What one MCP client has open with the service. */
export interface Session {
  readonly id: string;
  /** The service, found or started at the first call. */
  client(): Promise<Client>;
  readonly claims: Claims;
  /** Who acts: `@reviewer`, or `mcp:claude-code` after the client's name. */
  agent(context: ServerContext, server: McpServer): string;
  /** Tells whoever pushed it that the event is with this session. */
  delivered(event_id: string, lease: string): Promise<void>;
  close(): Promise<void>;
}

export function openSession(options: SessionOptions): Session {
  let connecting: Promise<Client> | undefined;
  const client = () => {
    connecting ??= connect(options.connect).catch((error: unknown) => {
      // The next call tries anew.
      connecting = undefined;
      throw error;
    });
    return connecting;
  };
  const { clock = systemClock, holdMs, onError } = options;
  const claims = new Claims({ clock, holdMs, client, onError });
  const id = newId("mcp");
  return {
    id,
    client,
    claims,
    agent: (context, server) => options.agent ?? `mcp:${wordOf(clientName(context, server))}`,
    async delivered(event_id, lease) {
      try {
        await (await client()).giveReceipt({ event_id, lease, kind: "delivered", session: id });
      } catch (error) {
        // It is with the session all the same.
        onError(error);
      }
    },
    async close() {
      await claims.close();
      // A connection that was never made needs no end; one that failed has none.
      await connecting?.then((one) => one.close()).catch(onError);
    },
  };
}

/** Since the revision of 2026 each request says who sends it; before, the first one did. */
function clientName({ mcpReq }: ServerContext, { server }: McpServer): string {
  const sent = (mcpReq.envelope as Record<string, unknown> | undefined)?.[CLIENT_INFO_META_KEY];
  const info = (sent ?? server.getClientVersion()) as { name?: unknown } | undefined;
  return typeof info?.name === "string" ? info.name : "";
}

function wordOf(name: string): string {
  const word = name
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_.-]+/gu, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 100);
  return word === "" ? "client" : word;
}
