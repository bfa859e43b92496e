import type { Effect } from "../../service/contract/effects.ts";
import type { Delivery, ListedEvent } from "../../service/contract/events.ts";
import type { Status } from "../../service/contract/system.ts";
import type { Topic } from "../../service/contract/topics.ts";
import type { Run, Workflow } from "../../service/contract/workflows.ts";

// One valid object of each kind, for tests that say only what matters to them.

export function sampleEvent(fields: Partial<ListedEvent> = {}): ListedEvent {
  return {
    id: "evt_01",
    seq: 1,
    schema_version: 1,
    type: "message.pushed",
    source: "cli",
    subject: "topics.inbox",
    topic: "inbox",
    time_ms: Date.UTC(2026, 0, 2, 3, 4, 5),
    recorded_ms: Date.UTC(2026, 0, 2, 3, 4, 5),
    body: "hello",
    payload: {},
    meta: {},
    conversation_key: null,
    user_key: null,
    correlation_id: null,
    parent_id: null,
    external_id: null,
    scope: null,
    origin_kind: "human",
    depth: 0,
    parked: false,
    status: "pending",
    ...fields,
  };
}

export function sampleDelivery(fields: Partial<Delivery> = {}): Delivery {
  return {
    group: "default",
    status: "processing",
    claimed_by: "@bob",
    lease_until_ms: null,
    not_before_ms: null,
    attempts: 1,
    last_error: null,
    finished_ms: null,
    ...fields,
  };
}

export function sampleTopic(fields: Partial<Topic> = {}): Topic {
  return {
    name: "inbox",
    prompt: null,
    lease_ms: 600_000,
    max_attempts: 5,
    retention_ms: null,
    pending_ttl_ms: null,
    paused: false,
    allow: [],
    created_ms: 0,
    counts: { pending: 1, delayed: 0, processing: 0, completed: 2, failed: 0, dead: 0 },
    ...fields,
  };
}

export function sampleStatus(fields: Partial<Status> = {}): Status {
  return {
    version: "0.1.0",
    pid: 42,
    started_ms: 0,
    uptime_ms: 90_061_000,
    events: 7,
    last_seq: 7,
    agents: { online: 1, total: 2 },
    workflows: { active: 1, failed: 0, total: 1 },
    topics: 2,
    deliveries: { pending: 3, processing: 1, dead: 0 },
    effects: { waiting: 0, running: 0, unknown: 0, failed: 0, unaddressed: 0 },
    connectors: [
      { id: "github", title: "GitHub", state: "ready", message: null, last_event_ms: null, mend: null },
    ],
    ingress: { listening: null },
    aliases: [],
    ...fields,
  };
}

export function sampleWorkflow(fields: Partial<Workflow> = {}): Workflow {
  return {
    name: "labeller",
    file: "/w/labeller.lua",
    state: "active",
    problem: null,
    version: "abc",
    handlers: [{ id: 1, kind: "event", pattern: "github.issue.*", every_ms: null, line: 3 }],
    loaded_ms: 0,
    events: 3,
    errors: 0,
    last_run_ms: null,
    lag: 0,
    ...fields,
  };
}

export function sampleRun(fields: Partial<Run> = {}): Run {
  return {
    run_id: "run_01",
    workflow: "labeller",
    handler: 1,
    event_id: "evt_01",
    status: "succeeded",
    attempts: 1,
    version: "abc",
    line: "labeller.lua:3",
    started_ms: null,
    finished_ms: null,
    waiting_for: null,
    output: null,
    error: null,
    logs: [],
    ...fields,
  };
}

export function sampleEffect(fields: Partial<Effect> = {}): Effect {
  return {
    id: "eff_01",
    kind: "command",
    target: "github-agent",
    action: "add_label",
    payload: { label: "bug" },
    sha256: "00",
    bound: null,
    note: null,
    summary: 'Add label "bug" to acme/site#7',
    state: "succeeded",
    cause: {
      event_id: "evt_01",
      run_id: "run_01",
      workflow: "labeller",
      version: "abc",
      line: "labeller.lua:5",
      source: "workflow:labeller",
    },
    policy: { decision: "allow", rule: "workflow commands" },
    correlation_id: null,
    attempts: 1,
    claimed_by: null,
    created_ms: 0,
    updated_ms: 0,
    not_before_ms: null,
    expires_ms: null,
    result: null,
    error: null,
    result_event_id: null,
    ...fields,
  };
}
