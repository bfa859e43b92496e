/**
 * The Lua API as one table: api.ts checks arguments by it, annotations.ts writes the editor's types from it. What
 * actions and scripts have besides is at its end, for the editor alone: those functions read their own arguments.
 */

import type { ActionDefinition, CallOptions } from "../../actions/definition.ts";

/** What an argument may be: how errors call it, and its type in the editor. */
export const parameterTypes = {
  pattern: { expected: "a subject pattern such as github.issue.* or github.>", editor: "string" },
  subject: { expected: "a subject: words joined by dots, without spaces, * or >", editor: "string" },
  name: { expected: "a name: letters, digits and _ @ : . / + -", editor: "string" },
  record: { expected: "a table with named fields", editor: "table<string, any>" },
  handler: { expected: "a function", editor: "fun()" },
  event_handler: { expected: "a function", editor: "fun(event: signalbox.Event)" },
  interval: { expected: "a number of seconds, 1 or more", editor: "number" },
  delay: { expected: "a number of seconds, 0 or more", editor: "number" },
  level: { expected: '"debug", "info", "warn" or "error"', editor: "signalbox.LogLevel" },
  message: { expected: "a text", editor: "any" },
  text: { expected: "a text", editor: "string" },
  key: { expected: "a text of 1 to 200 characters", editor: "string" },
  json: { expected: "a value that JSON can hold", editor: "any" },
  table: { expected: "a table", editor: "table" },
  kind: {
    expected: "a name: letters, digits and _ @ : . / + -",
    editor: '"http" | "mail" | "shell" | "reply" | "event" | string',
  },
  no_options: { expected: "a table without fields (there are no options yet)", editor: "table" },
  question: {
    expected: "a table with title, and perhaps body, choices and timeout",
    editor: "{ title: string, body?: string, choices?: string[], timeout?: number }",
  },
  http_request: {
    expected: "a table with url, and perhaps method, headers, json or body, timeout_ms, idempotent",
    editor:
      "{ url: string, method?: signalbox.HttpMethod, headers?: table<string, string | { secret: string, prefix?: string }>, json?: any, body?: string, timeout_ms?: integer, idempotent?: boolean }",
  },
  mail: {
    expected: "a table with to, subject and text, and perhaps cc, bcc, from, html, in_reply_to, references",
    editor:
      "{ to: string | string[], subject?: string, text?: string, html?: string, cc?: string | string[], bcc?: string | string[], from?: string, in_reply_to?: string, references?: string[] }",
  },
  shell_command: {
    expected: "a table with command, and perhaps args, cwd, timeout_ms",
    editor: "{ command: string, args?: string | string[], cwd?: string, timeout_ms?: integer }",
  },
  answer: {
    expected: "a table with event_id and body, and perhaps payload",
    editor: "{ event_id: string, body: string, payload?: table<string, any> }",
  },
  publish_options: {
    expected: "a table with topic or body",
    editor: "{ topic?: string, body?: string }",
  },
} as const;
export type ParameterType = keyof typeof parameterTypes;

export interface Parameter {
  readonly name: string;
  readonly type: ParameterType;
  readonly optional?: true;
  readonly doc: string;
}

export interface ApiFunction {
  readonly doc: string;
  readonly params: readonly Parameter[];
  readonly returns?: { readonly type: string; readonly doc: string };
  /** Other ways to call it, in the editor's notation. */
  readonly overloads?: readonly string[];
}

const pattern: Parameter = {
  name: "pattern",
  type: "pattern",
  doc: "NATS rules: `*` is one token, a last `>` one or more",
};
const payload: Parameter = {
  name: "payload",
  type: "record",
  optional: true,
  doc: "Named fields; `{}` when left out",
};
const subject: Parameter = { name: "subject", type: "subject", doc: "Where it can be heard" };
const type: Parameter = { name: "type", type: "subject", doc: "Noun, then past tense: `report.made`" };
const agent: Parameter = {
  name: "agent",
  type: "name",
  doc: "The agent or connector, such as `github-agent`",
};
const command: Parameter = { name: "command", type: "name", doc: "Such as `add_label`" };
const seconds: Parameter = { name: "seconds", type: "interval", doc: "Time between two calls" };
const level: Parameter = { name: "level", type: "level", doc: "How loud" };
const message: Parameter = { name: "message", type: "message", doc: "What to write" };
const key: Parameter = { name: "key", type: "key", doc: "Its name" };

const kind: Parameter = { name: "kind", type: "kind", doc: "Such as `http` or `mail`" };
const acts = {
  http: {
    param: {
      name: "request",
      type: "http_request",
      doc: "`method` is POST when left out; secrets go by name",
    },
    doc: "Asks for a web request.",
    result: "Status, headers, and json or body of the answer",
  },
  mail: {
    param: { name: "mail", type: "mail", doc: "`to`, `cc` and `bcc` are lists, or texts with commas" },
    doc: "Asks for a mail to be sent.",
    result: "`message_id`, and who was accepted or rejected",
  },
  shell: {
    param: { name: "command", type: "shell_command", doc: "A bare name and its words; no shell reads them" },
    doc: "Asks for a command to be run on this machine. A person approves each one.",
    result: "`stdout`, `stderr`, `exit_code`",
  },
  reply: {
    param: { name: "answer", type: "answer", doc: "What to say to whom" },
    doc: "Asks for an answer to an event, where it came from.",
    result: "What the connector, or the log, says of it",
  },
} as const satisfies Record<string, { param: Parameter; doc: string; result: string }>;
const effectResult = {
  type: "string effect_id",
  doc: "Follow it with `signalbox effects show`, or `signalbox.wait`",
};

const act = (name: keyof typeof acts): ApiFunction => ({
  doc: `${acts[name].doc} Goes on at once; the policy may ask a person first.`,
  params: [acts[name].param],
  returns: effectResult,
});
const awaitedAct = (name: keyof typeof acts): ApiFunction => ({
  doc: `${acts[name].doc} Waits for its end, also for days. Raises an error when it is denied or fails.`,
  params: [acts[name].param],
  returns: { type: "any result", doc: acts[name].result },
});

const logAt = (name: string): ApiFunction => ({
  doc: `Writes a line of level ${name} to the workflow's log.`,
  params: [message],
});

/** Every function, by its full name. */
export const apiFunctions = {
  "sekia.on": {
    doc: "Calls `handler` for each event whose subject matches. Only while the file loads.",
    params: [pattern, { name: "handler", type: "event_handler", doc: "Gets the event" }],
  },
  "sekia.publish": {
    doc: "Records a new event. Raises an error on bad arguments.",
    params: [subject, type, payload],
  },
  "sekia.command": {
    doc: "Sends a command to an agent. Raises an error on bad arguments.",
    params: [agent, command, payload],
  },
  "sekia.log": { doc: "Writes a line to the workflow's log.", params: [level, message] },
  "sekia.schedule": {
    doc: "Calls `handler` every `seconds`. Only while the file loads.",
    params: [seconds, { name: "handler", type: "handler", doc: "Gets nothing" }],
  },
  "signalbox.on": {
    doc: "Calls `handler` for each event whose subject matches. Only while the file loads.",
    params: [
      pattern,
      { name: "options", type: "no_options", optional: true, doc: "May be left out" },
      { name: "handler", type: "event_handler", doc: "Gets the event" },
    ],
    overloads: ["fun(pattern: string, handler: fun(event: signalbox.Event))"],
  },
  "signalbox.publish": {
    doc: "Records a new event.",
    params: [
      subject,
      type,
      payload,
      {
        name: "options",
        type: "publish_options",
        optional: true,
        doc: "`topic`: the queue it can be claimed from; `body`: its text",
      },
    ],
  },
  "signalbox.command": {
    doc: "Sends a command to an agent and goes on.",
    params: [agent, command, payload],
    returns: { type: "string effect_id", doc: "Follow it with `signalbox effects show`" },
  },
  "signalbox.call": {
    doc: "Sends a command to an agent and waits for its result, also for days. Raises an error with the effect's message when it fails.",
    params: [agent, command, payload],
    returns: { type: "any result", doc: "What the agent answered" },
  },
  "signalbox.http": act("http"),
  "signalbox.mail": act("mail"),
  "signalbox.shell": act("shell"),
  "signalbox.reply": act("reply"),
  "signalbox.effect": {
    doc: "Asks for an act of any kind that the service does. Goes on at once; the policy may ask a person first.",
    params: [kind, payload],
    returns: effectResult,
  },
  "signalbox.call.http": awaitedAct("http"),
  "signalbox.call.mail": awaitedAct("mail"),
  "signalbox.call.shell": awaitedAct("shell"),
  "signalbox.call.reply": awaitedAct("reply"),
  "signalbox.call.effect": {
    doc: "Asks for an act of any kind and waits for its end. Raises an error when it is denied or fails.",
    params: [kind, payload],
    returns: { type: "any result", doc: "What came of it" },
  },
  "signalbox.wait": {
    doc: "Waits for the end of an effect that this run has asked for. Raises an error when it is denied or fails.",
    params: [{ name: "effect_id", type: "text", doc: "As `signalbox.http` and the others give it" }],
    returns: { type: "any result", doc: "What came of it" },
  },
  "signalbox.ask": {
    doc: "Asks a person and waits for the answer, also for days. Raises an error with the reason when they refuse, and when nobody answers in time.",
    params: [
      {
        name: "question",
        type: "question",
        doc: '`choices` is `{ "yes" }` when left out, `timeout` in seconds a week',
      },
    ],
    returns: { type: "string choice", doc: "One of `choices`" },
  },
  "signalbox.after": {
    doc: "Waits. Other events are handled meanwhile, and a restart of the service does not end the wait.",
    params: [{ name: "seconds", type: "delay", doc: "How long" }],
  },
  "signalbox.schedule": {
    doc: "Calls `handler` every `seconds`. Only while the file loads.",
    params: [seconds, { name: "handler", type: "handler", doc: "Gets nothing" }],
  },
  "signalbox.now_ms": {
    doc: "Milliseconds since 1970. Stands still while a handler computes, and is the same when its run is repeated.",
    params: [],
    returns: { type: "number milliseconds", doc: "" },
  },
  "signalbox.array": {
    doc: "Marks a table as a list, so that an empty one becomes `[]` and not `{}`. Gives it back.",
    params: [{ name: "list", type: "table", doc: "With keys 1, 2, 3, … or none" }],
    returns: { type: "table list", doc: "" },
  },
  "signalbox.log": {
    doc: "Writes a line to the workflow's log.",
    params: [level, message],
    overloads: ["fun(message: any)"],
  },
  "signalbox.log.debug": logAt("debug"),
  "signalbox.log.info": logAt("info"),
  "signalbox.log.warn": logAt("warn"),
  "signalbox.log.error": logAt("error"),
  "signalbox.json.encode": {
    doc: "The JSON text of a value.",
    params: [{ name: "value", type: "json", doc: "Anything but functions and tables in themselves" }],
    returns: { type: "string text", doc: "" },
  },
  "signalbox.json.decode": {
    doc: "The value of a JSON text. Null is nil, and `signalbox.null` inside a list.",
    params: [{ name: "text", type: "text", doc: "JSON" }],
    returns: { type: "any value", doc: "" },
  },
  "signalbox.state.get": {
    doc: "A value that survives restarts, as a copy of its own; nil when there is none.",
    params: [key],
    returns: { type: "any value", doc: "" },
  },
  "signalbox.state.set": {
    doc: "Keeps a value for later events; nil removes it. Undone when the handler fails.",
    params: [key, { name: "value", type: "json", optional: true, doc: "What to keep" }],
  },
} as const satisfies Record<string, ApiFunction>;
export type ApiName = keyof typeof apiFunctions;

/** What is not a function. */
export const apiFields = {
  "sekia.name": { type: "string", doc: "The workflow's name: its file's name without `.lua`." },
  "signalbox.name": { type: "string", doc: "The workflow's name: its file's name without `.lua`." },
  "signalbox.null": { type: "userdata", doc: "JSON's null, for lists; in records a missing field does." },
  "signalbox.json.null": { type: "userdata", doc: "The same as `signalbox.null`." },
} as const;

/** Also there without `signalbox.` before them. */
export const apiAliases = {
  array: "signalbox.array",
  json: "signalbox.json",
} as const;

/** A type in the editor's notation, and what it is for. */
export interface EditorField {
  readonly type: string;
  readonly optional?: true;
  readonly doc: string;
}

/** Fields of `define_action`, by the names that its schema has. */
export const definitionFields = {
  source: { type: "string", doc: "Where its files are: a git URL or a path" },
  executor: { type: '"native" | "docker" | "envyr"', doc: "How it is run" },
  entrypoint: { type: "string", optional: true, doc: "The file to run, within the source" },
  subdir: { type: "string", optional: true, doc: "The folder to run it in, within the source" },
  tag: { type: "string", optional: true, doc: "The git tag, branch or commit" },
  type: { type: '"python" | "node" | "shell" | "other"', optional: true, doc: "What it is written in" },
  image: { type: "string", optional: true, doc: "The container's image" },
  deps: { type: "string[]", optional: true, doc: "Packages that it needs" },
  env: { type: "string[]", optional: true, doc: "Names of the variables that it is given" },
  hosts: { type: "string[]", optional: true, doc: "Hosts that it may reach" },
  files: { type: "string[]", optional: true, doc: "Paths outside that it may read" },
  timeout: { type: "number", optional: true, doc: "Seconds, 60 when left out" },
  defaults: { type: "table<string, any>", optional: true, doc: "Parameters that a call may leave out" },
  schema: {
    type: "{ input?: table<string, signalbox.SchemaField>, output?: table<string, signalbox.SchemaField> }",
    optional: true,
    doc: 'Fields and their types, such as `"string?"`',
  },
  input_adapter: {
    type: '"json" | "args" | "positional_args" | "mixed"',
    optional: true,
    doc: "How it gets its parameters",
  },
  output_adapter: { type: '"json" | "text" | "lines"', optional: true, doc: "How its output is read" },
  args_order: {
    type: "string[]",
    optional: true,
    doc: "For `positional_args`: the fields in their order",
  },
  stdin_fields: { type: "string[]", optional: true, doc: "For `mixed`: the fields that go to stdin" },
  description: { type: "string", optional: true, doc: "What it does" },
  retry: {
    type: "integer | { attempts: integer, delay?: number | string }",
    optional: true,
    doc: "How often it is tried again, and after how many seconds",
  },
  cache: { type: "number | string", optional: true, doc: 'How long its answer is kept: seconds, or `"10m"`' },
} as const satisfies Record<Exclude<keyof ActionDefinition, "flavour">, EditorField>;

/** What one call of an action may say besides its parameters. */
export const callFields = {
  retry: { ...definitionFields.retry, doc: "How often, at most, this call is tried again" },
  cache: { ...definitionFields.cache, doc: "For how long, at most, an answer may be old" },
} as const satisfies Record<keyof CallOptions, EditorField>;

/** A function that reads its own arguments. */
export interface EditorFunction {
  readonly doc: string;
  readonly params: readonly (EditorField & { readonly name: string })[];
  readonly returns?: { readonly type: string; readonly doc: string };
}

const definition = (type: string) => ({ name: "definition", type, doc: "Where it is and how it is run" });
const newAction = { type: "signalbox.Action action", doc: "A function; `init.lua` gives it its name" };

export const actionFunctions = {
  require: {
    doc: 'Loads a file of the actions folder, once: `require("prometheus.query")`.',
    params: [{ name: "name", type: "string", doc: "Its path with dots and without `.lua`" }],
    returns: { type: "any result", doc: "What the file returns" },
  },
  define_action: {
    doc: "Makes an action of a program that lies elsewhere. Comments above it tell editors what it takes and gives.",
    params: [definition("signalbox.ActionDefinition")],
    returns: newAction,
  },
  "tools.define_tool": {
    doc: "As `define_action`: run by docker, with arguments in and text out, unless it says otherwise.",
    params: [definition("signalbox.ToolDefinition")],
    returns: newAction,
  },
} as const satisfies Record<string, EditorFunction>;

const anything = { name: "value", type: "any", doc: "Any value" } as const;
const aTable = { name: "tbl", type: "table", doc: "Any table" } as const;
const aPath = { name: "path", type: "string", doc: "Where you started the script, or absolute" } as const;

/** What scripts have and workflows have not. */
export const scriptFunctions = {
  inspect: {
    doc: "The value as a text that shows all of it.",
    params: [anything],
    returns: { type: "string text", doc: "" },
  },
  pp: {
    doc: "Prints the value so that a person can read it.",
    params: [anything, { name: "depth", type: "integer", optional: true, doc: "4 when left out" }],
  },
  keys: {
    doc: "The keys of a table, sorted.",
    params: [aTable],
    returns: { type: "any[] keys", doc: "" },
  },
  count: {
    doc: "How many entries a table has.",
    params: [aTable],
    returns: { type: "integer count", doc: "" },
  },
  pluck: {
    doc: "One field of each entry of a list.",
    params: [
      { name: "list", type: "table[]", doc: "Tables" },
      { name: "field", type: "string", doc: "The field's name" },
    ],
    returns: { type: "any[] values", doc: "" },
  },
  readfile: {
    doc: "The text of a file.",
    params: [aPath],
    returns: { type: "string text", doc: "" },
  },
  writefile: {
    doc: "Writes a file: a text as it is, anything else as JSON.",
    params: [aPath, { ...anything, name: "content", doc: "What to write" }],
  },
  jq: {
    doc: "What the program `jq` makes of a value.",
    params: [anything, { name: "filter", type: "string", doc: "Such as `.items[].name`" }],
    returns: { type: "any result", doc: "" },
  },
  "json.pretty": {
    doc: "The JSON text of a value, indented.",
    params: [anything],
    returns: { type: "string text", doc: "" },
  },
} as const satisfies Record<string, EditorFunction>;

export const scriptFields = {
  arg: { type: "string[]", doc: "The words behind the script's name; `arg[0]` is its file." },
} as const satisfies Record<string, EditorField>;
