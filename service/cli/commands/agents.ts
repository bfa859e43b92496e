import type { Command } from "commander";
import type { Agent } from "../../contract/agents.ts";
import type { JsonObject } from "../../contract/common.ts";
import { doubtOf } from "../agent-doubt.ts";
import type { Context } from "../context.ts";
import { statusPart } from "../event-view.ts";
import { given } from "../given.ts";
import { duration, jsonObject } from "../parse.ts";
import { printTable } from "../table.ts";
import { type Part, showAge, styled } from "../text.ts";

export function register(program: Command, context: Context): void {
  const agents = program.command("agents").description("agents and connectors that registered");
  agents
    .command("list", { isDefault: true })
    .description("list agents")
    .action(() => list(context));
  agents
    .command("show")
    .description("show an agent with its commands")
    .argument("<name>")
    .action(async (name: string) => show(context, await (await context.client()).getAgent({ agent: name })));
  agents
    .command("remove")
    .description("forget an agent")
    .argument("<name>")
    .action(async (name: string) => {
      const reply = await (await context.client()).removeAgent({ agent: name });
      context.out.result(reply, () => context.out.line(`${name} is forgotten`));
    });
  agents
    .command("send")
    .description("send a command to an agent")
    .argument("<name>")
    .argument("<command>")
    .option("-p, --payload <json>", "a JSON object", jsonObject)
    .option("--key <key>", "idempotency key: sending it again gives back the first effect")
    .option("--expires-in <time>", "how long it waits for the agent", duration)
    .option("-a, --agent <name>", "who sends it, if not you; default SIGNALBOX_AGENT or OC_AGENT_ID")
    .action(
      async (
        name: string,
        command: string,
        options: { payload?: JsonObject; key?: string; expiresIn?: number; agent?: string },
      ) => {
        const { payload, key, expiresIn } = options;
        const client = await context.client();
        // An agent's word is no permission: its command is judged as an agent's, not as yours.
        const source = context.agent(options.agent) ?? "cli";
        const fields = given({ payload, idempotency_key: key, expires_in_ms: expiresIn });
        const doubt = context.out.isJson()
          ? null
          : doubtOf((await client.listAgents()).agents, name, command);
        const effect = await client.sendCommand({ agent: name, command, source, ...fields });
        context.out.result(effect, () => {
          context.out.line(effect.id, "  ", statusPart(effect.state), `  ${effect.summary}`);
          if (doubt !== null) context.out.remark(styled("yellow", doubt));
        });
      },
    );

  const connectors = program.command("connectors").description("connectors and how they are");
  connectors
    .command("list", { isDefault: true })
    .description("list connectors")
    .action(() => listConnectors(context));
  connectors
    .command("reconnect")
    .description("connect again now instead of after the pause")
    .argument("<id>")
    .action(async (connector: string) => {
      const status = await (await context.client()).reconnectConnector({ connector });
      context.out.result(status, () => context.out.line(`${status.title}  ${status.state}`));
    });
}

const agentStatus = (agent: Agent): Part =>
  agent.status === "online"
    ? styled("green", "online")
    : agent.status === "offline"
      ? styled("red", "offline")
      : agent.status;

async function list({ client, out }: Context): Promise<void> {
  const reply = await (await client()).listAgents();
  out.result(reply, () =>
    printTable(out, {
      head: ["AGENT", "STATUS", "VERSION", "LAST BEAT", "EVENTS", "ERRORS", "OPEN", "COMMANDS"],
      rows: reply.agents.map((agent) => [
        agent.name,
        agentStatus(agent),
        agent.version,
        showAge(agent.last_beat_ms),
        String(agent.events_processed),
        agent.errors > 0 ? styled("red", String(agent.errors)) : "0",
        String(agent.open_commands),
        agent.commands.map((command) => command.name).join(", "),
      ]),
      flexible: [0, 7],
      empty: "No agent has registered yet. docs/agents.md shows how one is written.",
    }),
  );
}

function show({ out }: Context, agent: Agent): void {
  out.result(agent, () => {
    out.fields([
      ["agent", styled("bold", agent.name)],
      ["kind", agent.kind],
      ["status", agentStatus(agent)],
      ["version", agent.version],
      ["registered", showAge(agent.registered_ms)],
      ["last beat", showAge(agent.last_beat_ms)],
      ["last event", showAge(agent.last_event_ms)],
      ["events", String(agent.events_processed)],
      ["errors", String(agent.errors)],
      ["connections", String(agent.connections)],
      ["open commands", String(agent.open_commands)],
      ["capabilities", agent.capabilities.join(", ")],
    ]);
    if (agent.commands.length === 0) return;
    out.line("");
    printTable(out, {
      head: ["COMMAND", "TITLE", "PARAMETERS"],
      rows: agent.commands.map((command) => [
        command.name,
        command.title ?? "",
        Object.keys((command.params?.properties as object | undefined) ?? {}).join(", "),
      ]),
      flexible: [1, 2],
      empty: "",
    });
  });
}

async function listConnectors({ client, out }: Context): Promise<void> {
  const { connectors } = await (await client()).getStatus();
  out.result({ connectors }, () =>
    printTable(out, {
      head: ["CONNECTOR", "STATE", "LAST EVENT", "MESSAGE"],
      rows: connectors.map((one) => [
        one.title,
        one.state === "ready" ? styled("green", one.state) : statusPart(one.state),
        showAge(one.last_event_ms),
        one.message ?? "",
      ]),
      empty: "There are no connectors.",
    }),
  );
}
