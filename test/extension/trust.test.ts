import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Editor, startEditor } from "../harness/editor.ts";

let editor: Editor;
beforeAll(async () => {
  editor = await startEditor({ isRestricted: true });
}, 180_000);
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
});
