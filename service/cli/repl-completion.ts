const globals = [
  ...[
    "actions.all",
    "and",
    "arg",
    "array",
    "assert",
    "break",
    "count",
    "do",
    "else",
    "elseif",
    "end",
    "error",
    "false",
  ],
  ...[
    "for",
    "function",
    "goto",
    "if",
    "in",
    "inspect",
    "ipairs",
    "jq",
    "json.decode",
    "json.encode",
    "json.pretty",
  ],
  ...[
    "keys",
    "local",
    "math.abs",
    "math.ceil",
    "math.floor",
    "math.huge",
    "math.max",
    "math.min",
    "math.random",
  ],
  ...[
    "next",
    "nil",
    "not",
    "or",
    "pairs",
    "pcall",
    "pluck",
    "pp",
    "print",
    "readfile",
    "repeat",
    "require",
    "return",
  ],
  ...["select", "setmetatable", "signalbox.ask", "signalbox.call", "signalbox.command", "signalbox.now_ms"],
  ...["signalbox.publish", "string.find", "string.format", "string.gmatch", "string.gsub", "string.lower"],
  ...[
    "string.match",
    "string.rep",
    "string.sub",
    "string.upper",
    "table.concat",
    "table.insert",
    "table.remove",
  ],
  ...[
    "table.sort",
    "then",
    "tonumber",
    "tostring",
    "true",
    "type",
    "unpack",
    "until",
    "while",
    "writefile",
    "xpcall",
  ],
];

/** For readline: what the word before the cursor may become, a step of a path at a time. */
export function completeLua(line: string, actions: readonly string[]): [string[], string] {
  const word = /[A-Za-z_][\w.]*$/.exec(line)?.[0] ?? "";
  if (word === "") return [[], ""];
  const all = [...globals, ...actions.flatMap((name) => [`actions.${name}`, `kit.${name}`])];
  const depth = word.split(".").length;
  const found = all
    .filter((name) => name.startsWith(word))
    .map((name) => {
      const steps = name.split(".");
      return steps.slice(0, depth).join(".") + (steps.length > depth ? "." : "");
    });
  return [[...new Set(found)].sort(), word];
}
