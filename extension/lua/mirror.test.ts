import { describe, expect, it } from "vitest";
import { editsOf, isInside, usesSignalbox, workflowName } from "./mirror.ts";
import { FILE, openService } from "./testing/fake.ts";

describe("an editor's changes", () => {
  it("made at once, as with several cursors, are applied from the end on", () => {
    const service = openService();
    service.set(FILE, "local a = 1\nlocal b = 2\n", "workflow");
    service.edit(
      FILE,
      editsOf([
        { rangeOffset: 6, rangeLength: 1, text: "first" },
        { rangeOffset: 18, rangeLength: 1, text: "second" },
      ]),
    );
    expect(service.text(FILE)).toBe("local first = 1\nlocal second = 2\n");
  });
});

describe("a file", () => {
  it.each([
    ['sekia.on("a", f)', true],
    ["signalbox . log('x')", true],
    ["return define_action{}", true],
    ["tools.define_tool({})", true],
    ["print(actions.text.words({ text = 'a' }))", true],
    ["local actions = require('telescope.actions')\nactions.close.now({})", false],
    ["print('hello')", false],
    ["local mysekia = {}", false],
  ])("%s has to do with Signalbox: %s", (text, expected) => expect(usesSignalbox(text)).toBe(expected));

  it.each([
    ["/w/flows/label.lua", "label"],
    ["/w/flows/types/events.lua", null],
    ["/w/flows/.hidden.lua", null],
    ["/w/other/label.lua", null],
    ["/w/flows-old/label.lua", null],
  ])("%s is the workflow %s", (file, name) => expect(workflowName(file, "/w/flows/")).toBe(name));

  it("lies in a folder by whole names, whichever slash is used", () => {
    expect(isInside("C:\\w\\actions\\a\\init.lua", "C:/w/actions")).toBe(true);
    expect(isInside("/w/actions-old/a.lua", "/w/actions")).toBe(false);
    expect(isInside("/w/a.lua", null)).toBe(false);
  });
});
