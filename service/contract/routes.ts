import * as z from "zod";
import { actionRoutes } from "./actions.ts";
import * as agents from "./agents.ts";
import { approvalRoutes } from "./approvals.ts";
import { auditRoutes } from "./audit.ts";
import { empty, type Json, json, okReply } from "./common.ts";
import * as effects from "./effects.ts";
import * as events from "./events.ts";
import { healthRoutes } from "./health.ts";
import { policyRoutes } from "./policy.ts";
import { giveReceipt, receipt } from "./receipts.ts";
import { scheduleRoutes } from "./schedules.ts";
import * as system from "./system.ts";
import * as topics from "./topics.ts";
import { typeRoutes } from "./types.ts";
import * as workflows from "./workflows.ts";

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  /** One sentence for OpenAPI, starting with a verb. */
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** A parsed JSON reply, or for a stream the schema of each item. */
  readonly reply: z.ZodType;
  readonly stream?: "sse" | "ndjson";
  /** Answers without a token. */
  readonly open?: true;
  readonly status?: 200 | 201 | 202;
}

const eventId = z.object({ event_id: z.string() });
const topicName = z.object({ topic: z.string() });
const agentName = z.object({ agent: z.string() });
const effectId = z.object({ effect_id: z.string() });
const workflowName = z.object({ workflow: z.string() });

/** THE WIRE: the control API, whole. Server, client, CLI, MCP and OpenAPI are made from it. */
export const routes = {
  healthz: {
    method: "GET",
    path: "/healthz",
    summary: "Tell whether the process is up.",
    reply: system.health,
    open: true,
  },
  readyz: {
    method: "GET",
    path: "/readyz",
    summary: "Tell whether everything has started.",
    reply: system.health,
    open: true,
  },
  getInfo: {
    method: "GET",
    path: "/v1/info",
    summary: "Tell version, protocol and files.",
    reply: system.info,
  },
  getStatus: { method: "GET", path: "/v1/status", summary: "Tell how the service is.", reply: system.status },
  getConfig: {
    method: "GET",
    path: "/v1/config",
    summary: "List effective settings and where each comes from.",
    reply: system.configReply,
  },
  shutdown: {
    method: "POST",
    path: "/v1/shutdown",
    summary: "Stop the service in an orderly way.",
    body: empty,
    reply: okReply,
    status: 202,
  },
  backup: {
    method: "POST",
    path: "/v1/backup",
    summary: "Copy the database while it runs.",
    body: system.backup,
    reply: system.backupReply,
  },
  doctor: {
    method: "GET",
    path: "/v1/doctor",
    summary: "Check integrity, permissions and settings.",
    reply: system.doctorReply,
  },
  cleanup: {
    method: "POST",
    path: "/v1/cleanup",
    summary: "Remove what is older than its retention.",
    body: system.cleanup,
    reply: system.cleanupReply,
  },

  pushEvent: {
    method: "POST",
    path: "/v1/events",
    summary: "Record one event.",
    body: events.newEvent,
    reply: events.pushed,
    status: 201,
  },
  pushEvents: {
    method: "POST",
    path: "/v1/events/batch",
    summary: "Record up to 1,000 events.",
    body: events.pushBatch,
    reply: events.pushedBatch,
  },
  findEvents: {
    method: "GET",
    path: "/v1/events",
    summary: "List events, newest first.",
    query: events.eventQuery,
    reply: events.eventPage,
  },
  searchEvents: {
    method: "GET",
    path: "/v1/events/search",
    summary: "Search the full text of events.",
    query: events.searchQuery,
    reply: events.eventPage,
  },
  streamEvents: {
    method: "GET",
    path: "/v1/events/stream",
    summary: "Follow events as they are recorded.",
    query: events.streamQuery,
    reply: events.event,
    stream: "sse",
  },
  exportEvents: {
    method: "GET",
    path: "/v1/events/export",
    summary: "Read all events, oldest first, one a line.",
    query: system.exportQuery,
    reply: events.event,
    stream: "ndjson",
  },
  getEvent: {
    method: "GET",
    path: "/v1/events/:event_id",
    summary: "Show one event with all that came of it.",
    params: eventId,
    reply: z.object({
      event: events.event,
      raw: json.nullable(),
      deliveries: z.array(events.delivery),
      /** What agents told of it, oldest first. */
      receipts: z.array(receipt),
      /** The event that caused it, the one that caused that one, and so on. */
      causes: z.array(events.event),
      caused: z.array(events.event),
      runs: z.array(workflows.run),
      effects: z.array(effects.effect),
    }),
  },
  viewEvent: {
    method: "GET",
    path: "/v1/events/:event_id/view/:shape",
    summary: "Show one event in the exact shape of another system.",
    params: z.object({ event_id: z.string(), shape: z.enum(["cloudevents", "sekia", "kaiser", "makiso"]) }),
    reply: json,
  },
  extendClaim: {
    method: "POST",
    path: "/v1/events/:event_id/extend",
    summary: "Renew the lease of a claim.",
    params: eventId,
    body: topics.extendClaim,
    reply: topics.settled,
  },
  completeClaim: {
    method: "POST",
    path: "/v1/events/:event_id/complete",
    summary: "Finish a claimed event.",
    params: eventId,
    body: topics.completeClaim,
    reply: topics.settled,
  },
  failClaim: {
    method: "POST",
    path: "/v1/events/:event_id/fail",
    summary: "Say that a claimed event failed.",
    params: eventId,
    body: topics.failClaim,
    reply: topics.settled,
  },
  releaseClaim: {
    method: "POST",
    path: "/v1/events/:event_id/release",
    summary: "Give a claimed event back unharmed.",
    params: eventId,
    body: topics.releaseClaim,
    reply: topics.settled,
  },
  settleClaims: {
    method: "POST",
    path: "/v1/events/settle",
    summary: "Complete, fail, release, extend or answer up to 100 claimed events at once.",
    body: topics.settleBatch,
    reply: topics.settledBatch,
  },
  giveReceipt: {
    method: "POST",
    path: "/v1/events/:event_id/receipts",
    summary: "Tell how far a claimed event has come.",
    params: eventId,
    body: giveReceipt,
    reply: topics.settled,
    status: 201,
  },
  reply: {
    method: "POST",
    path: "/v1/events/:event_id/reply",
    summary: "Answer an event and finish it.",
    params: eventId,
    body: topics.reply,
    reply: topics.replied,
    status: 201,
  },

  listTopics: {
    method: "GET",
    path: "/v1/topics",
    summary: "List topics with their counts.",
    reply: z.object({ topics: z.array(topics.topic) }),
  },
  createTopic: {
    method: "POST",
    path: "/v1/topics",
    summary: "Create a topic.",
    body: topics.createTopic,
    reply: topics.topic,
    status: 201,
  },
  getTopic: {
    method: "GET",
    path: "/v1/topics/:topic",
    summary: "Show one topic.",
    params: topicName,
    reply: topics.topic,
  },
  updateTopic: {
    method: "PATCH",
    path: "/v1/topics/:topic",
    summary: "Change a topic's prompt or settings.",
    params: topicName,
    body: topics.updateTopic,
    reply: topics.topic,
  },
  deleteTopic: {
    method: "DELETE",
    path: "/v1/topics/:topic",
    summary: "Delete a topic; its events stay in the log.",
    params: topicName,
    query: topics.deleteTopic,
    reply: topics.counted,
  },
  claimEvents: {
    method: "POST",
    path: "/v1/topics/:topic/claim",
    summary: "Take the oldest waiting events under a lease.",
    params: topicName,
    body: topics.claim,
    reply: topics.claimedList,
  },
  peekEvents: {
    method: "GET",
    path: "/v1/topics/:topic/peek",
    summary: "Look at the oldest waiting events.",
    params: topicName,
    query: topics.peekQuery,
    reply: topics.peeked,
  },
  purgeTopic: {
    method: "POST",
    path: "/v1/topics/:topic/purge",
    summary: "End deliveries of a topic; the events stay in the log.",
    params: topicName,
    body: topics.purge,
    reply: topics.counted,
  },
  redriveTopic: {
    method: "POST",
    path: "/v1/topics/:topic/redrive",
    summary: "Make dead letters claimable again.",
    params: topicName,
    body: topics.redrive,
    reply: topics.counted,
  },

  reconnectConnector: {
    method: "POST",
    path: "/v1/connectors/:connector/reconnect",
    summary: "Let a connector connect again now instead of after its pause.",
    params: z.object({ connector: z.string() }),
    body: empty,
    reply: system.connectorStatus,
  },

  listAgents: {
    method: "GET",
    path: "/v1/agents",
    summary: "List agents and connectors.",
    reply: z.object({ agents: z.array(agents.agent) }),
  },
  registerAgent: {
    method: "POST",
    path: "/v1/agents",
    summary: "Register an agent, or renew its registration.",
    body: agents.registerAgent,
    reply: agents.agent,
    status: 201,
  },
  getAgent: {
    method: "GET",
    path: "/v1/agents/:agent",
    summary: "Show one agent.",
    params: agentName,
    reply: agents.agent,
  },
  removeAgent: {
    method: "DELETE",
    path: "/v1/agents/:agent",
    summary: "Forget an agent.",
    params: agentName,
    reply: okReply,
  },
  beat: {
    method: "POST",
    path: "/v1/agents/:agent/beat",
    summary: "Say that an agent is alive.",
    params: agentName,
    body: agents.beat,
    reply: okReply,
  },
  goOffline: {
    method: "POST",
    path: "/v1/agents/:agent/offline",
    summary: "Say that an agent stops.",
    params: agentName,
    body: empty,
    reply: okReply,
  },
  claimCommands: {
    method: "POST",
    path: "/v1/agents/:agent/commands/claim",
    summary: "Take commands for an agent under a lease.",
    params: agentName,
    body: agents.claimCommands,
    reply: agents.commandList,
  },
  streamCommands: {
    method: "GET",
    path: "/v1/agents/:agent/commands/stream",
    summary: "Receive an agent's commands as they come.",
    params: agentName,
    query: agents.commandStreamQuery,
    reply: agents.command,
    stream: "sse",
  },
  resumeCommands: {
    method: "POST",
    path: "/v1/agents/:agent/commands/stream",
    summary: "Say which commands are in hand, and receive the others as they come.",
    params: agentName,
    body: agents.resumeCommands,
    reply: agents.command,
    stream: "sse",
  },
  sendCommand: {
    method: "POST",
    path: "/v1/agents/:agent/commands",
    summary: "Send a command to an agent, as a person.",
    params: agentName,
    body: agents.sendCommand,
    reply: effects.effect,
    status: 202,
  },

  ...policyRoutes,
  ...actionRoutes,
  ...approvalRoutes,
  ...auditRoutes,
  ...effects.effectRoutes,

  listEffects: {
    method: "GET",
    path: "/v1/effects",
    summary: "List effects, newest first.",
    query: effects.effectQuery,
    reply: effects.effectPage,
  },
  getEffect: {
    method: "GET",
    path: "/v1/effects/:effect_id",
    summary: "Show one effect, or wait for its end.",
    params: effectId,
    query: effects.oneEffectQuery,
    reply: effects.effect,
  },
  finishEffect: {
    method: "POST",
    path: "/v1/effects/:effect_id/result",
    summary: "Report the result of a command.",
    params: effectId,
    body: agents.commandResult,
    reply: effects.effect,
  },
  finishEffects: {
    method: "POST",
    path: "/v1/effects/results",
    summary: "Report the results of several commands at once.",
    body: agents.commandResults,
    reply: agents.finishedEffects,
  },
  retryEffect: {
    method: "POST",
    path: "/v1/effects/:effect_id/retry",
    summary: "Try a failed, expired or unknown effect once more, as a person.",
    params: effectId,
    body: empty,
    reply: effects.effect,
  },
  skipEffect: {
    method: "POST",
    path: "/v1/effects/:effect_id/skip",
    summary: "End an open effect without doing it.",
    params: effectId,
    body: empty,
    reply: effects.effect,
  },

  listWorkflows: {
    method: "GET",
    path: "/v1/workflows",
    summary: "List workflows with their handlers and counters.",
    reply: z.object({ workflows: z.array(workflows.workflow) }),
  },
  getWorkflow: {
    method: "GET",
    path: "/v1/workflows/:workflow",
    summary: "Show one workflow.",
    params: workflowName,
    reply: workflows.workflow,
  },
  reloadWorkflows: {
    method: "POST",
    path: "/v1/workflows/reload",
    summary: "Load all workflows from disk again.",
    body: empty,
    reply: workflows.reloadReply,
  },
  checkWorkflow: {
    method: "POST",
    path: "/v1/workflows/check",
    summary: "Load a workflow's text without running it.",
    body: workflows.checkSource,
    reply: workflows.checkReply,
  },
  testWorkflow: {
    method: "POST",
    path: "/v1/workflows/test",
    summary: "Run handlers on an event and show what they would do.",
    body: workflows.testRun,
    reply: workflows.tested,
  },
  enableWorkflow: {
    method: "POST",
    path: "/v1/workflows/:workflow/enable",
    summary: "Let a workflow run, and clear its strikes.",
    params: workflowName,
    body: empty,
    reply: workflows.toggleReply,
  },
  disableWorkflow: {
    method: "POST",
    path: "/v1/workflows/:workflow/disable",
    summary: "Stop giving events to a workflow.",
    params: workflowName,
    body: empty,
    reply: workflows.toggleReply,
  },
  runWorkflow: {
    method: "POST",
    path: "/v1/workflows/:workflow/run",
    summary: "Give a recorded event to a workflow once more.",
    params: workflowName,
    body: workflows.replayRun,
    reply: z.object({ runs: z.array(workflows.run) }),
  },
  workflowLogs: {
    method: "GET",
    path: "/v1/workflows/:workflow/logs",
    summary: "Read a workflow's latest log lines, oldest first.",
    params: workflowName,
    query: workflows.logQuery,
    reply: workflows.logPage,
  },
  streamLogs: {
    method: "GET",
    path: "/v1/workflows/:workflow/logs/stream",
    summary: "Follow a workflow's log lines.",
    params: workflowName,
    reply: workflows.logLine,
    stream: "sse",
  },

  listRuns: {
    method: "GET",
    path: "/v1/runs",
    summary: "List runs, newest first.",
    query: workflows.runQuery,
    reply: workflows.runPage,
  },
  getRun: {
    method: "GET",
    path: "/v1/runs/:run_id",
    summary: "Show one run, or how far all runs of an event are.",
    params: z.object({ run_id: z.string() }),
    reply: workflows.run,
  },
  retryRun: {
    method: "POST",
    path: "/v1/runs/:run_id/retry",
    summary: "Run a failed run again.",
    params: z.object({ run_id: z.string() }),
    body: empty,
    reply: workflows.run,
  },
  cancelRun: {
    method: "POST",
    path: "/v1/runs/:run_id/cancel",
    summary: "End a waiting run.",
    params: z.object({ run_id: z.string() }),
    body: empty,
    reply: workflows.run,
  },

  ...scheduleRoutes,
  ...healthRoutes,
  ...typeRoutes,
} as const satisfies Record<string, Route>;

export type Routes = typeof routes;
export type RouteName = keyof Routes;

/** A path of an older system: which of our routes answers, and how its reply looked there. */
export interface RouteAlias {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly route: RouteName;
  /** Our route's input; what was sent is taken as it is where there is no such function. */
  input?(sent: { query: unknown; body: unknown }): { params?: object; query?: object; body?: object };
  /** Turns our reply into the older one. `input` is what our route was given. */
  shape(reply: never, input: never): Json;
}

type Part<R extends Route, K extends "params" | "query" | "body", Side extends "input" | "output"> =
  R extends Record<K, infer S extends z.ZodType>
    ? Side extends "input"
      ? z.input<S>
      : z.output<S>
    : unknown;

/** All that a caller gives: path parameters, query and body fields in one object. */
export type Input<N extends RouteName> = Part<Routes[N], "params", "input"> &
  Part<Routes[N], "query", "input"> &
  Part<Routes[N], "body", "input">;
/** The same after parsing, as a handler gets it. */
export type Parsed<N extends RouteName> = Part<Routes[N], "params", "output"> &
  Part<Routes[N], "query", "output"> &
  Part<Routes[N], "body", "output">;
export type Output<N extends RouteName> = z.output<Routes[N]["reply"]>;
