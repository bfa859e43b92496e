import type { Agent, CommandSpec } from "../../service/contract/agents.ts";
import type { Effect } from "../../service/contract/effects.ts";
import type { ConnectorStatus } from "../../service/contract/system.ts";
import type { Row, Translate } from "./row.ts";
import { counts, excerpt, relativeTime } from "./words.ts";

/** An agent, or a connector with how its connection is. */
export interface AgentItem {
  readonly agent: Agent | null;
  readonly connector: ConnectorStatus | null;
}

/** Agents by name, connectors after them; a connector that is also registered as an agent is one item. */
export function joinConnectors(
  agents: readonly Agent[],
  connectors: readonly ConnectorStatus[],
): readonly AgentItem[] {
  const connectorOf = (agent: Agent) =>
    connectors.find(
      ({ id }) => agent.kind === "connector" && (agent.name === id || agent.name === `${id}-agent`),
    ) ?? null;
  const items = agents.map((agent) => ({ agent, connector: connectorOf(agent) }));
  const others = connectors
    .filter(({ state, mend }) => state !== "off" || mend !== null)
    .filter((connector) => !items.some((item) => item.connector === connector))
    .map((connector) => ({ agent: null, connector }));
  const byName = (one: AgentItem, other: AgentItem) =>
    Number(one.connector !== null) - Number(other.connector !== null) ||
    (nameOf(one) < nameOf(other) ? -1 : 1);
  return [...items, ...others].sort(byName);
}

function nameOf({ agent, connector }: AgentItem): string {
  return agent?.name ?? connector?.title ?? "";
}

/** @param recentEffects the latest effects that went to an agent, newest first */
export function agentRow(
  item: AgentItem,
  nowMs: number,
  t: Translate,
  recentEffects: (agent: string) => Promise<readonly Effect[]>,
): Row {
  const { agent, connector } = item;
  if (agent === null) return connectorRow(connector as ConnectorStatus, t);
  const state = stateOf(item, t);
  const beat =
    agent.last_beat_ms === null
      ? ""
      : relativeTime(agent.last_beat_ms, inSteps(agent.last_beat_ms, nowMs), t);
  const work = counts([
    [agent.open_commands, t("{0} open", agent.open_commands)],
    [agent.errors, t("{0} errors", agent.errors)],
  ]);
  return {
    id: `agent:${agent.name}`,
    label: connector?.title ?? agent.name,
    description: [state.words, beat, work].filter((part) => part !== "").join(" · "),
    tooltip: agentTooltip(agent, connector, t),
    icon: state.icon,
    context: ["agent", agent.kind, ...(state.isBroken ? ["mendable"] : [])].join(" "),
    spoken: `${agent.name}, ${state.words}, ${beat}`,
    item: { kind: "agent", agent: agent.name, connector: connector?.id ?? null },
    children: async () => [
      ...(connector?.message ? [messageRow(agent.name, connector.message)] : []),
      ...agent.commands.map((command) => commandRow(agent.name, command, t)),
      ...(await recentEffects(agent.name)).map((effect) => effectRow(agent.name, effect, nowMs, t)),
    ],
  };
}

const STEP_MS = 10_000;

/** Time in steps since a beat: a thousand agents that each beat now and then would all look different every second. */
function inSteps(beatMs: number, nowMs: number): number {
  return beatMs + Math.floor((nowMs - beatMs) / STEP_MS) * STEP_MS;
}

interface State {
  words: string;
  icon: NonNullable<Row["icon"]>;
  isBroken: boolean;
}

/** A shape of its own for each state, so that nobody has to tell them apart by colour. */
function stateOf({ agent, connector }: AgentItem, t: Translate): State {
  if (connector !== null && connector.state !== "ready") return connectorState(connector, t);
  if (agent?.status === "online")
    return { words: t("online"), icon: { id: "pass-filled", color: "testing.iconPassed" }, isBroken: false };
  if (agent?.status === "seen")
    return { words: t("not registered"), icon: { id: "question" }, isBroken: false };
  return { words: t("offline"), icon: { id: "circle-slash", color: "disabledForeground" }, isBroken: false };
}

function connectorState({ state, mend }: ConnectorStatus, t: Translate): State {
  if (state === "connecting") return { words: t("connecting"), icon: { id: "sync" }, isBroken: false };
  if (state === "failed")
    return { words: t("failed"), icon: { id: "error", color: "list.errorForeground" }, isBroken: true };
  if (state === "degraded")
    return { words: t("degraded"), icon: { id: "warning", color: "list.warningForeground" }, isBroken: true };
  if (state === "ready")
    return { words: t("connected"), icon: { id: "plug", color: "testing.iconPassed" }, isBroken: false };
  const icon = { id: "debug-disconnect", color: "list.warningForeground" };
  if (mend?.kind === "secret") return { words: t("lacks a secret"), icon, isBroken: true };
  if (mend !== null) return { words: t("not set up"), icon, isBroken: true };
  return { words: t("off"), icon: { id: "debug-disconnect" }, isBroken: false };
}

function connectorRow(connector: ConnectorStatus, t: Translate): Row {
  const state = connectorState(connector, t);
  const { message } = connector;
  return {
    id: `connector:${connector.id}`,
    label: connector.title,
    description: state.words,
    tooltip: [connector.title, state.words, message].filter(Boolean).join("\n"),
    icon: state.icon,
    context: `connector${state.isBroken ? " mendable" : ""}`,
    spoken: [connector.title, state.words, message].filter(Boolean).join(", "),
    item: { kind: "connector", connector: connector.id },
    ...(message === null ? {} : { children: () => [messageRow(connector.id, message)] }),
  };
}

function messageRow(of: string, message: string): Row {
  return { id: `message:${of}`, label: excerpt(message), tooltip: message, icon: { id: "info" } };
}

function agentTooltip(agent: Agent, connector: ConnectorStatus | null, t: Translate): string {
  return [
    `${agent.name} ${agent.version}`,
    ...(agent.capabilities.length > 0 ? [t("Capabilities: {0}", agent.capabilities.join(", "))] : []),
    t("{0} events, {1} errors, {2} connections", agent.events_processed, agent.errors, agent.connections),
    ...(connector?.message ? [connector.message] : []),
  ].join("\n");
}

function commandRow(agent: string, command: CommandSpec, t: Translate): Row {
  return {
    id: `command:${agent}:${command.name}`,
    label: command.name,
    description: command.title ?? "",
    tooltip: command.params === undefined ? t("Takes any payload") : JSON.stringify(command.params, null, 2),
    icon: { id: "terminal" },
    context: "command",
    item: { kind: "command", agent, command: command.name },
  };
}

const RETRYABLE = ["failed", "expired", "unknown"];
const OPEN = ["proposed", "waiting", "approved"];

function effectRow(agent: string, effect: Effect, nowMs: number, t: Translate): Row {
  const isRetryable = RETRYABLE.includes(effect.state);
  return {
    id: `effect:${agent}:${effect.id}`,
    label: effect.summary,
    description: `${t(effect.state)} · ${relativeTime(effect.updated_ms, nowMs, t)}`,
    tooltip: [effect.summary, effect.error, JSON.stringify(effect.payload, null, 2)]
      .filter(Boolean)
      .join("\n"),
    icon: effectIcon(effect.state),
    context: isRetryable ? "effectRetry" : OPEN.includes(effect.state) ? "effectOpen" : "effect",
    item: { kind: "effect", effect_id: effect.id },
  };
}

function effectIcon(state: Effect["state"]): NonNullable<Row["icon"]> {
  if (state === "succeeded") return { id: "check", color: "testing.iconPassed" };
  if (state === "failed" || state === "unknown") return { id: "error", color: "list.errorForeground" };
  if (state === "waiting") return { id: "shield", color: "list.warningForeground" };
  if (state === "denied" || state === "expired" || state === "skipped") return { id: "circle-slash" };
  return { id: "sync" };
}
