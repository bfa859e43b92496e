/** A small world for the suites in the editor: a deployer that a workflow commands, and a policy that asks. */
import type { Client } from "../../service/client/index.ts";

export const askPolicy = [
  "[[rule]]",
  'name = "releases are asked about"',
  'target = "deployer"',
  'decision = "ask"',
  "",
].join("\n");

export const deployWorkflow = [
  'signalbox.on("topics.releases", function(event)',
  '  signalbox.command("deployer", "deploy", event.payload)',
  "end)",
  "",
].join("\n");

/** Registers an agent that carries out whatever it is told, until the client is closed. */
export async function startDeployer(client: Client): Promise<void> {
  const schema = {
    type: "object",
    required: ["version"],
    properties: { version: { type: "string" }, host: { enum: ["web-1", "web-2"] } },
  };
  await client.registerAgent({
    name: "deployer",
    version: "2.1.0",
    capabilities: ["deploys"],
    commands: [{ name: "deploy", title: "Deploy a version", params: schema }],
  });
  void (async () => {
    for await (const command of client.streamCommands({ agent: "deployer" }))
      await client.finishEffect({
        effect_id: command.effect_id,
        lease: command.lease,
        status: "succeeded",
        result: {},
      });
  })().catch(() => {}); // The service goes at the end of the suite.
}

/** Files of a service that has something to show. */
export const exampleFiles: Readonly<Record<string, string>> = {
  "policy.toml": askPolicy,
  "workflows/deploy.lua": deployWorkflow,
  "workflows/triage.lua": [
    "-- Labels what comes in from GitHub, and asks before it answers anybody.",
    'signalbox.on("github.issue.opened", function(event)',
    '  local label = event.payload.title:find("crash") and "bug" or "question"',
    '  signalbox.log("info", "issue " .. event.payload.number .. " is a " .. label)',
    '  signalbox.command("github", "add_label", { number = event.payload.number, label = label })',
    "end)",
    "",
    'signalbox.on("topics.inbox", function(event)',
    '  signalbox.publish("greetings.sent", "greeting.sent", { to = event.source })',
    "end)",
    "",
  ].join("\n"),
};

/** Agents, topics, events and approvals such as a working day brings. */
export async function fillScene(client: Client): Promise<void> {
  await startDeployer(client);
  for (const name of ["reviewer", "writer"])
    await client.registerAgent({ name, version: "1.4.0", commands: ["review", "rest"] });
  await client.goOffline({ agent: "writer" });
  await client.createTopic({ name: "reviews", prompt: "You review pull requests. Be brief and kind." });
  for (const body of ["Please look at #412, @reviewer", "The build of main is red", "Who can restart web-2?"])
    await client.pushEvent({ topic: "inbox", body, source: "cli" });
  await client.claimEvents({ topic: "inbox", agent: "@reviewer" });
  await client.pushEvent({
    topic: "reviews",
    body: "Pull request #418: faster search",
    source: "github",
    origin_kind: "webhook",
  });
  const issues = [
    { number: 87, title: "crash when the token is empty", author: "ada", labels: ["new"], urgent: true },
    {
      number: 88,
      title: "how do I run this in a container?",
      author: "grace",
      labels: ["new"],
      urgent: false,
    },
  ];
  for (const issue of issues)
    await client.pushEvent({
      type: "github.issue.opened",
      source: "github",
      origin_kind: "webhook",
      body: issue.title,
      payload: { ...issue, owner: "acme", repo: "site" },
    });
  for (const version of ["1.8.0", "1.9.0"])
    await client.pushEvent({
      topic: "releases",
      body: `Release ${version}`,
      payload: { version, host: "web-1" },
      source: "ci",
    });
  await client.proposeEffect({
    kind: "command",
    target: "deployer",
    action: "restart",
    payload: { host: "web-2", grace_s: 30 },
    summary: "web-2 has not answered for five minutes",
    source: "reviewer",
  });
}
