import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connect } from "../../service/client/index.ts";
import { errorBody } from "../../service/contract/errors.ts";
import { http, tokenOf } from "../harness/http.ts";
import { eventually, startTestServiceProcess, type TestServiceProcess } from "../harness/service.ts";
import { offenders } from "../torture/faults/workers.ts";
import { createHome, projectRoot, spawnService, startService } from "../torture/service-process.ts";

// What nobody should send, against the real process: refused by name, and the service goes on. Parts of it are held to
// the same beside their own files; here it is the whole way.

const good = `signalbox.on("jobs.>", function(event) signalbox.state.count = (signalbox.state.count or 0) + 1 end)`;
const handlerOf = (body: string) => `signalbox.on("jobs.>", function(event)\n${body}\nend)`;

let service: TestServiceProcess;
let hookUrl: string;
beforeAll(async () => {
  service = await startTestServiceProcess({
    env: { HOOK: "secret", GITHUB_WEBHOOK_SECRET: "secret" },
    set: [
      "ingress.enabled=true",
      "ingress.port=0",
      "workflows.handler_timeout_ms=600",
      "workflows.stall_ms=300",
      "workflows.memory_mb=64",
    ],
    workflows: Object.fromEntries(
      Object.entries({ good, ...mapValues(offenders, handlerOf) }).map(([name, text]) => [
        `${name}.lua`,
        text,
      ]),
    ),
  });
  hookUrl = `http://${(await service.client.getStatus()).ingress.listening}`;
});
afterAll(() => service.close());

function mapValues(given: Readonly<Record<string, string>>, change: (text: string) => string) {
  return Object.fromEntries(Object.entries(given).map(([name, text]) => [name, change(text)]));
}

/** The answer to a request that must be refused; afterwards the service still takes a push. */
async function refusal(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const reply = await http(service.paths, method, path, { body, headers });
  const { error } = errorBody.strict().parse(reply.body);
  expect(error.hint, "what to do").toEqual(expect.any(String));
  await service.client.pushEvent({ body: "still here" });
  return { status: reply.status, ...error };
}

describe("requests", () => {
  it("malformed JSON is refused", async () => {
    for (const text of ["{", "[}", '{"body":"a}', "nul", "\ufeff{}", "{'body':1}", '{"body":"\u0001"}']) {
      expect(await refusal("POST", "/v1/events", text)).toMatchObject({
        status: 400,
        code: "invalid_request",
      });
    }
  });

  it("a body of 10 MB is refused, on the socket as on the ingress", async () => {
    const text = "x".repeat(10 * 1_048_576);
    expect(await refusal("POST", "/v1/events", { body: text })).toMatchObject({ status: 400 });
    expect(await refusal("POST", "/v1/events", { payload: { text } })).toMatchObject({
      status: 413,
      code: "too_large",
    });
    expect((await fetch(`${hookUrl}/webhook`, { method: "POST", body: `${text}x` })).status).toBe(413);
  });

  it("a topic of a million characters is refused", async () => {
    const topic = "t".repeat(1_000_000);
    expect(await refusal("POST", "/v1/events", { topic, body: "a" })).toMatchObject({ status: 400 });
    expect(await refusal("POST", "/v1/topics", { name: topic })).toMatchObject({ status: 400 });
  });

  it("NUL bytes and lone surrogates are refused where they would be read as something else", async () => {
    for (const bad of ["a\0b", "\ud800", "x\udfff"]) {
      expect(await refusal("POST", "/v1/events", { body: bad })).toMatchObject({ status: 400 });
      expect(await refusal("POST", "/v1/events", { topic: bad, body: "a" })).toMatchObject({ status: 400 });
    }
    const { event_id } = await service.client.pushEvent({ payload: { odd: "a\0\ud800" } });
    expect((await service.client.getEvent({ event_id })).event.payload).toEqual({ odd: "a\0\ud800" });
  });

  it.each(['"', "*", '"*', "NEAR(", "NEAR(a b, 2", "a AND", "body:x", "(", "^", "-", "' OR 1=1"])(
    "a search for %s is only words",
    async (text) => {
      await service.client.pushEvent({ body: `look for ${text} here` });
      const { events } = await service.client.searchEvents({ text, limit: 5 });
      expect(events.every(({ id }) => id.startsWith("evt_"))).toBe(true);
      expect(
        (await service.client.searchEvents({ text: `look ${text}`, limit: 5 })).events.length,
      ).toBeGreaterThan(0);
    },
  );

  it("unknown ids are not found, by name", async () => {
    for (const [method, path] of [
      ["GET", "/v1/events/evt_none"],
      ["POST", "/v1/events/evt_none/complete"],
      ["POST", "/v1/events/evt_none/reply"],
      ["GET", "/v1/topics/none"],
      ["GET", "/v1/effects/eff_none"],
      ["GET", "/v1/runs/run_none"],
      ["GET", "/v1/workflows/none"],
      ["GET", "/v1/agents/none"],
    ] as const) {
      expect(await refusal(method, path, method === "POST" ? {} : undefined), path).toMatchObject({
        status: 404,
        message: expect.stringContaining("none"),
      });
    }
  });

  it("a completed event is not claimed again, and answered once", async () => {
    const { client } = service;
    const { event_id } = await client.pushEvent({ topic: "once", body: "do it" });
    const [claimed] = (await client.claimEvents({ topic: "once", agent: "@a" })).claimed;
    await client.reply({ event_id, lease: claimed!.lease, agent: "@a", body: "done" });
    expect((await client.claimEvents({ topic: "once", agent: "@b" })).claimed).toEqual([]);
    for (const body of [{ body: "again" }, { agent: "@a", body: "again" }, { agent: "@b", body: "again" }]) {
      expect(await refusal("POST", `/v1/events/${event_id}/reply`, body)).toMatchObject({
        status: 409,
        code: "conflict",
      });
    }
    const { caused } = await client.getEvent({ event_id });
    expect(caused.map(({ body }) => body)).toEqual(["done"]);
  });

  it("of two claimers at once one gets the event, in 1,000 races", async () => {
    const others = await connect({ home: service.home, start: false });
    const events = Array.from({ length: 1_000 }, (_, n) => ({ topic: "races", body: `race ${n}` }));
    await service.client.pushEvents({ events });
    const winners = new Map<string, number>();
    for (let race = 0; race < 1_000; race++) {
      const both = await Promise.all([
        service.client.claimEvents({ topic: "races", agent: "@a" }),
        others.claimEvents({ topic: "races", agent: "@b" }),
      ]);
      for (const { event } of both.flatMap(({ claimed }) => claimed)) {
        winners.set(event.id, (winners.get(event.id) ?? 0) + 1);
      }
    }
    others.close();
    expect(winners.size).toBe(1_000);
    expect([...winners.values()].every((times) => times === 1)).toBe(true);
  });
});

describe("workflows", () => {
  beforeAll(async () => {
    for (let n = 0; n < 4; n++) await service.client.pushEvent({ type: "job.wanted", subject: "jobs.all" });
  });

  it.each(Object.keys(offenders))(
    "one that %s is stopped with a reason, and its neighbours go on",
    async (name) => {
      const { client } = service;
      const workflow = await eventually(
        () => client.getWorkflow({ workflow: name }),
        ({ state, errors, lag }) => state === "parked" || (errors > 0 && lag === 0),
        120_000,
      );
      if (workflow.state === "parked") expect(workflow.problem?.message).toMatch(/\w/);
      const { runs } = await client.listRuns({ workflow: name, status: "failed" });
      expect(runs.length).toBeGreaterThan(0);
      for (const run of runs) expect(run.error?.message).toMatch(/\w/);
      await eventually(
        () => client.getWorkflow({ workflow: "good" }),
        ({ state, events, lag }) => state === "active" && events === 4 && lag === 0,
      );
    },
    150_000,
  );
});

describe("the control socket", () => {
  it("another user of the machine does not get through, not even with the token", () => {
    const token = tokenOf(service.paths);
    const script = `require("node:http").get({ socketPath: ${JSON.stringify(service.paths.socket)}, path: "/v1/info",
      headers: { authorization: "Bearer ${token}" } }, (r) => console.log(r.statusCode)).on("error", (e) => console.log(e.code))`;
    if (process.getuid?.() === 0) {
      // The Node of this run may lie where only its owner can go.
      const place = mkdtempSync(join(tmpdir(), "signalbox-stranger-"));
      onTestFinished(() => rmSync(place, { recursive: true, force: true }));
      chmodSync(place, 0o755);
      cpSync(process.execPath, join(place, "node"));
      const args = [
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        join(place, "node"),
        "-e",
        script,
      ];
      expect(execFileSync("setpriv", args, { cwd: "/", encoding: "utf8" }).trim()).toBe("EACCES");
      return;
    }
    // Nobody to switch to: then what the system checks must leave no doubt.
    const mode = execFileSync("ls", ["-ld", dirname(service.paths.socket), service.paths.socket], {
      encoding: "utf8",
    });
    expect(mode).toMatch(/^drwx------/m);
    expect(mode).toMatch(/^srw-------/m);
  });

  it("the token of another installation is worth nothing here", async () => {
    const other = await startTestServiceProcess();
    const token = tokenOf(other.paths);
    await other.close();
    const reply = await http(service.paths, "GET", "/v1/info", { token });
    expect(reply.status).toBe(401);
  });

  it("a web page finds no control route at the ingress, whatever it sends", async () => {
    const authorization = `Bearer ${tokenOf(service.paths)}`;
    for (const [method, path] of [
      ["GET", "/v1/info"],
      ["GET", "/v1/events"],
      ["POST", "/v1/events"],
      ["POST", "/v1/shutdown"],
      ["GET", "/openapi.json"],
      ["GET", "/api/v1/status"],
      ["POST", "/api/v1/workflows/reload"],
      ["GET", "/webhook/../v1/info"],
      ["GET", "//v1/info"],
    ] as const) {
      for (const headers of [{}, { origin: "http://localhost:3000" }, { authorization }]) {
        const init = method === "POST" ? { method, headers, body: "{}" } : { headers };
        const { status } = await fetch(hookUrl + path, init);
        expect([403, 404, 405], `${method} ${path}`).toContain(status);
      }
    }
    expect(
      (await fetch(`${hookUrl}/healthz`, { method: "OPTIONS", headers: { origin: "http://x" } })).headers.get(
        "access-control-allow-origin",
      ),
    ).toBeNull();
  });

  it.each([
    ["that others may enter", (folder: string) => chmodSync(folder, 0o755)],
    ["that others may write to", (folder: string) => chmodSync(folder, 0o777)],
  ])("a folder %s is refused, with what to do, and nothing is made in it", async (_, spoil) => {
    const home = createHome();
    onTestFinished(() => home.remove());
    spoil(home.folder);
    const { code } = await spawnService(home).ended;
    expect(code).toBe(1);
    expect(home.log()).toContain(home.folder);
    expect(home.log()).toContain("chmod 700");
    for (const file of [home.paths.tokenFile, home.paths.socket, home.paths.databaseFile]) {
      expect(existsSync(file), file).toBe(false);
    }
  });
});

describe("the database", () => {
  it.each([
    ["corrupt", (bytes: Buffer) => bytes.fill(0xa5, 100, 4_096)],
    ["no database at all", (bytes: Buffer) => bytes.fill("not a database ", 0, 4_096)],
    ["cut off", (bytes: Buffer) => bytes.subarray(0, 5_000)],
  ])("one that is %s is left as it is, and the service says which file and what to do", async (_, spoil) => {
    const home = createHome();
    onTestFinished(() => home.remove());
    const first = await startService(home);
    await home
      .client()
      .pushEvents({ events: Array.from({ length: 50 }, (_, n) => ({ body: `event ${n}` })) });
    await first.stop();
    const file = home.paths.databaseFile;
    writeFileSync(file, spoil(readFileSync(file)));
    const before = readFileSync(file);
    const { code } = await spawnService(home).ended;
    expect(code).toBe(1);
    expect(home.log()).toContain(file);
    expect(home.log()).toMatch(/restore a backup|Set store\.file/i);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it("one of another program is left alone", async () => {
    const home = createHome();
    onTestFinished(() => home.remove());
    const db = new Database(home.paths.databaseFile);
    db.exec("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
    db.close();
    const before = readFileSync(home.paths.databaseFile);
    const { code } = await spawnService(home).ended;
    expect(code).toBe(1);
    expect(home.log()).toContain("another program");
    expect(readFileSync(home.paths.databaseFile).equals(before)).toBe(true);
  });
});

describe("an older Node", () => {
  it("gets a sentence instead of a crash, from the service as well", () => {
    const folder = mkdtempSync(join(tmpdir(), "signalbox-node-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const service = join(projectRoot, "dist/service.js");
    // Stands in for the real one, which not every machine has.
    const old = join(folder, "old.mjs");
    mkdirSync(join(folder, "home"), { mode: 0o700 });
    writeFileSync(
      old,
      `Object.defineProperty(process.versions, "node", { value: "20.19.0" });\nawait import(${JSON.stringify(service)});`,
    );
    const env = { SIGNALBOX_HOME: join(folder, "home"), PATH: "/usr/local/bin:/usr/bin:/bin" };
    const commands = [[process.execPath, old]];
    const system = spawnSync("node", ["--version"], { env, encoding: "utf8" }).stdout ?? "";
    if (/^v(1\d|20|21)\./.test(system)) commands.push(["node", service]);
    for (const [command = "", ...args] of commands) {
      const { status, stderr } = spawnSync(command, args, { env, encoding: "utf8" });
      expect(stderr).toMatch(/^Signalbox needs Node\.js 22\.12 or newer; this is 20\.\S+\n.+\n$/);
      expect(status).toBe(1);
    }
  });
});
