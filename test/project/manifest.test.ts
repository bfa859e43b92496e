import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { CODE_SERVER } from "../../scripts/editor-cache.ts";
import { extensionWords, untranslatable, wordsFile, wordsIn } from "../../scripts/extension-words.ts";
import { repository, sourceFiles } from "../../scripts/source-files.ts";

const read = (path: string) => JSON.parse(readFileSync(join(repository, path), "utf8")) as unknown;
const command = z.looseObject({
  command: z.string(),
  title: z.string(),
  category: z.string(),
  icon: z.string().optional(),
});
const placed = z.looseObject({
  command: z.string(),
  when: z.string().optional(),
  group: z.string().optional(),
});
const manifest = z
  .looseObject({
    version: z.string(),
    engines: z.object({ vscode: z.string() }),
    activationEvents: z.array(z.string()),
    contributes: z.looseObject({
      commands: z.array(command),
      menus: z.record(z.string(), z.array(placed)),
      configuration: z.looseObject({ properties: z.record(z.string(), z.looseObject({})) }),
      viewsWelcome: z.array(z.object({ view: z.string(), contents: z.string(), when: z.string() })),
    }),
  })
  .parse(read("extension/package.json"));
const nls = z.record(z.string(), z.string()).parse(read("extension/package.nls.json"));
const { commands, menus, configuration, viewsWelcome } = manifest.contributes;
const ids = commands.map((one) => one.command);
const sources = sourceFiles(/^extension\/.*\.ts$/).filter(({ path }) => !path.endsWith(".test.ts"));

describe("the extension's manifest", () => {
  it("has a text for each placeholder, and no text that nothing uses", () => {
    const used = [
      ...readFileSync(join(repository, "extension/package.json"), "utf8").matchAll(/%([\w.]+)%/g),
    ];
    expect([...new Set(used.map(([, key]) => key))].sort()).toEqual(Object.keys(nls).sort());
  });

  it("gives every command a category, and an icon where it is a button", () => {
    expect(commands.filter(({ category }) => category !== "Signalbox")).toEqual([]);
    const buttons = Object.values(menus)
      .flat()
      .filter(({ group }) => /^(navigation|inline)/.test(group ?? ""));
    const without = buttons.filter((button) => !commands.find((one) => one.command === button.command)?.icon);
    expect(without).toEqual([]);
  });

  it("places and mentions only commands that there are", () => {
    const placedIds = Object.values(menus).flatMap((items) => items.map((item) => item.command));
    const mentioned = Object.values(nls).flatMap((text) => [
      ...text.matchAll(/command:(signalbox\.[\w.]+)/g),
    ]);
    const known = new Set([...ids, ...viewsWelcome.map(({ view }) => `${view}.focus`)]);
    expect(
      [...placedIds, ...mentioned.map(([, id]) => id)].filter((id) => id !== undefined && !known.has(id)),
    ).toEqual([]);
  });

  it("registers each command that it names, and names each that it registers for people", () => {
    const text = sources.map((file) => file.text).join("\n");
    const missing = ids.filter((id) => {
      const short = id.replace(/^signalbox\./, "");
      return ![`"${short}"`, `"${id}"`, `${short}:`].some((written) => text.includes(written));
    });
    expect(missing).toEqual([]);
  });

  it("hides commands from the palette that need a row", () => {
    const hidden = new Set(
      menus.commandPalette?.filter(({ when }) => when === "false").map((one) => one.command),
    );
    const forRows = menus["view/item/context"]?.map((one) => one.command) ?? [];
    expect(
      forRows.filter(
        (id) => !hidden.has(id) && !["signalbox.secret.set", "signalbox.service.config"].includes(id),
      ),
    ).toEqual([]);
  });

  it("describes each setting, with a default and a scope", () => {
    for (const [key, setting] of Object.entries(configuration.properties)) {
      expect(setting, key).toMatchObject({
        markdownDescription: expect.any(String),
        scope: expect.any(String),
      });
      expect(setting, key).toHaveProperty("default");
    }
  });

  it("is woken by what it is for, never by everything", () => {
    expect(manifest.activationEvents).not.toContain("*");
  });

  it("has every word that it says ready for translators", () => {
    expect(readFileSync(join(repository, wordsFile), "utf8")).toBe(extensionWords());
  });

  it("shows no text that a translator would not see", () => {
    expect(untranslatable()).toEqual([]);
  });

  it("is looked through for such texts, wherever they are shown", () => {
    const look = (text: string) => wordsIn({ path: "extension/sample.ts", text });
    expect(look('t("One"); l10n.t(many ? "Many" : "Few", 2);')).toEqual({
      words: ["One", "Many", "Few"],
      problems: [],
    });
    const value = ["$", "{it}"].join("");
    for (const text of [
      'const item = { label: "Open it" };',
      `const item = { label: \`$(eye) Open ${value}\` };`,
      'void window.showErrorMessage("It went wrong");',
      `const page = html\`<p class=${value}>Read me</p>\`;`,
      'const page = html`<i aria-label="Read me"></i>`;',
      "l10n.t(whatever);",
    ])
      expect(look(text).problems, text).toHaveLength(1);
    for (const text of [
      `const item = { label: \`$(eye) ${value}\` };`,
      `const page = html\`<p class=${value}>${value}</p>\`;`,
    ])
      expect(look(text).problems, text).toEqual([]);
  });

  it("asks for no newer editor than the one that it is tested in, or than its types are of", () => {
    const minor = (text: string) => Number(/1\.(\d+)/.exec(text.replace(/^4\./, "1."))?.[1]);
    const types = z
      .looseObject({ devDependencies: z.record(z.string(), z.string()) })
      .parse(read("package.json"));
    expect(minor(manifest.engines.vscode)).toBeLessThanOrEqual(minor(CODE_SERVER));
    expect(minor(manifest.engines.vscode)).toBe(minor(types.devDependencies["@types/vscode"] ?? ""));
  });

  it("has the version of everything else", () => {
    expect(manifest.version).toBe(z.looseObject({ version: z.string() }).parse(read("package.json")).version);
  });
});
