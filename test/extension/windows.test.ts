import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor, untilSeen, webview } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { askPolicy } from "../harness/editor-scene.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
let other: Page;
let client: Client;
beforeAll(async () => {
  editor = await startEditor({ serviceFiles: { "policy.toml": askPolicy } });
  other = await editor.openWindow();
  for (const page of [editor.page, other]) page.setDefaultTimeout(50_000);
}, 240_000);
keepPicturesOfFailures(() => editor);
afterAll(async () => {
  client?.close();
  await editor?.close();
});

const windows = () => [editor.page, other];
const runsIn = (page: Page) =>
  page.getByRole("button", { name: /Signalbox.*(runs|waiting for you)/ }).waitFor();
const rowIn = (page: Page, name: RegExp) => page.getByRole("treeitem", { name }).first().waitFor();
/** How often a service has begun to work here. */
const starts = () =>
  readFileSync(join(editor.home, "service.log"), "utf8").split("signalbox is ready").length - 1;
const ask = (version: string) =>
  client.proposeEffect({
    kind: "command",
    target: "deployer",
    action: "deploy",
    payload: { version },
    source: "reviewer",
  });
const cardIn = (page: Page, version: string) =>
  webview(page).getByRole("article").filter({ hasText: version });

describe("two windows at once", () => {
  it("start one service between them, though both need it in the same moment", async () => {
    const tab = other.getByRole("tab", { name: "Signalbox" }).first();
    await tab.waitFor();
    await Promise.all([openView(editor, "events"), tab.click()]);
    for (const page of windows()) await runsIn(page);
    client = await editor.client();
    expect(starts()).toBe(1);
  });

  it("both show what happens, each with a filter of its own", async () => {
    await client.pushEvent({ topic: "inbox", body: "for both" });
    for (const page of windows()) await rowIn(page, /for both/);
    await editor.call((api) => {
      void api.commands.executeCommand("signalbox.events.filter");
    });
    await editor.page.locator(".quick-input-widget .monaco-list-row", { hasText: "Type" }).first().click();
    await editor.page.locator(".quick-input-widget").getByText("Empty: any").first().waitFor();
    await editor.page.locator(".quick-input-widget input:not([type=checkbox])").first().fill("other.type");
    await editor.page.keyboard.press("Enter");
    await editor.page.getByText("No event matches the filter").waitFor();
    await rowIn(other, /for both/);
    await editor.call(
      async (api) => void (await api.commands.executeCommand("signalbox.events.clearFilter")),
    );
  });

  it("both ask for an approval, and what one decides the other says", async () => {
    await ask("1.0.0");
    for (const page of windows()) await cardIn(page, "1.0.0").waitFor();
    const state = async () => (await client.listEffects({})).effects[0]?.state;
    const approve = cardIn(other, "1.0.0").locator('[data-name="approve"]');
    await untilSeen(
      () => approve.click({ timeout: 2_000 }),
      async () => (await state()) !== "waiting",
    );
    await cardIn(editor.page, "1.0.0")
      .getByText(/Approved by/)
      .waitFor();
  });

  it("both come back when the service is killed, to one new process and to what waited", async () => {
    await ask("2.0.0");
    for (const page of windows()) await cardIn(page, "2.0.0").waitFor();
    const { pid } = await client.getInfo();
    client.close();
    process.kill(pid, "SIGKILL");
    client = await eventually(
      async () => {
        const found = await editor.client().catch(() => null); // Not there again yet.
        return found !== null && (await found.getInfo()).pid !== pid ? found : null;
      },
      Boolean,
      60_000,
    ).then((found) => found as Client);
    for (const page of windows()) {
      await runsIn(page);
      await rowIn(page, /for both/);
      await cardIn(page, "2.0.0").locator('[data-name="deny"]').waitFor();
    }
    expect(starts()).toBe(2);
    await client.pushEvent({ topic: "inbox", body: "after the kill" });
    for (const page of windows()) await rowIn(page, /after the kill/);
  });
});
