import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { parse as parseTomlText } from "smol-toml";
import { type PathContext, type Paths, resolvePaths } from "./client/paths.ts";
import {
  kaelConfigFiles,
  oldConfigFiles,
  readKaelConfig,
  readOldConfig,
  readOldEnvironment,
} from "./compat/env.ts";
import { type Config, configSchema } from "./config.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import { expectation, namesAt, type Setting, settingByKey, settings } from "./config-settings.ts";
import { SignalboxError } from "./contract/errors.ts";
import { nearest } from "./lib/nearest.ts";

export interface LoadOptions extends PathContext {
  /** `section.key=value`, as given to `--set`. */
  readonly set?: readonly string[] | undefined;
}

export interface ExplainedSetting {
  readonly key: string;
  readonly value: string | number | boolean | null | object;
  /** `default`, `flag`, `env NAME`, or the file with its line; for an older name with that in brackets. */
  readonly origin: string;
  readonly description: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** With the socket, database, log and workflow folder as configured. */
  readonly paths: Paths;
  /** Files that were read, the one that counts most last. */
  readonly files: readonly string[];
  /** Every setting with its value and where it comes from, for `GET /v1/config`. Holds no secret. */
  readonly entries: readonly ExplainedSetting[];
  /** Older names in use, with what to write instead. */
  readonly aliases: readonly { name: string; use: string }[];
  /** What was ignored, in sentences. */
  readonly warnings: readonly string[];
}

/** One thing that is wrong with the settings. */
export interface ConfigProblem {
  readonly file: string | null;
  readonly line: number | null;
  readonly key: string;
  readonly message: string;
  readonly nearest: string | null;
  readonly hint: string | null;
}

/** A value somebody gave, and where. */
interface Given {
  readonly value: unknown;
  readonly origin: string;
  /** Relative paths start here. */
  readonly folder: string;
  readonly source: ConfigFile | null;
}

/** Variables that are no settings. */
const otherVariables = new Set(["SIGNALBOX_HOME", "SIGNALBOX_AGENT", "SIGNALBOX_NO_AUTOSTART"]);

/** What decides about acts outside: a folder that was fetched from somewhere must not widen it. */
const OWN_ONLY = /^(approvals|effects|mail|shell)\./;

/** Settings that are paths: `~/` and relative ones become absolute. */
const pathKeys = new Set([
  "service.socket",
  "log.file",
  "store.file",
  "workflows.dir",
  "actions.path",
  "shell.dir",
]);

/**
 * Reads all settings. The user's file counts least, then the workspace's, then the environment, then flags.
 * @throws SignalboxError `invalid_config`: its message names file, line and key of all that is wrong, and the nearest
 * valid key; `details.problems` has the same as data
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const loading = new Loading(options);
  loading.readFiles();
  loading.readEnvironment();
  loading.readFlags();
  return loading.finish();
}

class Loading {
  readonly #options: LoadOptions;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #cwd: string;
  readonly #paths: Paths;
  readonly #given = new Map<string, Given>();
  readonly #problems: ConfigProblem[] = [];
  readonly #files: string[] = [];
  readonly #aliases: { name: string; use: string }[] = [];
  readonly #warnings: string[] = [];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.#cwd = options.cwd ?? process.cwd();
    this.#paths = resolvePaths(options);
  }

  readFiles(): void {
    const own = [this.#paths.configFile, this.#paths.workspaceConfigFile].flatMap((file) => {
      const read = file === null ? null : readConfigFile(file);
      return read === null ? [] : [read];
    });
    if (this.#options.home === undefined && !this.#env.SIGNALBOX_HOME) {
      if (own.length === 0) this.#readOldFiles();
      this.#readKaelFile();
    }
    for (const source of own) {
      this.#files.push(source.file);
      this.#readTable(source, source.content, []);
    }
  }

  #readTable(source: ConfigFile, table: object, path: readonly string[]): void {
    for (const [name, value] of Object.entries(table)) {
      const here = [...path, name];
      const key = here.join(".");
      if (source.file === this.#paths.workspaceConfigFile && OWN_ONLY.test(key)) {
        const own = this.#paths.configFile;
        this.#warnings.push(`${source.file}:${source.lineOf(here)}: ${key} counts in ${own} only.`);
      } else if (settingByKey.has(key)) {
        const origin = `${source.file}:${source.lineOf(here)}`;
        this.#given.set(key, { value, origin, folder: dirname(source.file), source });
      } else if (namesAt(here) === null) this.#unknownKey(key, source, here);
      else if (isTable(value)) this.#readTable(source, value, here);
      else this.#problem({ key, source, path: here, message: `${key} must be a table, [${key}]` });
    }
  }

  /** Sekia's file counts only where there is none of ours, so that moving over is one step. */
  #readOldFiles(): void {
    for (const file of oldConfigFiles(this.#env.HOME || homedir(), this.#cwd)) {
      const source = readConfigFile(file);
      if (source === null) continue;
      this.#files.push(source.file);
      const old = readOldConfig(source.content);
      for (const { name, key, text } of old.settings) {
        const origin = `${source.file}:${source.lineOf(name.split("."))} (${name})`;
        this.#setText(key, text, origin, dirname(source.file));
        this.#aliases.push({ name: `${name} in ${source.file}`, use: `${key} in ${this.#paths.configFile}` });
      }
      for (const name of old.unused) this.#warnings.push(`${source.file}: ${name} has no meaning here.`);
    }
  }

  /** K27: where the actions are, if nothing of ours says so. */
  #readKaelFile(): void {
    for (const file of kaelConfigFiles(this.#env.HOME || homedir())) {
      const found = readKaelConfig(file);
      if (found === null) continue;
      const { name, line, text } = found;
      this.#files.push(file);
      this.#setText("actions.path", text, `${file}:${line} (${name})`, dirname(file));
      this.#aliases.push({ name: `${name} in ${file}`, use: `actions.path in ${this.#paths.configFile}` });
    }
  }

  readEnvironment(): void {
    const keyByEnv = new Map(settings.map((setting) => [setting.env, setting.key]));
    const old = readOldEnvironment(this.#env, (rest) => keyByEnv.get(`SIGNALBOX_${rest}`));
    for (const { name, key, text } of old.settings) {
      const use = settingByKey.get(key)?.env ?? key;
      this.#setText(key, text, `env ${name}`, this.#cwd);
      this.#aliases.push({ name, use });
    }
    for (const name of old.unused) this.#warnings.push(`${name} has no meaning here.`);
    for (const [name, text] of Object.entries(this.#env)) {
      if (!name.startsWith("SIGNALBOX_") || text === undefined || text === "") continue;
      const key = keyByEnv.get(name);
      if (key !== undefined) this.#setText(key, text, `env ${name}`, this.#cwd);
      else if (!otherVariables.has(name)) this.#unknownVariable(name, keyByEnv);
    }
  }

  /** No error, since a variable of any name may hold a secret that the settings point to. */
  #unknownVariable(name: string, keyByEnv: ReadonlyMap<string, string>): void {
    const meant = nearest(name, [...keyByEnv.keys(), ...otherVariables]);
    if (meant !== null) this.#warnings.push(`${name} is no setting; did you mean ${meant}?`);
  }

  readFlags(): void {
    for (const flag of this.#options.set ?? []) {
      const equals = flag.indexOf("=");
      const key = (equals < 0 ? flag : flag.slice(0, equals)).trim();
      if (equals < 0) this.#problem({ key, message: `--set ${flag}: write --set section.key=value` });
      else if (!settingByKey.has(key)) this.#unknownKey(key, null, key.split("."));
      else this.#setText(key, flag.slice(equals + 1), "flag", this.#cwd);
    }
  }

  #setText(key: string, text: string, origin: string, folder: string): void {
    const setting = settingByKey.get(key);
    if (setting === undefined) throw new Error(`an older name stands for ${key}, which is no setting`);
    this.#given.set(key, { value: fromText(setting, text, origin), origin, folder, source: null });
  }

  #unknownKey(key: string, source: ConfigFile | null, path: readonly PropertyKey[]): void {
    const keys = settings.map((setting) => setting.key);
    const siblings = namesAt(path.slice(0, -1)) ?? [];
    const sibling = nearest(String(path.at(-1)), siblings);
    const meant = sibling === null ? nearest(key, keys) : [...path.slice(0, -1), sibling].join(".");
    const where = source === null ? "--set " : "";
    const message = `${where}${key} is no setting${meant === null ? "" : `; did you mean ${meant}?`}`;
    this.#problem({ key, source, path, message, nearest: meant });
  }

  #problem(problem: {
    key: string;
    message: string;
    source?: ConfigFile | null | undefined;
    path?: readonly PropertyKey[];
    nearest?: string | null;
    hint?: string | null;
  }): void {
    const { key, message, source = null, path = [], hint = null } = problem;
    const line = source === null ? null : source.lineOf(path);
    this.#problems.push({
      file: source?.file ?? null,
      line,
      key,
      message,
      nearest: problem.nearest ?? null,
      hint,
    });
  }

  finish(): LoadedConfig {
    const raw = {};
    for (const [key, given] of this.#given) setAt(raw, key.split("."), absolutePaths(key, given));
    const parsed = configSchema.safeParse(raw);
    for (const issue of parsed.error?.issues ?? []) this.#issue(issue);
    if (!parsed.success || this.#problems.length > 0) throw toError(this.#problems);
    const config = parsed.data;
    const paths: Paths = {
      ...this.#paths,
      socket: config.service.socket ?? this.#paths.socket,
      databaseFile: config.store.file ?? this.#paths.databaseFile,
      logFile: config.log.file ?? this.#paths.logFile,
      workflowsDir: config.workflows.dir ?? this.#paths.workflowsDir,
    };
    const entries = settings.map((setting) => this.#explain(setting, config, paths));
    return {
      config,
      paths,
      files: this.#files,
      entries,
      aliases: this.#aliases,
      warnings: this.#warnings,
    };
  }

  #issue(issue: { code?: string; path: PropertyKey[]; message: string; keys?: string[] }): void {
    if (issue.code === "unrecognized_keys") {
      for (const name of issue.keys ?? []) {
        const path = [...issue.path, name];
        this.#unknownKey(path.join("."), this.#givenAt(path)?.source ?? null, path);
      }
      return;
    }
    const key = issue.path.join(".");
    const given = this.#givenAt(issue.path);
    const setting = settingByKey.get(key);
    const where = given === undefined || given.source !== null ? "" : `${given.origin}: `;
    const isKind = ["invalid_type", "invalid_value", "invalid_union"].includes(issue.code ?? "");
    const text =
      setting !== undefined && isKind
        ? `${key} must be ${expectation(setting)}${notThis(setting, given?.value)}`
        : `${key}: ${issue.message}`;
    this.#problem({
      key,
      source: given?.source,
      path: issue.path,
      message: where + text,
      hint: setting?.kind === "secret" ? secretHint(setting) : null,
    });
  }

  #givenAt(path: readonly PropertyKey[]): Given | undefined {
    for (let length = path.length; length > 0; length--) {
      const given = this.#given.get(path.slice(0, length).join("."));
      if (given !== undefined) return given;
    }
    return undefined;
  }

  #explain(setting: Setting, config: Config, paths: Paths): ExplainedSetting {
    const defaults: Record<string, string> = {
      "service.socket": paths.socket,
      "store.file": paths.databaseFile,
      "log.file": paths.logFile,
      "workflows.dir": paths.workflowsDir,
      "actions.path": paths.actionsDir,
    };
    const value = setting.key
      .split(".")
      .reduce<unknown>((node, name) => (node as Record<string, unknown> | undefined)?.[name], config);
    return {
      key: setting.key,
      value: (value as ExplainedSetting["value"] | undefined) ?? defaults[setting.key] ?? null,
      origin: this.#given.get(setting.key)?.origin ?? "default",
      description: setting.description,
    };
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function setAt(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let node = root;
  for (const name of path.slice(0, -1)) {
    node[name] ??= {};
    node = node[name] as Record<string, unknown>;
  }
  node[path.at(-1) ?? ""] = value;
}

/** Text of a variable or a flag as the kind that the setting wants; left as it is when it is none, for the message. */
function fromText(setting: Setting, text: string, origin: string): unknown {
  switch (setting.kind) {
    case "whole number":
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
    case "switch":
      if (/^(true|1|yes|on)$/i.test(text)) return true;
      return /^(false|0|no|off)$/i.test(text) ? false : text;
    case "list":
      return fromJsonOrToml(text);
    case "secret":
      // The variable holds the secret itself, so the setting points at the variable. A flag is seen by everybody.
      return origin.startsWith("env ") ? { env: origin.slice("env ".length) } : fromJsonOrToml(text);
    default:
      return text;
  }
}

function fromJsonOrToml(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    try {
      return parseTomlText(`value = ${text}`).value;
    } catch {
      return text; // The schema says what it should have been.
    }
  }
}

function absolutePaths(key: string, { value, folder }: Given): unknown {
  if (pathKeys.has(key) && typeof value === "string") return absolutePath(value, folder);
  if (key === "workspaces.dirs" && Array.isArray(value))
    return value.map((one: unknown) => (typeof one === "string" ? absolutePath(one, folder) : one));
  if (settingByKey.get(key)?.kind === "secret" && isTable(value) && typeof value.file === "string") {
    return { ...value, file: absolutePath(value.file, folder) };
  }
  return value;
}

function absolutePath(path: string, folder: string): string {
  if (path === ":memory:" || path === "" || path.startsWith("\\\\") || isGitUrl(path)) return path;
  if (path === "~" || path.startsWith("~/")) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(folder, path);
}

function isGitUrl(path: string): boolean {
  return /^(git\+)?[a-z][a-z0-9+.-]*:\/\//i.test(path) || /^[^/\\:]+@[^/\\:]+:/.test(path);
}

/** Never for a secret, which somebody may have written where only its place belongs. */
function notThis(setting: Setting, value: unknown): string {
  if (setting.kind === "secret" || value === undefined) return "";
  const text = JSON.stringify(value);
  return `, not ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`;
}

function secretHint(setting: Setting): string {
  const name = (setting.default as { env?: string } | undefined)?.env ?? "NAME";
  return `Put the secret into the environment and write ${setting.key.split(".").at(-1)} = { env = "${name}" }.`;
}

function toError(problems: readonly ConfigProblem[]): SignalboxError {
  const lines = problems.map(({ file, line, message }) =>
    file === null ? message : `${file}:${line}: ${message}`,
  );
  const hint = problems.find((problem) => problem.hint !== null)?.hint;
  return new SignalboxError("invalid_config", lines.join("\n"), {
    ...(hint == null
      ? { hint: "Correct it, then try again; docs/configuration.md lists all settings." }
      : { hint }),
    details: { problems },
  });
}
