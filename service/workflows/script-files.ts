import { constants } from "node:fs";
import { mkdtemp, open, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import type { Json } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { runProcessGroup } from "../lib/process-group.ts";
import type { LocalName } from "./lua/host.ts";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const JQ_MS = 10_000;

/**
 * What a script that a person runs may ask of this machine (B19): texts in the folder it was started from, and jq.
 * @throws SignalboxError whose message the script gets
 */
export async function askLocally(cwd: string | null, name: LocalName, args: Json[]): Promise<Json> {
  const [first = null, second = null] = args;
  if (name === "jq") return jq(first, String(second));
  if (cwd === null) throw new SignalboxError("forbidden", `${name} works only in scripts run from a folder`);
  const file = await pathIn(cwd, String(first), name);
  return name === "readfile" ? read(file, String(first)) : write(file, String(second));
}

/** Its folder has to be there, and inside with all links resolved. */
async function pathIn(cwd: string, path: string, name: string): Promise<string> {
  const whole = resolve(cwd, path);
  const [root, folder] = await Promise.all([realpath(cwd), realpath(dirname(whole))]).catch(
    (error: unknown) => {
      throw new SignalboxError("not_found", `${name}: there is no folder ${dirname(path)}`, { cause: error });
    },
  );
  const file = join(folder, basename(whole));
  const steps = relative(root, file);
  if (steps === "" || steps.startsWith("..") || isAbsolute(steps)) {
    throw new SignalboxError(
      "forbidden",
      `${name}: ${path} is outside of the folder that the script runs in`,
    );
  }
  return file;
}

async function read(file: string, shown: string): Promise<string> {
  // A link could lead outside; it is refused, not followed.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    failed("readfile", shown),
  );
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new SignalboxError("invalid_request", `readfile: ${shown} is no file`);
    if (found.size > MAX_FILE_BYTES)
      throw new SignalboxError("too_large", `readfile: ${shown} is larger than 16 MiB`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

async function write(file: string, content: string): Promise<null> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const handle = await open(file, flags, 0o644).catch(failed("writefile", basename(file)));
  try {
    await handle.writeFile(content);
    return null;
  } finally {
    await handle.close();
  }
}

function failed(name: string, shown: string) {
  return (error: NodeJS.ErrnoException): never => {
    const why = {
      ENOENT: "is not there",
      ELOOP: "is a link",
      EACCES: "may not be opened",
      EISDIR: "is a folder",
    };
    const reason = why[error.code as keyof typeof why] ?? error.message;
    throw new SignalboxError("invalid_request", `${name}: ${shown} ${reason}`, { cause: error });
  };
}

/** Sees nothing but the value: no files, no variables. */
async function jq(value: Json, filter: string): Promise<Json> {
  const cwd = await mkdtemp(join(tmpdir(), "signalbox-jq-"));
  try {
    const end = await runProcessGroup({
      // A space before it: no filter is read as an option.
      argv: ["jq", "-c", ` ${filter}`],
      cwd,
      env: { PATH: process.env.PATH ?? "" },
      ...{ stdin: JSON.stringify(value), timeoutMs: JQ_MS, maxStdoutBytes: MAX_FILE_BYTES, overflow: "end" },
    });
    if (end.ended === "not_started")
      throw new SignalboxError("executor_missing", "jq: the program jq is not installed on this machine");
    if (end.exitCode !== 0)
      throw new SignalboxError("invalid_request", `jq: ${end.stderrTail.trim() || end.ended}`);
    const lines = end.stdout.toString("utf8").trim().split("\n");
    const values = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Json);
    return values.length === 1 ? (values[0] ?? null) : values;
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
