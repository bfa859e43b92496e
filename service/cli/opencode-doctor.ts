import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkProtocol, readEndpoint } from "../client/discover.ts";
import { quickTransport } from "../client/quick-transport.ts";
import { isNotListening } from "../client/transport.ts";
import { wire } from "../client/wire.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Finding } from "../contract/system.ts";
import type { Context } from "./context.ts";
import {
  type Entry,
  entryOf,
  globalFiles,
  keyFor,
  openCodeFolders,
  PACKAGE,
  projectFiles,
  readConfig,
  startsMcp,
} from "./opencode-config.ts";

/** Versions of OpenCode that the plugin was tried with, and the first one that it is not for. */
const OLDEST = [1, 18] as const;
const TOO_NEW = 3;
const VERSION_TIMEOUT_MS = 30_000;
const LINES = 5;

const good = (check: string, message: string): Finding => ({ check, ok: true, message, hint: null });
const bad = (check: string, message: string, hint: string): Finding => ({ check, ok: false, message, hint });

/** The version of the `opencode` on the path; null where there is none. */
export function openCodeVersion(env: Context["io"]["env"]): string | null {
  const { stdout, status } = spawnSync("opencode", ["--version"], {
    env: { ...env },
    encoding: "utf8",
    timeout: VERSION_TIMEOUT_MS,
    shell: process.platform === "win32",
  });
  return status === 0 ? (/\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? null) : null;
}

/** Why the plugin may not work. `version` is this program's own, which the plugin's has to be. */
export async function examine(context: Context, version: string): Promise<Finding[]> {
  const { env, cwd } = context.io;
  const openCode = openCodeVersion(env);
  const configs = readAll([...projectFiles(cwd), ...globalFiles(env)]);
  const entries = configs.flatMap(({ file, entry }) => (entry === null ? [] : [{ file, entry }]));
  return [
    programFinding(openCode),
    ...configs.flatMap(({ problem }) => (problem === null ? [] : [problem])),
    ...entryFindings(entries, openCode, version),
    ...mcpFindings(
      configs.flatMap(({ file, problem }) => (problem ? [] : [file])),
      entries.length > 0,
    ),
    ...folderFindings(
      configs.map(({ file }) => dirname(file)),
      entries.length > 0,
    ),
    ...packageFindings(env, entries[0]?.entry, version),
    await protocolFinding(context),
    ...logFindings(env),
  ];
}

function readAll(files: string[]) {
  return files.map((file) => {
    try {
      return { file, entry: entryOf(readConfig(file), file), problem: null };
    } catch (error) {
      if (!SignalboxError.is(error)) throw error;
      return { file, entry: null, problem: bad("config", error.message, "OpenCode can't read it either.") };
    }
  });
}

function programFinding(version: string | null): Finding {
  if (version === null)
    return bad("opencode", "there is none on the PATH", "Install it: npm install -g opencode-ai");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return bad("opencode", `${version} is older than ${OLDEST.join(".")}`, "Upgrade it: opencode upgrade");
  if (major >= TOO_NEW)
    return bad("opencode", `${version} is newer than this plugin knows`, "Look for a newer Signalbox.");
  const remark = major === 2 ? "; the plugin has not been tried with version 2" : "";
  return good("opencode", `${version}${remark}`);
}

function entryFindings(
  entries: { file: string; entry: Entry }[],
  openCode: string | null,
  version: string,
): Finding[] {
  const [first, second] = entries;
  if (first === undefined)
    return [bad("plugin", "no configuration names it", "signalbox opencode install, or with --global")];
  const { file, entry } = first;
  const found = [good("plugin", `${entry.spec} in ${file}`)];
  const key = keyFor(Number.parseInt(openCode ?? "1", 10));
  if (openCode !== null && entry.key !== key)
    found.push(
      bad(
        "plugin",
        `${file} names it under ${entry.key}, but OpenCode ${openCode} reads ${key}`,
        "signalbox opencode install",
      ),
    );
  if (second !== undefined)
    found.push(
      bad(
        "plugin",
        `${second.file} names it as well`,
        "Keep one of them: signalbox opencode uninstall --file …",
      ),
    );
  if (isElsewhere(entry)) return found;
  const pinned = entry.spec.slice(PACKAGE.length + 1);
  if (!/^\d+\.\d+\.\d+/.test(pinned))
    found.push(
      bad(
        "version",
        `${entry.spec} stays at the first version that OpenCode happened to install`,
        "signalbox opencode install pins it",
      ),
    );
  else if (pinned !== version) found.push(differs(pinned, version));
  return found;
}

/** From a file or folder, whose path tells no version. */
function isElsewhere({ spec }: Entry): boolean {
  return /^(file:|\.|\/)/.test(spec.slice(PACKAGE.length + 1));
}

function differs(plugin: string, version: string): Finding {
  return bad(
    "version",
    `the plugin is ${plugin}, this is Signalbox ${version}`,
    "signalbox opencode install",
  );
}

/** Both at once give a model each tool twice. */
function mcpFindings(files: string[], hasPlugin: boolean): Finding[] {
  const also = files.find((file) => hasPlugin && startsMcp(readConfig(file), file));
  return also === undefined
    ? []
    : [bad("mcp", `${also} also starts signalbox mcp`, "Keep one of the two; the plugin can do more.")];
}

/** OpenCode puts its plugin library into each of its folders before it loads any plugin, and waits for the registry. */
function folderFindings(folders: string[], hasPlugin: boolean): Finding[] {
  if (!hasPlugin) return [];
  const own = [...new Set(folders)].filter((folder) => /[\\/]\.?opencode$/.test(folder));
  const without = own.filter((folder) => !existsSync(join(folder, "node_modules/@opencode-ai/plugin")));
  return without.map((folder) =>
    good("folder", `${folder} gets OpenCode's library at its next start, which needs the network then`),
  );
}

function packageFindings(env: Context["io"]["env"], entry: Entry | undefined, version: string): Finding[] {
  const { cache } = openCodeFolders(env);
  // Under its whole entry, which may be a path; older versions had one folder for all.
  const packages = join(cache, "packages");
  const all = existsSync(packages) ? readdirSync(packages) : [];
  const places = [...(entry === undefined ? [] : [entry.spec]), ...all].map((name) => join(packages, name));
  const newest = [...places, cache]
    .map((folder) => join(folder, "node_modules", PACKAGE, "package.json"))
    .find((file) => existsSync(file));
  if (newest === undefined)
    return entry === undefined
      ? []
      : [good("package", "OpenCode has not fetched it yet; it does at its next start")];
  const manifest = JSON.parse(readFileSync(newest, "utf8")) as Manifest;
  const problem = loadProblem(dirname(newest), manifest);
  if (problem !== null)
    return [bad("package", problem, `Remove ${dirname(newest)} and start OpenCode again.`)];
  if (entry !== undefined && isElsewhere(entry) && manifest.version !== version)
    return [differs(manifest.version ?? "unknown", version)];
  const protocol = manifest.signalbox?.protocol;
  if (protocol !== undefined && protocol !== wire.protocol)
    return [
      bad(
        "protocol",
        `the plugin speaks protocol ${protocol}, this Signalbox ${wire.protocol}`,
        "signalbox opencode install",
      ),
    ];
  return [good("package", `${manifest.version} in ${dirname(newest)} loads`)];
}

interface Manifest {
  version?: string;
  main?: string;
  signalbox?: { protocol?: number };
}

/** OpenCode swallows what a plugin throws when it is loaded; here it is said. */
function loadProblem(folder: string, { main }: Manifest): string | null {
  const entry = join(folder, main ?? "index.js");
  if (!existsSync(entry)) return `${entry} is not there`;
  const script = `const { default: plugin } = await import(${JSON.stringify(pathToFileURL(entry).href)});
    if (typeof plugin?.server !== "function") throw new Error("it has no server function");
    process.exit(0);`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
    encoding: "utf8",
    timeout: VERSION_TIMEOUT_MS,
  });
  if (status === 0) return null;
  const line = stderr.split("\n").find((one) => /Error/.test(one)) ?? "it does not end";
  return `${entry} does not load: ${line.trim()}`;
}

async function protocolFinding({ io, paths }: Context): Promise<Finding> {
  const transport = quickTransport(() => readEndpoint(paths, io.env));
  try {
    const { version, protocol } = await checkProtocol(transport);
    return good("service", `${version} runs and speaks protocol ${protocol}`);
  } catch (error) {
    if (!SignalboxError.is(error)) throw error;
    if (isNotListening(error)) return good("service", "does not run; the plugin starts it when it needs it");
    return bad("service", error.message, error.hint);
  } finally {
    transport.close();
  }
}

function logFindings(env: Context["io"]["env"]): Finding[] {
  const folder = join(openCodeFolders(env).data, "log");
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".log")) : [];
  const [newest] = names
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest === undefined) return [good("log", `${folder} has none yet`)];
  const lines = lastRun(readFileSync(newest, "utf8").split("\n")).filter(isOurFailure);
  if (lines.length === 0) return [good("log", `nothing is wrong in the last run in ${newest}`)];
  return lines
    .slice(-LINES)
    .map((line) => bad("log", line.slice(0, 500), "OpenCode may say more with: opencode --print-logs"));
}

/** Newer versions keep all runs in one file, and name them in each line. */
function lastRun(lines: string[]): string[] {
  const id = lines.map((line) => / run=(\w+)/.exec(line)?.[1]).findLast((one) => one !== undefined);
  return id === undefined ? lines : lines.filter((line) => line.includes(` run=${id}`));
}

function isOurFailure(line: string): boolean {
  return /\b(ERROR|WARN)\b|level=(error|warn)/i.test(line) && line.includes("signalbox");
}
