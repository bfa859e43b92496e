/** `signalbox mcp` in the real OpenCode, set up as docs/mcp.md says. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connect } from "../../service/client/index.ts";
import { eventually } from "../harness/eventually.ts";
import { type Installed, install, newHome } from "../harness/mcp.ts";
import { type FakeLlm, startFakeLlm } from "../harness/opencode/fake-llm.ts";
import { makePlace, opencodeBinary, startServer } from "../harness/opencode/opencode.ts";

const binary = opencodeBinary();

describe.skipIf(binary === null)("signalbox mcp in the real OpenCode", () => {
  let installed: Installed;
  let llm: FakeLlm;
  beforeAll(async () => {
    installed = install();
    llm = await startFakeLlm();
  });
  afterAll(async () => {
    await llm.close();
    installed.remove();
  });

  it("M4 M8 a model claims and answers, and what it holds goes back when OpenCode is killed", async () => {
    const home = newHome(installed);
    const bin = join(home, "bin");
    mkdirSync(bin);
    const shim = `#!/bin/sh\nexec '${process.execPath}' '${installed.command}' "$@"\n`;
    writeFileSync(join(bin, "signalbox"), shim, { mode: 0o755 });
    const place = makePlace(llm.url, { SIGNALBOX_HOME: home, PATH: `${bin}:${process.env.PATH}` });
    onTestFinished(() => place.remove());
    const server = await startServer(binary ?? "", place);
    onTestFinished(() => server.close());
    const mcp = { signalbox: { type: "local", command: ["signalbox", "mcp"], enabled: true } };
    const client = await server.open(place.project("project", { plugin: [], config: { mcp } }));
    const { data: session } = await client.session.create();
    const id = session?.id ?? "";
    /** What the tool answered to the model. */
    const called = async (tool: string, given: object) => {
      const text = `call signalbox_${tool} ${JSON.stringify(given)}`;
      await client.session.prompt({ path: { id }, body: { parts: [{ type: "text", text }] } });
      return llm.requests.findLast((one) => one.session === id)?.messages.at(-1)?.text ?? "";
    };

    expect(await called("push", { topic: "inbox", body: "look at #7" })).toMatch(/evt_\w+ is recorded/);
    const claimed = await called("claim", { topic: "inbox" });
    for (const part of ["look at #7", "data from outside", "</event>"]) expect(claimed).toContain(part);
    const [event_id = ""] = /evt_\w+/.exec(claimed) ?? [];
    expect(await called("reply", { event_id, body: "done" })).toContain("which is completed");
    expect(await called("claim", { topic: "inbxo" })).toContain("Did you mean inbox?");

    await called("push", { topic: "inbox", body: "left over" });
    const held = /evt_\w+/.exec(await called("claim", { topic: "inbox" }))?.[0] ?? "";
    const signalbox = await connect({ home, start: false });
    const statusOf = async (one: string) => (await signalbox.getEvent({ event_id: one })).deliveries[0];
    expect(await statusOf(event_id)).toMatchObject({ status: "completed", claimed_by: "mcp:opencode" });
    expect(await statusOf(held)).toMatchObject({ status: "processing" });
    await server.kill9();
    await eventually(async () => (await statusOf(held))?.status === "pending");
    signalbox.close();
  });
});
