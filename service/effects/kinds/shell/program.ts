import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { SignalboxError } from "../../../contract/errors.ts";
import { findProgram, isUnder } from "../../../lib/bubblewrap.ts";

/** They run whatever their words say, so a list of allowed programs that holds one allows all. */
const WRAPPERS = new Set([
  ...[
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "mksh",
    "fish",
    "csh",
    "tcsh",
    "ash",
    "busybox",
    "pwsh",
    "powershell",
    "cmd",
  ],
  ...[
    "env",
    "sudo",
    "doas",
    "su",
    "xargs",
    "nohup",
    "timeout",
    "nice",
    "setsid",
    "stdbuf",
    "script",
    "watch",
  ],
  ...[
    "chroot",
    "unshare",
    "nsenter",
    "bwrap",
    "exec",
    "eval",
    "command",
    "ssh",
    "parallel",
    "find",
    "expect",
    "tmux",
  ],
]);
const INTERPRETERS =
  /^(python|perl|ruby|node|deno|bun|php|lua|tclsh|Rscript|java|awk|gawk|mawk|sed|make|npm|npx)[\d.]*$/;

export const isWrapper = (name: string): boolean => WRAPPERS.has(name);
/** Its words can be a program, or name one. */
export const isInterpreter = (name: string): boolean => INTERPRETERS.test(name);

/** @throws SignalboxError `not_found`, `forbidden` (it is in the folder that commands write to) */
export function locate(name: string, path: string | undefined, root: string): string {
  const file = findProgram(name, path);
  if (file === null || !isAbsolute(file))
    throw new SignalboxError("not_found", `there is no program ${name} on the service's PATH`);
  if (isUnder(realpathSync(file), root) || isUnder(file, root))
    throw new SignalboxError("forbidden", `${name} is in ${root}, where commands themselves can write`);
  return file;
}

export async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Made when it is missing, so that the first command has a place to work in. */
export function rootOf(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return realpathSync(dir);
}

/**
 * The real folder, links resolved.
 * @throws SignalboxError `forbidden` (outside the root), `not_found`
 */
export function workingFolder(root: string, cwd: string): string {
  const wanted = resolve(root, cwd);
  if (!isUnder(wanted, root)) throw outside(cwd);
  if (!existsSync(wanted)) throw new SignalboxError("not_found", `there is no folder ${cwd} in ${root}`);
  const real = realpathSync(wanted);
  if (!isUnder(real, root)) throw outside(cwd);
  if (!statSync(real).isDirectory()) throw new SignalboxError("not_found", `${cwd} in ${root} is no folder`);
  return real;
}

const outside = (cwd: string) =>
  new SignalboxError("forbidden", `${cwd} leads out of the folder that commands work in`);

const MAX_SCRIPT_BYTES = 50_000_000;

/** Digests of the files that an interpreter's words name: what is approved is the script as it was. */
export async function digestsOfWords(
  words: readonly string[],
  folder: string,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const word of words) {
    const file = resolve(folder, word);
    const stat = word === "" ? undefined : statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) continue;
    if (stat.size > MAX_SCRIPT_BYTES)
      throw new SignalboxError("too_large", `${word} is too large to be looked at`);
    found[word] = await digestOf(file);
  }
  return found;
}
