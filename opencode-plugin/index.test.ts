import type { PluginInput } from "@opencode-ai/plugin";
import { afterEach, describe, expect, it } from "vitest";
import { PROTOCOL } from "../service/contract/common.ts";
import { type Stub, startStub } from "../test/harness/stub-service.ts";
import { readSession } from "./host-v1.ts";
import * as entry from "./index.ts";
import { createLink, type Link } from "./link.ts";

let stub: Stub | undefined;
let link: Link | undefined;
afterEach(async () => {
  link?.close();
  await stub?.close();
});

describe("the package's entry", () => {
  it("exports one plugin and nothing that could be taken for another", () => {
    expect(Object.keys(entry)).toEqual(["default"]);
    expect(entry.default).toMatchObject({ id: "signalbox", server: expect.any(Function) });
  });

  it("does nothing where 1.18 calls it as a 2.x plugin, and says what to do in a real 2.x", async () => {
    for (const context of [{}, { options: {}, agent: {} }, null, { session: {} }])
      await expect(entry.default.setup(context)).resolves.toBeUndefined();
    await expect(entry.default.setup({ session: { prompt: () => {} } })).rejects.toThrow(/signalbox mcp/);
  });

  it("starts whatever its options are, and tells the user what is wrong with them", async () => {
    const toasts: unknown[] = [];
    const client = {
      tui: { showToast: async ({ body }: { body: unknown }) => toasts.push(body) },
      app: { log: async () => {} },
    };
    const input = { client, directory: "/shop" } as unknown as PluginInput;
    const hooks = await entry.default.server(input, { topics: "builds", pollMs: 1 });
    expect(Object.keys(hooks)).toEqual(["chat.message"]);
    expect(toasts).toMatchObject([
      { variant: "error", message: expect.stringMatching(/topics[\s\S]*pollMs|pollMs[\s\S]*topics/) },
    ]);
  });
});

describe("the way to the service", () => {
  const linkTo = (home: string, more: object = {}) => {
    const found: number[] = [];
    link = createLink({
      env: { SIGNALBOX_HOME: home, PATH: process.env.PATH },
      ...{ start: false, command: "signalbox", onFound: () => found.push(1) },
      ...more,
    });
    return { link, found };
  };

  it("asks for the protocol before anything else and says so when it is another", async () => {
    stub = await startStub({
      getInfo: {
        ...{
          name: "signalbox",
          version: "9.0.0",
          protocol: PROTOCOL + 1,
          pid: 1,
          node: "v24",
          started_ms: 0,
        },
        ...{ database: "", socket: "" },
      },
    });
    const { link: to, found } = linkTo(stub.home);
    await expect(to.call((client) => client.listTopics())).rejects.toMatchObject({
      code: "protocol_mismatch",
      message: expect.stringContaining("9.0.0"),
    });
    expect(stub.calls.map(({ route }) => route)).toEqual(["getInfo"]);
    expect(found).toEqual([]);
  });

  it("asks again after the service was away, since another may have come", async () => {
    const { link: to } = linkTo("/nonexistent/signalbox");
    await expect(to.call((client) => client.listTopics())).rejects.toMatchObject({
      code: "service_unreachable",
    });
    stub = await startStub({ listTopics: { topics: [] } });
    const { link: there, found } = linkTo(stub.home);
    expect(await there.call((client) => client.listTopics())).toEqual({ topics: [] });
    await there.call((client) => client.listTopics());
    expect(found).toEqual([1]);
    expect(stub.calls.map(({ route }) => route)).toEqual(["getInfo", "listTopics", "listTopics"]);
  });

  it("tells why it could not be started, and starts nothing where that is not wanted", async () => {
    const env = { SIGNALBOX_HOME: "/nonexistent/signalbox", PATH: process.env.PATH };
    const missing = linkTo("", { env, start: true, command: "no-such-command-here" }).link;
    await expect(missing.client()).rejects.toMatchObject({
      message: expect.stringContaining("`no-such-command-here up` could not be run"),
      hint: expect.stringContaining("npm install -g signalbox"),
    });
    const failing = linkTo("", { env, start: true, command: "false" }).link;
    await expect(failing.client()).rejects.toThrow("`false up` ended with 1");
    const quiet = linkTo("", {
      env: { ...env, SIGNALBOX_NO_AUTOSTART: "1" },
      start: true,
      command: "false",
    }).link;
    await expect(quiet.client()).rejects.toThrow("No connection to");
  });
});

describe("a session as OpenCode describes it", () => {
  it("is read by what is there, and nonsense is none", () => {
    const info = {
      id: "ses_1",
      parentID: "ses_0",
      agent: "plan",
      model: { id: "m", providerID: "p", variant: "high" },
      time: { archived: 5 },
      revert: { messageID: "msg_1" },
      metadata: { signalbox: { topics: ["a"] } },
    };
    expect(readSession(info)).toEqual({
      ...{ id: "ses_1", child: true, archived: true, reverted: true, topics: ["a"] },
      persona: { agent: "plan", model: { providerID: "p", modelID: "m" }, variant: "high" },
    });
    expect(readSession({ id: "ses_2", model: 7, metadata: { signalbox: { topics: "x" } } })).toMatchObject({
      ...{ child: false, archived: false, reverted: false, topics: null },
    });
    expect(readSession({ id: 7 })).toBeNull();
  });
});
