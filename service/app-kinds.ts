import { dirname, join } from "node:path";
import type { LoadedConfig } from "./config-load.ts";
import { readSecret } from "./connections/secrets.ts";
import type { Connection } from "./connections/supervisor.ts";
import { eventKind } from "./effects/kinds/event/index.ts";
import { parseNetworks } from "./effects/kinds/http/addresses.ts";
import { httpKind } from "./effects/kinds/http/index.ts";
import type { EffectKind } from "./effects/kinds/kind.ts";
import { mailKind } from "./effects/kinds/mail/index.ts";
import { type Answerer, replyKind } from "./effects/kinds/reply/index.ts";
import type { KnownSecret } from "./effects/kinds/secret-use.ts";
import { shellKind } from "./effects/kinds/shell/index.ts";
import type { EventLog } from "./events/log.ts";
import { type Bubblewrap, probeBubblewrap } from "./lib/bubblewrap.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import type { Store } from "./store/store.ts";
import { version } from "./version.ts";

/** What kinds of effect are made from. */
export interface KindParts {
  loaded: LoadedConfig;
  store: Store;
  clock: Clock;
  log: Logger;
  events: EventLog;
  /** Those that are there by now. */
  connections(): readonly Connection[];
}

/**
 * Every kind of effect that this service carries out itself. A new one is a line here.
 * @throws SignalboxError `invalid_config`
 */
export function effectKinds({ loaded, store, events, connections }: KindParts): EffectKind[] {
  const { config, paths } = loaded;
  const { http, secrets } = config.effects;
  const { mail, shell } = config;
  return [
    httpKind({
      allowed: parseNetworks(http.allow_addresses),
      allowedHosts: new Set(http.allow_hosts.map((host) => host.toLowerCase())),
      timeoutMs: http.timeout_ms,
      maxRedirects: http.max_redirects,
      maxBytes: http.max_bytes,
      keepBytes: http.keep_bytes,
      secrets: secrets.map(knownSecret),
      userAgent: `signalbox/${version}`,
    }),
    mailKind({
      ...{ host: mail.host, port: mail.port, tls: mail.tls, username: mail.username, from: mail.from },
      password: () => (mail.password === undefined ? null : readSecret(mail.password)),
      timeoutMs: mail.timeout_ms,
    }),
    shellKind({
      ...{ enabled: shell.enabled, allow: shell.allow, env: shell.env, network: shell.network },
      dir: shell.dir ?? join(dirname(paths.databaseFile), "workspace"),
      timeoutMs: shell.timeout_ms,
      keepBytes: shell.keep_bytes,
      runner: shell.runner,
      runnerArgs: shell.runner_args,
      serviceEnv: process.env,
      sandbox: once(() => probeBubblewrap(process.env)),
    }),
    eventKind({ store, events }),
    replyKind({ store, events, answererOf: (source) => answerer(connections(), source) }),
  ];
}

function answerer(connections: readonly Connection[], source: string): Answerer | undefined {
  const found = connections.find(({ connector, configured }) => configured && connector.id === source);
  const { replyTo, agent, commands } = found?.connector ?? {};
  if (!found || !replyTo || agent === undefined || commands === undefined) return undefined;
  return { agent, commands, context: found.context, replyTo };
}

type SecretSetting = LoadedConfig["config"]["effects"]["secrets"][number];

function knownSecret({ name, env, file, hosts }: SecretSetting): KnownSecret {
  const ref = env === undefined ? { file: file ?? "" } : { env };
  return { name, env: env ?? null, hosts, read: () => readSecret(ref) };
}

/** Asked when it is first needed: the probe starts a process. */
function once(probe: () => Promise<Bubblewrap>): () => Promise<Bubblewrap> {
  let found: Promise<Bubblewrap> | undefined;
  return () => {
    found ??= probe();
    return found;
  };
}
