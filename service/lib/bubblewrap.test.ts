import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  type Bubblewrap,
  bubblewrapArgv,
  findProgram,
  isUnder,
  probeBubblewrap,
  type SandboxRules,
} from "./bubblewrap.ts";
import { runProcessGroup } from "./process-group.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "bubblewrap-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe("the words of the sandbox", () => {
  const rules: SandboxRules = { readable: [], writable: [], tmpDir: null, cwd: "/", network: false };

  it("shut the network and drop every capability unless told otherwise", () => {
    const shut = bubblewrapArgv("/usr/bin/bwrap", rules, ["true"]);
    expect(shut.slice(0, 6)).toEqual([
      ...["/usr/bin/bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname"],
    ]);
    expect(bubblewrapArgv("bwrap", { ...rules, network: true }, ["true"])).toContain("--share-net");
    expect(shut.slice(-2)).toEqual(["--", "true"]);
  });

  it("mount inner folders over outer ones, and nothing of the system twice", () => {
    const argv = bubblewrapArgv(
      "bwrap",
      { ...rules, readable: ["/a/b/c", "/a", "/usr/lib/python3"], writable: ["/a/b/run"] },
      ["true"],
    ).join(" ");
    expect(argv).toContain("--ro-bind /a /a --ro-bind /a/b/c /a/b/c --bind /a/b/run /a/b/run");
    expect(argv).not.toContain("/usr/lib/python3");
  });

  it("know what lies in a folder", () => {
    expect([isUnder("/a/b", "/a"), isUnder("/a", "/a"), isUnder("/ab", "/a"), isUnder("/a", "/")]).toEqual([
      ...[true, true, false, true],
    ]);
  });
});

describe("looking for a program", () => {
  it("takes the first that can be started, and never one beside us", () => {
    for (const name of ["one", "two", "three"]) mkdirSync(join(base, name));
    writeFileSync(join(base, "one/tool"), "");
    mkdirSync(join(base, "two/tool"));
    writeFileSync(join(base, "three/tool"), "");
    chmodSync(join(base, "three/tool"), 0o755);
    const path = `:${join(base, "one")}:${join(base, "two")}:${join(base, "three")}`;
    expect(findProgram("tool", path)).toBe(join(base, "three/tool"));
    expect(findProgram("nothing-of-this-name", path)).toBeNull();
    expect(findProgram("tool", undefined)).toBeNull();
  });

  it("says that the sandbox is missing, or what is wrong with it", async () => {
    expect(await probeBubblewrap({ PATH: base })).toEqual({
      path: null,
      reason: expect.stringContaining(
        process.platform === "linux" ? "is not installed" : "is for Linux only",
      ),
    });
    if (process.platform !== "linux") return;
    writeFileSync(
      join(base, "bwrap"),
      "#!/bin/sh\necho 'No permissions to create a namespace' >&2\nexit 1\n",
    );
    chmodSync(join(base, "bwrap"), 0o755);
    expect(await probeBubblewrap({ PATH: base })).toEqual({
      path: null,
      reason: "bubblewrap does not work on this machine: No permissions to create a namespace",
    });
  });
});

const found: Bubblewrap = await probeBubblewrap(process.env);
const why = found.reason === null ? "" : ` (not tried: ${found.reason})`;

describe.skipIf(found.path === null)(`in the sandbox${why}`, () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    port = (server.address() as { port: number }).port;
    return () => server.close();
  });

  async function inside(script: string, given: Partial<SandboxRules> = {}) {
    const rules = { readable: [], writable: [], tmpDir: null, cwd: "/", network: false, ...given };
    const end = await runProcessGroup({
      argv: bubblewrapArgv(found.path ?? "", rules, ["/bin/bash", "-c", script]),
      ...{ cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdin: null, timeoutMs: 20_000 },
      ...{ maxStdoutBytes: 100_000, overflow: "end" },
    });
    return { code: end.exitCode, out: end.stdout.toString().trim(), err: end.stderrTail };
  }

  it("R72 there is no network, not even loopback, unless it is opened", async () => {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; cat <&3`;
    expect(await inside(script)).toMatchObject({
      out: "",
      err: expect.stringMatching(/refused|unreachable/),
    });
    expect(await inside(script, { network: true })).toMatchObject({ out: "hello" });
  });

  it("R72 nothing can be written but what was named", async () => {
    for (const name of ["read", "write", "tmp"]) mkdirSync(join(base, name));
    const rules = {
      ...{ readable: [join(base, "read")], writable: [join(base, "write")], tmpDir: join(base, "tmp") },
    };
    const tries = ["/usr/x", "/etc/x", "/bin/x", "/x/y", `${base}/read/x`, `${base}/other/x`];
    for (const path of tries)
      expect((await inside(`echo x > ${path}`, rules)).err, path).toMatch(/Read-only|No such file|denied/);
    await inside(`echo x > ${base}/write/x; echo y > /tmp/y`, rules);
    expect(readFileSync(join(base, "write/x"), "utf8")).toBe("x\n");
    expect(readFileSync(join(base, "tmp/y"), "utf8")).toBe("y\n");
    expect(existsSync(join(base, "read/x"))).toBe(false);
  });

  it("R72 homes, other people's files and other processes are not there", async () => {
    const seen = await inside(
      "ls -a /root /home /var /run /etc/shadow /mnt 2>/dev/null; ls /proc | grep -c '^[0-9]'",
    );
    expect(Number(seen.out)).toBeLessThan(6);
    expect((await inside("grep CapEff /proc/self/status")).out).toMatch(/:\s0+$/);
  });
});
