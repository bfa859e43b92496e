import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDuration } from "../lib/duration.ts";

/** An older name that was found set, and the setting it stands for. */
export interface OldSetting {
  /** `SEKIA_WORKFLOWS_DIR`, or `server.socket` of a file. */
  readonly name: string;
  readonly key: string;
  /** As it would be written in our environment variable. */
  readonly text: string;
}

export interface OldEnvironment {
  readonly settings: OldSetting[];
  /** Set, but without a meaning here. */
  readonly unused: string[];
}

/** Lists were written with commas, or with spaces between words. */
const listOf = (separator: RegExp) => (text: string) =>
  JSON.stringify(
    text
      .split(separator)
      .map((word) => word.trim())
      .filter((word) => word !== ""),
  );

const oldPrefixes = ["SEKIA_", "AGENT_RUNTIME_", "KAISER_", "OC_EVENTS_", "KAEL_"];

interface Alias {
  readonly key: string;
  /** Null: this value means nothing here. */
  readonly convert?: (text: string) => string | null;
}

const seconds = (text: string) =>
  /^\d+(\.\d+)?$/.test(text) ? String(Math.round(Number(text) * 1_000)) : text;
const duration = (text: string) => String(parseDuration(text) ?? text);
/** `:8080` used to mean all interfaces; that is never taken over, only the port is. */
const portOfAddress = (text: string) => /:(\d+)$/.exec(text)?.[1] ?? null;

/** The three routes of makiso's webhook server, now with its shared secret always asked for. */
const webhookRoutes = () =>
  JSON.stringify(
    [
      ["/bitbucket", "bitbucket-webhook"],
      ["/bugsnag", "error-report"],
      ["/payment", "payment-webhook"],
    ].map(([path, topic]) => ({
      path,
      topic,
      auth: "header",
      header: "x-oc-events-secret",
      secret: { env: "OC_EVENTS_WEBHOOK_SECRET" },
    })),
  );

const aliases: Readonly<Record<string, Alias>> = {
  SEKIA_SERVER_SOCKET: { key: "service.socket" },
  SEKIA_WORKFLOWS_HANDLER_TIMEOUT: { key: "workflows.handler_timeout_ms", convert: duration },
  AGENT_RUNTIME_HTTP_ADDR: { key: "ingress.port", convert: portOfAddress },
  AGENT_RUNTIME_DATA_DIR: { key: "store.file", convert: (folder) => join(folder, "signalbox.db") },
  AGENT_RUNTIME_HEARTBEAT_ENABLED: { key: "health.enabled" },
  AGENT_RUNTIME_HEARTBEAT_INTERVAL_SECONDS: { key: "health.interval_ms", convert: seconds },
  AGENT_RUNTIME_HEARTBEAT_STALE_SECONDS: { key: "health.stale_ms", convert: seconds },
  AGENT_RUNTIME_HEARTBEAT_NOTIFY_ADMIN: { key: "health.notify" },
  AGENT_RUNTIME_SMTP_HOST: { key: "mail.host" },
  AGENT_RUNTIME_SMTP_PORT: { key: "mail.port" },
  AGENT_RUNTIME_SMTP_USERNAME: { key: "mail.username" },
  AGENT_RUNTIME_SMTP_PASSWORD: { key: "mail.password" },
  AGENT_RUNTIME_SMTP_FROM: { key: "mail.from" },
  AGENT_RUNTIME_SANDBOX_ENABLED: { key: "shell.enabled" },
  AGENT_RUNTIME_SANDBOX_ALLOWED_COMMANDS: { key: "shell.allow", convert: listOf(/,/) },
  AGENT_RUNTIME_SANDBOX_RUNNER_COMMAND: { key: "shell.runner" },
  AGENT_RUNTIME_SANDBOX_RUNNER_ARGS: { key: "shell.runner_args", convert: listOf(/\s+/) },
  AGENT_RUNTIME_SANDBOX_TIMEOUT_SECONDS: { key: "shell.timeout_ms", convert: seconds },
  KAEL_KIT: { key: "actions.path" },
  KAISER_PORT: { key: "ingress.port" },
  OC_EVENTS_WEBHOOK_SECRET: { key: "connectors.webhook.routes", convert: webhookRoutes },
};

/** Keys of Sekia's own file (S14) and what they are called here. */
const fileAliases: Readonly<Record<string, Alias>> = {
  "server.socket": { key: "service.socket" },
  "workflows.dir": { key: "workflows.dir" },
  "workflows.hot_reload": { key: "workflows.hot_reload" },
  "workflows.handler_timeout": { key: "workflows.handler_timeout_ms", convert: duration },
};

/**
 * Variables of the older systems (U21). Where one has another name here the table above says so; otherwise the
 * prefix alone is old: `KAISER_LOG_LEVEL` is `log.level`. `keyOf` finds a key by the rest, such as `LOG_LEVEL`.
 */
export function readOldEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  keyOf: (rest: string) => string | undefined,
): OldEnvironment {
  const result: OldEnvironment = { settings: [], unused: [] };
  for (const [name, text] of Object.entries(env)) {
    const prefix = oldPrefixes.find((one) => name.startsWith(one));
    if (prefix === undefined || text === undefined || text === "") continue;
    const sameKey = keyOf(name.slice(prefix.length));
    addTo(result, name, text, aliases[name] ?? (sameKey === undefined ? undefined : { key: sameKey }));
  }
  return result;
}

function addTo(result: OldEnvironment, name: string, text: string, alias: Alias | undefined): void {
  const converted = alias?.convert ? alias.convert(text) : text;
  if (alias === undefined || converted === null) result.unused.push(name);
  else result.settings.push({ name, key: alias.key, text: converted });
}

/** Where Sekia looks for its settings (S12), first the one that counts least. */
export function oldConfigFiles(home: string, cwd: string): string[] {
  return ["/etc/sekia", join(home, ".config/sekia"), cwd].map((folder) => join(folder, "sekia.toml"));
}

/** The settings in the content of such a file. */
export function readOldConfig(content: Readonly<Record<string, unknown>>): OldEnvironment {
  const result: OldEnvironment = { settings: [], unused: [] };
  for (const [section, values] of Object.entries(content)) {
    if (typeof values !== "object" || values === null) result.unused.push(section);
    else {
      for (const [name, value] of Object.entries(values)) {
        addTo(result, `${section}.${name}`, String(value), fileAliases[`${section}.${name}`]);
      }
    }
  }
  return result;
}

/** Where Kael looks for its settings (K27), first the one that counts least. */
export function kaelConfigFiles(home: string): string[] {
  return [join(home, ".kael/config.yaml"), join(home, ".config/kael/config.yaml")];
}

/** The actions repository that such a file names, as `actions_path` or `kit`; null where it names none. */
export function readKaelConfig(file: string): { name: string; line: number; text: string } | null {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch {
    return null; // Most people have none.
  }
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    const [, name, value] = /^(actions_path|kit):\s+(.+?)\s*$/.exec(line.replace(/\s+#.*$/, "")) ?? [];
    const text = value?.replace(/^(["'])(.*)\1$/, "$2");
    if (name !== undefined && text) return { name, line: index + 1, text };
  }
  return null;
}
