import type { Json, JsonObject } from "../contract/common.ts";
import type { Event } from "../contract/events.ts";

/** What a new workflow can begin with: one list for the command line and for editors. */
export interface WorkflowTemplate {
  /** As it is named on the command line. */
  readonly name: string;
  readonly title: string;
  /** What it does, in a sentence without a full stop. */
  readonly description: string;
  /** The text of the file. @param workflow its name: letters, digits, - and _ */
  write(workflow: string): string;
}

/** The one that is taken where nobody chose. */
export const usualTemplate = "starter";

/** @param t puts title and description into the reader's language; the files are written in English */
export function workflowTemplates(t: (text: string) => string): readonly WorkflowTemplate[] {
  return [
    {
      name: usualTemplate,
      title: t("Commented Example"),
      description: t("Works as it is, and shows in comments what else there is"),
      write: starter,
    },
    {
      name: "empty",
      title: t("Empty"),
      description: t("One handler that logs the event"),
      write: empty,
    },
    {
      name: "react",
      title: t("React to an Event"),
      description: t("Hears events of a topic and publishes another one"),
      write: react,
    },
    {
      name: "ask",
      title: t("Ask a Person First"),
      description: t("Asks before something happens, and waits for the answer"),
      write: ask,
    },
    {
      name: "command",
      title: t("Command an Agent"),
      description: t("Sends a command to an agent and waits for its answer"),
      write: command,
    },
    {
      name: "schedule",
      title: t("On a Schedule"),
      description: t("Runs every hour and remembers what it did"),
      write: schedule,
    },
    {
      name: "http",
      title: t("Web Request with Approval"),
      description: t("Calls a web service; the policy asks a person first"),
      write: http,
    },
    {
      name: "github",
      title: t("GitHub Webhook"),
      description: t("Labels new issues by the words in their title"),
      write: github,
    },
  ];
}

const starter = (name: string) => `-- ${name}: what it is for, in a sentence.
--
-- This file is loaded again whenever you save it. Try it on a recorded event without doing anything:
--   signalbox workflow test ${name} --event EVENT_ID
-- All functions are in docs/workflows.md.

-- Runs for each event in the topic "${name}": signalbox push ${name} --body "hello"
-- Patterns follow NATS: * is one token, > is the rest, as in "github.issue.*" or "github.>".
signalbox.on("topics.${name}", function(event)
  signalbox.log("info", "got " .. event.id .. ": " .. (event.body or ""))

  -- Record another event; this workflow never sees its own:
  -- signalbox.publish("${name}.noticed", "${name}.noticed", { about = event.id })

  -- Ask an agent or a connector to act. It is recorded as an effect, done once, and its result is an event:
  -- signalbox.command("github-agent", "add_label",
  --   { owner = "acme", repo = "site", number = event.payload.number, label = "triage" })

  -- What is to be remembered until the next event, also over a restart:
  -- signalbox.state.set("seen", (signalbox.state.get("seen") or 0) + 1)

  return { greeting = "hello" }
end)
`;

const empty = (name: string) => `-- ${name}: what it is for, in a sentence.
signalbox.on("topics.${name}", function(event)
  signalbox.log("info", event.type .. " " .. event.id)
end)
`;

const react = (name: string) => `-- ${name}: hears events and publishes one of its own.
--
-- Try it: signalbox push ${name} --body "hello"

-- Patterns follow NATS: * is one token, > is the rest, as in "github.issue.*" or "github.>".
signalbox.on("topics.${name}", function(event)
  -- Return early for what is of no concern.
  if event.body == nil then return end

  -- Whoever hears "${name}.noticed" gets it, and agents can claim it from the topic "${name}-noticed". This workflow
  -- never gets what it published itself.
  signalbox.publish("${name}.noticed", "${name}.noticed", { about = event.id, from = event.source }, {
    topic = "${name}-noticed",
    body = event.body,
  })
end)
`;

const ask = (name: string) => `-- ${name}: asks a person before something happens.
--
-- Try it: signalbox push ${name} --body "Release 1.2", then answer in the Approvals view or with signalbox approvals

local DAY = 24 * 3600 -- seconds

signalbox.on("topics.${name}", function(event)
  -- This waits for the answer, over restarts as well. A no is an error with its reason, as is silence until the timeout.
  local answered, choice = pcall(signalbox.ask, {
    title = "Go on with this " .. event.type .. "?",
    body = event.body or "It says nothing.",
    choices = { "now", "tomorrow" },
    timeout = 3 * DAY,
  })
  if not answered then
    signalbox.publish("${name}.refused", "${name}.refused", { about = event.id, reason = choice })
    return { done = false }
  end
  if choice == "tomorrow" then signalbox.after(DAY) end

  signalbox.publish("${name}.allowed", "${name}.allowed", { about = event.id })
  return { done = true }
end)
`;

const command = (name: string) => `-- ${name}: has an agent do something and goes on with its answer.
--
-- Try it with an answer made up: signalbox workflow test ${name} --event EVENT_ID --result '{"ok":true}'

-- signalbox agents list names the agents, signalbox agents show NAME what each of them can do.
local AGENT, COMMAND = "worker", "work"

signalbox.on("topics.${name}", function(event)
  -- The command is recorded before anybody carries it out, and is carried out once. Until the answer comes, the handler
  -- waits, for days if it has to; other events are handled meanwhile.
  local ok, result = pcall(signalbox.call, AGENT, COMMAND, { text = event.body, event_id = event.id })
  if not ok then
    -- It failed, expired or was skipped; the result is the reason.
    signalbox.publish("${name}.failed", "${name}.failed", { about = event.id, reason = result }, {
      topic = "alerts",
      body = AGENT .. " did not do it: " .. result,
    })
    return { ok = false }
  end

  signalbox.publish("${name}.done", "${name}.done", { about = event.id, result = result })
  return { ok = true }
end)
`;

const schedule = (name: string) => `-- ${name}: does something every hour.

local HOUR = 3600 -- seconds

-- Due at every full hour since 1970, over restarts too. By the clock of a place instead, such as workdays at nine:
--   signalbox schedules add ${name} --cron "0 9 * * 1-5" --tz Europe/Berlin --topic ${name}
-- and here: signalbox.on("topics.${name}", function(event) … end)
signalbox.schedule(HOUR, function()
  -- State survives restarts.
  local count = (signalbox.state.count or 0) + 1
  signalbox.state.count = count

  signalbox.publish("${name}.due", "${name}.due", { count = count }, {
    topic = "${name}",
    body = "time number " .. count,
  })
end)
`;

const http = (name: string) => `-- ${name}: calls a web service, after a person has said yes.
--
-- Try it with an answer made up: signalbox workflow test ${name} --event EVENT_ID --result '{"status":200}'

local URL = "https://api.example.com/hooks"

signalbox.on("topics.${name}", function(event)
  -- Without a rule of yours the policy asks before the first request to a host, and shows exactly what would be sent.
  -- To be asked each time, add to policy.toml:
  --   [[rule]]
  --   name = "${name} is asked about"
  --   workflow = "${name}"
  --   kind = "http"
  --   decision = "ask"
  local ok, answer = pcall(signalbox.call.http, {
    url = URL,
    method = "POST",
    json = { event_id = event.id, text = event.body },
    -- A secret of [[effects.secrets]] by its name, which no workflow gets to see:
    -- headers = { Authorization = { secret = "example", prefix = "Bearer " } },
  })
  if not ok then
    signalbox.log("warn", "not sent: " .. answer)
    return { sent = false }
  end

  signalbox.log("info", URL .. " answered with " .. answer.status)
  return { sent = true, status = answer.status }
end)
`;

const github = (name: string) => `-- ${name}: gives new issues a label.
--
-- It hears GitHub once a webhook leads here and the settings name its secret:
--   [ingress]
--   enabled = true
--   [connectors.github]
--   token = { env = "GITHUB_TOKEN" }
--   webhook_secret = { env = "GITHUB_WEBHOOK_SECRET" }
-- docs/github.md says where each is found.

-- The first of these words that is in the title decides.
local labels = {
  { word = "bug", label = "bug" },
  { word = "crash", label = "bug" },
  { word = "feature", label = "enhancement" },
}

local function label_for(title)
  title = string.lower(title)
  for _, rule in ipairs(labels) do
    if string.find(title, rule.word, 1, true) then return rule.label end
  end
  return "triage"
end

-- Also github.issue.closed, github.pr.opened, github.comment.created, github.push; "github.>" hears all of them.
signalbox.on("github.issue.opened", function(event)
  local issue = event.payload
  signalbox.command("github-agent", "add_label", {
    owner = issue.owner,
    repo = issue.repo,
    number = issue.number,
    label = label_for(issue.title or ""),
  })
end)
`;

const FIELDS = 40;
const DEPTH = 3;

/**
 * A workflow that hears events like this one: its subject, a check of its type, and what its payload holds, by name and
 * type. No value of the payload gets into the file.
 */
export function workflowFromEvent(event: Event, workflow: string): string {
  const fields = fieldsOf(event.payload, "event.payload", DEPTH);
  const width = Math.max(...fields.slice(0, FIELDS).map(([path]) => path.length));
  const listed = fields
    .slice(0, FIELDS)
    .map(([path, type]) => `--   ${path.padEnd(width)}  ${type}\n`)
    .join("");
  const more = fields.length > FIELDS ? `--   and ${fields.length - FIELDS} more\n` : "";
  const payload =
    fields.length === 0 ? "-- Its payload was empty.\n" : `-- Its payload held:\n${listed}${more}`;
  return `-- ${workflow}: what it is for, in a sentence.
--
-- Begun from ${event.id}: ${event.type} from ${event.source}. Try it on that one without doing anything:
--   signalbox workflow test ${workflow} --event ${event.id}
--
${payload}signalbox.on(${luaString(event.subject)}, function(event)
  if event.type ~= ${luaString(event.type)} then return end

  signalbox.log("info", event.type .. " " .. event.id)
end)
`;
}

/** Every value with how Lua reaches it; lists and what lies too deep are one line. */
function fieldsOf(object: JsonObject, path: string, depth: number): (readonly [string, string])[] {
  return Object.entries(object).flatMap(([key, value]) => {
    const place = /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${luaString(key)}]`;
    const isDeeper = isObject(value) && depth > 1 && Object.keys(value).length > 0;
    return isDeeper ? fieldsOf(value, place, depth - 1) : [[place, typeOf(value)] as const];
  });
}

function typeOf(value: Json): string {
  if (value === null) return "nil";
  if (!Array.isArray(value)) return isObject(value) ? "table" : typeof value;
  const kinds = [...new Set(value.map(typeOf))];
  const [only] = kinds;
  return kinds.length === 1 && only !== undefined ? `${only}[]` : kinds.length === 0 ? "list" : "any[]";
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** On one line whatever it holds. JSON's escapes are Lua's, but for those of other control characters. */
function luaString(text: string): string {
  return JSON.stringify(text).replace(/\\u([0-9a-f]{4})/g, "\\u{$1}");
}
