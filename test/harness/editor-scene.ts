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
