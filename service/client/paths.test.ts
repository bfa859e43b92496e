import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readEndpoint } from "./discover.ts";
import { assertPrivateFolder, resolvePaths } from "./paths.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "signalbox-paths-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("resolvePaths", () => {
  it("M16 SIGNALBOX_HOME puts every file under one folder", () => {
    const paths = resolvePaths({ env: { SIGNALBOX_HOME: folder }, cwd: folder });
    const { workspaceConfigFile, ...files } = paths;
    expect(workspaceConfigFile).toBeNull();
    for (const file of Object.values(files)) expect(file?.startsWith(`${folder}/`)).toBe(true);
  });

  it("U31 follows the XDG folders on Linux and ignores relative ones", () => {
    const env = {
      HOME: "/home/x",
      XDG_CONFIG_HOME: "relative",
      XDG_DATA_HOME: "/data",
      XDG_RUNTIME_DIR: "/run/user/7",
    };
    expect(resolvePaths({ env, platform: "linux", cwd: folder })).toMatchObject({
      configFile: "/home/x/.config/signalbox/config.toml",
      databaseFile: "/data/signalbox/signalbox.db",
      socket: "/run/user/7/signalbox/signalbox.sock",
      tokenFile: "/run/user/7/signalbox/token",
      logFile: "/home/x/.local/state/signalbox/service.log",
      workflowsDir: "/home/x/.config/signalbox/workflows",
    });
  });

  it("U31 listens on a named pipe on Windows, another one for each home", () => {
    const at = (home?: string) =>
      resolvePaths({ env: { USERPROFILE: "C:\\Users\\x", LOCALAPPDATA: "C:\\L" }, platform: "win32", home });
    expect(at().socket).toMatch(/^\\\\\.\\pipe\\signalbox-[0-9a-f]{12}$/);
    expect(at().socket).not.toBe(at("other").socket);
    expect(at().databaseFile).toBe("C:\\L\\signalbox\\signalbox.db");
  });

  it("U31 uses Library on macOS", () => {
    expect(resolvePaths({ env: { HOME: "/Users/x" }, platform: "darwin", cwd: folder }).socket).toBe(
      "/Users/x/Library/Application Support/signalbox/signalbox.sock",
    );
  });

  it("U31 a path too long for a socket becomes a short one of its own in a private folder", () => {
    const long = (name: string) =>
      resolvePaths({ home: join(folder, "x".repeat(120), name), env: {} }).socket;
    expect(Buffer.byteLength(long("a"))).toBeLessThanOrEqual(100);
    expect(long("a")).not.toBe(long("b"));
    expect(long("a")).toBe(long("a"));
  });

  it("finds the workspace's settings in the nearest folder above", () => {
    mkdirSync(join(folder, ".signalbox"));
    writeFileSync(join(folder, ".signalbox/config.toml"), "");
    mkdirSync(join(folder, "a/b"), { recursive: true });
    expect(resolvePaths({ cwd: join(folder, "a/b"), env: { HOME: folder } }).workspaceConfigFile).toBe(
      join(folder, ".signalbox/config.toml"),
    );
  });
});

it("a socket's folder that others may write to is refused, since they would be sent the token", () => {
  expect(() => assertPrivateFolder(folder)).not.toThrow();
  chmodSync(folder, 0o777);
  expect(() => assertPrivateFolder(folder)).toThrow(expect.objectContaining({ code: "forbidden" }));
});

describe("readEndpoint", () => {
  it("goes where the running service says it listens", () => {
    const paths = resolvePaths({ home: folder, env: {} });
    expect(readEndpoint(paths, {})).toEqual({ socket: paths.socket, token: "" });
    writeFileSync(paths.addressFile, "/elsewhere/s.sock\n");
    writeFileSync(paths.tokenFile, "abc\n");
    expect(readEndpoint(paths, {})).toEqual({ socket: "/elsewhere/s.sock", token: "abc" });
    expect(readEndpoint(paths, { SIGNALBOX_SERVICE_SOCKET: "/env/s.sock" }).socket).toBe("/env/s.sock");
  });
});
