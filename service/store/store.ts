import type { Agent, CommandSpec } from "../contract/agents.ts";
import type { AuditEntry, AuditQuery } from "../contract/audit.ts";
import type { Json, JsonObject } from "../contract/common.ts";
import type { Effect, EffectQuery, EffectState } from "../contract/effects.ts";
import type { SignalboxError } from "../contract/errors.ts";
import type { Delivery, Event, EventQuery, ListedEvent, SearchQuery } from "../contract/events.ts";
import type { Receipt } from "../contract/receipts.ts";
import type { Firing, FiringOutcome, Schedule } from "../contract/schedules.ts";
import type { Finding } from "../contract/system.ts";
import type { Topic, TopicSettings } from "../contract/topics.ts";
import type { LogLine, RunQuery, RunStatus, SourceError } from "../contract/workflows.ts";
import type { Closeable } from "../lib/scope.ts";

/** An event that is checked and complete but for its place in the log. */
export interface EventDraft extends Omit<Event, "seq" | "recorded_ms"> {
  /** `payload` and `meta` as JSON text, made once where their size was checked. */
  payload_json: string;
  meta_json: string;
  raw: Json | undefined;
  refs: { kind: "mention" | "tool"; value: string }[];
  /** Claimable from then on; null: at once. */
  not_before_ms: number | null;
  /** How it ended before it came here; null: it waits in its topic. */
  finished: "completed" | "failed" | null;
  /** True: the same `external_id` with other content is refused instead of dropped. */
  strict: boolean;
}

export interface Appended {
  event: Event;
  /** It was there already; `event` is the first one. */
  duplicate: boolean;
}

/** A page of events as far as the time allowed. */
export interface FoundEvents {
  /** One more than the limit tells that there is a next page. */
  events: ListedEvent[];
  /** The last `seq` that was looked at when the time was up; null when nothing was left out. */
  cut: number | null;
}

/** What one commit changed, for those who wait. Handed out after the commit, in commit order. */
export interface Committed {
  /** In log order. */
  events: Event[];
  /** Topics that may have something to claim. */
  topics: Set<string>;
  /** Lanes that may have an effect to carry out: `laneOf`. */
  targets: Set<string>;
  /** Ids of effects whose state changed, and of new ones that a person has to look at. */
  changed: string[];
  /** Ids of new effects that are not judged yet. */
  proposed: string[];
  /** Effects that reached an end. */
  ended: Effect[];
  /** Earliest time at which something that this commit changed has to be looked at again. */
  dueMs: number | null;
}

/** Group of consumers a delivery belongs to; the queue that people see is `default`. */
export const DEFAULT_GROUP = "default";

export interface ClaimRequest {
  topic: string;
  agent: string;
  limit: number;
  /** Only this event. */
  event_id?: string | undefined;
  lease_ms: number | undefined;
  now_ms: number;
}

export interface ClaimedEvent {
  event: Event;
  lease: string;
  lease_until_ms: number;
  attempt: number;
}

/** Who says they hold a claim. */
export interface Holder {
  lease?: string | undefined;
  agent?: string | undefined;
}

export type Settlement =
  | { kind: "extend"; lease_ms: number | undefined }
  | { kind: "complete" }
  /** Ends as `failed`, for good. */
  | { kind: "reject"; error: string }
  /** Comes again while attempts are left, else ends as `dead`. */
  | { kind: "retry"; error: string; retry_in_ms: number | undefined }
  /** Nobody gets it before `delay_ms` are over. */
  | { kind: "release"; delay_ms?: number | undefined }
  /** Changes nothing; for a receipt alone. */
  | { kind: "keep" }
  /** As `complete` or `reject`, also of what nobody claimed. */
  | { kind: "answer"; status: "completed" | "failed" };

export interface SettleRequest {
  event_id: string;
  holder: Holder;
  settlement: Settlement;
  now_ms: number;
  /** Recorded in the same transaction. */
  events: EventDraft[];
  /** Kept if the event is claimed; the first of its kind under one lease stays. */
  receipt?: ReceiptDraft | undefined;
}

export type ReceiptDraft = Pick<Receipt, "kind" | "session" | "detail">;

export interface Settled {
  /** As it is then; null for an event that is in no topic. */
  delivery: Delivery | null;
  appended: Appended[];
}

export interface AgentRow extends Omit<Agent, "status" | "connections" | "open_commands"> {
  online: boolean;
}

/** An effect before it has a life of its own. */
export interface EffectDraft {
  id: string;
  kind: Effect["kind"];
  target: string;
  action: string;
  payload: JsonObject;
  sha256: string;
  /** What the hash covers besides; null when nothing. */
  bound?: JsonObject | null;
  /** What whoever asks says of it. */
  note?: string | null;
  summary: string;
  idempotency_key: string;
  state: EffectState;
  cause: Effect["cause"];
  depth: number;
  policy: Effect["policy"];
  correlation_id: string | null;
  created_ms: number;
  expires_ms: number | null;
  /** What a person types to approve it; for one that waits. */
  code?: string | undefined;
  /** Recorded in the same transaction if the effect is new. */
  events?: EventDraft[] | undefined;
  /** Of one that is approved: the first that is used up makes it wait. Counted in the same transaction. */
  budgets?: BudgetCheck[] | undefined;
}

/** At most `count` effects like this, or `bytes` of their payloads, since a time. Texts of `like` may hold `*` and `?`; one of each list has to match. */
export interface BudgetCheck {
  count?: number | undefined;
  bytes?: number | undefined;
  since_ms: number;
  like: Partial<Record<"kind" | "target" | "action" | "workflow" | "source", readonly string[] | undefined>>;
  /** What the effect becomes once it is used up. */
  held: Pick<EffectDraft, "policy" | "code" | "events">;
}

/** A decision about an effect or its end, for the audit trail. */
export interface AuditDraft {
  kind: string;
  actor: string | null;
  detail: JsonObject;
}

/** As the ledger keeps it: the public effect, and who holds it. */
export interface EffectRow extends Effect {
  idempotency_key: string;
  lease: string | null;
  lease_until_ms: number | null;
  depth: number;
}

/** Who carries an effect out: the agent of a command, or whoever does this kind, whatever its target. */
export type EffectLane = { target: string } | { kind: string };

/** A lane's name in `Committed.targets`. */
export function laneOf(effect: { kind: string; target: string }): string {
  return effect.kind === "command" ? effect.target : `kind:${effect.kind}`;
}

export interface EffectChange {
  /** It must be in one of these, and under this lease where one is given; otherwise nothing happens. */
  from: readonly EffectState[];
  lease?: string | undefined;
  /** Its bytes must be these. */
  if_sha256?: string | undefined;
  to: EffectState;
  now_ms: number;
  result?: Json;
  error?: string | null;
  not_before_ms?: number | null;
  lease_until_ms?: number | null;
  expires_ms?: number | null;
  /** Tells its end; recorded in the same transaction, and named in `result_event_id`. */
  event?: EventDraft;
  /** Its bytes have changed, or it is judged: decided about anew, under another code if it waits. */
  changed?: {
    sha256: string;
    policy: Effect["policy"];
    code?: string | undefined;
    bound?: JsonObject | null;
  };
  /** What else there is to tell, in the same transaction. */
  events?: EventDraft[] | undefined;
  /** Of one that becomes approved: the first that is used up makes it wait. */
  budgets?: BudgetCheck[] | undefined;
  /** Where an end says no more, the end itself goes into the audit trail. */
  audit?: AuditDraft;
}

/** A step of a handler that waits, so that running it again repeats nothing. */
export interface JournalStep {
  ordinal: number;
  kind: "publish" | "command" | "state" | "call" | "ask" | "sleep" | "action" | "effect" | "join" | "local";
  now_ms: number;
  /** The effect that a `join` waits for, which an operation before it made. */
  effect_id?: string;
  end?: { ok: true; value: Json } | { ok: false; message: string };
}

export interface RunRow {
  run_id: string;
  cause_key: string;
  workflow: string;
  handler: number;
  seq: number | null;
  event_id: string | null;
  status: RunStatus;
  attempts: number;
  version: string | null;
  line: string | null;
  started_ms: number | null;
  finished_ms: number | null;
  /** What `signalbox.now_ms()` said last. */
  now_ms: number | null;
  wake_ms: number | null;
  waiting_for: string | null;
  waiting_effect: string | null;
  journal: JournalStep[];
  output: Json | null;
  error: SourceError | null;
  logs: LogLine[];
}

/** All that one handler did, made durable at once. */
export interface RunCommit {
  run: RunRow;
  events: EventDraft[];
  effects: EffectDraft[];
  /** `undefined` removes the key. */
  state: { key: string; value: Json | undefined }[];
}

export interface WorkflowRow {
  name: string;
  disabled: boolean;
  parked_reason: string | null;
  strikes: number;
  events: number;
  errors: number;
  last_run_ms: number | null;
}

/** A schedule as it is kept. */
export interface ScheduleRow extends Omit<Schedule, "counts" | "upcoming"> {
  /** Steps of `every_ms` are counted from here. */
  anchor_ms: number;
  fired: number;
  skipped: number;
  failed: number;
  /** Raised with every change. */
  revision: number;
}

/** What came of one due time. Where it has an event, that is recorded in the same transaction. */
export interface FiringDraft extends Omit<Firing, "seq" | "schedule_id" | "event_id"> {
  event: EventDraft | null;
}

export interface ScheduleChange {
  /** The one that it was decided on; under another nothing happens. */
  revision: number;
  patch: Partial<Omit<ScheduleRow, "id" | "revision" | "fired" | "skipped" | "failed">>;
  /** One whose key is known as fired changes nothing; a skipped one is replaced. All are counted by the store. */
  firings: FiringDraft[];
  /** Firings that become something else; those that are not in a state of `from` stay as they are. */
  marks: { key: string; from: readonly FiringOutcome[]; to: FiringOutcome; reason: string | null }[];
  /** What else there is to tell. */
  events: EventDraft[];
}

export interface ScheduleChanged {
  schedule: ScheduleRow;
  /** Events of the firings, in their order; null where a firing has none. */
  fired: (Appended | null)[];
  /** How many marks changed something. */
  marked: number;
}

export interface FiringQuery {
  schedule_id?: string | undefined;
  outcome?: FiringOutcome | undefined;
  /** Recorded at or after. */
  since_ms?: number | undefined;
  /** Only those with a smaller `seq`. */
  before?: number | undefined;
  limit: number;
}

export interface StoreTotals {
  events: number;
  last_seq: number;
  topics: number;
  deliveries: { pending: number; processing: number; dead: number };
  /** `unaddressed`: commands for agents that nobody knows. */
  effects: { waiting: number; running: number; unknown: number; failed: number; unaddressed: number };
}

export interface CleanupRequest {
  completed_before_ms: number;
  raw_before_ms: number;
  /** 0: never. */
  pending_before_ms: number;
  dry_run: boolean;
  now_ms: number;
  /** Rows removed in one transaction; more is done by calling again. */
  batch: number;
}

/**
 * The durable state. Every method is one atomic operation, and what it answered survives the end of the process.
 * Writes of one moment share a transaction. All may throw `storage_full`, `storage_failed`, `busy`.
 */
export interface Store extends Closeable {
  /** Called after each commit, in order. Returns how to stop. */
  onCommitted(listener: (committed: Committed) => void): () => void;

  /** Records events in the order given. @throws `idempotency_conflict` */
  append(drafts: EventDraft[]): Promise<Appended[]>;
  getEvent(id: string): Promise<Event | null>;
  getRaw(id: string): Promise<Json | null>;
  getDeliveries(id: string): Promise<Delivery[]>;
  /** Oldest first. */
  getReceipts(id: string): Promise<Receipt[]>;
  /** Events caused by this one, oldest first, 200 at the most. */
  getCaused(id: string): Promise<Event[]>;
  /** Newest first unless asked otherwise; one row more than the limit tells that there is a next page. */
  findEvents(query: EventQuery): Promise<ListedEvent[]>;
  searchEvents(query: SearchQuery): Promise<ListedEvent[]>;
  /** The same, with what was found when `within_ms` were over: a little later, as nothing is broken off. */
  findWithin(query: EventQuery, within_ms: number): Promise<FoundEvents>;
  searchWithin(query: SearchQuery, within_ms: number): Promise<FoundEvents>;
  /** Events after `seq` in log order, `limit` at the most. */
  readLog(after: number, limit: number): Promise<Event[]>;
  lastSeq(): number;
  /** The largest `seq` recorded before this time. */
  seqBefore(recorded_ms: number): Promise<number>;

  listTopics(): Promise<Topic[]>;
  getTopic(name: string): Promise<Topic | null>;
  /** Creates or changes it. */
  saveTopic(name: string, patch: Partial<TopicSettings>, now_ms: number): Promise<Topic>;
  /** Forgets its settings. @throws `not_found`, `conflict` (it has deliveries) */
  deleteTopic(name: string): Promise<void>;
  /** @throws `not_found`, `forbidden` (not on the topic's list) */
  claim(request: ClaimRequest): Promise<ClaimedEvent[]>;
  peek(topic: string, limit: number, now_ms: number): Promise<Event[]>;
  /** @throws `not_found`, `lease_lost`, `conflict` (it is finished, or nobody claimed it) */
  settle(request: SettleRequest): Promise<Settled>;
  /** The same for many, which share a transaction: each stands by itself and is answered by itself, in order. */
  settleAll(requests: SettleRequest[]): Promise<(Settled | SignalboxError)[]>;
  purge(topic: string, status: "pending" | "completed" | "failed" | "dead" | "all"): Promise<number>;
  redrive(topic: string, event_ids: string[] | undefined, include_failed: boolean): Promise<number>;
  /** Makes delayed deliveries claimable, gives back expired leases, and buries what has no attempts left. */
  promoteDue(now_ms: number): Promise<void>;
  /** When `promoteDue` or the effects' sweep next has something to do. */
  nextDue(): number | null;

  readCursor(consumer: string): Promise<number | null>;
  saveCursor(consumer: string, seq: number, now_ms: number): Promise<void>;
  readConnectorCursor(connector: string): Promise<string | null>;
  /** Events and cursor in one transaction. */
  appendWithCursor(connector: string, drafts: EventDraft[], cursor: string): Promise<Appended[]>;

  saveAgent(row: {
    name: string;
    kind: "agent" | "connector";
    version: string;
    capabilities: string[];
    commands: CommandSpec[];
    now_ms: number;
  }): Promise<AgentRow>;
  beatAgent(
    name: string,
    beat: {
      now_ms: number;
      last_event_ms?: number | null | undefined;
      events_processed?: number | undefined;
      errors?: number | undefined;
    },
  ): Promise<AgentRow>;
  /** With the events that tell it, if the state changed. */
  setAgentOnline(name: string, online: boolean, events: EventDraft[]): Promise<boolean>;
  getAgent(name: string): Promise<AgentRow | null>;
  listAgents(): Promise<AgentRow[]>;
  removeAgent(name: string): Promise<boolean>;
  countOpenEffects(): Promise<Map<string, number>>;

  /** One whose idempotency key is known is not recorded again; the first comes back. */
  proposeEffects(drafts: EffectDraft[]): Promise<EffectRow[]>;
  getEffect(id: string): Promise<EffectRow | null>;
  listEffects(query: EffectQuery): Promise<EffectRow[]>;
  /**
   * Takes approved effects of a lane whose time has come, in the order they were asked for. With `until` it waits for
   * some until that aborts; who waits longest gets them first, in the transaction that makes them ready.
   */
  claimEffects(
    request: EffectLane & {
      by: string;
      limit: number;
      /** Never given before; the store makes one when it is left out. */
      lease?: string | undefined;
      lease_ms: number;
      now_ms: number;
      until?: AbortSignal | undefined;
    },
  ): Promise<EffectRow[]>;
  /** Compare and set; null when it is not in a state of `from`, or under another lease. */
  changeEffect(id: string, change: EffectChange): Promise<EffectRow | null>;
  extendEffects(ids: string[], by: string, lease_until_ms: number): Promise<void>;
  /** Running under an expired lease, or approved and expired. */
  dueEffects(now_ms: number): Promise<{ lapsed: EffectRow[]; expired: EffectRow[] }>;
  runningEffects(): Promise<EffectRow[]>;
  /** Those that nobody judged yet, oldest first. */
  proposedEffects(): Promise<EffectRow[]>;
  /** Whether one like this was carried out before: with success, or where `bound` is given however it ended. */
  isFamiliar(like: {
    kind: string;
    target: string;
    action: string;
    source?: string | undefined;
    bound?: JsonObject | undefined;
  }): Promise<boolean>;
  /** The id of the effect that a code was made for. */
  findApprovalCode(code: string): Promise<string | null>;
  /** The newest effect of this kind and target before `id` that was allowed; any target where it is left out. */
  lastAllowed(like: {
    id: string;
    kind: Effect["kind"];
    target?: string | undefined;
    action?: string | undefined;
  }): Promise<EffectRow | null>;
  /** Adds a decision that is about no effect; `effect_id` names what it is about. */
  recordAudit(entry: AuditDraft & { effect_id: string; sha256: string; time_ms: number }): Promise<void>;
  /** Oldest first. */
  listAudit(query: AuditQuery): Promise<AuditEntry[]>;
  /** Place and hash of the last entry, as they were written with it. */
  auditHead(): Promise<{ seq: number; hash: string } | null>;

  /** Records a run with all it did. A run whose `cause_key` is known under another id changes nothing. */
  commitRun(commit: RunCommit): Promise<Appended[]>;
  getRun(run_id: string): Promise<RunRow | null>;
  getRunByCause(cause_key: string): Promise<RunRow | null>;
  listRuns(query: RunQuery): Promise<RunRow[]>;
  /** Runs that were under way or wait. */
  openRuns(): Promise<RunRow[]>;
  runsOfEvent(event_id: string): Promise<RunRow[]>;
  recentLogs(workflow: string, limit: number): Promise<RunRow[]>;

  listWorkflowRows(): Promise<WorkflowRow[]>;
  saveWorkflowRow(name: string, patch: Partial<Omit<WorkflowRow, "name">>): Promise<WorkflowRow>;
  readWorkflowState(workflow: string): Promise<JsonObject>;

  listSchedules(): Promise<ScheduleRow[]>;
  /** @throws `conflict` where the name is taken */
  insertSchedule(row: ScheduleRow): Promise<ScheduleRow>;
  /** Compare and set; null when it is gone or has changed meanwhile. */
  changeSchedule(id: string, change: ScheduleChange): Promise<ScheduleChanged | null>;
  removeSchedule(id: string): Promise<boolean>;
  /** Newest first; one row more than the limit tells that there is a next page. */
  listFirings(query: FiringQuery): Promise<Firing[]>;
  getFiringByEvent(event_id: string): Promise<Firing | null>;

  /** Up to when somebody has seen what happened; null when they never looked. */
  readMark(name: string): Promise<number | null>;
  /** Never goes back. Answers with the mark as it is then. */
  saveMark(name: string, seen_ms: number): Promise<number>;

  totals(): StoreTotals;
  /** Why the last write failed; null when it was committed. */
  writeProblem(): Error | null;
  /** Removes one batch of what is past its retention; `more` tells to call again. */
  cleanup(
    request: CleanupRequest,
  ): Promise<{ events: number; raw: number; runs: number; effects: number; more: boolean }>;
  /** Copies everything into a new file while work goes on. */
  backup(file: string): Promise<{ bytes: number; events: number }>;
  check(): Promise<Finding[]>;
}
