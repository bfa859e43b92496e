import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import {
  type Connector,
  type ConnectorContext,
  type SecretRef,
  type WebhookRoute,
  webhookPath,
} from "../../service/connectors/connector.ts";
import { type Json, type JsonObject, limits, name } from "../../service/contract/common.ts";
import { SignalboxError } from "../../service/contract/errors.ts";
import { Secret } from "../../service/lib/secret.ts";
import {
  commandContext,
  connectorContext,
  listenContext,
  webhookRequest,
} from "../harness/connector-context.ts";

const connectorsDir = fileURLToPath(new URL("../../service/connectors/", import.meta.url));

export interface ConnectorUnderTest<Config> {
  connector: Connector<Config>;
  /** Settings that switch on what it can do: routes, polling. The defaults when left out. */
  settings?: object;
}

export interface ConnectorCheck {
  promise: string;
  /** Throws when the connector does not keep it. */
  check(subject: ConnectorUnderTest<unknown>): void | Promise<void>;
}

/** Folders of connectors, as they lie on the disk. */
export function connectorFolders(): string[] {
  const entries = readdirSync(connectorsDir, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** What every connector promises. */
export const connectorChecks: ConnectorCheck[] = [
  { promise: "its id is its folder's name, and the folder has an entry and a README", check: checkFolder },
  { promise: "it has settings to start from when none are given", check: checkSettings },
  { promise: "each command can be shown and offered from its description alone", check: checkCommands },
  { promise: "a summary is one short line, whatever the payload", check: checkSummaries },
  { promise: "a command that lacks what it needs calls nobody", check: checkEmptyCommands },
  { promise: "each webhook route has a path, a limit and a way to get a secret", check: checkRoutes },
  { promise: "U18 without a secret a route accepts nothing", check: checkClosed },
  { promise: "listening ends when it is told to", check: checkStops },
];

export function connectorConformance(subject: ConnectorUnderTest<unknown>): void {
  describe(`connector ${subject.connector.id}`, () => {
    for (const { promise, check } of connectorChecks) it(promise, () => check(subject));
  });
}

function checkFolder({ connector }: ConnectorUnderTest<unknown>): void {
  expect(connector.id).toMatch(/^[a-z][a-z0-9-]*$/);
  for (const file of ["index.ts", "README.md"]) {
    expect(existsSync(`${connectorsDir}${connector.id}/${file}`), `${connector.id}/${file}`).toBe(true);
  }
  expect(connector.title).not.toBe("");
  expect(name.safeParse(connector.agent).success, "agent is a name").toBe(true);
}

function checkSettings({ connector }: ConnectorUnderTest<unknown>): void {
  const settings = connector.config.parse(undefined);
  expect(settings).toBeTypeOf("object");
  expect(connector.config.safeParse({ no_such_setting: 1 }).success, "unknown settings are refused").toBe(
    false,
  );
  expect(connector.isConfigured(settings, () => null)).toBe(false);
}

function checkCommands({ connector }: ConnectorUnderTest<unknown>): void {
  for (const [command, { title, params, idempotent }] of Object.entries(connector.commands)) {
    expect(command).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(title, command).toMatch(/\S/);
    expect(idempotent, command).toBeTypeOf("boolean");
    expect(z.toJSONSchema(params, { io: "input" }), command).toMatchObject({ type: "object" });
  }
}

function checkSummaries({ connector }: ConnectorUnderTest<unknown>): void {
  for (const command of Object.values(connector.commands)) {
    const fields = Object.keys(fieldsOf(command.params));
    const payloads = fc.dictionary(
      fc.oneof(fc.constantFrom("", ...fields), fc.string()),
      fc.oneof(fc.jsonValue(), fc.string({ unit: "binary", maxLength: 2_000 })),
    );
    fc.assert(
      fc.property(payloads, (payload) => {
        const summary = command.summary(payload as JsonObject);
        expect(summary).toMatch(/\S/);
        expect(summary.length).toBeLessThanOrEqual(500);
        expect(summary).not.toMatch(/\p{Cc}/u);
      }),
      { numRuns: 200 },
    );
  }
}

async function checkEmptyCommands({ connector, settings }: ConnectorUnderTest<unknown>): Promise<void> {
  for (const [id, command] of Object.entries(connector.commands)) {
    let calls = 0;
    const context = {
      ...commandContext(connector.config.parse(settings)),
      secret: () => new Secret("set"),
      fetch: async () => {
        calls++;
        return new Response("{}");
      },
    };
    const required = fieldsOf(command.params, "required");
    if (Object.keys(required).length === 0) continue;
    const error: unknown = await command.run({}, context).then(
      () => null,
      (thrown) => thrown,
    );
    expect(SignalboxError.is(error, "invalid_request"), id).toBe(true);
    for (const field of Object.keys(required)) expect((error as Error).message, id).toContain(field);
    expect(calls, id).toBe(0);
  }
}

function checkRoutes({ connector, settings }: ConnectorUnderTest<unknown>): void {
  const routes = routesOf(connector, settings);
  if (connector.receive) expect(routes.length, "settings of this suite give it a route").toBeGreaterThan(0);
  for (const route of routes) {
    expect(webhookPath.safeParse(route.path).success, route.path).toBe(true);
    expect(route.maxBytes).toBeGreaterThan(0);
    expect(route.maxBytes).toBeLessThanOrEqual(limits.requestBytes);
    expect(route.secretHint, route.path).toMatch(/\S/);
  }
}

async function checkClosed({ connector, settings }: ConnectorUnderTest<unknown>): Promise<void> {
  const config = connector.config.parse(settings);
  for (const value of [null, "", "  "]) {
    const secret = (_ref: SecretRef) => (value === null ? null : new Secret(value));
    const context: ConnectorContext<unknown> = { ...connectorContext(config), secret };
    for (const route of routesOf(connector, settings)) {
      for (const allowsOpen of route.isOpen ? [false] : [false, true]) {
        const request = {
          ...webhookRequest(route.path, "{}", { "content-type": "application/json" }),
          allowsOpen,
        };
        const error: unknown = await connector.receive?.(request, context).then(
          () => null,
          (thrown) => thrown,
        );
        expect(SignalboxError.is(error, "secret_missing"), `${route.path} refuses`).toBe(true);
      }
    }
  }
}

async function checkStops({ connector, settings }: ConnectorUnderTest<unknown>): Promise<void> {
  if (!connector.listen) return;
  for (const given of [undefined, settings]) {
    const { context, stop } = listenContext(connector.config.parse(given));
    // A remote service that never answers.
    let asked = () => {};
    const waiting = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const fetch: typeof globalThis.fetch = (_input, init) => {
      asked();
      return new Promise((_resolve, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    };
    const report = () => asked();
    const ended = connector.listen({ ...context, fetch, report, secret: () => new Secret("set") });
    await Promise.race([waiting, ended]);
    stop();
    await ended;
  }
}

function routesOf(connector: Connector<unknown>, settings: object | undefined): WebhookRoute[] {
  return connector.routes?.(connector.config.parse(settings)) ?? [];
}

/** The fields of a command's payload by its JSON Schema, all or the required ones. */
function fieldsOf(params: z.ZodType, which: "all" | "required" = "all"): Record<string, Json> {
  const schema = z.toJSONSchema(params, { io: "input" });
  const all = (schema.properties ?? {}) as Record<string, Json>;
  if (which === "all") return all;
  return Object.fromEntries((schema.required ?? []).map((field) => [field, all[field] ?? {}]));
}
