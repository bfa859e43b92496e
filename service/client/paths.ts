import { existsSync, lstatSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { dirname, join, posix, resolve, win32 } from "node:path";
import { SignalboxError } from "../contract/errors.ts";

/** Where Signalbox keeps its files. All are absolute. */
export interface Paths {
  /** The user's settings. */
  readonly configFile: string;
  /** `.signalbox/config.toml` of the nearest folder above the working directory that has one. */
  readonly workspaceConfigFile: string | null;
  readonly databaseFile: string;
  /** Unix socket or named pipe of the control API. */
  readonly socket: string;
  /** Holds the bearer token, readable by its owner only. */
  readonly tokenFile: string;
  /** The running service writes here where it really listens; for settings that move the socket. */
  readonly addressFile: string;
  readonly lockFile: string;
  readonly logFile: string;
  readonly workflowsDir: string;
  /** Rules for what may happen outside without a person. */
  readonly policyFile: string;
  /** The actions repository where no other is set. */
  readonly actionsDir: string;
  /** What can be made again: checkouts, programs that were prepared, answers of actions. */
  readonly cacheDir: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the paths depend on; everything defaults to this process. */
export interface PathContext {
  readonly env?: Environment | undefined;
  /** One folder for everything, as `SIGNALBOX_HOME` says it. */
  readonly home?: string | undefined;
  readonly cwd?: string | undefined;
  readonly platform?: NodeJS.Platform | undefined;
}

/** A Unix socket's path may hold 103 bytes on macOS and 107 on Linux. */
const MAX_SOCKET_BYTES = 100;

interface Folders {
  cache: string;
  config: string;
  data: string;
  state: string;
  runtime: string;
}

/**
 * `SIGNALBOX_HOME` puts everything under one folder. Without it the folders are those of the XDG base directories
 * on Linux, of Library on macOS and of AppData on Windows.
 */
export function resolvePaths(context: PathContext = {}): Paths {
  const env = context.env ?? process.env;
  const platform = context.platform ?? process.platform;
  const cwd = context.cwd ?? process.cwd();
  const { join } = platform === "win32" ? win32 : posix;
  const home = context.home ?? nonEmpty(env.SIGNALBOX_HOME);
  const folders = home === undefined ? userFolders(env, platform) : oneFolder(resolve(cwd, home));
  return {
    configFile: join(folders.config, "config.toml"),
    // Only the service asks for it, and looking for it takes a while.
    get workspaceConfigFile() {
      return findUpwards(cwd, join(".signalbox", "config.toml"));
    },
    databaseFile: join(folders.data, "signalbox.db"),
    socket:
      platform === "win32"
        ? `\\\\.\\pipe\\signalbox-${shortHash(`${userName()}\0${folders.runtime}`)}`
        : fittingSocket(join(folders.runtime, "signalbox.sock")),
    tokenFile: join(folders.runtime, "token"),
    addressFile: join(folders.runtime, "address"),
    lockFile: join(folders.state, "service.lock"),
    logFile: join(folders.state, "service.log"),
    workflowsDir: join(folders.config, "workflows"),
    policyFile: join(folders.config, "policy.toml"),
    actionsDir: join(folders.config, "actions"),
    cacheDir: folders.cache,
  };
}

function oneFolder(home: string): Folders {
  return { cache: join(home, "cache"), config: home, data: home, state: home, runtime: home };
}

function userFolders(env: Environment, platform: NodeJS.Platform): Folders {
  const home = nonEmpty(env.HOME) ?? nonEmpty(env.USERPROFILE) ?? homedir();
  if (platform === "win32") {
    const roaming = nonEmpty(env.APPDATA) ?? win32.join(home, "AppData", "Roaming");
    const local = win32.join(nonEmpty(env.LOCALAPPDATA) ?? win32.join(home, "AppData", "Local"), "signalbox");
    const cache = win32.join(local, "cache");
    return { cache, config: win32.join(roaming, "signalbox"), data: local, state: local, runtime: local };
  }
  const state = posix.join(xdg(env.XDG_STATE_HOME) ?? posix.join(home, ".local/state"), "signalbox");
  const config = xdg(env.XDG_CONFIG_HOME);
  const data = xdg(env.XDG_DATA_HOME);
  const cache = cacheFolder(env, home, platform);
  if (platform === "darwin") {
    const support = posix.join(home, "Library/Application Support/signalbox");
    return {
      cache,
      config: config ? posix.join(config, "signalbox") : support,
      data: data ? posix.join(data, "signalbox") : support,
      state: xdg(env.XDG_STATE_HOME) ? state : support,
      runtime: xdg(env.XDG_RUNTIME_DIR) ? posix.join(env.XDG_RUNTIME_DIR ?? "", "signalbox") : support,
    };
  }
  const runtime = xdg(env.XDG_RUNTIME_DIR) ?? sessionRuntimeDir();
  return {
    cache,
    config: posix.join(config ?? posix.join(home, ".config"), "signalbox"),
    data: posix.join(data ?? posix.join(home, ".local/share"), "signalbox"),
    state,
    runtime: runtime === undefined ? state : posix.join(runtime, "signalbox"),
  };
}

function cacheFolder(env: Environment, home: string, platform: NodeJS.Platform): string {
  const usual = posix.join(home, platform === "darwin" ? "Library/Caches" : ".cache");
  return posix.join(xdg(env.XDG_CACHE_HOME) ?? usual, "signalbox");
}

/** Cron jobs and services lack XDG_RUNTIME_DIR though the folder is there; they must find the same socket. */
function sessionRuntimeDir(): string | undefined {
  const folder = `/run/user/${process.getuid?.() ?? ""}`;
  return existsSync(folder) ? folder : undefined;
}

/** The XDG specification says that relative values are to be ignored. */
function xdg(value: string | undefined): string | undefined {
  return value?.startsWith("/") ? value : undefined;
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

function fittingSocket(wanted: string): string {
  if (Buffer.byteLength(wanted) <= MAX_SOCKET_BYTES) return wanted;
  const folder = `signalbox-${process.getuid?.() ?? userName()}`;
  const short = posix.join(tmpdir(), folder, `${shortHash(wanted)}.sock`);
  return Buffer.byteLength(short) <= MAX_SOCKET_BYTES
    ? short
    : posix.join("/tmp", folder, posix.basename(short));
}

function shortHash(text: string): string {
  // Seldom needed, and loading it is a tenth of what a short command may cost.
  const { createHash } = process.getBuiltinModule("node:crypto");
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function userName(): string {
  return userInfo().username;
}

function findUpwards(from: string, relative: string): string | null {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const candidate = join(folder, relative);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) return null;
  }
}

/**
 * Whoever can write to the socket's folder could take its place and be sent the token. A missing folder is safe.
 * @throws SignalboxError `forbidden`
 */
export function assertPrivateFolder(folder: string): void {
  if (process.platform === "win32") return;
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0) return;
  throw new SignalboxError("forbidden", `${folder} is not a folder that only you can write to`, {
    hint: `Remove it, or make it yours: chown and chmod 700 ${folder}`,
  });
}
