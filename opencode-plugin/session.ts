/** What a session is to us, and what becomes of it: pure, so that every order of events can be tried. */
import type { Claimed } from "../service/contract/topics.ts";
import type { NoReply } from "./settings.ts";

/** Who a session speaks as. Sent back with every prompt: OpenCode forgets it otherwise, and turns plan into build. */
export interface Persona {
  readonly agent?: string | undefined;
  readonly model?: { readonly providerID: string; readonly modelID: string } | undefined;
  readonly variant?: string | undefined;
}

/** An event that was given to a session and is not finished yet. */
export interface Inflight {
  readonly event_id: string;
  readonly topic: string;
  readonly lease: string;
  /** The session took it in. */
  readonly accepted: boolean;
  /** The model began to answer. */
  readonly seen: boolean;
  readonly acted: boolean;
  readonly replied: boolean;
  readonly error: string | null;
}

export interface Session {
  readonly id: string;
  readonly phase: "unknown" | "idle" | "busy";
  /** Made for a sub-task of another session. */
  readonly child: boolean;
  readonly archived: boolean;
  /** Something was undone: a prompt now would drop it for good. */
  readonly reverted: boolean;
  /** Made by us for one topic. */
  readonly dedicated: boolean;
  /** What it takes events from; null: nobody has said yet. */
  readonly topics: readonly string[] | null;
  /** Why it takes none at the moment. */
  readonly paused: string | null;
  readonly persona: Persona;
  readonly inflight: Inflight | null;
  /** When it got events, within the last hour. */
  readonly times: readonly number[];
  /** Turns that failed, one after the other. */
  readonly failures: number;
  /** Takes nothing before. */
  readonly rest_until_ms: number;
  /** A message came in whose turn has not begun: it should by then. 0: none is awaited. */
  readonly starts_by_ms: number;
}

export interface Rules {
  readonly topics: readonly string[];
  readonly perHour: number;
  readonly minGapMs: number;
  readonly failures: number;
  noReply(topic: string): NoReply;
}

export type Input =
  /** A message came in; `real` if the user wrote it, `event_id` if it is one of ours. */
  | { kind: "message"; real: boolean; event_id: string | null; persona: Persona }
  | { kind: "status"; busy: boolean }
  /** What a look at the session said, a moment after it fell idle. */
  | { kind: "settled"; idle: boolean }
  | { kind: "error"; aborted: boolean; message: string }
  /** The model says or does something. */
  | { kind: "output" }
  | { kind: "tool"; tool: string }
  | { kind: "replied"; event_id: string }
  | { kind: "info"; child: boolean; archived: boolean; reverted: boolean; persona: Persona }
  | { kind: "claimed"; claimed: Claimed; topic: string }
  /** A claimed event that is part of the user's own message. */
  | { kind: "carried"; claimed: Claimed; topic: string }
  /** The prompt did not go out. */
  | { kind: "refused"; message: string; gone: boolean }
  | { kind: "lease-lost" }
  /** It took too long: until it was accepted, or altogether. */
  | { kind: "overdue"; message: string }
  | { kind: "listen"; topics: readonly string[] | null }
  | { kind: "deleted" }
  | { kind: "disposed" };

export type Act =
  | { kind: "inject"; claimed: Claimed; topic: string; persona: Persona }
  /** Look again in a moment whether it is idle. */
  | { kind: "settle" }
  | { kind: "receipt"; inflight: Inflight; receipt: "delivered" | "seen" | "acted"; detail: string | null }
  | { kind: "ack"; inflight: Inflight }
  | { kind: "nack"; inflight: Inflight; error: string }
  | { kind: "release"; event_id: string; lease: string }
  | { kind: "reply-with-last-text"; inflight: Inflight }
  /** The event is no longer ours to look after, whatever became of it. */
  | { kind: "end"; event_id: string }
  | { kind: "tell"; text: string; level: "info" | "warning" }
  /** It may be able to take something now. */
  | { kind: "pull" };

export interface Step {
  readonly session: Session;
  readonly acts: readonly Act[];
}

const HOUR_MS = 3_600_000;
/** From a message to the first sign of its turn; OpenCode takes seconds for the first one, on a busy machine more. */
const START_MS = 120_000;
const REST_BASE_MS = 30_000;
const REST_MAX_MS = 600_000;

export function newSession(id: string): Session {
  return {
    ...{ id, phase: "unknown", child: false, archived: false, reverted: false, dedicated: false },
    ...{ topics: null, paused: null, persona: {}, inflight: null, times: [], failures: 0, rest_until_ms: 0 },
    starts_by_ms: 0,
  };
}

/**
 * When a session could take an event of a topic: 0 means now, a number that it has to wait until then, a text why it
 * can't at all as things stand.
 */
export function readiness(session: Session, topic: string, rules: Rules, now_ms: number): number | string {
  if (session.topics === null || !session.topics.includes(topic)) return "it does not listen";
  if (session.child) return "it is a sub-task";
  if (session.archived) return "it is archived";
  if (session.reverted) return "something in it was undone";
  if (session.paused !== null) return session.paused;
  if (session.inflight !== null) return `it works on ${session.inflight.event_id}`;
  if (session.phase !== "idle") return session.phase === "busy" ? "it is busy" : "nothing is known of it yet";
  const recent = session.times.filter((time) => time > now_ms - HOUR_MS);
  const oldest = recent.at(-rules.perHour);
  const last = recent.at(-1);
  const from = Math.max(
    session.rest_until_ms,
    oldest === undefined ? 0 : oldest + HOUR_MS,
    last === undefined ? 0 : last + rules.minGapMs,
  );
  return from > now_ms ? from : 0;
}

/** One step. Every claimed event ends in exactly one of ack, nack, release, an answer, or a lost lease. */
export function step(session: Session, input: Input, rules: Rules, now_ms: number): Step {
  switch (input.kind) {
    case "message":
      return onMessage(session, input, rules, now_ms);
    case "status":
      return onStatus(session, input.busy, now_ms);
    case "settled":
      if (!input.idle) return { session: { ...session, phase: "busy", starts_by_ms: 0 }, acts: [] };
      return turnEnded(session, rules, now_ms);
    case "error":
      return onError(session, input, rules, now_ms);
    case "output":
      return seen(session);
    case "tool":
      return acted(session, input.tool);
    case "replied":
      return onReplied(session, input.event_id);
    case "info": {
      const { child, archived, reverted, persona } = input;
      const next = {
        ...session,
        child,
        archived,
        reverted,
        persona: renewed(session.persona, persona),
      };
      return { session: next, acts: [{ kind: "pull" }] };
    }
    case "claimed":
    case "carried":
      return onClaimed(session, input, rules, now_ms);
    case "refused":
      return onRefused(session, input.message, input.gone, rules, now_ms);
    case "lease-lost":
      return onLost(session);
    case "overdue":
      return nacked(session, input.message, rules, now_ms);
    case "listen":
      return onListen(session, input.topics);
    case "deleted": {
      const { session: after, acts } = nacked(session, "the session was deleted", rules, now_ms);
      return { session: { ...after, topics: null, phase: "unknown" }, acts };
    }
    case "disposed":
      return onDisposed(session, rules, now_ms);
  }
}

/** A variant belongs to its model, so both are taken together; what is not known leaves what is. */
function renewed(before: Persona, { agent = before.agent, model, variant }: Persona): Persona {
  return model === undefined ? { ...before, agent } : { agent, model, variant };
}

function onMessage(
  session: Session,
  { real, event_id, persona }: Extract<Input, { kind: "message" }>,
  rules: Rules,
  now_ms: number,
): Step {
  // One that joins a turn which is under way ends with that.
  const starts_by_ms = session.phase === "busy" ? session.starts_by_ms : now_ms + START_MS;
  const next: Session = {
    ...session,
    phase: "busy",
    starts_by_ms,
    persona: renewed(session.persona, persona),
  };
  const { inflight } = next;
  if (inflight && event_id === inflight.event_id && !inflight.accepted) {
    const accepted = { ...inflight, accepted: true };
    return {
      session: { ...next, inflight: accepted },
      acts: [{ kind: "receipt", inflight: accepted, receipt: "delivered", detail: null }],
    };
  }
  if (!real) return { session: next, acts: [] };
  const resumed = session.paused === null ? [] : [tell("takes events again")];
  const topics = next.topics ?? (next.child ? null : rules.topics);
  return { session: { ...next, topics, paused: null, failures: 0, rest_until_ms: 0 }, acts: resumed };
}

/**
 * `session.status` and `session.idle` tell the same, and after an error both come twice: only the change counts. One
 * that comes between a message and the beginning of its turn tells of the turn before.
 */
function onStatus(session: Session, busy: boolean, now_ms: number): Step {
  if (busy) return { session: { ...session, phase: "busy", starts_by_ms: 0 }, acts: [] };
  if (session.phase === "idle" || session.starts_by_ms > now_ms) return { session, acts: [] };
  return { session: { ...session, phase: "idle" }, acts: [{ kind: "settle" }] };
}

function turnEnded(session: Session, rules: Rules, now_ms: number): Step {
  const { inflight, starts_by_ms } = session;
  if (starts_by_ms > now_ms) return { session, acts: [] };
  const idle: Session = { ...session, phase: "idle", starts_by_ms: 0 };
  // One that is not accepted yet is on its way: its turn is still to come.
  if (!inflight?.accepted) return { session: idle, acts: [{ kind: "pull" }] };
  if (inflight.error !== null && !inflight.replied) return nacked(idle, inflight.error, rules, now_ms);
  if (starts_by_ms > 0 && !inflight.replied)
    return nacked(idle, "OpenCode accepted the prompt and did not begin a turn", rules, now_ms);
  const free: Session = { ...idle, inflight: null, failures: inflight.error === null ? 0 : session.failures };
  const end: Act[] = [{ kind: "end", event_id: inflight.event_id }, { kind: "pull" }];
  if (inflight.replied) return { session: free, acts: end };
  const first = seen(session).acts;
  const rule = rules.noReply(inflight.topic);
  if (rule === "nack") {
    const failed = nacked(idle, "the turn ended without an answer", rules, now_ms);
    return { ...failed, acts: [...first, ...failed.acts] };
  }
  return { session: free, acts: [...first, { kind: rule, inflight }, ...end] };
}

function onError(
  session: Session,
  { aborted, message }: Extract<Input, { kind: "error" }>,
  rules: Rules,
  now_ms: number,
): Step {
  const { inflight } = session;
  const reason = aborted ? "stopped by the user" : message;
  // A dedicated session has no user who would wake it, so it rests and tries again.
  const pauses = !session.dedicated || aborted;
  const paused = pauses ? (aborted ? "you stopped it" : `an error: ${message}`) : session.paused;
  const told =
    pauses && session.paused === null && session.topics !== null
      ? [tell(`takes no more events (${paused}) until you write to it`, "warning")]
      : [];
  const stopped: Session = { ...session, paused, starts_by_ms: 0 };
  if (!inflight) return { session: stopped, acts: told };
  // The prompt was taken in and then refused, as with an agent that is unknown: no turn begins, so none ends.
  if (!inflight.accepted) {
    const failed = nacked(stopped, reason, rules, now_ms);
    return { ...failed, acts: [...told, ...failed.acts] };
  }
  return { session: { ...stopped, inflight: { ...inflight, error: inflight.error ?? reason } }, acts: told };
}

function seen(session: Session): Step {
  const { inflight } = session;
  if (!inflight?.accepted || inflight.seen) return { session, acts: [] };
  const next = { ...inflight, seen: true };
  return {
    session: { ...session, inflight: next, starts_by_ms: 0 },
    acts: [{ kind: "receipt", inflight: next, receipt: "seen", detail: null }],
  };
}

function acted(session: Session, tool: string): Step {
  const first = seen(session);
  const { inflight } = first.session;
  if (!inflight?.accepted || inflight.acted) return first;
  const next = { ...inflight, acted: true };
  return {
    session: { ...first.session, inflight: next },
    acts: [...first.acts, { kind: "receipt", inflight: next, receipt: "acted", detail: tool }],
  };
}

function onReplied(session: Session, event_id: string): Step {
  const { inflight } = session;
  if (inflight?.event_id !== event_id) return { session, acts: [] };
  return { session: { ...session, inflight: { ...inflight, replied: true } }, acts: [] };
}

function onClaimed(
  session: Session,
  { kind, claimed, topic }: Extract<Input, { kind: "claimed" | "carried" }>,
  rules: Rules,
  now_ms: number,
): Step {
  const { event, lease } = claimed;
  const isFree =
    kind === "carried" ? session.inflight === null : readiness(session, topic, rules, now_ms) === 0;
  if (!isFree) return { session, acts: [{ kind: "release", event_id: event.id, lease }] };
  const accepted = kind === "carried";
  const inflight: Inflight = {
    ...{ event_id: event.id, topic, lease, accepted, seen: false, acted: false, replied: false, error: null },
  };
  const times = [...session.times.filter((time) => time > now_ms - HOUR_MS), now_ms];
  const act: Act = accepted
    ? { kind: "receipt", inflight, receipt: "delivered", detail: null }
    : { kind: "inject", claimed, topic, persona: session.persona };
  return { session: { ...session, inflight, times }, acts: [act] };
}

function onRefused(session: Session, message: string, gone: boolean, rules: Rules, now_ms: number): Step {
  const { inflight } = session;
  if (!inflight || inflight.accepted) return { session, acts: [] };
  if (!gone) return nacked(session, message, rules, now_ms);
  // Nobody has seen it, so another session gets it as if nothing had been.
  const { event_id, lease, replied } = inflight;
  const release: Act[] = replied ? [] : [{ kind: "release", event_id, lease }];
  return {
    session: { ...session, inflight: null, topics: null, phase: "unknown" },
    acts: [...release, { kind: "end", event_id }, { kind: "pull" }],
  };
}

function onLost(session: Session): Step {
  const { inflight } = session;
  if (!inflight) return { session, acts: [] };
  return {
    session: { ...session, inflight: null },
    acts: [
      { kind: "end", event_id: inflight.event_id },
      ...(inflight.replied ? [] : [tell(`has lost ${inflight.event_id}: its lease ran out`, "warning")]),
    ],
  };
}

function onListen(session: Session, topics: readonly string[] | null): Step {
  const next: Session = { ...session, topics: topics ?? [], paused: null, failures: 0, rest_until_ms: 0 };
  return { session: next, acts: [{ kind: "pull" }] };
}

/** It comes again, here or elsewhere, unless it was answered: then it is done. */
function nacked(session: Session, error: string, rules: Rules, now_ms: number): Step {
  const { inflight } = session;
  if (!inflight) return { session, acts: [] };
  const { event_id, replied } = inflight;
  const failures = session.failures + 1;
  const rest = Math.min(REST_MAX_MS, REST_BASE_MS * 2 ** Math.min(failures - 1, 10));
  const trips = failures >= rules.failures && session.paused === null;
  const next: Session = {
    ...session,
    ...{ inflight: null, failures, rest_until_ms: now_ms + rest },
    paused: trips ? `${failures} turns failed one after the other` : session.paused,
  };
  const acts: Act[] = [
    ...(replied ? [] : [{ kind: "nack" as const, inflight, error }]),
    { kind: "end", event_id },
    ...(trips ? [tell(`takes no more events: ${next.paused}`, "warning")] : []),
    { kind: "pull" },
  ];
  return { session: next, acts };
}

/** OpenCode ends. A turn that had ended before counts, one that is cut short does not. */
function onDisposed(session: Session, rules: Rules, now_ms: number): Step {
  const { inflight, phase } = session;
  if (!inflight) return { session, acts: [] };
  const hasEnded = phase === "idle" && session.starts_by_ms === 0;
  if (hasEnded && inflight.accepted && inflight.error === null) return turnEnded(session, rules, now_ms);
  return nacked(session, inflight.error ?? "OpenCode ended in the middle of the turn", rules, now_ms);
}

function tell(text: string, level: "info" | "warning" = "info"): Act {
  return { kind: "tell", text, level };
}
