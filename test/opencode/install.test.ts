/** `signalbox opencode` with the real OpenCode and the packed plugin. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { runCli } from "../harness/cli.ts";
import { eventually } from "../harness/eventually.ts";
import { type FakeLlm, startFakeLlm } from "../harness/opencode/fake-llm.ts";
import { makePlace, opencodeBinary, packPlugin, startServer } from "../harness/opencode/opencode.ts";
import { startTestService } from "../harness/service.ts";

const binary = opencodeBinary();

describe.skipIf(binary === null)("signalbox opencode with the real OpenCode", () => {
  let llm: FakeLlm;
  let tarball: Awaited<ReturnType<typeof packPlugin>>;
  beforeAll(async () => {
    llm = await startFakeLlm();
    tarball = await packPlugin();
  });
  afterAll(async () => {
    await llm.close();
    tarball.remove();
  });

  it("U17 an installed plugin is loaded, doctor finds it sound, and it takes events; uninstalled it is gone", async () => {
    const service = await startTestService();
    onTestFinished(() => service.close());
    const place = makePlace(llm.url, { SIGNALBOX_HOME: service.home, SIGNALBOX_NO_AUTOSTART: "1" });
    onTestFinished(() => place.remove());
    const bin = join(place.root, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "opencode"), `#!/bin/sh\nexec '${binary}' "$@"\n`, { mode: 0o755 });
    const project = place.project("project", { plugin: [] });
    execFileSync("git", ["init", "--quiet"], { cwd: project });
    const before = readFileSync(join(project, "opencode.json"), "utf8");
    const env = { ...place.env, PATH: `${bin}:${place.env.PATH}` };
    const run = (...args: string[]) =>
      runCli(["opencode", ...args], { home: service.home, cwd: project, env });

    const from = tarball.spec.slice("opencode-signalbox@".length);
    const installed = await run(
      "install",
      "--yes",
      "--topic",
      "inbox",
      "--mode",
      "dedicated",
      "--from",
      from,
    );
    expect([installed.code, installed.stdout]).toEqual([0, expect.stringContaining(tarball.spec)]);
    const server = await startServer(binary ?? "", place);
    onTestFinished(() => server.close());
    await server.open(project);
    const { event_id } = await service.client.pushEvent({ topic: "inbox", body: "hello", source: "test" });
    await eventually(
      async () => (await service.client.getEvent({ event_id })).deliveries[0]?.status,
      (status) => status === "completed",
      120_000,
    );
    const doctor = await run("doctor", "--json");
    const findings = JSON.parse(doctor.stdout).findings as { check: string; ok: boolean; message: string }[];
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    expect(findings.find(({ check }) => check === "package")?.message).toContain("loads");
    await server.close();
    expect((await run("uninstall", "--yes")).code).toBe(0);
    expect(readFileSync(join(project, "opencode.json"), "utf8")).toBe(before);
  }, 180_000);
});
