/**
 * The Lua API as one table: api.ts checks arguments by it, annotations.ts writes the editor's types from it.
 */

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
  no_options: { expected: "a table without fields (there are no options yet)", editor: "table" },
  question: {
    expected: "a table with title, and perhaps body, choices and timeout",
    editor: "{ title: string, body?: string, choices?: string[], timeout?: number }",
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
} as const;

/** Also there without `signalbox.` before them. */
export const apiAliases = {
  array: "signalbox.array",
  json: "signalbox.json",
} as const;
