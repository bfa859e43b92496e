/** What a new workflow begins with: it works as it is, and shows the rest in comments. */
export function template(name: string): string {
  return `-- ${name}: what it is for, in a sentence.
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
}
