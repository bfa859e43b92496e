import { describe, expect, it } from "vitest";
import * as z from "zod";
import { type Connector, defineConnector } from "../../service/connectors/connector.ts";
import { type ConnectorId, connectorById, connectors } from "../../service/connectors/registry.ts";
import { connectorChecks, connectorConformance, connectorFolders } from "./connector.ts";

/** What a connector needs beyond its defaults to show all it can do. */
const settings: Partial<Record<ConnectorId, object>> = {
  github: { poll: true },
  webhook: {
    routes: [
      { path: "/by-header", secret: { env: "HOOK" } },
      { path: "/by-hmac", auth: "hmac-sha256", secret: { env: "HOOK" } },
      { path: "/without-secret" },
      { path: "/open", auth: "none" },
    ],
  },
};

for (const connector of connectors) {
  const own = settings[connector.id as ConnectorId];
  connectorConformance(own ? { connector, settings: own } : { connector });
}

describe("the registry", () => {
  it("holds every connector's folder and nothing else", () => {
    expect(connectorFolders().length).toBeGreaterThan(1);
    expect(Object.keys(connectorById).sort()).toEqual(connectorFolders().sort());
  });

  it("knows each connector by its id, and no two agents of one name", () => {
    for (const [id, connector] of Object.entries(connectorById)) expect(connector.id).toBe(id);
    expect(new Set(connectors.map((connector) => connector.agent)).size).toBe(connectors.length);
  });
});

describe("the suite itself", () => {
  const sound = defineConnector<object>({
    id: "webhook",
    title: "Sound",
    agent: "sound",
    capabilities: [],
    config: z.strictObject({}).prefault({}),
    commands: {},
    isConfigured: () => false,
  });
  const command = {
    title: "Act",
    params: z.object({ to: z.string() }),
    idempotent: true,
    summary: () => "Act",
    run: async () => null,
  };
  const route = { path: "/a", maxBytes: 1, isOpen: false, secret: null, secretHint: "Set it." };
  const accepting = async () => ({ status: 200, body: {}, events: [] });

  /** Each breaks exactly the promise that begins so. */
  const broken: [string, Partial<Connector<object>>][] = [
    ["its id is", { id: "no-such-folder" }],
    ["it has settings", { isConfigured: () => true }],
    ["each command can", { commands: { act: { ...command, title: " " } } }],
    ["a summary is", { commands: { act: { ...command, summary: (payload) => String(payload.to) } } }],
    ["a command that lacks", { commands: { act: command } }],
    [
      "each webhook route",
      { routes: () => [{ ...route, maxBytes: Number.POSITIVE_INFINITY }], receive: accepting },
    ],
    ["U18 without a secret", { routes: () => [route], receive: accepting }],
  ];

  it("passes a sound connector", async () => {
    for (const { check } of connectorChecks) await check({ connector: sound as Connector<unknown> });
  });

  it("fails a connector that breaks a promise", async () => {
    for (const [promise, change] of broken) {
      const check = connectorChecks.find((one) => one.promise.startsWith(promise));
      const connector = { ...sound, ...change } as Connector<unknown>;
      await expect(async () => check?.check({ connector }), promise).rejects.toThrow();
    }
    expect(broken.length).toBe(connectorChecks.length - 1);
  });

  it("fails a connector that goes on listening", async () => {
    const check = connectorChecks.at(-1);
    const listen: Connector<object>["listen"] = (context) => {
      context.report("ready");
      return new Promise<void>(() => {});
    };
    const connector = { ...sound, listen } as Connector<unknown>;
    let ended = false;
    void Promise.resolve(check?.check({ connector })).then(() => {
      ended = true;
    });
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
  });
});
