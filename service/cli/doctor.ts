import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { serviceEntry } from "../client/discover.ts";
import { SignalboxError } from "../contract/errors.ts";
import type { Finding } from "../contract/system.ts";
import type { Context } from "./context.ts";
import { styled } from "./text.ts";

/** What can be seen from here, then what the service sees. Does not start it. */
export async function doctor(context: Context): Promise<void> {
  printFindings(context, [
    ...localFindings(context),
    settingsFinding(context),
    ...(await serviceFindings(context)),
  ]);
}

/** Each on a line; what is wrong with what to do about it, and an exit code that says so. */
export function printFindings(context: Context, findings: Finding[]): void {
  const { out } = context;
  if (findings.some((finding) => !finding.ok)) context.exit(1);
  out.result({ findings }, () => {
    for (const { check, ok, message, hint } of findings) {
      out.line(ok ? styled("green", "ok  ") : styled("red", "bad "), ` ${check}: ${message}`);
      if (!ok && hint !== null) out.line(styled("yellow", `      ${hint}`));
    }
  });
}

function localFindings({ paths }: Context): Finding[] {
  const folders = [paths.databaseFile, paths.logFile].map((file) => dirname(file));
  return [
    { check: "node", ok: true, message: process.version, hint: null },
    ...[...new Set(folders)].map(folderFinding),
    tokenFinding(paths.tokenFile),
    { check: "log", ok: true, message: paths.logFile, hint: null },
  ];
}

/** The service reads its settings when it starts, so that mistakes made since then show only here. */
function settingsFinding({ io, paths }: Context): Finding {
  const { status, stderr, error } = spawnSync(process.execPath, [serviceEntry(), "--check"], {
    // As a start in the background: no workspace's file counts.
    cwd: homedir(),
    env: { ...io.env },
    encoding: "utf8",
  });
  if (status === 0) {
    const message = existsSync(paths.configFile)
      ? `${paths.configFile} is sound`
      : "all are the default ones";
    return { check: "settings", ok: true, message, hint: null };
  }
  const lines = stderr.trim().split("\n");
  const hint = lines.length > 1 ? (lines.pop() ?? null) : null;
  return { check: "settings", ok: false, message: error?.message ?? lines.join("; "), hint };
}

function folderFinding(folder: string): Finding {
  if (!existsSync(folder)) {
    return { check: "folder", ok: true, message: `${folder} is made at the first start`, hint: null };
  }
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return { check: "folder", ok: true, message: folder, hint: null };
  } catch (error) {
    const hint = `Make it yours: chown and chmod 700 ${folder}`;
    return { check: "folder", ok: false, message: (error as Error).message, hint };
  }
}

function tokenFinding(file: string): Finding {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined)
    return { check: "token", ok: true, message: "none, the service does not run", hint: null };
  const ok = process.platform === "win32" || (mode & 0o077) === 0;
  const message = ok ? `${file}, yours alone` : `${file} can be read by others`;
  return { check: "token", ok, message, hint: `Stop the service, then: chmod 600 ${file}` };
}

async function serviceFindings(context: Context): Promise<Finding[]> {
  try {
    const client = await context.runningClient();
    if (client === null) {
      const message = "does not run; it starts with the first command that needs it";
      return [{ check: "service", ok: true, message, hint: null }];
    }
    const { pid, version } = await client.getInfo();
    const { findings } = await client.doctor();
    return [
      { check: "service", ok: true, message: `${version} runs, process ${pid}`, hint: null },
      ...findings,
    ];
  } catch (error) {
    if (!SignalboxError.is(error)) throw error;
    return [{ check: "service", ok: false, message: error.message, hint: error.hint }];
  }
}
