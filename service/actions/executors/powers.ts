import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, normalize } from "node:path";
import { SignalboxError } from "../../contract/errors.ts";
import { isUnder } from "../../lib/bubblewrap.ts";
import type { ActionPowers, ActionProgram } from "./executor.ts";

export interface FilePower {
  /** Absolute. */
  readonly path: string;
  readonly writable: boolean;
}

const NEVER = ["/proc", "/dev", "/sys"];

/**
 * Reads `powers.files`: `/etc/hosts`, `~/notes`, `~/notes:rw`.
 * @throws SignalboxError `action_source` for paths that are relative, too wide, or not to be handed to any program
 */
export function readFilePowers({ files }: ActionPowers): FilePower[] {
  return files.map((written) => {
    const [, text = "", mode = "ro"] = /^(.*?)(?::(ro|rw))?$/s.exec(written) ?? [];
    const path = normalize(/^~(?=\/|$)/.test(text) ? homedir() + text.slice(1) : text);
    const refused = (why: string) =>
      new SignalboxError("action_source", `powers.files: ${JSON.stringify(written)} ${why}`, {
        hint: "Name folders and files by their absolute path or from `~/`, with `:rw` after those it writes to.",
      });
    if (!isAbsolute(path)) throw refused("is relative");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (/[:,\x00-\x1f]/.test(path.replace(/^[A-Za-z]:/, "")))
      throw refused("has a character that can't be handed on");
    if (path === "/" || NEVER.some((folder) => isUnder(path, folder))) throw refused("is not for programs");
    return { path: path.length > 1 ? path.replace(/\/$/, "") : path, writable: mode === "rw" };
  });
}

/** @throws SignalboxError `action_source` when one is missing */
export function requireFiles(powers: readonly FilePower[]): void {
  const missing = powers.find(({ path }) => !existsSync(path));
  if (missing !== undefined)
    throw new SignalboxError("action_source", `powers.files: ${missing.path} is not there`);
}

/** The variables a program asked for by name, as far as they are set. */
export function namedVariables(names: readonly string[], env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Sentences for an approval: what is open where the powers are enforced. */
export function showPowers(program: ActionProgram): string[] {
  const { hosts } = program.powers;
  const files = readFilePowers(program.powers);
  const read = files.filter(({ writable }) => !writable).map(({ path }) => path);
  const write = files.filter(({ writable }) => writable).map(({ path }) => path);
  return [
    hosts.length === 0
      ? "It has no network."
      : `It has the whole network, the local one too: this sandbox can't tell hosts apart. It says it calls ${hosts.join(", ")}.`,
    ...(read.length > 0 ? [`It also reads ${read.join(", ")}.`] : []),
    ...(write.length > 0 ? [`It also reads and changes ${write.join(", ")}.`] : []),
    ...showVariables(program),
  ];
}

export function showVariables({ env }: ActionProgram): string[] {
  return env.length === 0 ? [] : [`It is given the variables ${env.join(", ")}.`];
}

/** Sentences for an approval where nothing enforces them. */
export function showClaims(program: ActionProgram): string[] {
  const { hosts } = program.powers;
  const files = readFilePowers(program.powers).map(({ path, writable }) =>
    writable ? `${path} (and changes it)` : path,
  );
  return [
    ...(hosts.length > 0 ? [`It says it calls ${hosts.join(", ")}; nothing here holds it to that.`] : []),
    ...(files.length > 0 ? [`It says it uses ${files.join(", ")}; nothing here holds it to that.`] : []),
    ...showVariables(program),
  ];
}
