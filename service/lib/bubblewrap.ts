import { accessSync, constants, lstatSync, readlinkSync } from "node:fs";
import { delimiter, join, sep } from "node:path";
import { runProcessGroup } from "./process-group.ts";

/** What a program in the sandbox finds of this machine, besides the system's own programs and libraries. */
export interface SandboxRules {
  /** Absolute paths, there under the same name, read-only. A missing one stops the start. */
  readonly readable: readonly string[];
  /** Absolute paths, there under the same name, read and write. */
  readonly writable: readonly string[];
  /** A folder that is `/tmp` inside; null: an empty one in memory. */
  readonly tmpDir: string | null;
  readonly cwd: string;
  /** False: not even loopback. True: all of it; hosts can't be told apart. */
  readonly network: boolean;
}

/** What programs need to start, find their libraries, time zone and certificates: nothing of it is anyone's own. */
const SYSTEM = ["/usr", "/nix/store"];
const SYSTEM_LINKS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const SETTINGS = [
  "alternatives",
  "ca-certificates",
  "fonts",
  "group",
  "gai.conf",
  "host.conf",
  "hosts",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "localtime",
  "mime.types",
  "nsswitch.conf",
  "passwd",
  "pki",
  "protocols",
  "resolv.conf",
  "services",
  "ssl",
  "timezone",
].map((name) => `/etc/${name}`);

/**
 * The words that put `argv` behind them into a sandbox of bubblewrap: namespaces of its own, the system read-only, no
 * home, no network where `rules` says so, no capabilities, and an end with ours. The environment is the caller's affair.
 */
export function bubblewrapArgv(bwrap: string, rules: SandboxRules, argv: readonly string[]): string[] {
  const system = SYSTEM.flatMap((path) => ["--ro-bind-try", path, path]);
  const own = [...rules.readable].sort(byDepth).filter((path) => !isUnder(path, "/usr"));
  return [
    ...[bwrap, "--unshare-all", ...(rules.network ? ["--share-net"] : []), "--die-with-parent"],
    ...["--cap-drop", "ALL", "--hostname", "sandbox"],
    ...[...system, ...SYSTEM_LINKS.flatMap(linkOf)],
    ...SETTINGS.flatMap((path) => ["--ro-bind-try", path, path]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...(rules.tmpDir === null ? ["--tmpfs", "/tmp"] : ["--bind", rules.tmpDir, "/tmp"]),
    ...own.flatMap((path) => ["--ro-bind", path, path]),
    ...[...rules.writable].sort(byDepth).flatMap((path) => ["--bind", path, path]),
    // Only what was mounted by name can be written, not the folders between.
    ...["--remount-ro", "/", "--chdir", rules.cwd, "--", ...argv],
  ];
}

/** `/bin` is a link to `usr/bin` on most systems, and a folder on some. */
function linkOf(path: string): string[] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  return found.isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
}

/** Outer folders first, so that an inner one is mounted on top. */
const byDepth = (one: string, other: string) => one.split(sep).length - other.split(sep).length;

/** Whether absolute `path` is `folder` or inside it, by its words alone: links are not resolved. */
export function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** The absolute path of a program by its bare name, or null. */
export function findProgram(name: string, path: string | undefined): string | null {
  for (const folder of (path ?? "").split(delimiter)) {
    // An empty entry would mean the working directory, which anybody may have filled.
    if (folder === "") continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (lstatSync(file).isDirectory()) continue;
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

export interface Bubblewrap {
  /** Absolute path; null where it is missing or doesn't work. */
  readonly path: string | null;
  /** One sentence; null when it works. */
  readonly reason: string | null;
}

const PROBE_MS = 10_000;

/** Tries whether this machine lets bubblewrap make a sandbox; containers and hardened kernels may not. */
export async function probeBubblewrap(env: NodeJS.ProcessEnv): Promise<Bubblewrap> {
  if (process.platform !== "linux") return { path: null, reason: "bubblewrap is for Linux only" };
  const path = findProgram("bwrap", env.PATH);
  if (path === null) return { path, reason: "bubblewrap (bwrap) is not installed" };
  const rules = { readable: [], writable: [], tmpDir: null, cwd: "/", network: false };
  const end = await runProcessGroup({
    argv: bubblewrapArgv(path, rules, ["/bin/sh", "-c", "exit 0"]),
    ...{ cwd: "/", env: { PATH: env.PATH ?? "" }, stdin: null },
    ...{ timeoutMs: PROBE_MS, maxStdoutBytes: 1_000, overflow: "truncate" },
  });
  if (end.exitCode === 0) return { path, reason: null };
  const words = end.stderrTail.trim() || (end.error?.message ?? end.ended);
  return { path: null, reason: `bubblewrap does not work on this machine: ${words}` };
}
