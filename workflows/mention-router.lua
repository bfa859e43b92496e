-- mention-router: hands each message in the topic "inbox" to the agents that it speaks to.
--
-- What it shows: one event becoming several, and plain Lua on an event's text.
--
--   signalbox push inbox --body "@alice please look at the build, @bob is away"
--   signalbox pull alice --claim --agent @alice
--
-- The message itself stays in "inbox"; what is routed points back to it. Its answers have the same correlation id, so
-- `signalbox query --correlation ID` shows the whole conversation.

-- Every name after an @, once, in lower case. "me@example.com" is an address, not a mention.
local function mentions(text)
  local names, seen = {}, {}
  for name in string.gmatch(" " .. text, "[^%w_.@/+-]@(%w[%w_-]*)") do
    name = string.lower(name)
    if not seen[name] then
      seen[name] = true
      table.insert(names, name)
    end
  end
  return names
end

signalbox.on("topics.inbox", function(event)
  local names = mentions(event.body or "")
  for _, name in ipairs(names) do
    -- "inbox" is where it lies already.
    if name ~= "inbox" then
      signalbox.publish("routed." .. name, "message.routed", {
        about = event.id,
        from = event.source,
        to = name,
      }, { topic = name, body = event.body })
    end
  end
  -- What a handler returns is the run's output: `signalbox runs show RUN_ID`.
  return { routed_to = array(names) }
end)
