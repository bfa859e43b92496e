import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach } from "vitest";
import { repository } from "../../scripts/source-files.ts";
import type { Editor } from "./editor.ts";

/** Leaves a picture of the window, and what its rows say, in dist/failed for each test that fails. */
export function keepPicturesOfFailures(editor: () => Editor | undefined): void {
  afterEach(async ({ task }) => {
    const page = editor()?.page;
    if (task.result?.state !== "fail" || page === undefined) return;
    const folder = join(repository, "dist/failed");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, task.name.replaceAll(/[^a-z0-9]+/gi, "-").slice(0, 60));
    await page.screenshot({ path: `${file}.png` });
    const rows = await page
      .getByRole("treeitem")
      .evaluateAll((found) => found.map((row) => row.getAttribute("aria-label")));
    writeFileSync(`${file}.txt`, rows.join("\n"));
  });
}
