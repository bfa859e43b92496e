-- github-auto-label: gives every new issue a label, by the words in its title.
--
-- What it shows: Sekia's functions. A workflow written for Sekia runs here as it is.
--
-- To use it: copy it into the workflow folder (`signalbox config workflows.dir` names it) and connect GitHub as
-- docs/github.md says. To see what it would do, without doing it:
--   signalbox workflow test workflows/github-auto-label.lua --event EVENT_ID

-- The first of these words that is in the title decides.
local labels = {
  { word = "bug", label = "bug" },
  { word = "crash", label = "bug" },
  { word = "feature", label = "enhancement" },
}

local function label_for(title)
  title = string.lower(title or "")
  for _, rule in ipairs(labels) do
    -- `true` takes the word as it is, not as a pattern.
    if string.find(title, rule.word, 1, true) then return rule.label end
  end
  return "triage"
end

-- Everything from the GitHub connector can be heard here. "github.issue.opened" alone would be the same as the check
-- in the next line; "github.issue.*" hears all that happens to issues.
sekia.on("sekia.events.github", function(event)
  if event.type ~= "github.issue.opened" then return end

  local issue = event.payload
  local label = label_for(issue.title)

  -- A command is recorded as an effect together with this run, and carried out once: also when the service is killed
  -- in between. Its result is an event of its own, which `signalbox events show EVENT_ID` lists.
  sekia.command("github-agent", "add_label", {
    owner = issue.owner,
    repo = issue.repo,
    number = issue.number,
    label = label,
  })
  sekia.log("info", "labelled issue #" .. issue.number .. " as " .. label)
end)
