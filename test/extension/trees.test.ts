import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor } from "../harness/editor.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
let client: Client;
beforeAll(async () => {
  editor = await startEditor();
}, 180_000);
afterAll(() => editor?.close());

describe("the views", () => {
  it("start the service by themselves, and the status bar says that it runs", async () => {
    const { page } = editor;
    await openView(editor, "events");
    await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    client = await editor.client();
    await expect(client.getInfo()).resolves.toMatchObject({ name: "signalbox" });
    await page.getByText("Nothing has happened yet").waitFor();
  });

  it("show an event as it arrives, newest first", async () => {
    const { page } = editor;
    await client.pushEvent({ topic: "inbox", body: "Good morning" });
    const row = page.getByRole("treeitem", { name: /message\.pushed, Good morning, pending/ });
    await row.waitFor();
    await client.pushEvent({ topic: "inbox", body: "Good evening" });
    await page.getByRole("treeitem", { name: /Good evening/ }).waitFor();
    const tree = page.getByRole("tree", { name: /Events/ });
    const labels = await eventually(
      () => tree.getByRole("treeitem").allInnerTexts(),
      (texts) => texts.length >= 2,
    );
    expect(labels[0]).toContain("Good evening");
  });
});
