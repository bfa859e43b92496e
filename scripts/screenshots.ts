/**
 * Takes pictures of the extension in the real editor, in light, dark and high contrast, into dist/screenshots (or the
 * folder after `--out`); with `--readme` those that its README shows are taken over into extension/media as well.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Client } from "../service/client/index.ts";
import { type Editor, openView, startEditor, webview } from "../test/harness/editor.ts";
import { exampleFiles, fillScene } from "../test/harness/editor-scene.ts";
import { repository } from "./source-files.ts";

const { values: flags } = parseArgs({
  options: {
    out: { type: "string", default: "dist/screenshots" },
    readme: { type: "boolean", default: false },
  },
});
const folder = join(repository, flags.out);
mkdirSync(folder, { recursive: true });

const themes = { light: "Light 2026", dark: "Dark 2026", contrast: "Default High Contrast" };
/** In one theme, by the name of the picture: dark, as most people have it. */
const forReadme = ["approvals-dark", "events-dark", "workflow-dark"];

const editor = await startEditor({
  size: { width: 1160, height: 720 },
  serviceFiles: exampleFiles,
  settings: {
    "window.title": "Signalbox",
    "editor.minimap.enabled": false,
    "breadcrumbs.enabled": false,
    "workbench.layoutControl.enabled": false,
  },
});
try {
  await openView(editor, "events");
  await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  const client = await editor.client();
  await fillScene(client);
  await wideSideBar(editor);
  for (const [name, theme] of Object.entries(themes)) {
    await setTheme(editor, theme);
    await showApprovals(editor);
    await take(`approvals-${name}`);
    await showEvent(editor, client);
    await take(`events-${name}`);
    await showWorkflow(editor);
    await take(`workflow-${name}`);
    const { closed } = await showMenu(editor);
    await take(`service-${name}`);
    await editor.page.keyboard.press("Escape");
    await closed;
  }
  client.close();
} finally {
  await editor.close();
}
// The scene's agent goes on looking for its service, which is gone for good.
process.exit();

async function take(name: string): Promise<void> {
  const { page } = editor;
  await command("notifications.clearAll");
  await page.mouse.move(640, 715);
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled", caret: "hide" });
  // Half the size, which counts in a package.
  if (flags.readme && forReadme.includes(name)) {
    const path = join(repository, "extension/media", `${name}.jpg`);
    await page.screenshot({ path, type: "jpeg", quality: 82, animations: "disabled", caret: "hide" });
  }
  console.log(`${name}.png`);
}

function command(id: string): Promise<void> {
  return editor.call(async (api, name) => void (await api.commands.executeCommand(name)), id);
}

async function setTheme({ call, page }: Editor, theme: string): Promise<void> {
  await call(
    async (api, name) =>
      void (await api.workspace
        .getConfiguration("workbench")
        .update("colorTheme", name, api.ConfigurationTarget.Global)),
    theme,
  );
  const kind = theme === "Light 2026" ? "vs" : theme === "Dark 2026" ? "vs-dark" : "hc-black";
  await page.locator(`.monaco-workbench.${kind}`).waitFor();
}

async function wideSideBar({ page }: Editor): Promise<void> {
  const sash = page.locator(".monaco-sash.vertical").nth(1);
  const box = await sash.boundingBox();
  if (box === null) return;
  await page.mouse.move(box.x + 2, 400);
  await page.mouse.down();
  await page.mouse.move(380, 400);
  await page.mouse.up();
}

async function showApprovals(shown: Editor): Promise<void> {
  await command("workbench.action.closeAllEditors");
  await command("signalbox.approvals.open");
  const panel = webview(shown.page, 1);
  await panel.getByRole("table", { name: "Waiting for you" }).waitFor();
  await panel.getByRole("article").first().waitFor();
}

async function showEvent({ call, page }: Editor, client: Client): Promise<void> {
  await command("workbench.action.closeAllEditors");
  const { events } = await client.findEvents({ type: "github.issue.opened", limit: 1 });
  await call(async (api, id) => {
    const uri = api.Uri.from({ scheme: "signalbox-event", path: `/${id}.md` });
    await api.window.showTextDocument(uri);
    await api.commands.executeCommand("signalbox.events.focus");
  }, events[0]?.id ?? "");
  const shown = page.locator('.monaco-editor[data-uri^="signalbox-event"]');
  await shown.getByText("Payload").first().waitFor();
  // They come a moment after the text.
  await shown.locator(".codelens-decoration a", { hasText: "Copy Id" }).waitFor();
}

/** With the list of what can stand after `event.payload.`. */
async function showWorkflow({ call, page, home }: Editor): Promise<void> {
  await command("workbench.action.closeAllEditors");
  await call(async (api, file) => {
    const shown = await api.window.showTextDocument(api.Uri.file(file));
    const { document } = shown;
    const place = document.positionAt(document.getText().indexOf("event.payload.") + "event.payload.".length);
    shown.selection = new api.Selection(place, place);
  }, `${home}/workflows/triage.lua`);
  await page.locator(".codelens-decoration", { hasText: "Run on Last Event" }).first().waitFor();
  await command("editor.action.triggerSuggest");
  await page.locator(".suggest-widget.visible .monaco-list-row").first().waitFor();
}

/** @returns when nobody asks any more, which is after somebody has answered */
async function showMenu({ page }: Editor): Promise<{ closed: Promise<void> }> {
  await page.keyboard.press("Escape");
  const closed = command("signalbox.service.menu");
  await page.locator(".quick-input-list .monaco-list-row").first().waitFor();
  return { closed };
}
