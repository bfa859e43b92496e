import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Editor, openView, startEditor } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
beforeAll(async () => {
  editor = await startEditor();
  editor.page.setDefaultTimeout(50_000);
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(() => editor?.close());

const run = (command: string) =>
  editor.call(async (api, id) => void (await api.commands.executeCommand(id)), command);
/** One of the notifications, once the list of them is open: toasts hide by themselves. */
const notice = (text: string) => editor.page.locator(".notification-list-item", { hasText: text }).first();
const pidNow = async () => {
  const client = await editor.client();
  const { pid } = await client.getInfo();
  client.close();
  return pid;
};

describe("the service at hand", () => {
  it("is not started before anything needs it, and is activated in less than 100 ms", async () => {
    await editor.page.getByRole("button", { name: /Signalbox does not run/ }).waitFor();
    const isActive = await editor.call(
      (api) => api.extensions.getExtension("signalbox.signalbox")?.isActive === true,
    );
    expect(isActive).toBe(true);
    await expect(editor.client()).rejects.toMatchObject({ code: "service_unreachable" });
    const loadMs = await editor.call((api, _, load) => {
      const file = `${api.extensions.getExtension("signalbox.signalbox")?.extensionPath}/main.cjs`;
      const begin = performance.now();
      load(file);
      return performance.now() - begin;
    });
    expect(loadMs).toBeLessThan(100);
  });

  it("is started by the first view that is shown", async () => {
    await openView(editor, "topics");
    await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    expect(await pidNow()).toBeGreaterThan(0);
  });

  it("is shared by two windows, and closing one harms nobody", async () => {
    const pid = await pidNow();
    const other = await editor.openWindow();
    await other.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    const client = await editor.client();
    await client.createTopic({ name: "shared" });
    await client.pushEvent({ topic: "shared", body: "for both" });
    await other.getByRole("tab", { name: "Signalbox" }).first().click();
    for (const page of [editor.page, other])
      await page
        .getByRole("treeitem", { name: /shared/ })
        .first()
        .waitFor();
    await other.close();
    expect(await pidNow()).toBe(pid);
    client.close();
  });

  it("comes back by itself when it was killed, with everything in the views", async () => {
    const pid = await pidNow();
    process.kill(pid, "SIGKILL");
    await eventually(
      async () => {
        try {
          return await pidNow();
        } catch {
          return pid; // Not there again yet.
        }
      },
      (now) => now !== pid,
      30_000,
    );
    await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    await editor.page
      .getByRole("treeitem", { name: /shared/ })
      .first()
      .waitFor();
  });

  it("stays down when it was stopped, says so, and starts at a press", async () => {
    await run("signalbox.service.stop");
    await editor.page.getByRole("button", { name: /Signalbox does not run/ }).waitFor();
    const start = editor.page.getByRole("button", { name: "Start Service" }).first();
    await start.waitFor();
    await expect(editor.client()).rejects.toMatchObject({ code: "service_unreachable" });
    await start.click();
    await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  });

  it("says why it can't start, in the status bar with what to do", async () => {
    await run("signalbox.service.stop");
    writeFileSync(join(editor.home, "config.toml"), "[retention]\ncompleted_days = -1\n");
    const { page } = editor;
    void run("signalbox.service.start");
    const item = page.getByRole("button", { name: /Signalbox failed/ });
    await item.waitFor();
    await run("notifications.showList");
    await notice("completed_days").waitFor();
    await run("notifications.clearAll");
    await item.click();
    await page.locator(".quick-input-widget").getByText("Open Configuration File").waitFor();
    await page.keyboard.press("Escape");
    writeFileSync(join(editor.home, "config.toml"), "");
    void run("signalbox.service.start");
    await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  });

  it("is given the secrets that the editor keeps, and nobody else is", async () => {
    const { page } = editor;
    void run("signalbox.secret.set");
    const input = page.locator(".quick-input-widget input:not([type=checkbox])").first();
    await input.waitFor();
    await input.fill("lower case");
    await page.locator(".quick-input-widget").getByText("Capital letters").waitFor();
    await input.fill("EDITOR_TEST_SECRET");
    await page.keyboard.press("Enter");
    await page.locator(".quick-input-widget").getByText("is kept in the editor's secret storage").waitFor();
    await page.locator('.quick-input-widget input[type="password"]').fill("hush");
    await page.keyboard.press("Enter");
    const restart = notice("The service gets it").getByRole("button", { name: "Restart Service" });
    const before = await pidNow();
    await run("notifications.showList");
    await restart.click();
    const pid = await eventually(
      async () => {
        try {
          return await pidNow();
        } catch {
          return before; // Between two starts.
        }
      },
      (now) => now !== before,
      30_000,
    );
    const environment = await editor.call((_api, id, load) => {
      const { readFileSync } = load("node:fs") as typeof import("node:fs");
      return readFileSync(`/proc/${id}/environ`, "utf8");
    }, pid);
    expect(environment).toContain("EDITOR_TEST_SECRET=hush");
    expect(environment).not.toMatch(/VSCODE_/);
    const settings = await editor.call((api) => JSON.stringify(api.workspace.getConfiguration("signalbox")));
    expect(settings).not.toContain("hush");
  });

  it("tells the editor's own agent of its MCP server", async () => {
    const { contributes } = await editor.call(
      (api) =>
        api.extensions.getExtension("signalbox.signalbox")?.packageJSON as {
          contributes: Record<string, unknown>;
        },
    );
    expect(contributes.mcpServerDefinitionProviders).toEqual([{ id: "signalbox.mcp", label: "Signalbox" }]);
  });

  it("checks itself, and shows what it found", async () => {
    await run("notifications.hideList");
    await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    void run("signalbox.service.doctor");
    await editor.page
      .locator(".quick-input-widget")
      .getByText(/Signalbox is well|findings/)
      .waitFor();
    await editor.page.keyboard.press("Escape");
  });
});
