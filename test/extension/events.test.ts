import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { workflowTemplates } from "../../service/client/workflow-templates.ts";
import { chooseFromMenu, type Editor, openView, startEditor } from "../harness/editor.ts";
import { keepPicturesOfFailures } from "../harness/editor-failures.ts";
import { eventually } from "../harness/eventually.ts";

let editor: Editor;
let client: Client;
let page: Page;
beforeAll(async () => {
  editor = await startEditor({
    settings: { "signalbox.approvals.person": "alice" },
    size: { width: 1280, height: 1000 },
  });
  ({ page } = editor);
  page.setDefaultTimeout(50_000);
  await openView(editor, "events");
  await page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  client = await editor.client();
}, 180_000);
keepPicturesOfFailures(() => editor);
afterAll(async () => {
  client?.close();
  await editor?.close();
});

const run = (command: string) =>
  editor.call(async (api, id) => void (await api.commands.executeCommand(id)), command);
const row = (name: RegExp) => page.getByRole("treeitem", { name }).first();
const quickInput = () => page.locator(".quick-input-widget");
const pick = (label: string | RegExp) =>
  quickInput().locator(".monaco-list-row", { hasText: label }).first().click();
async function type(prompt: string | RegExp, text: string): Promise<void> {
  await quickInput().getByText(prompt).first().waitFor();
  await quickInput().locator("input:not([type=checkbox])").first().fill(text);
  await page.keyboard.press("Enter");
}

const documentOf = (event_id: string) =>
  page.locator(`.monaco-editor[data-uri="signalbox-event:/${event_id}.md"]`);
/** The lenses that stand over an event's document, in their order. */
const lenses = (event_id: string) => documentOf(event_id).locator(".codelens-decoration a");
const titles = (event_id: string) =>
  lenses(event_id)
    .allTextContents()
    .then((texts) => texts.map((text) => text.trim()));
const shows = (event_id: string, expected: readonly string[]) =>
  eventually(
    () => titles(event_id),
    (found) => JSON.stringify(found) === JSON.stringify(expected),
    50_000,
  );
const press = (event_id: string, title: string) =>
  lenses(event_id).filter({ hasText: title }).first().click();

const written = (file: string) => eventually(() => (existsSync(file) ? readFileSync(file, "utf8") : ""));

async function open(name: RegExp): Promise<void> {
  await row(name).click();
}

const NEW = "New Workflow from This Event…";
const REPLAY = "Replay in a Workflow (Dry Run)…";

describe("an event's document", () => {
  let waiting = "";
  let silent = "";

  it("offers what applies to an event that waits, over its first line", async () => {
    waiting = (await client.pushEvent({ topic: "inbox", body: "older" })).event_id;
    waiting = (
      await client.pushEvent({ topic: "inbox", body: "Good morning", payload: { who: { name: "Ada" } } })
    ).event_id;
    await open(/Good morning/);
    await shows(waiting, ["Claim", "Reply…", NEW, "Copy Id"]);
  });

  it("offers less for one that is in no topic", async () => {
    silent = (await client.pushEvent({ type: "order.placed", payload: { sum: 7, items: ["a"] } })).event_id;
    await open(/order\.placed/);
    await shows(silent, [NEW, "Copy Id"]);
  });

  it("copies the id", async () => {
    await press(silent, "Copy Id");
    await eventually(
      () => editor.call(async (api) => await api.env.clipboard.readText()),
      (text) => text === silent,
    );
  });

  it("M10 claims exactly this event, and does not offer it again", async () => {
    await open(/Good morning/);
    await press(waiting, "Claim");
    await shows(waiting, ["Reply…", NEW, "Copy Id"]);
    const { deliveries } = await client.getEvent({ event_id: waiting });
    expect(deliveries).toMatchObject([{ status: "processing", claimed_by: "@alice" }]);
    expect((await client.getTopic({ topic: "inbox" })).counts).toMatchObject({ pending: 1, processing: 1 });
  });

  it("M8 answers in the person's name", async () => {
    await press(waiting, "Reply…");
    await type("The answer is an event too", "Good night");
    const answers = await eventually(
      async () => (await client.findEvents({ type: "message.replied" })).events,
      (events) => events.length === 1,
    );
    expect(answers[0]).toMatchObject({ body: "Good night", source: "@alice", origin_kind: "human" });
    expect(answers[0]?.correlation_id).toBe(waiting);
    expect((await client.getEvent({ event_id: waiting })).deliveries).toMatchObject([
      { status: "completed" },
    ]);
    await open(/Good morning/);
    await shows(waiting, [NEW, "Copy Id"]);
  });

  it("begins a workflow that hears events like it", async () => {
    await open(/order\.placed/);
    await press(silent, NEW);
    await quickInput().getByText("Its name, and that of its file").first().waitFor();
    await page.keyboard.press("Enter");
    const file = join(editor.home, "workflows/order-placed.lua");
    const text = await written(file);
    for (const part of [
      'signalbox.on("order.placed", function(event)',
      'if event.type ~= "order.placed" then return end',
      "event.payload.sum    number",
      "event.payload.items  string[]",
    ])
      expect(text).toContain(part);
    await page.locator('.monaco-editor[data-uri$="order-placed.lua"]').waitFor();
    await eventually(
      async () => (await client.listWorkflows()).workflows,
      (workflows) => workflows.some(({ name, state }) => name === "order-placed" && state === "active"),
    );
  });

  it("leads to a dry run and to the line that handled it", async () => {
    await client.reloadWorkflows();
    const { event_id } = await client.pushEvent({
      type: "order.placed",
      body: "second",
      payload: { sum: 8 },
    });
    await open(/order\.placed, second/);
    await shows(event_id, [REPLAY, "Open Workflow Line", NEW, "Copy Id"]);
    await press(event_id, REPLAY);
    await pick("order-placed");
    await page
      .locator('.monaco-editor[data-uri^="signalbox-text"]')
      .getByText("Dry run: order-placed")
      .waitFor();
    await run("workbench.action.closeActiveEditor");
    await press(event_id, "Open Workflow Line");
    await eventually(
      () => editor.call((api) => api.window.activeTextEditor?.document.fileName ?? ""),
      (name) => name.endsWith("order-placed.lua"),
    );
  });
});

describe("New Workflow…", () => {
  it("lists every template, and writes the one that is chosen", async () => {
    void run("signalbox.workflow.new");
    const templates = workflowTemplates((text) => text);
    await eventually(
      () => quickInput().locator(".monaco-list-row").allTextContents(),
      (rows) => templates.every(({ title }) => rows.some((text) => text.includes(title))),
    );
    await pick("Ask a Person First");
    await type("Its name, and that of its file", "careful");
    const file = join(editor.home, "workflows/careful.lua");
    const ask = templates.find(({ name }) => name === "ask");
    expect(await written(file)).toBe(ask?.write("careful"));
    const problems = await eventually(
      () =>
        editor.call((api) => {
          const document = api.window.activeTextEditor?.document;
          if (document?.fileName.endsWith("careful.lua") !== true) return null;
          return api.languages.getDiagnostics(document.uri).map(({ message }) => message);
        }),
      (found) => found !== null,
    );
    expect(problems).toEqual([]);
  });

  it("begins with a recent event that is chosen from a list", async () => {
    void run("signalbox.workflow.new");
    await pick("From a Recent Event…");
    await pick("Good morning");
    await type("Its name, and that of its file", "greeter");
    const file = join(editor.home, "workflows/greeter.lua");
    const text = await written(file);
    expect(text).toContain('signalbox.on("topics.inbox", function(event)');
    expect(text).toContain("event.payload.who.name  string");
  });

  it("is in the menu of an event's row", async () => {
    const prompt = quickInput().getByText("Its name, and that of its file").first();
    await chooseFromMenu(editor, row(/order\.placed, second/), NEW, () => prompt.isVisible());
    // The name that the event suggests is taken.
    expect(await quickInput().locator("input:not([type=checkbox])").first().inputValue()).toBe(
      "order-placed-2",
    );
    await page.keyboard.press("Escape");
  });
});
