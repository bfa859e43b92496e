import * as z from "zod";
import { approval } from "./approvals.ts";
import { empty, flag, json, jsonObject, name, okReply, text } from "./common.ts";
import { effect, proposedEffect } from "./effects.ts";
import { logLine, run, sourceError } from "./workflows.ts";

const fieldSchema = z.object({ type: z.string(), required: z.boolean(), description: z.string().nullable() });
const fields = z.record(z.string(), fieldSchema).nullable();

const annotated = z.object({
  name: z.string(),
  optional: z.boolean(),
  type: z.string(),
  description: z.string(),
});

/** What EmmyLua comments of its file say; types as they are written. */
export const actionAnnotations = z.object({
  description: z.string(),
  classes: z.array(
    z.object({
      name: z.string(),
      parents: z.array(z.string()),
      description: z.string(),
      fields: z.array(annotated),
    }),
  ),
  params: z.array(annotated),
  returns: z.array(z.object({ type: z.string(), name: z.string().nullable(), description: z.string() })),
  /** What could not be read. */
  problems: z.array(z.object({ line: z.int(), message: z.string() })),
});
export type ActionAnnotations = z.infer<typeof actionAnnotations>;

/** What an approval of an action stands for: change any of it, and it is asked about anew. */
export const actionIdentity = z.object({
  /** Hex SHA-256 of its files. */
  digest: z.string(),
  commit: z.string().nullable(),
  executor: z.string(),
  argv: z.array(z.string()),
  /** Names of the variables that it is given. */
  env: z.array(z.string()),
  hosts: z.array(z.string()),
  files: z.array(z.string()),
  /** What is installed for it that its own files do not name. */
  packages: z.array(z.string()),
  sandbox: z.string(),
});
export type ActionIdentity = z.infer<typeof actionIdentity>;

/** `unknown`: its files could not be looked at; `problem` says why. */
export const actionApproval = z.enum(["approved", "new", "unknown"]);

export const action = z.object({
  /** `prometheus.query` */
  name: z.string(),
  description: z.string().nullable(),
  /** In the repository, and where in it. */
  file: z.string(),
  line: z.int(),
  source: z.string(),
  executor: z.string(),
  entrypoint: z.string().nullable(),
  subdir: z.string().nullable(),
  tag: z.string().nullable(),
  timeout_ms: z.int(),
  env: z.array(z.string()),
  hosts: z.array(z.string()),
  files: z.array(z.string()),
  defaults: jsonObject,
  schema: z.object({ input: fields, output: fields }),
  input_adapter: z.string(),
  output_adapter: z.string(),
  retry_attempts: z.int(),
  cache_ms: z.int().nullable(),
  annotations: actionAnnotations,
});
export type Action = z.infer<typeof action>;

const actionState = z.object({
  /** Null when its files could not be looked at. */
  identity: actionIdentity.nullable(),
  /** Hex SHA-256 of the identity: what is approved. */
  sha256: z.string().nullable(),
  approval: actionApproval,
  approved_by: z.string().nullable(),
  problem: z.string().nullable(),
  /** What is shut, what is open, what is not enforced here. */
  notes: z.array(z.string()),
});
export const actionDetail = action.extend(actionState.shape);
export type ActionDetail = z.infer<typeof actionDetail>;

export const actionRepository = z.object({
  /** As it is set: a folder or a git URL; null when there is none. */
  source: z.string().nullable(),
  /** Where its files are now. */
  dir: z.string().nullable(),
  commit: z.string().nullable(),
  /** Why its newest text is not what is used. */
  problem: sourceError.nullable(),
});
export type ActionRepository = z.infer<typeof actionRepository>;

const actionName = z.object({ action: z.string() });
/** A repository other than the one that is set: an absolute path or a git URL. */
const repository = text(2_000).optional();

export const scriptRequest = z.strictObject({
  file: text(1_000).default("script.lua"),
  source: text(1_000_000),
  args: z.array(text(100_000)).max(1_000).default([]),
  /** Where `readfile` and `writefile` work; without it they do not. Absolute. */
  cwd: text(4_000).optional(),
  repository,
  by: name.default("cli"),
});
export type ScriptRequest = z.infer<typeof scriptRequest>;

/** What a script's reader sees, in order. */
export const scriptItem = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("print"), text: z.string() }),
  z.object({ kind: z.literal("log"), line: logLine }),
  /** What an action writes to stderr, and what goes on before it runs. */
  z.object({ kind: z.literal("progress"), effect_id: z.string(), action: z.string(), text: z.string() }),
  /** An act of the script has begun, waits, or has ended. */
  z.object({ kind: z.literal("effect"), effect, approval: approval.nullable() }),
  z.object({ kind: z.literal("end"), run }),
]);
export type ScriptItem = z.infer<typeof scriptItem>;

const runId = z.object({ run_id: z.string() });
const sessionId = z.object({ session: z.string() });

export const actionRoutes = {
  listActions: {
    method: "GET",
    path: "/v1/actions",
    summary: "List the actions of the repository, with their annotations.",
    query: z.strictObject({
      repository,
      /** Also look at the files of each: what would run, and whether that was approved. */
      detail: flag.default(false),
    }),
    reply: z.object({
      repository: actionRepository,
      actions: z.array(action.extend(actionState.partial().shape)),
    }),
  },
  getAction: {
    method: "GET",
    path: "/v1/actions/:action",
    summary: "Show an action with what would run, and whether that was approved.",
    params: actionName,
    query: z.strictObject({ repository }),
    reply: actionDetail,
  },
  reloadActions: {
    method: "POST",
    path: "/v1/actions/reload",
    summary: "Read the actions repository again.",
    body: empty,
    reply: z.object({ repository: actionRepository, actions: z.int() }),
  },
  validateActions: {
    method: "POST",
    path: "/v1/actions/validate",
    summary: "Load a repository and look at the files of each action.",
    body: z.strictObject({ repository }),
    reply: z.object({
      ok: z.boolean(),
      repository: actionRepository,
      actions: z.array(
        z.object({ name: z.string(), file: z.string(), line: z.int(), problem: z.string().nullable() }),
      ),
    }),
  },
  approveAction: {
    method: "POST",
    path: "/v1/actions/:action/approve",
    summary: "Approve an action as it is now, ahead of its first run.",
    params: actionName,
    body: z.strictObject({ repository, sha256: text(64), by: name, reason: text(2_000).optional() }),
    reply: actionDetail,
  },
  updateAction: {
    method: "POST",
    path: "/v1/actions/:action/update",
    summary: "Ask the remote where an action's source is now, and tell what has changed.",
    params: actionName,
    body: z.strictObject({ repository }),
    reply: z.object({
      before: z.object({ commit: z.string().nullable(), digest: z.string() }),
      after: z.object({ commit: z.string().nullable(), digest: z.string() }),
      /** Files, with `+`, `-` or `~` before them. */
      changes: z.array(z.string()),
    }),
  },
  resolveActionSource: {
    method: "POST",
    path: "/v1/actions/resolve",
    summary: "Find a source's commit and files, as an action would.",
    body: z.strictObject({
      source: text(2_000),
      subdir: text(1_000).optional(),
      base: text(4_000).optional(),
    }),
    reply: z.object({ commit: z.string().nullable(), digest: z.string(), files: z.array(z.string()) }),
  },
  startScript: {
    method: "POST",
    path: "/v1/scripts",
    summary: "Run a Lua script.",
    body: scriptRequest,
    reply: z.object({ run_id: z.string(), event_id: z.string() }),
    status: 201,
  },
  dryRunScript: {
    method: "POST",
    path: "/v1/scripts/dry",
    summary: "Run a Lua script without doing anything outside; answers of actions are made up.",
    body: scriptRequest,
    reply: z.object({
      status: z.enum(["succeeded", "failed", "waiting"]),
      waiting_for: z.string().nullable(),
      error: sourceError.nullable(),
      output: json,
      printed: z.array(z.string()),
      effects: z.array(proposedEffect),
    }),
  },
  streamScript: {
    method: "GET",
    path: "/v1/scripts/:run_id/stream",
    summary: "Follow a script: what it prints, what it does, how it ends.",
    params: runId,
    reply: scriptItem,
    stream: "sse",
  },
  stopScript: {
    method: "POST",
    path: "/v1/scripts/:run_id/stop",
    summary: "End a script and the action that it waits for.",
    params: runId,
    body: empty,
    reply: run,
  },
  openSession: {
    method: "POST",
    path: "/v1/sessions",
    summary: "Open a Lua state that takes text line by line.",
    body: scriptRequest.omit({ source: true }),
    reply: z.object({ session: z.string() }),
    status: 201,
  },
  runLine: {
    method: "POST",
    path: "/v1/sessions/:session/lines",
    summary: "Run a line of a session. `incomplete` tells that more has to follow.",
    params: sessionId,
    body: z.strictObject({ code: text(100_000) }),
    reply: z.object({ incomplete: z.boolean(), run_id: z.string().nullable() }),
  },
  closeSession: {
    method: "DELETE",
    path: "/v1/sessions/:session",
    summary: "Close a session.",
    params: sessionId,
    reply: okReply,
  },
} as const;
