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

/** Puts a text into the file's editor and saves it. */
async function saved(source: string): Promise<void> {
  const isSaved = await editor.call(
    async (api, { path, text }) => {
      const document = await api.workspace.openTextDocument(api.Uri.file(path));
      const shown = await api.window.showTextDocument(document);
      const all = new api.Range(document.positionAt(0), document.positionAt(document.getText().length));
      await shown.edit((edit) => edit.replace(all, text));
      await document.save();
      return !document.isDirty;
    },
    { path: file, text: source },
  );
  expect(isSaved).toBe(true);
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

const lenses = () =>
  editor.call(async (api, path) => {
    const found = await api.commands.executeCommand<import("vscode").CodeLens[]>(
      "vscode.executeCodeLensProvider",
      api.Uri.file(path),
    );
    return found.map(({ command }) => command?.title ?? "");
  }, file);

/** Does what the lens of that title does when it is pressed. */
async function press(title: string): Promise<void> {
  await eventually(lenses, (titles) => titles.includes(title));
  await editor.call(
    async (api, { path, wanted }) => {
      const found = await api.commands.executeCommand<import("vscode").CodeLens[]>(
        "vscode.executeCodeLensProvider",
        api.Uri.file(path),
      );
      const command = found.find((lens) => lens.command?.title === wanted)?.command;
      // A message that waits for its button would be waited for too.
      if (command) void api.commands.executeCommand(command.command, ...(command.arguments ?? []));
    },
    { path: file, wanted: title },
  );
}

/** The texts of the comparison that is shown, left and right. */
const bothSides = () =>
  editor.call(async (api) => {
    const input = api.window.tabGroups.activeTabGroup.activeTab?.input;
    if (!(input instanceof api.TabInputTextDiff)) return [];
    const [left, right] = await Promise.all(
      [input.original, input.modified].map((uri) => api.workspace.openTextDocument(uri)),
    );
    return [left?.getText() ?? "", right?.getText() ?? ""];
  });

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

  it.each([
    ["S24 a command", 'signalbox.command("mailer", "snd", { to = "a" })', "unknown-command", '"send"'],
    [
      "S24 a missing field of a command",
      'signalbox.command("mailer", "send", {})',
      "missing-field",
      'to = ""',
    ],
    [
      "S24 a field of a command",
      'signalbox.command("mailer", "send", { too = "a", to = "b" })',
      "unknown-field",
      null,
    ],
    [
      "S22 a topic",
      'signalbox.publish("a", "b", {}, { topic = "inbx" })',
      "unknown-topic",
      'topic = "inbox"',
    ],
    ["S27 a recorded field", "print(event.payload.moood)", "unseen-field", "event.payload.mood)"],
  ])("K25 tells of %s, and mends it where it knows how", async (_what, body, code, mended) => {
    await at(inHandler(`${body}|`), "hover");
    await eventually(problems, (list) => list.some((one) => one.code === code), 20_000);
    if (mended === null) return;
    const text = await editor.call(
      async (api, { path, wanted }) => {
        const uri = api.Uri.file(path);
        const found = api.languages.getDiagnostics(uri).find((one) => String(one.code) === wanted);
        const actions = await api.commands.executeCommand<import("vscode").CodeAction[]>(
          "vscode.executeCodeActionProvider",
          uri,
          found?.range ?? new api.Range(0, 0, 0, 0),
        );
        const edit = actions.find(({ title }) => /^(Change to|Add the field) /.test(title))?.edit;
        if (edit) await api.workspace.applyEdit(edit);
        return (await api.workspace.openTextDocument(uri)).getText();
      },
      { path: file, wanted: code },
    );
    expect(text).toContain(mended);
  });

  it("S24 leads from an agent's command to what it takes", async () => {
    expect(await at<string[]>(inHandler('signalbox.command("mailer", "se|nd", {})'), "definition")).toEqual([
      "mailer.lua",
    ]);
    const text = await editor.call(async (api) => {
      const uri = api.Uri.parse("signalbox-lua:/agents/mailer.lua");
      return (await api.workspace.openTextDocument(uri)).getText();
    });
    expect(text).toContain("---@class mailer.send\n---@field to string");
  });

  it("S22 shows over each handler how it does, and what can be done with it", async () => {
    await at(`${greeter}|`, "hover");
    const titles = await eventually(
      lenses,
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
    await editor.page.getByRole("tab", { name: /Dry run of greeter: deployed ↔ edited/ }).waitFor();
    const [deployed, edited] = await eventually(
      bothSides,
      ([, right]) => right?.includes("good day Grace") ?? false,
    );
    expect(edited).toContain("nothing of it has happened");
    expect(deployed).toContain("The deployed version did this when the event came");
    expect(deployed).toContain("info hello Grace");
    expect(deployed).not.toContain("good day");
    expect((await client.listRuns({ workflow: "greeter" })).runs).toHaveLength(before);
  });

  it("S22 runs the deployed text on the newest event that it hears, for real, and tells of it over the handler", async () => {
    await at(`${greeter}|`, "hover");
    const before = (await client.listRuns({ workflow: "greeter" })).runs.length;
    await press("Run on Last Event");
    await eventually(
      () => client.listRuns({ workflow: "greeter" }),
      ({ runs }) => runs.length === before + 1 && runs[0]?.status === "succeeded",
    );
    await eventually(lenses, ([first]) => first?.startsWith("3 events in 24 h · last run just now") ?? false);
  });

  it("disables and enables the workflow from over its handler, and shows its log", async () => {
    await press("Disable");
    await eventually(lenses, (titles) => titles.includes("Enable"));
    expect((await client.listWorkflows({})).workflows[0]?.state).toBe("disabled");
    await press("Enable");
    await eventually(lenses, (titles) => titles.includes("Disable"));
    expect((await client.listWorkflows({})).workflows[0]?.state).toBe("active");
    await press("Log");
    await editor.page.getByRole("tab", { name: /greeter\.log/ }).waitFor();
    await eventually(
      () => editor.call((api) => api.window.visibleTextEditors.map(({ document }) => document.getText())),
      (texts) => texts.some((text) => /\[info\] :4 hello Grace/.test(text)),
    );
  });

  it("K25 knows the field that an event brought as soon as it came, and shows no secret of it", async () => {
    const fields = async () => at<string[]>(inHandler("local x = event.payload.|"), "complete");
    expect(await fields()).not.toContain("api_token");
    const secret = ["hunter", "2-and-more"].join("");
    await client.pushEvent({ topic: "inbox", body: "x", payload: { name: "Ada", api_token: secret } });
    await eventually(fields, (found) => found.includes("api_token"), 15_000);
    const text = await at<string>(inHandler("print(event.payload.api_to|ken)"), "hover");
    expect(text).toContain("[secret]");
    expect(text).not.toContain(secret);
  });

  it("K25 knows an agent and its commands as soon as it has come", async () => {
    await client.registerAgent({ name: "painter", commands: [{ name: "paint" }] });
    const found = () => at<string[]>(inHandler('signalbox.command("painter", "|")'), "complete");
    await eventually(found, (names) => names.includes("paint"), 15_000);
  });

  it("shows on its line why the engine does not load a text that was saved", async () => {
    // Good Lua, so that the engine alone knows what is wrong.
    await saved(`${greeter}\nerror("not today")\n`);
    await client.reloadWorkflows();
    const found = await eventually(problems, (list) => list.some(({ line }) => line === 7), 30_000);
    expect(found.find(({ line }) => line === 7)?.message).toContain("not today");
    await saved(greeter);
    await client.reloadWorkflows();
    await eventually(problems, (list) => list.every(({ line }) => line !== 7), 30_000);
  });

  it("shows an error of the engine on its line, with the event that caused it", async () => {
    await saved(greeter);
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
