import type { Cursor } from "../cursor.ts";
import { type Completion, item } from "./item.ts";

/** `«1:name»` stands for a place to fill in, as `$1` does for editors. */
const snippets: [label: string, doc: string, insert: string, where: "top" | "anywhere"][] = [
  ["on", "Hear events", 'signalbox.on("«1:github.>»", function(event)\n\t$0\nend)', "top"],
  ["schedule", "Do something at an interval", "signalbox.schedule(«1:3600», function()\n\t$0\nend)", "top"],
  [
    "ask",
    "Ask a person, and go on when they say yes",
    'local ok, answer = pcall(signalbox.ask, { title = "«1:Shall I?»", choices = { "«2:yes»" } })\nif not ok then\n\treturn\nend\n$0',
    "anywhere",
  ],
  [
    "iftype",
    "Go on for one type of event",
    'if event.type ~= "«1:type»" then\n\treturn\nend\n$0',
    "anywhere",
  ],
  [
    "state",
    "Count up a value that is kept",
    "signalbox.state.«1:count» = (signalbox.state.«1:count» or 0) + 1\n$0",
    "anywhere",
  ],
  ["function", "A local function", "local function «1:name»($2)\n\t$0\nend", "anywhere"],
  ["if", "if … then", "if «1:condition» then\n\t$0\nend", "anywhere"],
  ["ifelse", "if … then … else", "if «1:condition» then\n\t$2\nelse\n\t$0\nend", "anywhere"],
  ["for", "Through all entries", "for «1:key», «2:value» in pairs(«3:entries») do\n\t$0\nend", "anywhere"],
  ["fori", "Through a list", "for «1:index», «2:item» in ipairs(«3:list») do\n\t$0\nend", "anywhere"],
  ["while", "while … do", "while «1:condition» do\n\t$0\nend", "anywhere"],
];

/** Pieces of text for the beginning of a statement. */
export function snippetsFor(cursor: Cursor): Completion[] {
  if (!isAtStatement(cursor)) return [];
  const isTop = cursor.path.filter((node) => node.kind === "block").length === 0;
  return snippets
    .filter(([, , , where]) => where === "anywhere" || isTop)
    .map(([label, doc, insert]) =>
      item(cursor, label, "snippet", {
        detail: doc,
        doc: `\`\`\`lua\n${plain(insert)}\n\`\`\``,
        insert: filled(insert),
        isSnippet: true,
        sort: "7",
      }),
    );
}

function isAtStatement({ file, wordStart }: Cursor): boolean {
  return /(^|\n)[ \t]*$|\b(then|do|else)\s+$/.test(file.text.slice(Math.max(0, wordStart - 200), wordStart));
}

function filled(text: string): string {
  return text.replace(/«(\d):([^»]*)»/g, (_all, index, name) => `\${${index}:${name}}`);
}

function plain(text: string): string {
  return text.replace(/«\d:([^»]*)»|\$\d/g, "$1").replaceAll("\t", "  ");
}
