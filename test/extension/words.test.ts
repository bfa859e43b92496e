import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor, webview } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { askPolicy } from "../harness/editor-scene.ts";

// The downloaded editor for the desktop takes its language from a language pack.
const isLeftOut = Boolean(process.env.SIGNALBOX_E2E_DESKTOP);

let editor: Editor;
let client: Client;
beforeAll(async () => {
  if (isLeftOut) return;
  editor = await startEditor({
    translate: (words) => `⟦${words}⟧`,
    serviceFiles: { "policy.toml": askPolicy },
  });
  await openView(editor, "events");
  await editor.page.getByRole("button", { name: /^⟦Signalbox .* runs⟧/ }).waitFor();
  client = await editor.client();
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(async () => {
  client?.close();
  await editor?.close();
});

describe.skipIf(isLeftOut)("the extension in another language", () => {
  it("names its views, commands and welcome texts in it", async () => {
    const { page } = editor;
    await page.getByText("⟦Nothing has happened yet").waitFor();
    const titles = await page.locator(".part.sidebar .pane-header .title").allInnerTexts();
    expect(titles.length).toBeGreaterThanOrEqual(7);
    expect(titles.filter((title) => !/^⟦.*⟧$/.test(title))).toEqual([]);
    await page.keyboard.press("F1");
    const input = page.locator(".quick-input-widget input:not([type=checkbox])").first();
    await input.waitFor();
    await input.fill(">Push Event");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "⟦Push Event…⟧" }).first().waitFor();
    await page.keyboard.press("Escape");
  });

  it("says states in it, also those that it puts together", async () => {
    await client.pushEvent({ topic: "inbox", body: "Bonjour" });
    await editor.page
      .getByRole("treeitem", { name: /Bonjour, ⟦pending⟧, ⟦from api⟧/ })
      .first()
      .waitFor();
  });

  it("has no English word of its own in the inbox", async () => {
    const payload = { version: "1.0.0" };
    const asked = { kind: "command", target: "deployer", action: "deploy", payload } as const;
    await client.proposeEffect({ ...asked, source: "reviewer" });
    const inbox = webview(editor.page);
    await inbox.getByRole("article").getByText("⟦Approve⟧").waitFor();
    const texts = await inbox.locator("body").evaluate((body) => {
      const found: string[] = [];
      const visit = (node: { childNodes: Iterable<unknown>; nodeName: string; textContent: string }) => {
        if (node.nodeName === "SCRIPT") return;
        if (node.nodeName === "#text" && node.textContent.trim() !== "") found.push(node.textContent.trim());
        for (const child of node.childNodes) visit(child as typeof node);
      };
      visit(body as unknown as Parameters<typeof visit>[0]);
      return found;
    });
    const ours = texts.filter((text) => /\p{L}{3}/u.test(text) && !text.includes("⟦"));
    // What the service, the policy and the asker say, and the payload itself.
    const theirs =
      /^(Send deploy to deployer|First of its kind:.*|policy\.toml:.*|reviewer|deployer|command deploy → deployer|[A-Z0-9]{8}|.*"version": "1\.0\.0".*)$/s;
    expect(ours.filter((text) => !theirs.test(text))).toEqual([]);
  });
});
