import { createHash } from "node:crypto";
import type { Json } from "../../contract/common.ts";
import type { JournalEntry, Operation, RunRequest } from "./host.ts";

/** Operations one run may come to; a loop that sends without end stops here. */
const MAX_OPERATIONS = 10_000;

export type WaitEnd = { ok: true; value: Json } | { ok: false; message: string };

/** The run did something else than the attempt before it: its journal can't answer for it. Not to be caught in Lua. */
export class NonDeterminism extends Error {}

type WithoutPlace<T> = T extends unknown ? Omit<T, "ordinal" | "line"> : never;

/**
 * What one run of a handler has done: counts its operations, answers from the journal those that an earlier
 * attempt did, and keeps the new ones until they are taken.
 */
export class Activity {
  readonly request: Omit<RunRequest, "workflow">;
  /** What the wait under way came to; set before the handler goes on. */
  end: WaitEnd | null = null;
  isWaiting = false;
  #journal: Map<number, JournalEntry>;
  #lastJournaled: number;
  #ordinal = 0;
  #nowMs: number;
  #operations: Operation[] = [];
  /** Effects that this run asked for, and what people call them. */
  readonly #effects = new Map<string, string>();
  #random: (() => number) | null = null;

  constructor(request: Omit<RunRequest, "workflow">) {
    this.request = request;
    this.#journal = new Map(request.journal.map((entry) => [entry.ordinal, entry]));
    this.#lastJournaled = Math.max(0, ...this.#journal.keys());
    this.#nowMs = request.now_ms;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** True while the handler does again what an earlier attempt did (and logged). */
  get isReplaying(): boolean {
    return this.#ordinal < this.#lastJournaled;
  }

  /** The same sequence in every attempt. */
  random(): number {
    this.#random ??= sequence(createHash("sha256").update(this.request.effectKey).digest().readUInt32LE(0));
    return this.#random();
  }

  seedRandom(seed: number): void {
    this.#random = sequence(seed);
  }

  /** The id of the effect that the next operation makes; the same in every attempt. */
  get nextEffectKey(): string {
    return `${this.request.effectKey}:${this.#ordinal + 1}`;
  }

  /**
   * Records an operation, or gives the journal's answer if an earlier attempt did it.
   * @throws NonDeterminism when that attempt did something of another kind here
   */
  record(line: number | null, operation: WithoutPlace<Operation>): JournalEntry | undefined {
    const ordinal = ++this.#ordinal;
    if ("effect_id" in operation) this.#effects.set(operation.effect_id, labelOf(operation));
    const entry = this.#journal.get(ordinal);
    if (entry && entry.kind !== operation.kind) {
      throw new NonDeterminism(
        `this run's operation ${ordinal} was a ${entry.kind} in an earlier attempt and is a ${operation.kind} now; a handler must do the same when it is repeated`,
      );
    }
    if (entry) {
      this.#nowMs = entry.now_ms;
      return entry;
    }
    if (ordinal > MAX_OPERATIONS) throw new Error(`more than ${MAX_OPERATIONS} operations in one run`);
    this.#operations.push({ ordinal, line, ...operation } as Operation);
    return undefined;
  }

  /** What an effect of this run is called; undefined for any other. */
  effectLabel(effect_id: string): string | undefined {
    return this.#effects.get(effect_id);
  }

  /** @throws NonDeterminism when an earlier attempt did more than this one has when it ends */
  assertJournalUsed(): void {
    if (this.#ordinal >= this.#lastJournaled) return;
    throw new NonDeterminism(
      `this run ended after ${this.#ordinal} operations, an earlier attempt did ${this.#lastJournaled}; a handler must do the same when it is repeated`,
    );
  }

  goOn(end: WaitEnd, nowMs: number): void {
    this.end = end;
    this.#nowMs = nowMs;
    this.isWaiting = false;
  }

  /** The operations since the last call. */
  takeOperations(): Operation[] {
    const taken = this.#operations;
    this.#operations = [];
    return taken;
  }
}

function labelOf(operation: Extract<WithoutPlace<Operation>, { effect_id: string }>): string {
  switch (operation.kind) {
    case "command":
    case "call":
      return `${operation.agent}.${operation.command}`;
    case "effect":
      return operation.effect_kind;
    case "ask":
      return operation.question.title;
    default:
      return operation.action;
  }
}

/** A small generator of numbers in [0, 1) (mulberry32): good enough to choose, not for secrets. */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
