import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configSchema } from "./config.ts";
import { type ConfigProblem, type LoadOptions, loadConfig } from "./config-load.ts";
import { settingByKey, settings } from "./config-settings.ts";
import { SignalboxError } from "./contract/errors.ts";

let home: string;
let work: string;
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "signalbox-config-")));
  work = join(home, "work");
  mkdirSync(work);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const configFile = () => join(home, "config.toml");
function write(file: string, text: string): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}
const load = (options: LoadOptions = {}) => loadConfig({ cwd: work, env: {}, home, ...options });
function failure(options: LoadOptions = {}): SignalboxError {
  try {
    load(options);
  } catch (error) {
    if (SignalboxError.is(error, "invalid_config")) return error;
    throw error;
  }
  throw new Error("it was accepted");
}
const originOf = (key: string, options: LoadOptions = {}) =>
  load(options).entries.find((entry) => entry.key === key)?.origin;

describe("layers", () => {
  it("the defaults are those of the schema", () => {
    expect(load().config).toEqual(configSchema.parse({}));
    expect(load().files).toEqual([]);
    expect(load().entries.map((entry) => entry.key)).toEqual(settings.map((setting) => setting.key));
  });

  it("U21 a flag wins over the environment, it over the workspace's file, that over the user's", () => {
    write(configFile(), "[log]\nlevel = 'warn'\nformat = 'json'\nkeep = 9\nmax_mb = 8\n");
    const workspace = write(join(work, ".signalbox/config.toml"), "[log]\nformat = 'pretty'\nkeep = 7\n");
    const env = { SIGNALBOX_LOG_KEEP: "6" };
    const { config, files } = load({ env, set: ["log.level=debug"] });
    expect(config.log).toEqual({ level: "debug", format: "pretty", keep: 6, max_mb: 8 });
    expect(files).toEqual([configFile(), workspace]);
    const origin = (key: string) => originOf(key, { env, set: ["log.level=debug"] });
    expect(origin("log.level")).toBe("flag");
    expect(origin("log.keep")).toBe("env SIGNALBOX_LOG_KEEP");
    expect(origin("log.format")).toBe(`${workspace}:2`);
    expect(origin("log.max_mb")).toBe(`${configFile()}:5`);
    expect(origin("log.file")).toBe("default");
  });

  it("reads text of the environment as the kind that each setting wants", () => {
    const env = {
      SIGNALBOX_WORKFLOWS_HOT_RELOAD: "off",
      SIGNALBOX_RETENTION_RAW_DAYS: "0.5",
      SIGNALBOX_INGRESS_PORT: "0",
      SIGNALBOX_CONNECTORS_WEBHOOK_ROUTES: '[{"path":"/a","auth":"none"}]',
    };
    const { config } = load({ env });
    expect(config.workflows.hot_reload).toBe(false);
    expect(config.retention.raw_days).toBe(0.5);
    expect(config.ingress.port).toBe(0);
    expect(config.connectors.webhook.routes).toMatchObject([{ path: "/a", type: "webhook.received" }]);
  });

  it("makes paths absolute: from their file, from the working directory, from the user's home", () => {
    write(configFile(), 'workflows.dir = "flows"\n[connectors.github]\ntoken = { file = "~/t" }\n');
    const { config, paths, entries } = load({ set: ["store.file=db.sqlite"] });
    expect(paths.workflowsDir).toBe(join(home, "flows"));
    expect(paths.databaseFile).toBe(join(work, "db.sqlite"));
    expect(config.connectors.github.token).toEqual({ file: join(homedir(), "t") });
    expect(entries.find((entry) => entry.key === "log.file")?.value).toBe(join(home, "service.log"));
  });

  it("a table of a secret is taken whole, not mixed with that of another file", () => {
    write(configFile(), '[connectors.github]\ntoken = { env = "A" }\n');
    write(join(work, ".signalbox/config.toml"), '[connectors.github]\ntoken = { file = "/b" }\n');
    expect(load().config.connectors.github.token).toEqual({ file: "/b" });
  });
});

describe("bad settings", () => {
  const problems = (error: SignalboxError) => (error.details as { problems: ConfigProblem[] }).problems;

  it("an unknown key is named with file, line and the nearest valid one", () => {
    write(configFile(), '# mine\n[log]\nlevel = "info"\n\nformt = "json"\n[worfklows]\ndir = "x"\n');
    const error = failure();
    expect(error.message).toBe(
      `${configFile()}:5: log.formt is no setting; did you mean log.format?\n` +
        `${configFile()}:6: worfklows is no setting; did you mean workflows?`,
    );
    expect(problems(error)[0]).toMatchObject({ line: 5, key: "log.formt", nearest: "log.format" });
  });

  it("a wrong type is named with file, line, what it must be and what it is", () => {
    write(
      configFile(),
      '[log]\nlevel = "loud"\nkeep = "3"\n\n[workflows]\nhot_reload = "maybe"\nworkers = 99\n',
    );
    expect(failure().message.split("\n")).toEqual([
      `${configFile()}:2: log.level must be one of debug, info, warn, error, not "loud"`,
      `${configFile()}:3: log.keep must be a whole number, not "3"`,
      `${configFile()}:6: workflows.hot_reload must be true or false, not "maybe"`,
      `${configFile()}:7: workflows.workers: must be at most 16`,
    ]);
  });

  it("names the variable or the flag when the value came from there", () => {
    expect(failure({ env: { SIGNALBOX_LOG_KEEP: "many" } }).message).toBe(
      'env SIGNALBOX_LOG_KEEP: log.keep must be a whole number, not "many"',
    );
    expect(failure({ set: ["log.levle=info"] }).message).toBe(
      "--set log.levle is no setting; did you mean log.level?",
    );
    expect(failure({ set: ["log.level"] }).message).toContain("write --set section.key=value");
  });

  it("a table where a value belongs, and a value where a table belongs", () => {
    write(configFile(), "log = 3\n[store.file]\nx = 1\n");
    expect(failure().message.split("\n")).toEqual([
      `${configFile()}:1: log must be a table, [log]`,
      `${configFile()}:2: store.file must be text, not {"x":1}`,
    ]);
  });

  it("an unknown key inside a list's entry has the line of that entry's key", () => {
    write(
      configFile(),
      '[[connectors.webhook.routes]]\npath = "/a"\n[[connectors.webhook.routes]]\npath = "/b"\ntopc = "t"\n',
    );
    expect(failure().message).toBe(
      `${configFile()}:5: connectors.webhook.routes.1.topc is no setting; did you mean connectors.webhook.routes.1.topic?`,
    );
  });

  it("bad TOML is named with file, line and column", () => {
    write(configFile(), "[log]\nlevel = \n");
    const error = failure();
    expect(error.message).toMatch(new RegExp(`^${configFile()}:2:9: `));
    expect(error.details).toEqual({ file: configFile(), line: 2, column: 9 });
  });

  it("a secret written into the file is refused without repeating it, and the hint shows how to", () => {
    write(configFile(), '[connectors.github]\ntoken = "ghp_verysecret"\n');
    const error = failure();
    expect(error.message).toContain(
      `${configFile()}:2: connectors.github.token must be the place of a secret`,
    );
    expect(error.hint).toContain('token = { env = "GITHUB_TOKEN" }');
    expect(JSON.stringify(error.toBody())).not.toContain("verysecret");
  });

  it("multi-line values do not shift the lines", () => {
    write(configFile(), '[store]\nfile = """\n[log]\nnothing = 1\n"""\n\n[log]\nkeep = "x"\n');
    expect(failure().message).toContain(`${configFile()}:8: log.keep`);
  });
});

describe("secrets", () => {
  it("a secret in the environment stays there: the settings only say where", () => {
    const env = { SIGNALBOX_CONNECTORS_GITHUB_TOKEN: "ghp_verysecret" };
    const loaded = load({ env });
    expect(loaded.config.connectors.github.token).toEqual({ env: "SIGNALBOX_CONNECTORS_GITHUB_TOKEN" });
    expect(JSON.stringify(loaded)).not.toContain("verysecret");
  });

  it("a secret given as a flag is refused, since every user of the machine can see it", () => {
    expect(failure({ set: ["connectors.github.token=ghp_verysecret"] }).message).not.toContain("verysecret");
    const { config } = load({ set: ['connectors.github.token={ env = "T" }'] });
    expect(config.connectors.github.token).toEqual({ env: "T" });
  });
});

describe("older names", () => {
  it("S13 U21 variables with the prefixes of the older systems are read and reported", () => {
    const env = {
      SEKIA_SERVER_SOCKET: "/tmp/s.sock",
      SEKIA_WORKFLOWS_HANDLER_TIMEOUT: "45s",
      AGENT_RUNTIME_HEARTBEAT_STALE_SECONDS: "300",
      AGENT_RUNTIME_HTTP_ADDR: ":8081",
      KAISER_LOG_LEVEL: "debug",
      KAEL_LOG_FORMAT: "json",
      KAISER_TELEGRAM_BOT_TOKEN: "123:verysecret",
      OC_EVENTS_WEBHOOK_SECRET: "verysecret",
    };
    const loaded = load({ env });
    const { config } = loaded;
    expect(loaded.paths.socket).toBe("/tmp/s.sock");
    expect(config.workflows.handler_timeout_ms).toBe(45_000);
    expect(config.health.stale_ms).toBe(300_000);
    expect(config.ingress).toMatchObject({ port: 8081, host: "127.0.0.1", enabled: false });
    expect(config.log).toMatchObject({ level: "debug", format: "json" });
    expect(config.connectors.webhook.routes.map((route) => [route.path, route.topic, route.header])).toEqual([
      ["/bitbucket", "bitbucket-webhook", "x-oc-events-secret"],
      ["/bugsnag", "error-report", "x-oc-events-secret"],
      ["/payment", "payment-webhook", "x-oc-events-secret"],
    ]);
    expect(loaded.aliases).toContainEqual({ name: "KAISER_LOG_LEVEL", use: "SIGNALBOX_LOG_LEVEL" });
    expect(loaded.aliases).toHaveLength(7);
    expect(loaded.warnings).toEqual(["KAISER_TELEGRAM_BOT_TOKEN has no meaning here."]);
    expect(JSON.stringify(loaded)).not.toContain("verysecret");
  });

  it("U21 our own name wins over an older one", () => {
    const env = { SIGNALBOX_LOG_LEVEL: "error", KAISER_LOG_LEVEL: "debug" };
    expect(load({ env }).config.log.level).toBe("error");
  });

  it("S12 Sekia's file is searched where there is no file of ours, the working directory's counting most", () => {
    const env = { HOME: home };
    const user = write(
      join(home, ".config/sekia/sekia.toml"),
      '[workflows]\ndir = "/user"\nhot_reload = false\n',
    );
    const local = write(join(work, "sekia.toml"), '[workflows]\ndir = "/local"\n[nats]\nembedded = true\n');
    const loaded = loadConfig({ cwd: work, env });
    expect(loaded.files).toEqual([user, local]);
    expect(loaded.config.workflows).toMatchObject({ dir: "/local", hot_reload: false });
    expect(loaded.aliases.map((alias) => alias.name)).toContain(`workflows.dir in ${local}`);
    expect(loaded.warnings).toEqual([`${local}: nats.embedded has no meaning here.`]);
    expect(loaded.entries.find((entry) => entry.key === "workflows.dir")?.origin).toBe(
      `${local}:2 (workflows.dir)`,
    );
    write(join(home, ".config/signalbox/config.toml"), "");
    expect(loadConfig({ cwd: work, env }).config.workflows.dir).toBeUndefined();
  });

  it("S14 Sekia's settings have their place and their defaults here", () => {
    const env = { HOME: home };
    write(
      join(work, "sekia.toml"),
      '[server]\nsocket = "/tmp/sekiad.sock"\nlisten = "127.0.0.1:7600"\n[nats]\nembedded = true\ndata_dir = "x"\n',
    );
    const loaded = loadConfig({ cwd: work, env });
    expect(loaded.paths.socket).toBe("/tmp/sekiad.sock");
    expect(loaded.config.workflows.hot_reload).toBe(true);
    expect(loaded.paths.workflowsDir).toBe(join(home, ".config/signalbox/workflows"));
    expect(loaded.warnings.map((warning) => warning.split(": ")[1])).toEqual([
      "server.listen has no meaning here.",
      "nats.embedded has no meaning here.",
      "nats.data_dir has no meaning here.",
    ]);
  });

  it("a mistyped variable of ours is pointed out, one that may hold a secret is not", () => {
    const env = { SIGNALBOX_LOG_LEVL: "debug", SIGNALBOX_GITHUB_APP_PRIVATE_KEY: "x", SIGNALBOX_HOME: home };
    expect(load({ env }).warnings).toEqual([
      "SIGNALBOX_LOG_LEVL is no setting; did you mean SIGNALBOX_LOG_LEVEL?",
    ]);
  });
});

it("every setting has a kind, an own variable and stands in the schema", () => {
  expect(new Set(settings.map((setting) => setting.env)).size).toBe(settings.length);
  expect(settingByKey.get("connectors.github.token")?.kind).toBe("secret");
  expect(settingByKey.get("workflows.dir")?.kind).toBe("text");
});
