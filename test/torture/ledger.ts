/** What the driver outside knows: what it asked for and what was acknowledged. It never looks inside the service. */

export interface Push {
  /** In the event's payload; unique in the ledger. */
  readonly token: string;
  /** Sequence of one pusher: its events must stay in this order. */
  readonly lane: string;
  readonly place: number;
  readonly topic: string | null;
  /** What the workflow will make of it; null: nothing. */
  readonly work: Work | null;
  /** Idempotency key. */
  readonly key: string | null;
  readonly sentMs: number;
  /** Every answer to it; more than one only with a key. */
  readonly acks: { event_id: string; seq: number; duplicate: boolean; ms: number }[];
}

export interface Work {
  /** Asks the agent and goes on with its answer. */
  readonly waits: boolean;
  /** Comments by the connector, which must not be repeated. */
  readonly comments: boolean;
}

/** A claim whose answer arrived. */
export interface Grant {
  readonly event_id: string;
  readonly lease: string;
  readonly by: string;
  readonly attempt: number;
  readonly grantedMs: number;
  /** Moves with each acknowledged renewal. */
  untilMs: number;
  /** When its holder first asked to end it; it may be free from then on. */
  endSentMs: number | null;
}

export interface Finished {
  readonly how: "completed" | "failed";
  readonly sentMs: number;
  readonly ackedMs: number;
  readonly reply_id: string | null;
}

export interface Handled {
  readonly effect_id: string;
  readonly payload: string;
  receipts: number;
  /** Its end was acknowledged for good. */
  over: boolean;
}

export class Ledger {
  readonly seed: number;
  /** By token. */
  readonly pushes = new Map<string, Push>();
  readonly grants: Grant[] = [];
  /** Acknowledged ends of claims, by event. */
  readonly finished = new Map<string, Finished>();
  /** Replies that were asked for, by event. */
  readonly replies = new Map<string, number>();
  /** What the recording agent did, by what the workflow asked for. */
  readonly handled = new Map<string, Handled>();
  /** Effects whose end the service acknowledged, and when. */
  readonly overEffects = new Map<string, number>();
  /** Commands sent by hand: idempotency key → effect. */
  readonly sentCommands = new Map<string, string>();
  /** The log as the live reader got it. */
  readonly stream: { seq: number; ms: number }[] = [];
  /** Clean-ups that were asked for: when, and how old a finished event had to be. */
  readonly cleanups: { sentMs: number; olderThanMs: number }[] = [];
  readonly violations: string[] = [];
  operations = 0;
  readonly counts = { pushes: 0, claims: 0, completions: 0, commands: 0, kills: 0, restarts: 0 };

  constructor(seed: number) {
    this.seed = seed;
  }

  violation(text: string): void {
    // One broken promise can show itself thousands of times.
    if (this.violations.length < 100) this.violations.push(text);
  }

  newPush(push: Omit<Push, "sentMs" | "acks">): Push {
    const made: Push = { ...push, sentMs: Date.now(), acks: [] };
    this.pushes.set(push.token, made);
    return made;
  }

  acknowledge(push: Push, pushed: { event_id: string; seq: number; duplicate: boolean }): void {
    const { event_id, seq, duplicate } = pushed;
    const [first] = push.acks;
    if (first && (first.event_id !== event_id || first.seq !== seq)) {
      this.violation(`${push.token} was acknowledged as ${first.event_id} and again as ${event_id}`);
    }
    if (first && !duplicate) this.violation(`${push.token} was recorded a second time as ${event_id}`);
    if (!push.key && duplicate) this.violation(`${push.token} was called a duplicate without a key`);
    push.acks.push({ event_id, seq, duplicate, ms: Date.now() });
    this.counts.pushes += 1;
  }

  grant(grant: Grant): void {
    const finished = this.finished.get(grant.event_id);
    if (finished && grant.grantedMs > finished.ackedMs) {
      this.violation(`${grant.event_id} was ${finished.how} and then given to ${grant.by}`);
    }
    this.grants.push(grant);
    this.counts.claims += 1;
  }

  finish(event_id: string, finished: Finished): void {
    const before = this.finished.get(event_id);
    if (before) this.violation(`${event_id} was finished twice: ${before.how}, then ${finished.how}`);
    this.finished.set(event_id, finished);
    this.counts.completions += 1;
  }

  /**
   * What a recording agent was told to do, and when the service handed it out: it may get to it much later.
   * @returns what it knows of it, so that it does it only once
   */
  handle(what: string, effect_id: string, payload: string, handedOutMs: number): Handled {
    const overMs = this.overEffects.get(effect_id);
    if (overMs !== undefined && handedOutMs > overMs) {
      this.violation(`${effect_id} (${what}) came again after its result was acknowledged`);
    }
    const known = this.handled.get(what);
    if (known) {
      known.receipts += 1;
      if (known.effect_id !== effect_id) {
        this.violation(`${what} was asked for twice: as ${known.effect_id} and as ${effect_id}`);
      }
      if (known.payload !== payload) this.violation(`${effect_id} changed its payload between attempts`);
      return known;
    }
    const made: Handled = { effect_id, payload, receipts: 1, over: false };
    this.handled.set(what, made);
    this.counts.commands += 1;
    return made;
  }

  /** Whether a clean-up before `atMs` may have removed an event that was done with at `doneMs` at the earliest. */
  mayBeGone(doneMs: number, atMs = Number.POSITIVE_INFINITY): boolean {
    return this.cleanups.some(
      ({ sentMs, olderThanMs }) => sentMs <= atMs && doneMs < sentMs + CLOCK_MS - olderThanMs,
    );
  }
}

/** Both sides read the same clock, in whole milliseconds. */
export const CLOCK_MS = 50;
