import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PROTOCOL } from "../contract/common.ts";
import { connect } from "./index.ts";

/**
 * As little of a service as starting one needs: an exclusive lock whose loser exits 75, a token, a socket, and
 * one line in `starts` for each that got as far as to listen. It ends when its home goes away.
 */
const source = (protocol: number) => `
import fs from "node:fs";
import http from "node:http";
const home = process.env.SIGNALBOX_HOME;
try { fs.openSync(home + "/lock", "wx"); } catch { process.exit(75); }
fs.writeFileSync(home + "/token", "t");
http.createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ name: "signalbox", version: "9", protocol: ${protocol}, pid: process.pid,
    node: process.version, started_ms: 0, database: process.argv.slice(2).join(" "), socket: process.cwd() }));
}).listen(home + "/signalbox.sock", () => fs.appendFileSync(home + "/starts", process.pid + "\\n"));
`;

let home: string;
const pids: number[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "signalbox-start-"));
});
afterEach(() => {
  for (const pid of pids.splice(0)) process.kill(pid, "SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

function entry(text: string): string {
  const file = join(home, "service.mjs");
  writeFileSync(file, text);
  return file;
}
const env = { PATH: process.env.PATH, HOME: tmpdir() };

describe("starting the service on demand", () => {
  it("U31 eight clients at once start one service and are all served", async () => {
    const start = { entry: entry(source(PROTOCOL)), args: ["--set", "log.level=debug"] };
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect({ home, start, env })));
    const infos = await Promise.all(clients.map((client) => client.getInfo()));
    const starts = readFileSync(join(home, "starts"), "utf8").trim().split("\n").map(Number);
    pids.push(...starts);
    expect(starts).toHaveLength(1);
    expect(new Set(infos.map((info) => info.pid))).toEqual(new Set(starts));
    expect(infos[0]?.database).toBe("--background --set log.level=debug");
    expect(infos[0]?.socket).not.toBe(process.cwd());
    for (const client of clients) client.close();
  });

  it("starts it again when a later call finds it gone", async () => {
    const start = { entry: entry(source(PROTOCOL)) };
    const client = await connect({ home, start, env });
    const first = (await client.getInfo()).pid;
    process.kill(first, "SIGKILL");
    await expect.poll(() => isAlive(first)).toBe(false);
    rmSync(join(home, "lock"));
    rmSync(join(home, "signalbox.sock"));
    const second = (await client.getInfo()).pid;
    pids.push(second);
    expect(second).not.toBe(first);
    client.close();
  });

  it("tells why it did not start, with the last lines of its log", async () => {
    const start = { entry: entry(`console.error("config.toml:3: no such key"); process.exit(1);`) };
    await expect(connect({ home, start, env })).rejects.toMatchObject({
      code: "service_unreachable",
      message: expect.stringMatching(/ended at once \(exit code 1\)\n {2}config\.toml:3: no such key/),
    });
  });

  it("leaves out what it logged before, unless there is nothing else", async () => {
    const record = `console.error('{"level":30,"msg":"workflow loaded"}');`;
    const failing = (text: string) => connect({ home, start: { entry: entry(text) }, env });
    await expect(
      failing(`${record} console.error("port taken"); ${record} process.exit(1);`),
    ).rejects.toMatchObject({
      message: "The service ended at once (exit code 1)\n  port taken",
    });
    await expect(failing(`${record} process.exit(1);`)).rejects.toMatchObject({
      message: expect.stringContaining("workflow loaded"),
    });
  });

  it("does not start it where SIGNALBOX_NO_AUTOSTART or the caller says so", async () => {
    const start = { entry: entry(`throw new Error("started")`) };
    const refused = { code: "service_unreachable", message: expect.stringContaining("ENOENT") };
    const quiet = { ...env, SIGNALBOX_NO_AUTOSTART: "1" };
    await expect(connect({ home, start, env: quiet })).rejects.toMatchObject(refused);
    await expect(connect({ home, start: false, env })).rejects.toMatchObject(refused);
  });

  it("stops with protocol_mismatch before anything else when the service is of another version", async () => {
    const start = { entry: entry(source(PROTOCOL + 1)) };
    const error = await connect({ home, start, env }).catch((reason: unknown) => reason);
    pids.push(...readFileSync(join(home, "starts"), "utf8").trim().split("\n").map(Number));
    expect(error).toMatchObject({ code: "protocol_mismatch" });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // No such process.
  }
}
