import { createAgent } from "../../service/agents/sdk.ts";
import type { Client } from "../../service/client/call.ts";
import type { Command } from "../../service/contract/agents.ts";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { NewEvent } from "../../service/contract/events.ts";
import type { Claimed } from "../../service/contract/topics.ts";
import { CLOCK_MS, type Grant, type Ledger, type Push } from "./ledger.ts";
import type { Random } from "./random.ts";
import { pause } from "./service-process.ts";
import { AGENT, SDK_AGENT } from "./workload.ts";

export const TOPICS = ["alpha", "beta", "gamma"] as const;
/** The one whose events die after a few attempts. */
export const MORTAL = "gamma";
/** An answer that takes longer than this will never come. */
const HANG_MS = 30_000;

/** What every actor has. */
export interface Stage {
  readonly ledger: Ledger;
  readonly client: Client;
  readonly signal: AbortSignal;
  /** Resolves when the service answers again. */
  whenUp(): Promise<void>;
  readonly backupFile: string;
}

type Outcome<T> =
  | { kind: "done"; value: T }
  | { kind: "refused"; error: SignalboxError }
  | { kind: "unknown" };

/** One operation. What was under way at a kill has an unknown outcome: it may have happened or not. */
export async function attempt<T>(
  stage: Stage,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Outcome<T>> {
  const { ledger } = stage;
  ledger.operations += 1;
  try {
    return { kind: "done", value: await call(AbortSignal.timeout(HANG_MS)) };
  } catch (error) {
    if (!SignalboxError.is(error)) {
      ledger.violation(`${what} hung or broke: ${String(error)}`);
      return { kind: "unknown" };
    }
    if (isInterruption(error)) {
      if (!stage.signal.aborted) await stage.whenUp();
      return { kind: "unknown" };
    }
    if (error.status >= 500 || error.code === "protocol_mismatch") {
      ledger.violation(`${what} was answered ${error.code}: ${error.message}`);
    }
    return { kind: "refused", error };
  }
}

/** The connection ended with the service, or the token was read just before the new one was written. */
function isInterruption(error: SignalboxError): boolean {
  return ["service_unreachable", "unavailable", "unauthorized"].includes(error.code);
}

/** Repeats until it is clear what happened. */
async function insist<T>(
  stage: Stage,
  what: string,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Exclude<Outcome<T>, { kind: "unknown" }> | null> {
  while (!stage.signal.aborted) {
    const outcome = await attempt(stage, what, call);
    if (outcome.kind !== "unknown") return outcome;
  }
  return null;
}

/** Pushes one after the other, in all ways there are; its events must stay in this order. */
export async function runPusher(stage: Stage, random: Random, lane: string): Promise<void> {
  let place = 0;
  const next = (): Push => {
    place += 1;
    const isWork = random.chance(0.3);
    return stage.ledger.newPush({
      token: `${lane}-${place}`,
      lane,
      place,
      topic: isWork ? null : random.pick(TOPICS),
      work: isWork ? { waits: random.chance(0.3), comments: random.chance(0.01) } : null,
      key: random.chance(0.2) ? `key-${lane}-${place}` : null,
    });
  };
  while (!stage.signal.aborted) {
    const size = random.chance(0.25) ? random.int(2, 30) : 1;
    if (size === 1) await pushOne(stage, random, next());
    else await pushBatch(stage, Array.from({ length: size }, next));
    await pause(random.int(0, 8));
  }
}

function toEvent(push: Push): NewEvent {
  const { token, lane, place, work } = push;
  return {
    ...(push.topic === null ? { type: `work.${lane}` } : { topic: push.topic, type: "job.wanted" }),
    subject: work === null ? `jobs.${lane}` : `work.${lane}`,
    source: "driver",
    body: `${token} for @${AGENT}`,
    payload: { token, lane, place, ...(work ?? {}) },
    ...(push.key === null ? {} : { idempotency_key: push.key }),
  };
}

async function pushOne(stage: Stage, random: Random, push: Push): Promise<void> {
  const event = toEvent(push);
  const delayed =
    push.topic !== null && random.chance(0.1) ? { ...event, delay_ms: random.int(1, 300) } : event;
  const again = push.key !== null && random.chance(0.3);
  const call = (signal: AbortSignal) => stage.client.pushEvent(delayed, { signal });
  const outcome = push.key === null ? await attempt(stage, "push", call) : await insist(stage, "push", call);
  if (outcome?.kind === "done") stage.ledger.acknowledge(push, outcome.value);
  if (outcome?.kind === "refused") stage.ledger.violation(`a push was refused: ${outcome.error.message}`);
  if (!again) return;
  const repeated = await attempt(stage, "repeated push", call);
  if (repeated.kind === "done") stage.ledger.acknowledge(push, repeated.value);
}

async function pushBatch(stage: Stage, pushes: Push[]): Promise<void> {
  const events = pushes.map(toEvent) as never[];
  const outcome = await attempt(stage, "batch", (signal) => stage.client.pushEvents({ events }, { signal }));
  if (outcome.kind !== "done") return;
  pushes.forEach((push, index) => {
    const result = outcome.value.results[index];
    if (result && "event_id" in result) stage.ledger.acknowledge(push, result);
    else stage.ledger.violation(`${push.token} of a batch was refused: ${JSON.stringify(result)}`);
  });
}

/** Claims and settles in all ways there are, also by doing nothing. */
export async function runClaimer(stage: Stage, random: Random, name: string): Promise<void> {
  while (!stage.signal.aborted) {
    const lease_ms = random.pick([400, 1_500, 5_000]);
    const limit = random.pick([1, 1, 5, 20]);
    const wait_ms = random.pick([0, 0, 100]);
    const topic = random.pick(TOPICS);
    const outcome = await attempt(stage, "claim", (signal) =>
      stage.client.claimEvents({ topic, agent: name, limit, wait_ms, lease_ms }, { signal }),
    );
    if (outcome.kind !== "done") continue;
    const grants = outcome.value.claimed.map((claimed) => toGrant(claimed, name, lease_ms));
    for (const grant of grants) stage.ledger.grant(grant);
    for (const grant of grants) await settle(stage, random, grant);
    if (grants.length === 0) await pause(random.int(1, 30));
  }
}

function toGrant(claimed: Claimed, by: string, lease_ms: number): Grant {
  return {
    event_id: claimed.event.id,
    lease: claimed.lease,
    by,
    attempt: claimed.attempt,
    grantedMs: claimed.lease_until_ms - lease_ms,
    untilMs: claimed.lease_until_ms,
    endSentMs: null,
  };
}

async function settle(stage: Stage, random: Random, grant: Grant): Promise<void> {
  const { client } = stage;
  const { event_id, lease } = grant;
  if (random.chance(0.15)) await extend(stage, grant, random.pick([500, 2_000]));
  const choice = random.int(1, 100);
  if (choice <= 50) {
    await end(stage, grant, "completed", (signal) => client.completeClaim({ event_id, lease }, { signal }));
  } else if (choice <= 75) {
    const status = random.chance(0.8) ? "success" : "failed";
    await answer(stage, grant, status);
  } else if (choice <= 82) {
    await giveBack(stage, grant, (signal) => client.releaseClaim({ event_id, lease }, { signal }));
  } else if (choice <= 90) {
    const retry_in_ms = random.int(0, 200);
    await giveBack(stage, grant, (signal) => client.failClaim({ event_id, lease, retry_in_ms }, { signal }));
  } else if (choice <= 94) {
    await end(stage, grant, "failed", (signal) =>
      client.failClaim({ event_id, lease, retry: false }, { signal }),
    );
  }
  // Otherwise it is left, until its lease runs out.
}

async function extend(stage: Stage, grant: Grant, lease_ms: number): Promise<void> {
  const { event_id, lease } = grant;
  const sentMs = Date.now();
  const outcome = await attempt(stage, "extend", (signal) =>
    stage.client.extendClaim({ event_id, lease, lease_ms }, { signal }),
  );
  if (outcome.kind === "done") grant.untilMs = outcome.value.delivery.lease_until_ms ?? grant.untilMs;
  // It may have been done before the kill, and what it asked for may end sooner than the claim did.
  if (outcome.kind === "unknown") grant.untilMs = Math.min(grant.untilMs, sentMs + lease_ms);
  if (outcome.kind === "refused") expectLost(stage.ledger, grant, sentMs, outcome.error);
}

/** Finishes it; whoever asks twice after a crash may hear that it happened the first time. */
async function end(
  stage: Stage,
  grant: Grant,
  how: "completed" | "failed",
  call: (signal: AbortSignal) => Promise<object>,
): Promise<void> {
  const sentMs = Date.now();
  grant.endSentMs = sentMs;
  const first = await attempt(stage, how, call);
  if (first.kind === "refused") return expectLost(stage.ledger, grant, sentMs, first.error);
  const outcome = first.kind === "done" ? first : await insist(stage, how, call);
  if (outcome?.kind !== "done") return;
  const reply_id = "reply_id" in outcome.value ? String(outcome.value.reply_id) : null;
  stage.ledger.finish(grant.event_id, { how, sentMs, ackedMs: Date.now(), reply_id });
}

async function answer(stage: Stage, grant: Grant, status: "success" | "failed"): Promise<void> {
  const { event_id, lease, by } = grant;
  const { replies } = stage.ledger;
  replies.set(event_id, (replies.get(event_id) ?? 0) + 1);
  const how = status === "success" ? "completed" : "failed";
  await end(stage, grant, how, (signal) =>
    stage.client.reply({ event_id, lease, agent: by, status, body: `done by ${by}` }, { signal }),
  );
}

async function giveBack(
  stage: Stage,
  grant: Grant,
  call: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const sentMs = Date.now();
  grant.endSentMs = sentMs;
  const outcome = await attempt(stage, "give back", call);
  if (outcome.kind === "refused") expectLost(stage.ledger, grant, sentMs, outcome.error);
}

/** A holder may only be refused when its lease had run out. */
function expectLost(ledger: Ledger, grant: Grant, sentMs: number, error: SignalboxError): void {
  if (sentMs + CLOCK_MS < grant.untilMs && Date.now() < grant.untilMs) {
    ledger.violation(
      `${grant.by} holds ${grant.event_id} until ${grant.untilMs}, but at ${sentMs} was refused: ${error.message}`,
    );
  }
}

/** Carries out commands over plain HTTP and writes down what it was told; now and then it is slow, fails, or vanishes. */
export async function runAgent(stage: Stage, random: Random, version: string): Promise<void> {
  await insist(stage, "register", (signal) =>
    stage.client.registerAgent({ name: AGENT, version, commands: ["record", "answer"] }, { signal }),
  );
  while (!stage.signal.aborted) {
    const limit = random.int(1, 20);
    const lease_ms = random.pick([1_000, 3_000]);
    const outcome = await attempt(stage, "take commands", (signal) =>
      stage.client.claimCommands({ agent: AGENT, limit, wait_ms: 200, lease_ms }, { signal }),
    );
    if (outcome.kind !== "done") continue;
    const { commands } = outcome.value;
    for (const command of commands) await carryOut(stage, random, command, command.lease_until_ms - lease_ms);
  }
}

async function carryOut(stage: Stage, random: Random, command: Command, handedOutMs: number): Promise<void> {
  const { ledger, client } = stage;
  const { token, step, answer: answered } = command.payload;
  const what = `${String(token)}/${String(step)}`;
  const handled = ledger.handle(what, command.effect_id, JSON.stringify(command.payload), handedOutMs);
  if (answered !== undefined && answered !== `answer to ${String(token)}`) {
    ledger.violation(`${what} carries another run's answer: ${JSON.stringify(answered)}`);
  }
  // Both are told of again, when the lease has run out or at once.
  const mishap = command.attempt >= 3 ? 100 : random.int(1, 100);
  if (mishap <= 3) return;
  const { effect_id, lease } = command;
  // A beat renews the lease for longer than this torture waits for it to run out.
  if (random.chance(0.1)) {
    await attempt(stage, "beat", (signal) =>
      client.beat({ agent: AGENT, effect_ids: [effect_id] }, { signal }),
    );
  }
  const isFailing = mishap <= 6;
  const result = isFailing
    ? ({ status: "failed", error: "not now", retry: true } as const)
    : ({ status: "succeeded", result: `answer to ${String(token)}` } as const);
  const outcome = await insist(stage, "result", (signal) =>
    client.finishEffect({ effect_id, lease, ...result }, { signal }),
  );
  if (outcome?.kind !== "done") return;
  if (outcome.value.state !== "succeeded") return;
  handled.over = true;
  ledger.overEffects.set(effect_id, Date.now());
}

/** The same through the SDK, which promises to call its handler once, however often a command comes. */
export async function runSdkAgent(stage: Stage, random: Random, home: string): Promise<void> {
  const { ledger } = stage;
  const done = new Set<string>();
  const agent = await insistOn(() =>
    createAgent({
      name: SDK_AGENT,
      version: "1.0.0",
      home,
      start: false,
      commands: {
        async record({ token, step }, { effectId }) {
          const what = `${String(token)}/${String(step)}`;
          ledger.handle(what, effectId, JSON.stringify({ token, step }), 0);
          if (done.has(what)) ledger.violation(`the SDK called the handler of ${what} twice`);
          done.add(what);
          if (random.chance(0.3)) await pause(random.int(1, 40));
          return what;
        },
      },
    }),
  );
  await new Promise<void>((resolve) =>
    stage.signal.addEventListener("abort", () => resolve(), { once: true }),
  );
  await agent.close();
}

/** Its first connection may meet a service that was just killed. */
async function insistOn<T>(connect: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      if (!SignalboxError.is(error) || !isInterruption(error)) throw error;
      await pause(20);
    }
  }
}

/** Follows the log live over all restarts. */
export async function runReader(stage: Stage): Promise<void> {
  const { stream } = stage.ledger;
  try {
    for await (const event of stage.client.streamEvents({ after: 0 }, { signal: stage.signal })) {
      const last = stream.at(-1)?.seq ?? 0;
      if (event.seq <= last) stage.ledger.violation(`the stream gave ${event.seq} after ${last}`);
      stream.push({ seq: event.seq, ms: Date.now() });
    }
  } catch (error) {
    if (!stage.signal.aborted) stage.ledger.violation(`the stream ended: ${String(error)}`);
  }
}

/** What a person does meanwhile: clean up, back up, change topics, look around, send commands. */
export async function runOperator(stage: Stage, random: Random): Promise<void> {
  const { client, ledger } = stage;
  const olderThanMs = 15_000;
  const chores: ((round: number) => Promise<unknown>)[] = [
    async () => {
      ledger.cleanups.push({ sentMs: Date.now(), olderThanMs });
      const request = { completed_older_than_ms: olderThanMs };
      await attempt(stage, "clean-up", (signal) => client.cleanup(request, { signal }));
      // It goes on after its caller has gone, up to here.
      ledger.cleanups.push({ sentMs: Date.now(), olderThanMs });
    },
    () =>
      attempt(stage, "backup", (signal) =>
        client.backup({ file: stage.backupFile, overwrite: true }, { signal }),
      ),
    (round) => {
      const patch = { topic: random.pick(TOPICS), prompt: `prompt ${round}`, paused: random.chance(0.3) };
      return attempt(stage, "topic", (signal) => client.updateTopic(patch, { signal }));
    },
    () => resumeTopics(stage),
    () => attempt(stage, "redrive", (signal) => client.redriveTopic({ topic: MORTAL }, { signal })),
    () =>
      attempt(stage, "search", (signal) =>
        client.searchEvents({ text: `${AGENT} 7*`, limit: 20 }, { signal }),
      ),
    () => attempt(stage, "find", (signal) => client.findEvents({ mention: AGENT, limit: 20 }, { signal })),
    () => attempt(stage, "status", (signal) => client.getStatus({}, { signal })),
    () => attempt(stage, "reload", (signal) => client.reloadWorkflows({}, { signal })),
    (round) => sendCommand(stage, `by-hand-${round}`),
  ];
  for (let round = 1; !stage.signal.aborted; round++) {
    await random.pick(chores)(round);
    await pause(random.int(5, 60));
  }
}

export async function resumeTopics(stage: Stage): Promise<void> {
  for (const topic of TOPICS) {
    await attempt(stage, "resume", (signal) =>
      stage.client.updateTopic({ topic, paused: false }, { signal }),
    );
  }
}

/** The same key twice is one command. */
async function sendCommand(stage: Stage, key: string): Promise<void> {
  const { client, ledger } = stage;
  const call = (signal: AbortSignal) =>
    client.sendCommand(
      {
        agent: AGENT,
        command: "record",
        payload: { token: key, step: "by hand" },
        source: "cli",
        idempotency_key: key,
      },
      { signal },
    );
  for (let time = 0; time < 2; time++) {
    const outcome = await insist(stage, "command", call);
    if (outcome?.kind !== "done") return;
    const known = ledger.sentCommands.get(key);
    if (known !== undefined && known !== outcome.value.id) {
      ledger.violation(`the command ${key} was recorded as ${known} and as ${outcome.value.id}`);
    }
    ledger.sentCommands.set(key, outcome.value.id);
  }
}
