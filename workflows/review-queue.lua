-- review-queue: puts pull requests that want a review into the topic "reviews", for an agent to claim.
--
-- What it shows: publishing into a topic, a text that an agent can work from, and state that survives restarts.
--
-- The agent's side:
--   signalbox topics create reviews --prompt "You review pull requests. Answer with your findings."
--   signalbox pull reviews --claim --agent @reviewer --wait
--   signalbox reply EVENT_ID --agent @reviewer --body "Looks good."

-- One entry for each pull request that is in the queue. A request to review what is there already is not put in twice.
local function key_of(pr)
  return pr.owner .. "/" .. pr.repo .. "#" .. pr.number
end

local function enqueue(event)
  local pr = event.payload
  local key = key_of(pr)
  if signalbox.state[key] then
    signalbox.log("debug", key .. " is in the queue already")
    return
  end

  -- What an agent reads first. A name with @ can be asked for: `signalbox query --mention NAME`.
  local lines = {
    "Please review " .. key .. ": " .. pr.title,
    "",
    "By " .. pr.author .. ", " .. pr.head_branch .. " into " .. pr.base_branch .. ".",
    pr.url,
  }
  if pr.reviewer then table.insert(lines, "Asked for: @" .. pr.reviewer) end
  if pr.body ~= "" then table.insert(lines, "\n" .. pr.body) end

  -- The third value is data for programs; `topic` makes the event claimable, `body` is its text.
  signalbox.publish("reviews.requested", "review.requested", {
    owner = pr.owner,
    repo = pr.repo,
    number = pr.number,
    url = pr.url,
  }, { topic = "reviews", body = table.concat(lines, "\n") })
  signalbox.state[key] = event.id
end

-- Closed or merged: it may come again, and the state stays small.
local function forget(event)
  signalbox.state[key_of(event.payload)] = nil
end

signalbox.on("github.pr.opened", enqueue)
signalbox.on("github.pr.review_requested", enqueue)
signalbox.on("github.pr.closed", forget)
signalbox.on("github.pr.merged", forget)
