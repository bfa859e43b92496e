/** The workflows under torture, and what each makes of an event. */

export const AGENT = "recorder";
/** One that stands on the SDK. */
export const SDK_AGENT = "helper";
export const COMMENTED = { owner: "octo", repo: "torture", number: 1 } as const;

/**
 * Each `work` event counts in durable state, tells the agent once, publishes one event, and as it asks for it waits for
 * an answer of the agent and comments on an issue.
 */
export const torture = `
signalbox.on("work.*", function(event)
  local token = event.payload.token
  signalbox.state.count = (signalbox.state.count or 0) + 1
  signalbox.command("${AGENT}", "record", { token = token, step = "first" })
  signalbox.publish("done." .. event.payload.lane, "work.finished", { token = token })
  if event.payload.comments then
    signalbox.command("github-agent", "create_comment", {
      owner = "${COMMENTED.owner}", repo = "${COMMENTED.repo}", number = ${COMMENTED.number}, body = token
    })
  end
  if event.payload.waits then
    local answer = signalbox.call("${AGENT}", "answer", { token = token, step = "asked" })
    signalbox.command("${AGENT}", "record", { token = token, step = "last", answer = answer })
  end
end)
`;

/** A second workflow that lives on what the first one publishes. */
export const echo = `
signalbox.on("done.>", function(event)
  signalbox.state.count = (signalbox.state.count or 0) + 1
  sekia.command("${AGENT}", "record", { token = event.payload.token, step = "echo" })
end)
`;

/** One for the agent on the SDK. */
export const help = `
signalbox.on("done.>", function(event)
  signalbox.command("${SDK_AGENT}", "record", { token = event.payload.token, step = "helped" })
end)
`;

/** What the agents are told to do for one event. */
export function stepsOf(work: { waits: boolean }, withSdk: boolean): string[] {
  return ["first", "echo", ...(work.waits ? ["asked", "last"] : []), ...(withSdk ? ["helped"] : [])];
}
