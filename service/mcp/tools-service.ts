import * as z from "zod";
import { sendCommand as sendBody } from "../contract/agents.ts";
import { type Approval, approval } from "../contract/approvals.ts";
import { type Effect, effect } from "../contract/effects.ts";
import { awayItem, awayReply } from "../contract/health.ts";
import { routes } from "../contract/routes.ts";
import { status as statusReply } from "../contract/system.ts";
import { adding, defineTool, reading, type Tool } from "./tools.ts";
import { limitOf } from "./tools-queue.ts";
import { harmless } from "./view.ts";

const nothing = z.strictObject({});

const topics = defineTool({
  name: "topics",
  title: "List topics",
  description: "List topics (queues) with how many events wait in each.",
  input: nothing,
  output: routes.listTopics.reply,
  annotations: reading,
  async run(_, { client, signal }) {
    const data = await client.listTopics({}, { signal });
    const lines = data.topics.map(({ name, counts, paused, prompt }) => {
      const numbers = `${counts.pending} pending, ${counts.processing} processing, ${counts.dead} dead`;
      const about = prompt === null ? "" : ` – ${harmless(prompt).split("\n")[0]?.slice(0, 120)}`;
      return `${name}${paused ? " (paused)" : ""}: ${numbers}${about}`;
    });
    return { data, text: lines.length === 0 ? "No topics yet; push makes one." : lines.join("\n") };
  },
});

const status = defineTool({
  name: "status",
  title: "How the service is",
  description: "Tell how Signalbox is: events, queues, agents, workflows, connectors.",
  input: nothing,
  output: statusReply,
  annotations: reading,
  async run(_, { client, signal }) {
    const data = await client.getStatus({}, { signal });
    const { deliveries, effects, agents, workflows } = data;
    const text = [
      `Signalbox ${data.version}: ${data.events} events, ${data.topics} topics`,
      `${deliveries.pending} events wait, ${deliveries.processing} are worked on, ${deliveries.dead} are dead letters`,
      `${effects.waiting} effects wait for a person`,
      `${agents.online} of ${agents.total} agents are online; ${workflows.active} workflows are active, ${workflows.failed} failed`,
      ...data.connectors.map((one) => `${one.title}: ${one.state}${one.message ? ` (${one.message})` : ""}`),
    ];
    return { data, text: text.join("\n") };
  },
});

const agents = defineTool({
  name: "agents",
  title: "List agents and their commands",
  description: "List agents and connectors with the commands that send_command can ask of them.",
  input: nothing,
  output: routes.listAgents.reply,
  annotations: reading,
  async run(_, { client, signal }) {
    const data = await client.listAgents({}, { signal });
    const lines = data.agents.map(
      (one) =>
        `${one.name} (${one.status}): ${one.commands.map(({ name }) => name).join(", ") || "no commands"}`,
    );
    return { data, text: lines.length === 0 ? "No agents have registered." : lines.join("\n") };
  },
});

/** Without the hash: whoever shows it approves these bytes. */
const effectView = effect.omit({ sha256: true });
function withoutHash({ sha256: _, ...rest }: Effect): z.output<typeof effectView> {
  return rest;
}

const sendCommand = defineTool({
  name: "send_command",
  title: "Ask an agent to do something",
  description:
    "Propose a command to an agent or connector. The owner's policy decides: unless it says otherwise a person has " +
    "to approve it first, and only that person can. Look at what became of it with effect.",
  input: z.strictObject({
    agent: z.string().describe("Whose command it is; agents lists them."),
    command: sendBody.shape.command.describe("The command's name."),
    payload: sendBody.shape.payload.describe("Its arguments, a JSON object."),
    idempotency_key: sendBody.shape.idempotency_key.describe("The same key again is the same command."),
    expires_in_ms: sendBody.shape.expires_in_ms.describe("Give it up when it is not done after this long."),
  }),
  output: effectView,
  annotations: { ...adding, destructiveHint: true, openWorldHint: true },
  async run(input, { client, agent, signal }) {
    // The word of a model is no permission, whatever name the session goes by.
    const found = await client.sendCommand({ ...input, source: `model:${agent}` }, { signal });
    return { data: withoutHash(found), text: stateOf(found) };
  },
});

const look = defineTool({
  name: "effect",
  title: "Show one effect",
  description: "Show what became of a command that send_command proposed.",
  input: z.strictObject({ effect_id: z.string().describe("eff_…") }),
  output: effectView,
  annotations: reading,
  async run({ effect_id }, { client, signal }) {
    const found = await client.getEffect({ effect_id }, { signal });
    return { data: withoutHash(found), text: stateOf(found) };
  },
});

function stateOf(found: Effect): string {
  const what = `${found.id} ${harmless(found.summary)}: ${found.state}`;
  if (found.state === "waiting")
    return `${what}. A person has to approve it, and may take long. Don't try to approve it, or to do it some other way.`;
  const end = found.error ?? (found.result === null ? "" : JSON.stringify(found.result));
  return end === "" ? what : `${what}: ${harmless(end).slice(0, 2_000)}`;
}

/** Without the code and the hash, which are what an approval is given by. */
const approvalView = approval.omit({ code: true }).extend({ effect: effectView });
function withoutCode({ code: _, ...rest }: Approval): z.output<typeof approvalView> {
  return { ...rest, effect: withoutHash(rest.effect) };
}

const approvalsList = defineTool({
  name: "approvals_list",
  title: "List what waits for a person",
  description:
    "List effects that wait for a person's decision. It can't be made here: only a person decides.",
  input: z.strictObject({ limit: limitOf(20, 50) }),
  output: z.object({ approvals: z.array(approvalView) }),
  annotations: reading,
  async run({ limit }, { client, signal }) {
    const { approvals } = await client.listApprovals({ limit }, { signal });
    const lines = approvals.map(
      (one) => `${one.effect.id} ${harmless(one.effect.summary)}, asked by ${one.asked_by}`,
    );
    return {
      data: { approvals: approvals.map(withoutCode) },
      text: lines.length === 0 ? "Nothing waits for a person." : lines.join("\n"),
    };
  },
});

const approvalsShow = defineTool({
  name: "approvals_show",
  title: "Show what waits for a person",
  description: "Show one effect that waits for a person: what, why, and what to look at.",
  input: z.strictObject({ effect_id: z.string().describe("eff_…") }),
  output: approvalView,
  annotations: reading,
  async run({ effect_id }, { client, signal }) {
    const found = await client.getApproval({ approval: effect_id }, { signal });
    const risks = found.risks.map((risk) => `- ${harmless(risk)}`);
    return { data: withoutCode(found), text: [stateOf(found.effect), ...risks].join("\n") };
  },
});

const awayView = awayReply.extend({ items: z.array(awayItem.omit({ actions: true })) });
const away = defineTool({
  name: "away",
  title: "What happened meanwhile",
  description: "Tell what happened since the user last looked and still waits for somebody.",
  input: z.strictObject({
    since_ms: z.int().min(0).optional().describe("Since then instead, in milliseconds since the epoch."),
  }),
  output: awayView,
  annotations: reading,
  async run(input, { client, signal }) {
    const reply = await client.getAway(input, { signal });
    // What settles them is for a person to do.
    const items = reply.items.map(({ actions: _, ...item }) => item);
    const lines = items.map(
      (one) =>
        `${new Date(one.time_ms).toISOString()} ${harmless(one.title)}${one.detail ? `: ${harmless(one.detail).split("\n")[0]}` : ""}`,
    );
    return { data: { ...reply, items }, text: lines.length === 0 ? "Nothing waits." : lines.join("\n") };
  },
});

export const serviceTools: readonly Tool[] = [
  topics,
  status,
  agents,
  sendCommand,
  look,
  approvalsList,
  approvalsShow,
  away,
];
