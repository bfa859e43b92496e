import * as z from "zod";
import type { Client } from "../client/call.ts";
import { durationMs } from "../contract/common.ts";
import { SignalboxError } from "../contract/errors.ts";
import { type NewEvent, newEvent, pushed } from "../contract/events.ts";
import {
  type Claimed,
  claim as claimBody,
  completeClaim,
  extendClaim,
  failClaim,
  peeked,
  replied,
  reply as replyBody,
  settled,
} from "../contract/topics.ts";
import { adding, defineTool, reading, settling, type Tool, type ToolContext } from "./tools.ts";
import { caps, claimedView, claimedViewOf, eventView, harmless, notice, quote, viewOf } from "./view.ts";

const topic = newEvent.shape.topic.unwrap().describe("The topic (queue), such as inbox.");
const fresh = newEvent.shape;
const event_id = z.string().describe("The event's id: evt_…");
const lease = extendClaim.shape.lease.describe(
  "Proof of a claim made elsewhere. Leave it out for what this session has claimed.",
);
const noticeField = z.string();

const content = {
  body: fresh.body.describe("The text."),
  payload: fresh.payload.describe("Data, a JSON object."),
  meta: fresh.meta.describe("Metadata, a JSON object."),
  conversation_key: fresh.conversation_key.describe("Events with one key belong together."),
  parent_id: fresh.parent_id.describe(
    "The event that caused this one; the one claimed last when left out. Long chains are stopped by it.",
  ),
  idempotency_key: fresh.idempotency_key.describe("Pushing the same key again records nothing."),
};

/** Who says it is for the session to say, not for the model. */
function saidBy({ agent, session }: ToolContext, event: NewEvent): NewEvent {
  const parent_id = event.parent_id ?? session.claims.latest();
  return { ...event, source: agent, origin_kind: "agent", ...(parent_id === undefined ? {} : { parent_id }) };
}

async function record(context: ToolContext, event: NewEvent) {
  const data = await context.client.pushEvent(saidBy(context, event), { signal: context.signal });
  const what = data.duplicate ? "was recorded before" : "is recorded";
  return { data, text: `${data.event_id} ${what}.` };
}

const push = defineTool({
  name: "push",
  title: "Push an event",
  description:
    "Record an event in a topic, for another agent or a workflow to pick up. Durable once it is answered.",
  input: z.strictObject({
    topic,
    ...content,
    type: fresh.type.describe("Noun, then past tense: review.requested. message.pushed when left out."),
    delay_ms: fresh.delay_ms.describe("Claimable only after this long."),
    mentions: fresh.mentions.describe("Names spoken to, besides the @names in the body."),
  }),
  output: pushed,
  annotations: adding,
  run: (input, context) => record(context, input),
});

const publish = defineTool({
  name: "publish",
  title: "Publish an event",
  description: "Record an event that is in no queue, for workflows and whoever follows the log.",
  input: z.strictObject({
    type: fresh.type.unwrap().describe("Noun, then past tense: build.finished."),
    subject: fresh.subject.describe("Tokens joined by dots; the type when left out."),
    ...content,
  }),
  output: pushed,
  annotations: adding,
  run: (input, context) => record(context, input),
});

const pull = defineTool({
  name: "pull",
  title: "Look at what waits",
  description: "Show the oldest waiting events of a topic and change nothing. Use claim to work on one.",
  input: z.strictObject({ topic, limit: limitOf(1, 20) }),
  output: peeked.extend({ events: z.array(eventView), notice: noticeField }),
  annotations: reading,
  async run({ topic, limit }, { client, signal }) {
    const { events, prompt } = await client.peekEvents({ topic, limit }, { signal });
    const views = events.map((one) => viewOf(one, limit === 1 ? caps.one : caps.many));
    const text =
      views.length === 0
        ? `Nothing is waiting in ${topic}.`
        : [notice, ...views.map((view) => quote(view))].join("\n\n");
    return { data: { events: views, prompt, notice }, text };
  },
});

const claim = defineTool({
  name: "claim",
  title: "Claim events",
  description:
    "Take the oldest waiting events of a topic under a lease, so that nobody else gets them. The lease is renewed " +
    "while this session lives; end each with reply, complete, fail or release. What is left over goes back to the " +
    "queue when the session ends.",
  input: z.strictObject({
    topic,
    limit: limitOf(1, 10),
    wait_ms: durationMs
      .max(50_000)
      .default(0)
      .describe("Wait this long for one where there is none. Call again to wait for longer."),
    lease_ms: claimBody.shape.lease_ms.describe("Length of the lease; the topic's own when left out."),
    create: z.boolean().default(false).describe("Make the topic where it does not exist, and wait in it."),
  }),
  output: z.object({ claimed: z.array(claimedView), notice: noticeField }),
  annotations: adding,
  async run(input, { client, session, agent, signal }) {
    const { claimed } = await client.claimEvents({ ...input, agent }, { signal });
    await session.claims.add(claimed);
    await Promise.all(claimed.map((one) => session.delivered(one.event.id, one.lease)));
    const views = claimed.map(claimedViewOf);
    const text =
      views.length === 0
        ? `Nothing is waiting in ${input.topic}.`
        : [...new Set(claimed.map(promptOf)), notice, ...views.map(handedOver)].join("\n\n");
    return { data: { claimed: views, notice }, text };
  },
});

function promptOf({ prompt, event }: Claimed): string {
  return prompt === null
    ? `${event.topic} has no prompt; do what the user asked you to do with its events.`
    : `What the owner of ${event.topic} asks you to do with its events:\n${harmless(prompt)}`;
}

function handedOver(one: z.output<typeof claimedView>): string {
  const until = new Date(one.lease_until_ms).toISOString();
  return `${quote(one.event, { attempt: String(one.attempt) })}\nYours until ${until}, renewed while you work.`;
}

/** The lease of this session's claim, else what the model gives. @throws SignalboxError `lease_lost` without either */
function proof({ session }: ToolContext, event_id: string, given: string | undefined): string {
  const found = given ?? session.claims.leaseOf(event_id);
  if (found !== undefined) return found;
  throw new SignalboxError("lease_lost", `this session does not hold ${event_id}`, {
    hint: "Claim it first. What ran out or went to somebody else comes again by claim.",
  });
}

const extend = defineTool({
  name: "extend",
  title: "Keep a claimed event",
  description: "Renew the lease of a claimed event, and say that you are still working on it.",
  input: z.strictObject({ event_id, lease, lease_ms: extendClaim.shape.lease_ms.describe("From now on.") }),
  output: settled,
  annotations: settling,
  async run({ event_id, lease, lease_ms }, context) {
    const input = { event_id, lease: proof(context, event_id, lease), ...(lease_ms ? { lease_ms } : {}) };
    const data = await context.client.extendClaim(input, { signal: context.signal });
    const untilMs = data.delivery.lease_until_ms ?? 0;
    context.session.claims.extended(event_id, untilMs);
    return { data, text: `${event_id} is yours until ${new Date(untilMs).toISOString()}.` };
  },
});

const reply = defineTool({
  name: "reply",
  title: "Answer an event",
  description:
    "Answer an event and finish it. The answer is a new event with the same correlation_id; the first one is completed or failed by it.",
  input: z.strictObject({
    event_id,
    lease,
    status: replyBody.shape.status.describe("How it went."),
    body: replyBody.shape.body.describe("The answer."),
    payload: replyBody.shape.payload.describe("Data, a JSON object."),
    meta: replyBody.shape.meta.describe("Metadata, a JSON object."),
    topic: replyBody.shape.topic.describe("A topic from which the answer can be claimed."),
  }),
  output: replied,
  annotations: adding,
  async run({ lease, ...answer }, context) {
    const { client, session, agent, signal } = context;
    const held = lease ?? session.claims.leaseOf(answer.event_id);
    if (held === undefined) await refuseHeld(client, answer.event_id);
    const who = { agent, session: session.id, ...(held === undefined ? {} : { lease: held }) };
    const data = await client.reply({ ...answer, ...who }, { signal });
    session.claims.forget(answer.event_id);
    return { data, text: `${data.reply_id} answers ${data.event_id}, which is ${data.status}.` };
  },
});

/** Without a claim an event may be answered as well, but not under the hands of another session with the same name. */
async function refuseHeld(client: Client, event_id: string): Promise<void> {
  const { deliveries } = await client.getEvent({ event_id });
  const held = deliveries.find(({ status }) => status === "processing");
  if (held === undefined) return;
  throw new SignalboxError("lease_lost", `${event_id} is claimed by another session of ${held.claimed_by}`, {
    hint: "Leave it to that one; it comes again if that one does not finish it.",
  });
}

const complete = defineTool({
  name: "complete",
  title: "Finish an event",
  description: "Finish a claimed event without an answer.",
  input: z.strictObject({ event_id, lease, result: completeClaim.shape.result.describe("What came of it.") }),
  output: settled,
  annotations: settling,
  async run({ lease, ...input }, context) {
    const held = proof(context, input.event_id, lease);
    const data = await context.client.completeClaim({ ...input, lease: held }, { signal: context.signal });
    return ended(context, data);
  },
});

const fail = defineTool({
  name: "fail",
  title: "Say that an event failed",
  description: "Say that a claimed event failed. It comes again, unless its attempts are used up.",
  input: z.strictObject({
    event_id,
    lease,
    error: failClaim.shape.error.describe("What went wrong."),
    retry_in_ms: failClaim.shape.retry_in_ms.describe("Come again after this long."),
    retry: failClaim.shape.retry.describe("False: do not come again."),
  }),
  output: settled,
  annotations: settling,
  async run({ lease, ...input }, context) {
    const held = proof(context, input.event_id, lease);
    const data = await context.client.failClaim({ ...input, lease: held }, { signal: context.signal });
    return ended(context, data);
  },
});

const release = defineTool({
  name: "release",
  title: "Give an event back",
  description: "Give a claimed event back unharmed, for somebody else to claim.",
  input: z.strictObject({ event_id, lease }),
  output: settled,
  annotations: settling,
  async run({ lease, event_id }, context) {
    const held = proof(context, event_id, lease);
    const data = await context.client.releaseClaim({ event_id, lease: held }, { signal: context.signal });
    return ended(context, data);
  },
});

function ended({ session }: ToolContext, data: z.output<typeof settled>) {
  session.claims.forget(data.event_id);
  return { data, text: `${data.event_id} is ${data.delivery.status}.` };
}

/** Fewer than the contract allows, since each event takes room in a model's context. */
export function limitOf(usual: number, most: number) {
  return z.int().min(1).max(most).default(usual).describe(`At most so many; ${most} at the most.`);
}

export const queueTools: readonly Tool[] = [
  push,
  publish,
  pull,
  claim,
  extend,
  reply,
  complete,
  fail,
  release,
];
