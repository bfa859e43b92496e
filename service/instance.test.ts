import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolvePaths } from "./client/paths.ts";
import {
  acquireInstanceLock,
  removeRuntimeFiles,
  securePrivateFolder,
  writeAddress,
  writeToken,
} from "./instance.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-instance-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mode = (file: string) => statSync(file).mode & 0o777;

describe("the private folder", () => {
  it("U12 is made for its owner alone, with all folders above it that are missing", () => {
    const path = join(folder, "a", "b");
    securePrivateFolder(path);
    expect([mode(join(folder, "a")), mode(path)]).toEqual([0o700, 0o700]);
    securePrivateFolder(path);
  });

  it.each([0o755, 0o750, 0o710, 0o777, 0o702])("U12 is refused when others may enter it: %o", (bits) => {
    const path = join(folder, "open");
    mkdirSync(path);
    chmodSync(path, bits);
    expect(() => securePrivateFolder(path)).toThrow(
      expect.objectContaining({ code: "forbidden", hint: expect.stringContaining("chmod 700") }),
    );
    expect(mode(path)).toBe(bits);
  });

  it("U12 is refused when it is a link, even to a folder that would do, or no folder", () => {
    const real = join(folder, "real");
    mkdirSync(real, { mode: 0o700 });
    symlinkSync(real, join(folder, "link"));
    expect(() => securePrivateFolder(join(folder, "link"))).toThrow(
      expect.objectContaining({ code: "forbidden" }),
    );
    writeFileSync(join(folder, "file"), "");
    expect(() => securePrivateFolder(join(folder, "file"))).toThrow();
    symlinkSync(join(folder, "nowhere"), join(folder, "dangling"));
    expect(() => securePrivateFolder(join(folder, "dangling"))).toThrow();
  });

  it("U12 is refused when it belongs to somebody else", () => {
    const path = join(folder, "theirs");
    mkdirSync(path, { mode: 0o700 });
    if (process.getuid?.() === 0) {
      chownSync(path, 65_534, 65_534);
      expect(() => securePrivateFolder(path)).toThrow(expect.objectContaining({ code: "forbidden" }));
      return;
    }
    // Only root can give a folder away; the root folder belongs to somebody else as well.
    expect(() => securePrivateFolder("/")).toThrow(expect.objectContaining({ code: "forbidden" }));
  });
});

describe("the instance lock", () => {
  it("is held by one at a time, and free again when it is given back", () => {
    const file = join(folder, "state", "service.lock");
    const lock = acquireInstanceLock(file);
    expect(() => acquireInstanceLock(file)).toThrow(expect.objectContaining({ code: "already_running" }));
    lock.close();
    acquireInstanceLock(file).close();
    expect([mode(file), mode(join(folder, "state"))]).toEqual([0o600, 0o700]);
  });

  it("is free at once when its holder was killed", () => {
    const file = join(folder, "service.lock");
    const script = `import(${JSON.stringify(join(import.meta.dirname, "instance.ts"))})
      .then(({ acquireInstanceLock }) => { acquireInstanceLock(${JSON.stringify(file)}); process.kill(process.pid, "SIGKILL"); })`;
    const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(signal).toBe("SIGKILL");
    acquireInstanceLock(file).close();
  });

  it("a file that is no lock is told apart from one that is held", () => {
    const file = join(folder, "service.lock");
    writeFileSync(file, "this is no database, and long enough to be seen as none ".repeat(40));
    expect(() => acquireInstanceLock(file)).toThrow(expect.not.objectContaining({ code: "already_running" }));
  });
});

describe("token and address", () => {
  it("U12 are new, whole and for the owner only, also over files that others could read", () => {
    const paths = resolvePaths({ home: folder, env: {} });
    writeFileSync(paths.tokenFile, "old", { mode: 0o644 });
    const token = writeToken(paths.tokenFile);
    writeAddress(paths);
    expect(readFileSync(paths.tokenFile, "utf8")).toBe(`${token.reveal()}\n`);
    expect(token.reveal()).toMatch(/^[\w-]{43}$/);
    expect(readFileSync(paths.addressFile, "utf8")).toBe(`${paths.socket}\n`);
    expect([mode(paths.tokenFile), mode(paths.addressFile)]).toEqual([0o600, 0o600]);
    expect(writeToken(paths.tokenFile).reveal()).not.toBe(token.reveal());
    removeRuntimeFiles(paths);
    removeRuntimeFiles(paths);
    expect([existsSync(paths.tokenFile), existsSync(paths.addressFile)]).toEqual([false, false]);
  });
});
