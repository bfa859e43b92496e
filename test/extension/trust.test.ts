import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Editor, startEditor, untilSeen } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";

let editor: Editor;
beforeAll(async () => {
  editor = await startEditor({
    isRestricted: true,
    // The page about trust is to stand beside the views, not over them.
    settings: { "workbench.editor.useModal": "off" },
  });
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(() => editor?.close());

describe("a folder that is not trusted", () => {
  it("has nothing of Signalbox run in it", async () => {
    await editor.page.getByText("Restricted Mode").first().waitFor();
    const isActive = await editor.call(
      (api) => api.extensions.getExtension("signalbox.signalbox")?.isActive ?? false,
    );
    expect(isActive).toBe(false);
    expect(readdirSync(editor.home)).toEqual([]);
  });

  it("has it as soon as it is trusted", async () => {
    const { page } = editor;
    const trust = page.locator(".workspace-trust-editor .monaco-button", { hasText: /^Trust$/ }).first();
    const tab = page.getByRole("tab", { name: "Signalbox" }).first();
    await untilSeen(
      () => page.getByRole("button", { name: "Manage", exact: true }).first().click({ timeout: 5_000 }),
      () => trust.isVisible(),
    );
    await trust.click();
    await tab.waitFor();
    await tab.click();
    await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
    expect(readdirSync(editor.home)).toContain("signalbox.db");
  });
});
