import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../service/client/index.ts";
import { runCli } from "../harness/cli.ts";
import { eventually } from "../harness/eventually.ts";
import { makePlace, opencodeBinary } from "../harness/opencode/opencode.ts";
import { openStage, projectSettings, type Stage } from "../harness/opencode/stage.ts";
import { openTerminal } from "../harness/opencode/terminal.ts";

const binary = opencodeBinary();
const repository = resolve(import.meta.dirname, "../..");

describe.skipIf(binary === null)("OpenCode started in other ways", () => {
  let stage: Stage;
  let project: string;
  beforeAll(async () => {
    stage = await openStage(binary ?? "");
    project = stage.place.project("shop", { plugin: [] });
    // As docs/opencode.md has it.
    const { spec } = stage;
    const from = ["--from", spec.slice(spec.indexOf("@") + 1), "--opencode", "1"];
    const { code, stderr } = await runCli(["opencode", "install", "--topic", "builds", "--yes", ...from], {
      ...{ home: stage.service.home, cwd: project, env: stage.place.env },
    });
    expect([code, stderr]).toEqual([0, expect.stringContaining("OpenCode loads it at its next start")]);
  }, 120_000);
  afterAll(() => stage?.close());

  const run = (prompt: string, cwd: string, env: Record<string, string>) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
      const child = execFile(binary ?? "", ["run"], { cwd, env, timeout: 90_000 }, (error, stdout, stderr) =>
        done({ code: typeof error?.code === "number" ? error.code : error ? -1 : 0, stdout, stderr }),
      );
      child.stdin?.end(prompt);
    });

  it("as a command that answers once, takes no events and does not wait for any", async () => {
    const event = await stage.push("builds", "E-run");
    const { code, stdout } = await run("hello", project, stage.place.env);
    expect([code, stdout.trim()]).toEqual([0, "ok"]);
    expect((await stage.until(event, () => true)).status).toBe("pending");
    expect(stage.asked("E-run")).toEqual([]);
    expect((await stage.service.client.listAgents()).agents).toEqual([]);
    await stage.service.client.purgeTopic({ topic: "builds" });
  });

  it("U31 starts the service where it does not run yet", async () => {
    const place = makePlace(stage.llm.url);
    const home = `${place.root}/signalbox`;
    const command = resolve(repository, "bin/signalbox.cjs");
    const options = stage.plugin({ topics: ["builds"], command });
    const path = `${resolve(repository, "node_modules/.bin")}:${process.env.PATH}`;
    const env = { ...place.env, PATH: path, SIGNALBOX_HOME: home };
    const folder = place.project("other", projectSettings(options));
    const { code, stderr } = await run("call signalbox_status {}", folder, env);
    expect([code, stderr]).toEqual([0, expect.anything()]);
    expect(stage.llm.requests.at(-1)?.messages.at(-1)?.text).toMatch(/^Service .*: 0 events/);
    const client = await connect({ home, env, start: false });
    await client.shutdown();
    client.close();
    place.remove();
  });

  it("in a terminal shows what arrived from where, and gives back what it is working on when it ends", async () => {
    const terminal = openTerminal(binary ?? "", [], { cwd: project, env: stage.place.env });
    try {
      await terminal.until(/Ask anything|ctrl\+p/);
      terminal.type("hello there");
      await terminal.until("hello there");
      terminal.type("\r");
      await eventually(() => stage.asked("hello there").length > 0, Boolean, 60_000);
      const event = await stage.push("builds", `Build 7 failed. call signalbox_reply {"body":"mended"}`);
      const { replies } = await stage.completed(event);
      expect(replies).toMatchObject([{ body: "mended", source: "opencode:shop" }]);
      await terminal.until("[signalbox] builds · message.pushed from test: Build 7 failed.");
      const turn = stage.hold("E-cut");
      const cut = await stage.push("builds", "E-cut");
      await turn.reached;
      terminal.type("\u0003");
      terminal.type("\u0003");
      await terminal.ended;
      turn.release();
      const given = await stage.until(cut, ({ status }) => status === "pending");
      expect(given.last_error).toMatch(/stopped by the user|OpenCode ended/);
      const agents = async () => (await stage.service.client.listAgents()).agents;
      expect(await agents()).toMatchObject([{ name: "opencode:shop", status: "offline" }]);
    } finally {
      terminal.kill();
    }
  }, 180_000);
});
