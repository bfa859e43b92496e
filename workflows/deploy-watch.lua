-- deploy-watch: deploys what is pushed to main, looks after it, and takes it back when it is not well.
--
-- What it shows: waiting. `signalbox.call` waits for an agent's result, `signalbox.after` for time to pass. A handler
-- may wait for days: others go on meanwhile, and a restart of the service does not end the wait.
--
-- It needs an agent "deployer" that knows the commands deploy, check and rollback; docs/agents.md shows how to write
-- one. To see what it would do, with made-up results for the calls:
--   signalbox workflow test workflows/deploy-watch.lua --event EVENT_ID --result '{}' --result '{}'

local BRANCH = "refs/heads/main"
local SETTLE = 60 -- seconds until a new version has to be well

-- Something that a person or an agent has to see: an event in the topic "alerts".
local function alert(what, version, reason)
  signalbox.publish("deploys.alert", "deploy.failed", { version = version, reason = reason }, {
    topic = "alerts",
    body = what .. ": " .. reason,
  })
end

signalbox.on("github.push", function(event)
  local push = event.payload
  if push.ref ~= BRANCH then return end
  local version = push.after
  local target = { repo = push.owner .. "/" .. push.repo, version = version }

  -- A call that fails, expires or is skipped raises an error. `pcall` turns it into a value.
  local deployed, problem = pcall(signalbox.call, "deployer", "deploy", target)
  if not deployed then
    alert("Not deployed", version, problem)
    return { outcome = "not deployed" }
  end

  signalbox.after(SETTLE)

  local well, illness = pcall(signalbox.call, "deployer", "check", target)
  if well then
    signalbox.publish("deploys.finished", "deploy.finished", { version = version })
    return { outcome = "deployed" }
  end

  -- No `pcall` here: if this fails too, the run fails, with this line, and `signalbox runs` shows it.
  signalbox.call("deployer", "rollback", { repo = target.repo, version = push.before })
  alert("Taken back", version, illness)
  return { outcome = "taken back" }
end)
