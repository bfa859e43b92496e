import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GitRepository, makeGitRepository, writeFiles } from "../fixtures/git-repository.ts";
import { copyFolder, digestFolder } from "./digest.ts";
import { readGitSource } from "./git.ts";
import { resolveSource } from "./resolve.ts";
import type { SourceRequest } from "./source.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "action-sources-")));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function resolve(given: Partial<SourceRequest> & { source: string }) {
  return resolveSource({
    ...{ subdir: null, base, cacheDir: join(base, "cache"), signal: new AbortController().signal },
    env: process.env,
    ...given,
  });
}

describe("a folder as a source", () => {
  it("K1 K5 is found beside the actions repository, or by its absolute path", async () => {
    writeFiles(base, { "tools/query/main.py": "print(1)" });
    const dir = join(base, "tools/query");
    for (const source of ["./tools/query", "tools/query", dir])
      expect(await resolve({ source })).toEqual({ dir, commit: null, digest: await digestFolder(dir) });
  });

  it("K8 subdir is a folder inside, and nothing else", async () => {
    writeFiles(base, { "repo/sub/main.py": "print(1)", "outside/main.py": "print(2)" });
    symlinkSync("../outside", join(base, "repo/link"));
    expect((await resolve({ source: "repo", subdir: "sub" })).dir).toBe(join(base, "repo/sub"));
    for (const subdir of [
      "../outside",
      "sub/../../outside",
      "/etc",
      "link",
      "missing",
      "sub/main.py",
      "a\0b",
    ])
      await expect(resolve({ source: "repo", subdir }), subdir).rejects.toMatchObject({
        code: "action_source",
      });
  });

  it("K5 says what is wrong with a folder that is none", async () => {
    writeFiles(base, { "file.py": "" });
    await expect(resolve({ source: "missing" })).rejects.toThrow(`there is no folder ${base}/missing`);
    await expect(resolve({ source: "file.py" })).rejects.toMatchObject({
      hint: expect.stringContaining("entrypoint"),
    });
    await expect(resolve({ source: " " })).rejects.toThrow("`source` is blank");
  });
});

describe("the digest of a program (security list 14)", () => {
  const files = {
    "main.py": "print(1)\n",
    "lib/a.py": "A = 1\n",
    "requirements.txt": "x==1\n",
    "run.sh": "#!/bin/sh\n",
  };
  let dir: string;
  beforeEach(() => {
    dir = join(base, "program");
    writeFiles(dir, files);
  });

  it("U30 changes with a byte, a name, a mode, a lock file, a link and a file more", async () => {
    const seen = new Set([await digestFolder(dir)]);
    const changes: (() => void)[] = [
      () => writeFileSync(join(dir, "main.py"), "print(2)\n"),
      () => chmodSync(join(dir, "main.py"), 0o755),
      () => writeFileSync(join(dir, "requirements.txt"), "x==2\n"),
      () => writeFileSync(join(dir, "new.py"), ""),
      () => symlinkSync("main.py", join(dir, "link.py")),
      () => renameSync(join(dir, "link.py"), join(dir, "renamed.py")),
      () => symlinkSync("new.py", join(dir, "link.py")),
      () => cpSync(join(dir, "lib/a.py"), join(dir, "lib/b.py")),
      () => rmSync(join(dir, "lib/a.py")),
    ];
    for (const change of changes) {
      change();
      const digest = await digestFolder(dir);
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      expect(seen.has(digest), change.toString()).toBe(false);
      seen.add(digest);
    }
  });

  it("U30 one file's end is not another one's beginning", async () => {
    const [one, other] = [join(base, "one"), join(base, "other")];
    writeFiles(one, { a: "x", b: "y" });
    writeFiles(other, { a: "x100644 1 b 1\ny" });
    expect(await digestFolder(one)).not.toBe(await digestFolder(other));
  });

  it("U30 stays with the time, the owner's umask, and what tools leave behind", async () => {
    const digest = await digestFolder(dir);
    utimesSync(join(dir, "main.py"), 1, 1);
    chmodSync(join(dir, "main.py"), 0o600);
    writeFiles(dir, { ".git/HEAD": "x", "__pycache__/a.pyc": "x", "node_modules/a/index.js": "x" });
    expect(await digestFolder(dir)).toBe(digest);
  });

  it("U30 a copy holds what was hashed and has the same digest", async () => {
    writeFiles(dir, { "node_modules/a/index.js": "x" });
    symlinkSync("main.py", join(dir, "link.py"));
    const copy = join(base, "copy");
    expect(await copyFolder(dir, copy)).toBe(await digestFolder(dir));
    expect(await digestFolder(copy)).toBe(await digestFolder(dir));
    expect(readdirSync(copy).sort()).toEqual(["lib", "link.py", "main.py", "requirements.txt", "run.sh"]);
    expect(statSync(join(copy, "run.sh")).mode & 0o777).toBe(0o755);
  });

  it("links that lead outside are refused, and so is what is no file", async () => {
    const outside = ["/etc/passwd", "../other", "lib/../../other", "chain"];
    symlinkSync("..", join(dir, "lib/up"));
    for (const target of outside.slice(0, 3)) {
      symlinkSync(target, join(dir, "link"));
      await expect(digestFolder(dir), target).rejects.toMatchObject({
        code: "action_source",
        message: `the link link leads outside (${target})`,
      });
      rmSync(join(dir, "link"));
    }
    execFileSync("mkfifo", [join(dir, "pipe")]);
    await expect(digestFolder(dir)).rejects.toThrow("pipe is neither a file nor a folder nor a link");
  });
});

describe("what counts as a git URL", () => {
  it("K5 https, ssh, scp words and file, each with a ref behind #", () => {
    expect(
      ["https://h/o/r.git", "git+ssh://git@h/r#v1.2", "git@h:o/r.git#feature/x", "file:///a/r#main"].map(
        readGitSource,
      ),
    ).toEqual([
      { url: "https://h/o/r.git", ref: null },
      { url: "ssh://git@h/r", ref: "v1.2" },
      { url: "git@h:o/r.git", ref: "feature/x" },
      { url: "file:///a/r", ref: "main" },
    ]);
    expect(["./x", "../x", "/abs/x", "~/x", "x/y", "C:\\x"].map(readGitSource)).toEqual(Array(6).fill(null));
  });

  it("K5 nothing that git would take for an option, a helper program or an open line", () => {
    const bad = [
      ...["--upload-pack=touch x", "-u", "ext::sh -c touch% x", "fd::17", "http://h/r", "git://h/r"],
      ...[
        "ssh://-oProxyCommand=x/r",
        "ssh://%2doProxyCommand=x/r",
        "git@-oProxyCommand=x:r",
        "file://host/r",
      ],
      ...[
        "https://h/r#--upload-pack=x",
        "https://h/r#-x",
        "https://h/r#",
        "https://h/r#a#b",
        "https://h/r#a..b",
      ],
      ...["ftp://h/r", "javascript://h/r", "https://", "git@h:-r", "ssh://-x@h/r"],
    ];
    for (const source of bad)
      expect(() => readGitSource(source), source).toThrow(expect.objectContaining({ code: "action_source" }));
  });

  it("security list 13: a URL with a password is refused without showing it", () => {
    for (const source of ["https://me:hunter2@h/r", "https://hunter2@h/r", "ssh://me:hunter2@h/r"])
      try {
        readGitSource(source);
        expect.unreachable(source);
      } catch (error) {
        expect(error).toMatchObject({ code: "action_source" });
        expect(String(error)).not.toContain("hunter2");
      }
  });
});

describe("a git repository as a source", () => {
  let repository: GitRepository;
  let first: string;
  beforeEach(() => {
    repository = makeGitRepository(join(base, "repository"));
    first = repository.commit({ "main.py": "print(1)\n", "sub/run.sh": "#!/bin/sh\n" });
  });
  const text = (dir: string) => readFileSync(join(dir, "main.py"), "utf8");

  it("K1 K23 is checked out at a commit, read-only, without its history", async () => {
    const found = await resolve({ source: repository.url });
    expect(found.commit).toBe(first);
    expect(text(found.dir)).toBe("print(1)\n");
    expect(statSync(join(found.dir, "main.py")).mode & 0o222).toBe(0);
    expect(existsSync(join(found.dir, ".git"))).toBe(false);
    const sub = await resolve({ source: repository.url, subdir: "sub" });
    expect(readdirSync(sub.dir)).toEqual(["run.sh"]);
    expect(statSync(join(sub.dir, "run.sh")).mode & 0o111).not.toBe(0);
    await expect(resolve({ source: repository.url, subdir: "../.." })).rejects.toMatchObject({
      code: "action_source",
    });
  });

  it("U20 stays at the pinned commit though the branch has moved", async () => {
    const second = repository.commit({ "main.py": "print(2)\n" });
    const pinned = await resolve({ source: repository.url, pin: first });
    expect([pinned.commit, text(pinned.dir)]).toEqual([first, "print(1)\n"]);
    const head = await resolve({ source: repository.url });
    expect([head.commit, text(head.dir)]).toEqual([second, "print(2)\n"]);
    expect(head.digest).not.toBe(pinned.digest);
    expect((await resolve({ source: repository.url, pin: first, update: true })).commit).toBe(first);
  });

  it("U20 without a pin the first commit seen stays until an update is asked for", async () => {
    await resolve({ source: `${repository.url}#main` });
    const second = repository.commit({ "main.py": "print(2)\n" });
    expect((await resolve({ source: `${repository.url}#main` })).commit).toBe(first);
    expect((await resolve({ source: `${repository.url}#main`, update: true })).commit).toBe(second);
    expect((await resolve({ source: `${repository.url}#main` })).commit).toBe(second);
  });

  it("U20 takes branches, tags and commits as refs, also after history was rewritten", async () => {
    repository.git("tag", "v1");
    repository.git("checkout", "-q", "-b", "feature/x");
    const second = repository.commit({ "main.py": "print(2)\n" });
    repository.git("checkout", "-q", "main");
    const commits = [];
    for (const ref of ["v1", "feature/x", first, second])
      commits.push((await resolve({ source: `${repository.url}#${ref}` })).commit);
    expect(commits).toEqual([first, second, first, second]);
    await expect(resolve({ source: `${repository.url}#missing` })).rejects.toMatchObject({
      code: "action_source",
      message: expect.stringContaining("missing"),
    });
    await expect(resolve({ source: repository.url, pin: "0".repeat(40) })).rejects.toMatchObject({
      code: "action_source",
      message: expect.stringContaining("has no commit 000"),
    });
    await expect(resolve({ source: repository.url, pin: "main" })).rejects.toThrow("is no full commit id");
  });

  it("asks the remote nothing when the commit is here already", async () => {
    const { dir } = await resolve({ source: repository.url });
    rmSync(repository.dir, { recursive: true });
    expect((await resolve({ source: repository.url })).dir).toBe(dir);
    expect((await resolve({ source: repository.url, pin: first })).dir).toBe(dir);
    await expect(resolve({ source: repository.url, update: true })).rejects.toMatchObject({
      code: "action_source",
    });
  });

  it("two at once make one checkout", async () => {
    const found = await Promise.all(Array.from({ length: 4 }, () => resolve({ source: repository.url })));
    expect(new Set(found.map(({ dir }) => dir)).size).toBe(1);
    const home = join(found[0]!.dir, "..");
    expect(readdirSync(home)).toEqual([first]);
  });

  it("U20 runs no hook, no filter and no submodule of it", async () => {
    const mark = join(base, "ran");
    const hooks = join(base, "hooks");
    writeFiles(hooks, {
      "post-checkout": `#!/bin/sh\ntouch ${mark}\n`,
      "reference-transaction": `#!/bin/sh\ntouch ${mark}\n`,
    });
    const config = join(base, "gitconfig");
    writeFileSync(
      config,
      `[core]\n hooksPath = ${hooks}\n[filter "evil"]\n smudge = touch ${mark}\n[protocol]\n allow = always\n[submodule]\n recurse = true\n`,
    );
    const inner = makeGitRepository(join(base, "inner"));
    inner.commit({ "inner.py": "" });
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.url, "inner");
    repository.commit({ ".gitattributes": "* filter=evil\n" });
    const found = await resolve({
      source: repository.url,
      env: { ...process.env, GIT_CONFIG_GLOBAL: config, HOME: base },
    });
    writeFileSync(join(base, ".gitconfig"), readFileSync(config));
    await resolve({ source: `${repository.url}#main`, env: { ...process.env, HOME: base }, update: true });
    expect(readdirSync(join(found.dir, "inner"))).toEqual([]);
    expect(existsSync(mark)).toBe(false);
  });

  it("U20 git is told to ask nobody, to run nothing, and what no word of ours can undo", async () => {
    const bin = join(base, "bin");
    const seen = join(base, "seen");
    writeFiles(bin, {
      git: `#!/bin/sh\n[ -z "$GIT_CONFIG_GLOBAL" ] && { printf '%s\\n' "$@"; env; } >> ${seen}\nexec /usr/bin/env -u PATH PATH=${process.env.PATH} git "$@"\n`,
    });
    const asking = { GIT_ASKPASS: "/bin/askpass", SSH_ASKPASS: "/bin/askpass", GIT_DIR: "/elsewhere" };
    const proxy = {
      GIT_PROXY_COMMAND: "/bin/evil",
      GIT_EXTERNAL_DIFF: "/bin/evil",
      GIT_TEMPLATE_DIR: "/evil",
    };
    const env = { ...process.env, ...asking, ...proxy, PATH: `${bin}:${process.env.PATH}` };
    expect((await resolve({ source: `${repository.url}#main`, env })).commit).toBe(first);
    const text = readFileSync(seen, "utf8");
    for (const line of [
      ...[
        "GIT_TERMINAL_PROMPT=0",
        "GIT_ALLOW_PROTOCOL=https:ssh:file",
        "GIT_SSH_COMMAND=ssh -o BatchMode=yes",
      ],
      ...[
        "core.hooksPath=/dev/null",
        "core.askPass=",
        "core.fsmonitor=false",
        "--no-recurse-submodules",
        "--depth=1",
      ],
    ])
      expect(text).toContain(`${line}\n`);
    expect(text).toContain(`--\n${repository.url}\n+main:refs/wanted\n`);
    expect(text).not.toMatch(/askpass$|evil$|elsewhere$/m);
  });

  it("is given up when nobody waits for it any more, and says when git is missing", async () => {
    await expect(resolve({ source: repository.url, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "action_cancelled",
    });
    mkdirSync(join(base, "empty"));
    await expect(
      resolve({ source: repository.url, env: { PATH: join(base, "empty") } }),
    ).rejects.toMatchObject({ code: "executor_missing" });
  });

  it("a cache that somebody changed has another digest, so it is asked about again", async () => {
    const found = await resolve({ source: repository.url });
    chmodSync(join(found.dir, "main.py"), 0o644);
    writeFileSync(join(found.dir, "main.py"), "print('evil')\n");
    expect((await resolve({ source: repository.url })).digest).not.toBe(found.digest);
  });
});
