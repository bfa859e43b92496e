import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { http } from "../../test/harness/http.ts";
import { collectingLog } from "../../test/harness/log.ts";
import { eventually } from "../../test/harness/service.ts";
import {
  pushAndRun,
  removeWorkflow,
  serviceWith,
  workflowThat,
  writeWorkflow,
} from "../../test/harness/workflows.ts";

/** Answers with a word, and with how often it was called since it was loaded. */
const saying = (word: string) => `local count = 0
sekia.on("say.asked", function()
  count = count + 1
  signalbox.state.set("total", (signalbox.state.get("total") or 0) + 1)
  return { "${word}", count, signalbox.state.get("total") }
end)`;

const quick = { set: ["workflows.debounce_ms=20"] };

async function outputOf(service: Awaited<ReturnType<typeof serviceWith>>, workflow: string) {
  const { run_id } = await service.client.pushEvent({ type: "say.asked" });
  await eventually(
    () => service.client.getRun({ run_id }),
    ({ status }) => status !== "queued" && status !== "running",
  );
  const { runs } = await service.client.listRuns({ workflow, limit: 1 });
  return runs[0]?.output;
}

describe("hot reload", () => {
  it("S29 an edited file is loaded by itself: Lua begins afresh, durable state stays", async () => {
    const service = await serviceWith({ speaker: saying("old"), other: saying("other") }, quick);
    const { version } = await service.client.getWorkflow({ workflow: "speaker" });
    expect(await outputOf(service, "speaker")).toEqual(["old", 1, 1]);
    writeWorkflow(service, "speaker", saying("new"));
    await workflowThat(service.client, "speaker", (workflow) => workflow.version !== version);
    expect(await outputOf(service, "speaker")).toEqual(["new", 1, 2]);
    // Its neighbour was not touched.
    expect((await service.client.listRuns({ workflow: "other", limit: 1 })).runs[0]?.output).toEqual([
      "other",
      2,
      2,
    ]);
  });

  it("S29 a new file is loaded, and a removed one is unloaded", async () => {
    const service = await serviceWith({}, quick);
    expect((await service.client.listWorkflows()).workflows).toEqual([]);
    writeWorkflow(service, "speaker", saying("hello"));
    await eventually(async () => (await service.client.listWorkflows()).workflows.length === 1);
    expect(await outputOf(service, "speaker")).toEqual(["hello", 1, 1]);
    removeWorkflow(service, "speaker");
    await eventually(async () => (await service.client.listWorkflows()).workflows.length === 0);
    expect((await pushAndRun(service.client, { type: "say.asked" })).status).toBe("skipped");
  });

  it("S29 a syntax error keeps the version before and shows file and line, until it is corrected", async () => {
    const service = await serviceWith({ speaker: saying("old") }, quick);
    await outputOf(service, "speaker");
    writeWorkflow(service, "speaker", `${saying("new")}\nthis is no Lua`);
    const broken = await workflowThat(service.client, "speaker", ({ problem }) => problem !== null);
    expect(broken).toMatchObject({
      state: "active",
      problem: { line: 7, file: expect.stringMatching(/speaker\.lua$/) },
    });
    // The version before goes on with its variables.
    expect(await outputOf(service, "speaker")).toEqual(["old", 2, 2]);
    expect((await service.client.getStatus()).workflows).toEqual({ active: 1, failed: 1, total: 1 });
    writeWorkflow(service, "speaker", saying("new"));
    await workflowThat(service.client, "speaker", ({ problem }) => problem === null);
    expect(await outputOf(service, "speaker")).toEqual(["new", 1, 3]);
  });

  it("an error while the file runs is told with its line as well, and a handler in it is not kept", async () => {
    const service = await serviceWith({ speaker: `${saying("half")}\nlocal x = nil\nprint(x.y)` }, quick);
    const failed = await service.client.getWorkflow({ workflow: "speaker" });
    expect(failed).toMatchObject({ state: "failed", version: null, handlers: [], problem: { line: 8 } });
    expect((await pushAndRun(service.client, { type: "say.asked" })).status).toBe("skipped");
  });

  it("changes that follow each other quickly are one load", async () => {
    const lines: string[] = [];
    const service = await serviceWith({}, { set: ["workflows.debounce_ms=300"], log: collectingLog(lines) });
    for (const word of ["a", "b", "c"]) writeWorkflow(service, "speaker", saying(word));
    await eventually(async () => (await service.client.listWorkflows()).workflows.length === 1);
    expect(await outputOf(service, "speaker")).toEqual(["c", 1, 1]);
    expect(lines.filter((line) => line.includes("workflow loaded"))).toHaveLength(1);
  });

  it("goes on when the folder itself is replaced by another", async () => {
    const service = await serviceWith({ speaker: saying("old") }, quick);
    const dir = service.paths.workflowsDir;
    for (const word of ["first", "second"]) {
      mkdirSync(`${dir}.new`);
      writeFileSync(join(`${dir}.new`, "speaker.lua"), saying(word));
      rmSync(dir, { recursive: true });
      renameSync(`${dir}.new`, dir);
      const answer = () => outputOf(service, "speaker");
      await eventually(answer, (output) => Array.isArray(output) && output[0] === word);
      writeWorkflow(service, "speaker", saying(`${word} again`));
      await eventually(answer, (output) => Array.isArray(output) && output[0] === `${word} again`);
    }
  });

  it("S29 can be switched off; then a reload is asked for", async () => {
    const service = await serviceWith({ speaker: saying("old") }, { set: ["workflows.hot_reload=false"] });
    writeWorkflow(service, "speaker", saying("new"));
    expect(await outputOf(service, "speaker")).toEqual(["old", 1, 1]);
    await service.client.reloadWorkflows();
    expect(await outputOf(service, "speaker")).toEqual(["new", 1, 2]);
  });
});

describe("a reload", () => {
  it("S18 POST /api/v1/workflows/reload reads all files again and answers as Sekia does", async () => {
    const service = await serviceWith(
      { changed: saying("old"), same: saying("same"), gone: saying("gone") },
      { set: ["workflows.hot_reload=false"] },
    );
    writeWorkflow(service, "changed", saying("new"));
    writeWorkflow(service, "added", saying("added"));
    writeWorkflow(service, "bad", "nonsense");
    removeWorkflow(service, "gone");
    const reply = await http(service.paths, "POST", "/api/v1/workflows/reload");
    expect([reply.status, reply.body]).toEqual([200, { status: "reloaded" }]);
    const { workflows } = await service.client.listWorkflows();
    expect(workflows.map(({ name, state }) => [name, state])).toEqual([
      ["added", "active"],
      ["bad", "failed"],
      ["changed", "active"],
      ["same", "active"],
    ]);
    expect(await service.client.reloadWorkflows()).toEqual({ status: "reloaded", workflows: 4, failed: 1 });
  });

  it("a text that is the same keeps its Lua state", async () => {
    const service = await serviceWith({ speaker: saying("same") });
    await outputOf(service, "speaker");
    await service.client.reloadWorkflows();
    expect(await outputOf(service, "speaker")).toEqual(["same", 2, 2]);
  });

  it("a file that can't be read stops none of the others", async () => {
    const service = await serviceWith({ speaker: saying("hello") }, { set: ["workflows.hot_reload=false"] });
    const dir = service.paths.workflowsDir;
    mkdirSync(join(dir, "folder.lua"));
    symlinkSync(join(dir, "folder.lua"), join(dir, "link.lua"));
    symlinkSync(join(dir, "nowhere"), join(dir, "dangling.lua"));
    writeFileSync(join(dir, ".hidden.lua"), "nonsense");
    writeFileSync(join(dir, "notes.txt"), "nonsense");
    writeWorkflow(service, "added", saying("added"));
    expect(await service.client.reloadWorkflows()).toMatchObject({ workflows: 3, failed: 1 });
    const link = await service.client.getWorkflow({ workflow: "link" });
    expect(link).toMatchObject({ state: "failed", problem: { message: expect.stringContaining("EISDIR") } });
    expect(await outputOf(service, "added")).toEqual(["added", 1, 1]);
  });
});
