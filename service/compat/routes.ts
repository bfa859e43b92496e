import type { Agent } from "../contract/agents.ts";
import type { Json } from "../contract/common.ts";
import type { RouteAlias } from "../contract/routes.ts";
import type { Info, Status } from "../contract/system.ts";
import type { Workflow } from "../contract/workflows.ts";
import { objectiveAliases } from "./objectives.ts";

const rfc3339 = (ms: number | null) => (ms === null ? "0001-01-01T00:00:00Z" : new Date(ms).toISOString());

/** Go's way to write a duration, to whole seconds: `1h2m3s`. */
function goDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60), seconds % 60];
  return `${h > 0 ? `${h}h` : ""}${h > 0 || m > 0 ? `${m}m` : ""}${s}s`;
}

const sekiaStatus = (status: Status): Json => ({
  status: "ok",
  uptime: goDuration(status.uptime_ms),
  nats_running: true,
  started_at: rfc3339(status.started_ms),
  agent_count: status.agents.total,
  workflow_count: status.workflows.total,
});

const sekiaAgents = ({ agents }: { agents: Agent[] }): Json =>
  agents.map((agent) => ({
    name: agent.name,
    version: agent.version,
    status: agent.status === "online" ? "running" : agent.status,
    capabilities: agent.capabilities,
    commands: agent.commands.map((command) => command.name),
    registered_at: rfc3339(agent.registered_ms),
    last_heartbeat: rfc3339(agent.last_beat_ms),
    events_processed: agent.events_processed,
    errors: agent.errors,
  }));

const sekiaWorkflows = ({ workflows }: { workflows: Workflow[] }): Json =>
  workflows.map((workflow) => ({
    name: workflow.name,
    file_path: workflow.file,
    handlers: workflow.handlers.length,
    patterns: workflow.handlers.map((handler) => handler.pattern).filter((pattern) => pattern !== null),
    loaded_at: rfc3339(workflow.loaded_ms),
    events: workflow.events,
    errors: workflow.errors,
  }));

const runtimeInfo = (info: Info): Json => ({
  name: info.name,
  version: info.version,
  started_at: rfc3339(info.started_ms),
});

/** Paths of the older systems (B11, R6–R8). */
export const routeAliases: readonly RouteAlias[] = [
  { method: "GET", path: "/api/v1/status", route: "getStatus", shape: sekiaStatus },
  { method: "GET", path: "/api/v1/agents", route: "listAgents", shape: sekiaAgents },
  { method: "GET", path: "/api/v1/workflows", route: "listWorkflows", shape: sekiaWorkflows },
  {
    method: "POST",
    path: "/api/v1/workflows/reload",
    route: "reloadWorkflows",
    shape: (): Json => ({ status: "reloaded" }),
  },
  { method: "GET", path: "/api/v1/info", route: "getInfo", shape: runtimeInfo },
  ...objectiveAliases,
];
