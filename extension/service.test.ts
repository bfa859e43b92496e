import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { eventually } from "../test/harness/eventually.ts";
import { cleanEnvironment, ServiceLink, type ServiceOptions } from "./service.ts";

const entry = resolve(import.meta.dirname, "../service/main.ts");
const links: ServiceLink[] = [];
const homes: string[] = [];
afterEach(async () => {
  for (const link of links.splice(0)) {
    if (link.client !== null) await link.stop();
    link.dispose();
  }
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true });
});

function folder(): string {
  const home = mkdtempSync(join(tmpdir(), "signalbox-link-"));
  homes.push(home);
  return home;
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function linkTo(home: string, options: Partial<ServiceOptions> = {}): ServiceLink {
  const link = new ServiceLink({
    entry,
    node: process.execPath,
    env: { HOME: home, PATH: process.env.PATH },
    home: () => home,
    restartAfterCrash: () => true,
    secrets: async () => ({}),
    log: silent,
    lookEveryMs: 20,
    ...options,
  });
  links.push(link);
  return link;
}

const kindOf = (link: ServiceLink) => () => link.state.kind;

describe("the service at hand", () => {
  it("does nothing in a folder that is not trusted", async () => {
    const home = folder();
    const link = linkTo(home);
    await link.start();
    expect(link.state.kind).toBe("untrusted");
    expect(existsSync(link.paths.socket)).toBe(false);
  });

  it("starts the service when it is needed, and a second window joins the same one", async () => {
    const home = folder();
    const [one, other] = [linkTo(home), linkTo(home)];
    await one.open();
    expect(one.state.kind).toBe("stopped");
    const seen: string[] = [];
    one.onState(({ kind }) => seen.push(kind));
    await one.ready();
    await other.open();
    expect(seen).toEqual(["starting", "ready"]);
    expect(other.state).toEqual(one.state);
    other.dispose();
    await expect((await one.ready()).getInfo()).resolves.toMatchObject({ name: "signalbox" });
  });

  it("eight windows that start it at once share one", async () => {
    const home = folder();
    const all = Array.from({ length: 8 }, () => linkTo(home));
    await Promise.all(
      all.map(async (link) => {
        await link.open();
        await link.ready();
      }),
    );
    const pids = all.map(({ state }) => (state.kind === "ready" ? state.info.pid : 0));
    expect(new Set(pids).size).toBe(1);
    for (const link of all.slice(1)) link.dispose();
  });

  it("hands on what is recorded by whomever", async () => {
    const home = folder();
    const [one, other] = [linkTo(home), linkTo(home)];
    await one.open();
    const client = await one.ready();
    await other.open();
    const bodies: (string | null)[] = [];
    other.onEvent((event) => bodies.push(event.body));
    await client.pushEvent({ topic: "inbox", body: "hello" });
    await eventually(() => bodies.includes("hello"));
  });

  it("starts the service again when it was killed, and leaves it alone when it was stopped", async () => {
    const home = folder();
    const link = linkTo(home);
    await link.open();
    await link.ready();
    const first = link.state.kind === "ready" ? link.state.info.pid : 0;
    process.kill(first, "SIGKILL");
    await eventually(() => link.state.kind === "ready" && link.state.info.pid !== first);
    const second = link.state.kind === "ready" ? link.state.info.pid : 0;
    process.kill(second, "SIGTERM");
    await eventually(kindOf(link), (kind) => kind === "stopped");
  });

  it("stays down after a crash where the settings say so", async () => {
    const home = folder();
    const link = linkTo(home, { restartAfterCrash: () => false });
    await link.open();
    await link.ready();
    if (link.state.kind === "ready") process.kill(link.state.info.pid, "SIGKILL");
    await eventually(kindOf(link), (kind) => kind === "stopped");
  });

  it("finds a service that somebody else starts later", async () => {
    const home = folder();
    const link = linkTo(home);
    await link.open();
    const other = linkTo(home);
    await other.open();
    await other.ready();
    await eventually(kindOf(link), (kind) => kind === "ready");
  });

  it("restarts the service, with the secrets it is given now", async () => {
    const home = folder();
    let token = "first";
    const link = linkTo(home, { secrets: async () => ({ LINK_TEST_SECRET: token }) });
    await link.open();
    await link.ready();
    const before = link.state.kind === "ready" ? link.state.info.pid : 0;
    const secretOf = (pid: number) =>
      /LINK_TEST_SECRET=(\w+)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
    if (process.platform === "linux") expect(secretOf(before)).toBe("first");
    token = "second";
    await link.restart();
    const now = link.state.kind === "ready" ? link.state.info.pid : 0;
    expect(now).not.toBe(before);
    if (process.platform === "linux") expect(secretOf(now)).toBe("second");
  });

  it("says why it could not be started, with the last lines of its log", async () => {
    const home = folder();
    writeFileSync(join(home, "config.toml"), "no such key = 1\n");
    const link = linkTo(home);
    await link.open();
    await expect(link.ready()).rejects.toMatchObject({ code: "service_unreachable" });
    expect(link.state).toMatchObject({
      kind: "failed",
      error: { message: expect.stringContaining("config.toml") },
    });
    writeFileSync(join(home, "config.toml"), "");
    await link.start();
    expect(link.state.kind).toBe("ready");
  });

  it("gives the service an environment without what the editor set for itself", () => {
    const env = {
      PATH: "/bin",
      VSCODE_IPC_HOOK: "x",
      ELECTRON_RUN_AS_NODE: "1",
      NODE_OPTIONS: "--x",
      GITHUB_TOKEN: "t",
    };
    expect(cleanEnvironment(env)).toEqual({ PATH: "/bin", GITHUB_TOKEN: "t" });
  });
});
