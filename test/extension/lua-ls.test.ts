import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVSIX } from "@vscode/vsce";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../service/client/index.ts";
import { type Editor, openView, startEditor } from "../harness/editor.ts";
import { eventually } from "../harness/eventually.ts";

/** Stands in for the Lua extension of sumneko: it has that one's name and settings, and completes one local. */
const manifest = {
  name: "lua",
  publisher: "sumneko",
  version: "0.0.1",
  engines: { vscode: "^1.90.0" },
  main: "./main.js",
  activationEvents: ["onLanguage:lua"],
  contributes: {
    configuration: {
      properties: {
        "Lua.workspace.library": { type: "array", default: [] },
        "Lua.runtime.version": { type: "string", default: "Lua 5.4" },
      },
    },
  },
};
const program = `const { languages, CompletionItem, Hover } = require("vscode");
exports.activate = () => {
  languages.registerCompletionItemProvider("lua", { provideCompletionItems: () => [new CompletionItem("total")] });
  languages.registerHoverProvider("lua", { provideHover: () => new Hover("told by LuaLS") });
};
`;

let editor: Editor;
let client: Client;
let file: string;
const packed = mkdtempSync(join(tmpdir(), "signalbox-lua-ls-"));

beforeAll(async () => {
  for (const [name, text] of [
    ["package.json", JSON.stringify(manifest)],
    ["main.js", program],
    ["README.md", "A stand-in.\n"],
    ["LICENSE", "None.\n"],
  ] as const)
    writeFileSync(join(packed, name), text);
  const vsix = join(packed, "lua.vsix");
  await createVSIX({ cwd: packed, packagePath: vsix, dependencies: false, allowMissingRepository: true });
  editor = await startEditor({ serviceFiles: { "workflows/greeter.lua": "\n" }, extensions: [vsix] });
  file = join(editor.home, "workflows/greeter.lua");
  await openView(editor, "topics");
  await editor.page.getByRole("button", { name: /Signalbox .* runs/ }).waitFor();
  client = await editor.client();
  await client.pushEvent({ topic: "inbox", body: "hi", payload: { name: "Ada" } });
}, 240_000);
afterAll(async () => {
  client?.close();
  await editor?.close();
  rmSync(packed, { recursive: true, force: true });
});

/** What all extensions together say at the place of `|`. */
async function at(source: string): Promise<{ labels: string[]; hovers: string[]; definitions: string[] }> {
  return editor.call(
    async (api, { path, text, offset }) => {
      const document = await api.workspace.openTextDocument(api.Uri.file(path));
      const shown = await api.window.showTextDocument(document);
      const all = new api.Range(document.positionAt(0), document.positionAt(document.getText().length));
      await shown.edit((edit) => edit.replace(all, text));
      const ask = <Answer>(what: string) =>
        api.commands.executeCommand<Answer>(
          `vscode.execute${what}Provider`,
          document.uri,
          document.positionAt(offset),
        );
      const list = await ask<import("vscode").CompletionList>("CompletionItem");
      const hovers = await ask<import("vscode").Hover[]>("Hover");
      const places = await ask<import("vscode").Location[]>("Definition");
      return {
        labels: list.items.map(({ label }) => (typeof label === "string" ? label : label.label)),
        hovers: hovers.flatMap(({ contents }) =>
          contents.map((one) => (typeof one === "string" ? one : one.value)),
        ),
        definitions: places.map(({ uri }) => uri.toString()),
      };
    },
    { path: file, text: source.replace("|", ""), offset: source.indexOf("|") },
  );
}

const on = (body: string) => `signalbox.on("topics.inbox", function(event)\n  ${body}\nend)\n`;

describe("beside the Lua extension of sumneko", () => {
  it("K25 offers nothing twice: locals and the API are its own", async () => {
    const { labels, hovers } = await at("local total = 1\nto|");
    expect(labels.filter((label) => label === "total")).toHaveLength(1);
    expect(labels).not.toContain("signalbox");
    expect(hovers).toEqual(["told by LuaLS"]);
  });

  it("K25 adds what the service alone knows", async () => {
    const fields = await eventually(
      () => at(on("local x = event.payload.|")),
      ({ labels }) => labels.includes("name"),
    );
    expect(fields.labels).toContain("total");
    const subject = await at(`signalbox.on("topics.in|box", print)\n`);
    expect(subject.hovers.some((text) => text.includes("subject topics.inbox"))).toBe(true);
    expect(subject.definitions).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^signalbox-lua:/),
        expect.stringMatching(/inbox\.prompt\.md$/),
      ]),
    );
  });

  it("K25 gives it the annotations as a library when it is told to, and asks once", async () => {
    // Toasts hide by themselves; the list of notifications stays.
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.showList")));
    const question = editor.page.locator(".notification-list-item", {
      hasText: "Let the Lua extension read",
    });
    await question.locator(".monaco-button", { hasText: "Add" }).click();
    const settings = await eventually(
      () =>
        editor.call((api) => {
          const lua = api.workspace.getConfiguration("Lua");
          return { library: lua.get<string[]>("workspace.library", []), version: lua.get("runtime.version") };
        }),
      ({ version }) => version === "Lua 5.3",
    );
    expect(settings.library).toEqual([
      expect.stringMatching(/signalbox\.signalbox-[^/\\]+[/\\]workflows[/\\]types$/),
      join(editor.home, "workflows/types"),
    ]);
    await at(on("|"));
    await editor.call(async (api) => void (await api.commands.executeCommand("notifications.showList")));
    expect(await question.count()).toBe(0);
  });
});
