import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { devNull } from "node:os";
import { join } from "node:path";
import { ulid } from "ulid";
import { SignalboxError } from "../../contract/errors.ts";
import { sha256 } from "../../lib/canonical.ts";
import { runProcessGroup } from "../../lib/process-group.ts";

/** A git source, read from what an action file says. */
export interface GitSource {
  readonly url: string;
  /** Branch, tag or commit; null: the remote's default branch. */
  readonly ref: string | null;
}

const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
const GIT_MS = 300_000;
const HINT = "Use https://, ssh://, git@host:path or file://, with `#branch`, `#tag` or `#commit` after it.";

function refused(message: string, hint = HINT): SignalboxError {
  return new SignalboxError("action_source", message, { hint });
}

/**
 * Null when `source` is a folder.
 * @throws SignalboxError `action_source` for transports that are not allowed, credentials, and words git would take
 * for an option
 */
export function readGitSource(source: string): GitSource | null {
  const [address = "", ref = null, ...more] = source.replace(/^git\+/, "").split("#");
  const isScp = /^[^/\\:]+@[^/\\:]*:/.test(address);
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(address);
  if (address.startsWith("-")) throw refused(`${JSON.stringify(source)} begins like an option`);
  if (/^[a-z0-9]+::/i.test(address)) throw refused(`${source} names a helper program of git`);
  if (!isScp && !isUrl) return null;
  if (isUrl) checkUrl(address);
  else if (!/^\w[\w.-]*@\w[\w.-]*:[\w./~][^\\]*$/.test(address))
    throw refused(`${JSON.stringify(address)} is not of the form user@host:path`);
  if (more.length > 0 || ref === "") throw refused(`${address}#… needs one ref after the #`);
  if (ref !== null && !isRef(ref))
    throw refused(`${JSON.stringify(ref)} is no name of a branch, tag or commit`);
  return { url: address, ref };
}

function checkUrl(address: string): void {
  let url: URL;
  try {
    url = new URL(address);
  } catch (error) {
    throw new SignalboxError("action_source", `${address} is no URL`, { hint: HINT, cause: error });
  }
  if (!["https:", "ssh:", "file:"].includes(url.protocol))
    throw refused(`${url.protocol}// can be read and changed on the way, or is no transport that is allowed`);
  if (url.password !== "" || (url.protocol === "https:" && url.username !== "")) {
    const hint = "Sign in by git's credential helper or by ssh; a URL is shown, logged and stored.";
    throw refused(`the URL of ${url.host} has credentials in it`, hint);
  }
  if (url.protocol === "file:" && url.host !== "") throw refused(`${address} names another machine`);
  if (
    [decodeURIComponent(url.hostname), url.username, decodeURIComponent(url.pathname).slice(1)].some(isOption)
  )
    throw refused(`${address} has a part that begins like an option`);
}

const isOption = (word: string) => word.startsWith("-");
const isRef = (ref: string) => /^[\w][\w./@+-]{0,200}$/.test(ref) && !/\.\.|@\{|\.lock$|\/$/.test(ref);

interface Checkout {
  readonly cacheDir: string;
  readonly pin: string | null;
  readonly update: boolean;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  readonly progress: (text: string) => void;
}

/**
 * The files of one commit, in a read-only folder of the cache: the pinned one, else the one seen first at this ref,
 * else (or with `update`) the one the remote has now. No hooks, filters or submodules run; git asks nobody anything.
 * @throws SignalboxError `action_source`, `executor_missing` without git, `action_cancelled`
 */
export async function checkOut(
  source: GitSource,
  options: Checkout,
): Promise<{ dir: string; commit: string }> {
  if (options.pin !== null && !COMMIT.test(options.pin))
    throw refused(`the pin ${JSON.stringify(options.pin)} is no full commit id`);
  const home = join(options.cacheDir, "git", shortHash(source.url));
  const seenFile = join(home, `ref-${shortHash(source.ref ?? "")}`);
  const seen = options.update ? null : await readFile(seenFile, "utf8").catch(nothing);
  const known = options.pin ?? (COMMIT.test(source.ref ?? "") ? source.ref : seen);
  if (known !== null && existsSync(join(home, "trees", known)))
    return { dir: join(home, "trees", known), commit: known };

  await mkdir(join(home, "trees"), { recursive: true, mode: 0o700 });
  // A repository for this fetch alone: nothing to lock, nothing that could be half.
  const half = join(home, `fetch-${ulid()}`);
  try {
    const git = await createGit(half, options);
    options.progress(`fetching ${source.url}`);
    const commit = known === null ? await fetchRef(git, source) : await fetchCommit(git, source.url, known);
    const dir = await unpack(git, half, { home, commit });
    if (options.pin === null && seen !== commit) await replaceFile(seenFile, commit);
    return { dir, commit };
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}

const shortHash = (text: string) => sha256(text).slice(0, 32);

/** A file that isn't there yet says nothing. */
function nothing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}

async function replaceFile(file: string, text: string): Promise<void> {
  const half = `${file}.${ulid()}`;
  await writeFile(half, text, { mode: 0o600 });
  await rename(half, file);
}

const FETCH = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];

async function fetchRef(git: Git, { url, ref }: GitSource): Promise<string> {
  await git([...FETCH, "--depth=1", "--", url, `+${ref ?? "HEAD"}:refs/wanted`]);
  return (await git(["rev-parse", "--verify", "--end-of-options", "refs/wanted^{commit}"])).trim();
}

async function fetchCommit(git: Git, url: string, commit: string): Promise<string> {
  try {
    await git([...FETCH, "--depth=1", "--", url, `+${commit}:refs/wanted`]);
    return commit;
  } catch (error) {
    if (!SignalboxError.is(error, "action_source")) throw error;
    // Some servers hand out tips only: then everything the branches have.
    await git([...FETCH, "--", url, "+refs/heads/*:refs/heads/*"]);
  }
  try {
    await git(["cat-file", "-e", `${commit}^{commit}`]);
    return commit;
  } catch (error) {
    if (!SignalboxError.is(error, "action_source")) throw error;
    const hint = "Was history rewritten? Update the source and approve it anew.";
    throw new SignalboxError("action_source", `${url} has no commit ${commit}`, { hint, cause: error });
  }
}

async function unpack(
  git: Git,
  half: string,
  { home, commit }: { home: string; commit: string },
): Promise<string> {
  const files = join(half, "files");
  await mkdir(files, { mode: 0o700 });
  await git(["read-tree", `${commit}^{tree}`], files);
  await git(["checkout-index", "--all"], files);
  await makeReadOnly(files);
  const dir = join(home, "trees", commit);
  await rename(files, dir).catch((error: NodeJS.ErrnoException) => {
    // Another one was faster, with the same files.
    if (!existsSync(dir)) throw error;
  });
  return dir;
}

/** So that nobody edits a checkout by mistake; folders stay as they are, or the cache could not be deleted. */
async function makeReadOnly(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    await chmod(file, (await stat(file)).mode & 0o555);
  }
}

/** Runs git with these words, in `workTree` if there is one, and answers with what it wrote. */
type Git = (words: readonly string[], workTree?: string) => Promise<string>;

/** Settings that could start programs or reach elsewhere, whatever the person's own say. */
const GUARDS = [
  ...["-c", `core.hooksPath=${devNull}`, "-c", "core.fsmonitor=false", "-c", "core.askPass="],
  ...["-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false", "-c", "core.autocrlf=false"],
  ...["-c", "core.symlinks=true", "-c", "gc.auto=0", "-c", "maintenance.auto=false"],
];

async function createGit(dir: string, options: Checkout): Promise<Git> {
  const gitDir = join(dir, "repository");
  await mkdir(gitDir, { recursive: true, mode: 0o700 });
  const git: Git = async (words, workTree) => {
    const tree = workTree === undefined ? [] : [`--work-tree=${workTree}`];
    const end = await runProcessGroup({
      argv: ["git", ...GUARDS, `--git-dir=${gitDir}`, ...tree, ...words],
      env: gitEnvironment(options.env, workTree !== undefined),
      ...{ cwd: workTree ?? gitDir, stdin: null, timeoutMs: GIT_MS, signal: options.signal },
      ...{ maxStdoutBytes: 1_000_000, overflow: "end" },
    });
    if (end.exitCode === 0) return end.stdout.toString();
    if (end.ended === "cancelled")
      throw new SignalboxError("action_cancelled", "fetching the source was cancelled");
    if (end.error?.code === "ENOENT")
      throw new SignalboxError("executor_missing", "git is not installed", { hint: "Install git." });
    const said =
      end.stderrTail
        .trim()
        .split("\n")
        .findLast((line) => line.trim() !== "") ?? end.ended;
    throw new SignalboxError("action_source", `git ${words[0]}: ${said}`, {
      hint: "Try `git ls-remote` with this URL; sign in by a credential helper or ssh agent, since nobody is asked.",
    });
  };
  await git(["init", "--quiet", "--bare", "--template="]);
  return git;
}

/**
 * The person's own, for their credentials, without what points git at another repository or asks questions. With
 * files at hand (`isolated`) their settings are left out: these could name filters to run.
 */
function gitEnvironment(env: NodeJS.ProcessEnv, isolated: boolean): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^GIT_|^SSH_ASKPASS/.test(entry[0]),
  );
  return {
    ...Object.fromEntries(kept),
    ...{ GIT_TERMINAL_PROMPT: "0", GCM_INTERACTIVE: "never", GIT_ALLOW_PROTOCOL: "https:ssh:file" },
    GIT_SSH_COMMAND: env.GIT_SSH_COMMAND ?? "ssh -o BatchMode=yes",
    LC_ALL: "C",
    ...(isolated ? { GIT_CONFIG_GLOBAL: devNull, GIT_CONFIG_NOSYSTEM: "1", GIT_ATTR_NOSYSTEM: "1" } : {}),
  };
}
