import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor } from "../harness/editor.ts";
import { eventually } from "../harness/eventually.ts";

const greeter = [
  'signalbox.on("topics.inbox", function(event)',
  "  local greeting = event.payload.greeting",
  "  if event.payload.name == nil then error(greeting) end",
  '  signalbox.log("info", "hello " .. event.payload.name)',
  "end)",
  "",
].join("\n");

let editor: Editor;
let client: Client;
let file: string;

beforeAll(async () => {
  editor = await startEditor({ serviceFiles: { "workflows/greeter.lua": greeter } });
  editor.page.setDefaultTimeout(50_000);
  file = join(editor.home, "workflows/greeter.lua");
  await openView(editor, "topics");
  await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  client = await editor.client();
  for (const name of ["Ada", "Grace"])
    await client.pushEvent({ topic: "inbox", body: "hi", payload: { name, mood: "fine" } });
  await client.registerAgent({
    name: "mailer",
    commands: [
      { name: "send", params: { type: "object", properties: { to: { type: "string" } }, required: ["to"] } },
    ],
  });
}, 240_000);
afterAll(async () => {
  client?.close();
  await editor?.close();
});

/** Puts a text into the file's editor, unsaved, and gives what an act makes of it at the place of `|`. */
async function at<R>(source: string, act: "complete" | "hover" | "definition"): Promise<R> {
  return editor.call(
    async (api, { path, text, offset, act: what }) => {
      const document = await api.workspace.openTextDocument(api.Uri.file(path));
      const shown = await api.window.showTextDocument(document);
      const all = new api.Range(document.positionAt(0), document.positionAt(document.getText().length));
      await shown.edit((edit) => edit.replace(all, text));
      const position = document.positionAt(offset);
      if (what === "complete") {
        const list = await api.commands.executeCommand<import("vscode").CompletionList>(
          "vscode.executeCompletionItemProvider",
          document.uri,
          position,
        );
        return list.items.map(({ label }) => (typeof label === "string" ? label : label.label)) as R;
      }
      if (what === "hover") {
        const found = await api.commands.executeCommand<import("vscode").Hover[]>(
          "vscode.executeHoverProvider",
          document.uri,
          position,
        );
        return found
          .flatMap(({ contents }) => contents.map((one) => (typeof one === "string" ? one : one.value)))
          .join("\n") as R;
      }
      const found = await api.commands.executeCommand<import("vscode").Location[]>(
        "vscode.executeDefinitionProvider",
        document.uri,
        position,
      );
      return found.map(({ uri }) => uri.path.split("/").at(-1)) as R;
    },
    { path: file, text: source.replace("|", ""), offset: source.indexOf("|"), act },
  );
}

const problems = () =>
  editor.call(
    (api, path) =>
      api.languages
        .getDiagnostics(api.Uri.file(path))
        .map(({ message, code, range, relatedInformation }) => ({
          message,
          code: String(code),
          line: range.start.line + 1,
          event: relatedInformation?.[0]?.location.uri.path ?? null,
        })),
    file,
  );

const inHandler = (body: string) => `signalbox.on("topics.inbox", function(event)\n  ${body}\nend)\n`;

describe("a workflow in the real editor", () => {
  it("K25 completes fields of recorded payloads, agents, their commands and what those take", async () => {
    expect((await at<string[]>(inHandler("local x = event.payload.|"), "complete")).slice(0, 2)).toEqual([
      "mood",
      "name",
    ]);
    expect(await at<string[]>(inHandler('signalbox.command("|")'), "complete")).toContain("mailer");
    expect(await at<string[]>(inHandler('signalbox.command("mailer", "|")'), "complete")).toContain("send");
    expect(await at<string[]>(inHandler('signalbox.command("mailer", "send", { | })'), "complete")).toContain(
      "to",
    );
  });

  it("tells what a field was, and leads to where a function is written", async () => {
    expect(await at<string>(inHandler("print(event.payload.na|me)"), "hover")).toContain("In 100% of");
    expect(await at<string[]>("signalbox.o|n('a', print)\n", "definition")).toEqual(["signalbox.lua"]);
  });

  it("is completed while it is typed", async () => {
    await at(inHandler("|"), "hover");
    await editor.call(async (api, path) => {
      const document = await api.workspace.openTextDocument(api.Uri.file(path));
      const shown = await api.window.showTextDocument(document);
      shown.selection = new api.Selection(1, 2, 1, 2);
    }, file);
    // The window hears of the cursor a little later than the extension host.
    await editor.page.getByRole("button", { name: /Ln 2, Col 3/ }).waitFor();
    await editor.page.keyboard.type("local who = event.payload.", { delay: 20 });
    const row = editor.page.locator(".suggest-widget.visible .monaco-list-row", { hasText: "name" }).first();
    await row.waitFor();
    await row.click();
    await eventually(
      () => editor.call((api) => api.window.activeTextEditor?.document.lineAt(1).text ?? ""),
      (text) => text === "  local who = event.payload.name",
    );
  });

  it("says at once what is wrong, and mends it", async () => {
    await at(inHandler('signalbox.command("mailr", "send", {})|'), "hover");
    const [found] = await eventually(
      problems,
      (list) => list.some(({ code }) => code === "unknown-agent"),
      20_000,
    );
    expect(found?.message).toBe("no agent 'mailr' has registered; did you mean 'mailer'?");
    const titles = await editor.call(async (api, path) => {
      const uri = api.Uri.file(path);
      const [first] = api.languages.getDiagnostics(uri);
      const actions = await api.commands.executeCommand<import("vscode").CodeAction[]>(
        "vscode.executeCodeActionProvider",
        uri,
        first?.range ?? new api.Range(0, 0, 0, 0),
      );
      return actions.map(({ title }) => title);
    }, file);
    expect(titles).toContain("Change to 'mailer'");
  });

  it("S22 shows over each handler how it does, and what can be done with it", async () => {
    await at(`${greeter}|`, "hover");
    const titles = await eventually(
      () =>
        editor.call(async (api, path) => {
          const found = await api.commands.executeCommand<import("vscode").CodeLens[]>(
            "vscode.executeCodeLensProvider",
            api.Uri.file(path),
          );
          return found.map(({ command }) => command?.title ?? "");
        }, file),
      (list) => list.some((title) => title.startsWith("2 events in 24 h")),
      20_000,
    );
    expect(titles.slice(1)).toEqual(["Run on Last Event", "Dry Run on…", "Disable", "Log"]);
  });

  it("runs the text as it stands on a recorded event, and nothing happens", async () => {
    await at(`${greeter.replace("hello", "good day")}|`, "hover");
    const target = { workflow: "greeter", pattern: "topics.inbox", uri: `file://${file}` };
    const before = (await client.listRuns({ workflow: "greeter" })).runs.length;
    void editor.call(
      (api, given) => api.commands.executeCommand("signalbox.workflow.dryRunOn", given),
      target,
    );
    await editor.page.locator(".quick-input-widget input").waitFor();
    await editor.page.locator(".quick-input-list .monaco-list-row").first().click();
    await editor.page.getByRole("tab", { name: /Dry run of greeter/ }).waitFor();
    await eventually(
      () => editor.call((api) => api.window.activeTextEditor?.document.getText() ?? ""),
      (text) => text.includes("good day Grace"),
    );
    expect((await client.listRuns({ workflow: "greeter" })).runs).toHaveLength(before);
  });

  it("shows an error of the engine on its line, with the event that caused it", async () => {
    const isSaved = await editor.call(
      async (api, { path, text }) => {
        const document = await api.workspace.openTextDocument(api.Uri.file(path));
        const shown = await api.window.showTextDocument(document);
        const all = new api.Range(document.positionAt(0), document.positionAt(document.getText().length));
        await shown.edit((edit) => edit.replace(all, text));
        return (await document.save()) && !document.isDirty;
      },
      { path: file, text: greeter },
    );
    expect(isSaved).toBe(true);
    // The service sees a saved file a moment later; until then the event would reach the text before.
    await client.reloadWorkflows();
    const { event_id } = await client.pushEvent({
      topic: "inbox",
      body: "bad",
      payload: { greeting: "no name" },
    });
    const found = await eventually(problems, (list) => list.some(({ event }) => event !== null), 30_000);
    expect(found.find(({ event }) => event !== null)).toMatchObject({ line: 3, event: `/${event_id}.md` });
  });
});
