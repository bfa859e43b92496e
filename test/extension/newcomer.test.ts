import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repository } from "../../scripts/source-files.ts";
import { chooseFromMenu, type Editor, startEditor, webview } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { eventually } from "../harness/eventually.ts";

/** The texts that docs/vscode.md tells a newcomer to write, by language. */
const page = readFileSync(join(repository, "docs/vscode.md"), "utf8");
const blockOf = (language: string) =>
  (new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1] ?? "").replaceAll(/^ {3}/gm, "");
const event = blockOf("json");
const workflow = blockOf("lua");

let editor: Editor;
let window: Page;
beforeAll(async () => {
  editor = await startEditor();
  window = editor.page;
  window.setDefaultTimeout(50_000);
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(() => editor?.close());

/** As somebody does it: F1, the command's name, Enter. */
async function runCommand(name: string): Promise<void> {
  await window.keyboard.press("F1");
  const input = window.locator(".quick-input-widget input:not([type=checkbox])").first();
  await input.waitFor();
  await input.fill(`>${name}`);
  await window.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().click();
}

async function answer(text: string, prompt: string | RegExp): Promise<void> {
  await window.locator(".quick-input-widget").getByText(prompt).first().waitFor();
  await window.locator(".quick-input-widget input:not([type=checkbox])").first().fill(text);
  await window.keyboard.press("Enter");
}

async function choose(label: string | RegExp): Promise<void> {
  await window.locator(".quick-input-list .monaco-list-row", { hasText: label }).first().click();
}

/** Replaces what stands in the document that is being edited. */
const write = (text: string) =>
  editor.call(async (api, content) => {
    const document = api.window.activeTextEditor?.document;
    if (document === undefined) throw new Error("no document is open");
    const edit = new api.WorkspaceEdit();
    edit.replace(document.uri, new api.Range(0, 0, document.lineCount, 0), content);
    if (!(await api.workspace.applyEdit(edit))) throw new Error("the document could not be changed");
  }, text);

describe("a newcomer who follows docs/vscode.md", () => {
  it("opens the view, and the service starts by itself", async () => {
    await window.getByRole("tab", { name: "Signalbox" }).first().click();
    await window.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  });

  /** The document that is shown becomes the active one a moment after its lines are there. */
  const shownText = (within: string) =>
    eventually(
      () => editor.call((api) => api.window.activeTextEditor?.document.getText() ?? ""),
      (text) => text.includes(within),
    );

  it("pushes an event as a document, and sees it arrive", async () => {
    await runCommand("Signalbox: Push Event…");
    await answer("inbox", "Name of the topic");
    await choose("JSON Document");
    await window.locator(".codelens-decoration", { hasText: "Push Event" }).waitFor();
    const mark = "// Signalbox event: edit it, then push it.\n";
    await write(`${mark}${event}`);
    await window.locator(".codelens-decoration a", { hasText: "Push Event" }).click();
    await window
      .getByRole("treeitem", { name: /message\.pushed, Good morning/ })
      .first()
      .waitFor();
  });

  it("opens it, and reads what it holds", async () => {
    await window
      .getByRole("treeitem", { name: /message\.pushed, Good morning/ })
      .first()
      .click();
    const lines = window.locator('.monaco-editor[data-uri^="signalbox-event"] .view-lines');
    await lines.getByText("# message.pushed").first().waitFor();
    const text = await shownText("# message.pushed");
    expect(text).toContain('"name": "Ada"');
  });

  it("writes a workflow, and is offered the fields of recorded events", async () => {
    await runCommand("Signalbox: New Workflow…");
    await choose("Empty");
    await answer("greeter", "Its name, and that of its file");
    await window.locator('.monaco-editor[data-uri$="greeter.lua"]').waitFor();
    const cut = workflow.indexOf("event.payload.") + "event.payload.".length;
    await write(`${workflow.slice(0, cut)}\nend)\n`);
    const labels = await eventually(
      () =>
        editor.call(async (api) => {
          const document = api.window.activeTextEditor?.document;
          if (document === undefined) return [];
          const place = document.positionAt(
            document.getText().indexOf("event.payload.") + "event.payload.".length,
          );
          const list = await api.commands.executeCommand<import("vscode").CompletionList>(
            "vscode.executeCompletionItemProvider",
            document.uri,
            place,
          );
          return list.items.map(({ label }) => (typeof label === "string" ? label : label.label));
        }),
      (found) => found.includes("mood"),
      // What the service knows is asked for again after 20 s.
      45_000,
    );
    expect(labels).toEqual(expect.arrayContaining(["name", "mood"]));
  });

  it("saves it, and it is loaded", async () => {
    await write(workflow);
    await window.keyboard.press("Control+S");
    const client = await editor.client();
    await eventually(
      () => editor.call((api) => api.window.activeTextEditor?.document.isDirty ?? true),
      (isDirty) => !isDirty,
    );
    // The text before may have been saved and loaded as well, with a handler on the same line.
    await client.reloadWorkflows();
    await eventually(
      async () => (await client.listWorkflows()).workflows,
      (workflows) => workflows.some(({ name, handlers }) => name === "greeter" && handlers.length === 1),
    );
    await eventually(
      async () => (await client.getWorkflow({ workflow: "greeter" })).handlers[0]?.line,
      (line) => line === 1,
    );
    client.close();
  });

  it("dry-runs it on the event, and reads what it would do", async () => {
    const row = window.getByRole("treeitem", { name: /message\.pushed, Good morning/ }).first();
    const choice = window.locator(".quick-input-list .monaco-list-row", { hasText: "greeter" }).first();
    await chooseFromMenu(editor, row, "Dry Run in a Workflow…", () => choice.isVisible());
    await choice.click();
    const lines = window.locator('.monaco-editor[data-uri^="signalbox-text"] .view-lines');
    await lines.getByText("Dry run: greeter").first().waitFor();
    const text = await shownText("Dry run: greeter");
    expect(text).toMatch(/would .*Greet Ada\?/);
    expect(text).toContain("greeter.lua:3");
  });

  it("pushes another event, approves what the workflow asks, and sees what came of it", async () => {
    const client = await editor.client();
    await client.pushEvent(JSON.parse(event));
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.showList")));
    const notice = window.locator(".notification-list-item", { hasText: "Greet Ada?" });
    await notice.getByRole("button", { name: "Show" }).click();
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.clearAll")));
    const tab = webview(window, 1);
    const card = tab.getByRole("article", { name: "Greet Ada?" });
    await card.waitFor();
    await eventually(
      async () => {
        await card
          .locator('[data-name="choose-yes"]')
          .click({ timeout: 2_000 })
          .catch(() => {}); // It goes away as soon as a press has counted.
        return (await client.findEvents({ type: "greeting.sent" })).events.length;
      },
      (count) => count === 1,
      90_000,
    );
    await window
      .getByRole("treeitem", { name: /greeting\.sent/ })
      .first()
      .waitFor();
    client.close();
  }, 180_000);

  it("finds the same steps in the walkthrough", async () => {
    await runCommand("Signalbox: Open Walkthrough");
    await window.getByText("Get Started with Signalbox").first().waitFor();
    for (const step of ["See an event arrive", "Write a workflow", "Dry-run it", "Approve its effect"])
      await window.getByText(step).first().waitFor();
  });
});
