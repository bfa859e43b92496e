-- daily-digest: counts what happens at GitHub and publishes the sums once a day.
--
-- What it shows: a schedule, and state shared by two handlers.
--
-- The digest is an event in the topic "digests":
--   signalbox pull digests

local DAY = 24 * 60 * 60 -- seconds

-- Each event makes a run, so listen to what you count and to no more. ">" would hear everything.
signalbox.on("github.>", function(event)
  -- `signalbox.state` gives a copy: change it, then put it back.
  local counts = signalbox.state.counts or {}
  counts[event.type] = (counts[event.type] or 0) + 1
  signalbox.state.counts = counts
end)

-- Due at every full day since 1970, which is midnight UTC, also over restarts. If nothing runs at that moment, the next
-- one counts: the numbers are still there.
signalbox.schedule(DAY, function()
  local counts = signalbox.state.counts
  if counts == nil then
    signalbox.log("info", "nothing happened, so there is no digest")
    return
  end

  local types, total = {}, 0
  for type, count in pairs(counts) do
    table.insert(types, type)
    total = total + count
  end
  -- `pairs` has no order; people want one.
  table.sort(types)

  local lines = { total .. " events" }
  for _, type in ipairs(types) do
    table.insert(lines, "  " .. counts[type] .. "  " .. type)
  end

  signalbox.publish("digests.daily", "digest.published", { total = total, counts = counts }, {
    topic = "digests",
    body = table.concat(lines, "\n"),
  })
  signalbox.state.counts = nil
end)
