import type { Connector } from "./connector.ts";
import { github } from "./github/index.ts";
import { webhook } from "./webhook/index.ts";

/** The only list of connectors. */
export const connectorById = { github, webhook } as const;

export type ConnectorId = keyof typeof connectorById;

// Each connector keeps its own type of settings; whoever walks the list hands back the settings it parsed.
export const connectors = Object.values(connectorById) as unknown as Connector<unknown>[];
