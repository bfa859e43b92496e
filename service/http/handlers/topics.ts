import { SignalboxError } from "../../contract/errors.ts";
import { type SettleItem, settleItem } from "../../contract/topics.ts";
import { nearest } from "../../lib/nearest.ts";
import type { Settlement } from "../../store/store.ts";
import type { Answered, QueueItem } from "../../topics/queue.ts";
import { type Handlers, invalid } from "../register.ts";
import type { Parts } from "./parts.ts";

type TopicRoutes =
  | "listTopics"
  | "createTopic"
  | "getTopic"
  | "updateTopic"
  | "deleteTopic"
  | "claimEvents"
  | "peekEvents"
  | "purgeTopic"
  | "redriveTopic"
  | ClaimRoutes;

export function topicHandlers({ store, clock, topics }: Parts): Pick<Handlers, TopicRoutes> {
  const require = async (name: string) => {
    const topic = await store.getTopic(name);
    if (topic) return topic;
    const meant = nearest(
      name,
      (await store.listTopics()).map((one) => one.name),
    );
    const guess = meant === null ? "" : `Did you mean ${meant}? `;
    throw new SignalboxError("not_found", `there is no topic ${name}`, {
      hint: `${guess}\`signalbox topics list\` shows those there are; pushing to a topic creates it.`,
    });
  };
  return {
    listTopics: async () => ({ topics: await store.listTopics() }),
    async createTopic({ name, ...settings }) {
      if (await store.getTopic(name))
        throw new SignalboxError("conflict", `the topic ${name} exists`, {
          hint: "Change it with `signalbox topics set`.",
        });
      return topics.update(name, settings);
    },
    getTopic: ({ topic }) => require(topic),
    async updateTopic({ topic, ...patch }) {
      await require(topic);
      return topics.update(topic, patch);
    },
    async deleteTopic({ topic, force }) {
      const { counts } = await require(topic);
      if (counts.processing > 0) throw stillHeld(topic, counts.processing);
      if (counts.pending > 0 && !force)
        throw new SignalboxError("conflict", `${topic} has waiting events: ${counts.pending}`, {
          hint: "Purge them first, or delete it with them by `--force`.",
        });
      const count = await store.purge(topic, "all");
      await store.deleteTopic(topic);
      return { count };
    },
    async claimEvents({ topic, ...claim }, context) {
      if (!claim.create) await require(topic);
      const claimed = await topics.claim(topic, claim, context.signal);
      if (!context.signal.aborted) return { claimed };
      // Whoever asked is gone, or the service stops: what was taken must not lie until its lease ends.
      await Promise.all(
        claimed.map((one) => topics.settle(one.event.id, { lease: one.lease }, { kind: "release" })),
      );
      return { claimed: [] };
    },
    async peekEvents({ topic, limit }) {
      const { prompt } = await require(topic);
      return { events: await store.peek(topic, limit, clock.nowMs()), prompt };
    },
    async purgeTopic({ topic, status }) {
      await require(topic);
      return { count: await store.purge(topic, status) };
    },
    async redriveTopic({ topic, event_ids, include_failed }) {
      await require(topic);
      return { count: await store.redrive(topic, event_ids, include_failed) };
    },
    ...claimHandlers(topics),
  };
}

type ClaimRoutes =
  | "extendClaim"
  | "completeClaim"
  | "failClaim"
  | "releaseClaim"
  | "settleClaims"
  | "giveReceipt"
  | "reply";

/** What whoever holds a claim says of it. */
function claimHandlers(topics: Parts["topics"]): Pick<Handlers, ClaimRoutes> {
  const settle = async (item: Parameters<typeof toSettle>[0]) => {
    const { event_id, holder, settlement } = toSettle(item);
    return { event_id, delivery: await topics.settle(event_id, holder, settlement) };
  };
  return {
    extendClaim: (input) => settle({ ...input, action: "extend" }),
    completeClaim: (input) => settle({ ...input, action: "complete" }),
    failClaim: (input) => settle({ ...input, action: "fail" }),
    releaseClaim: (input) => settle({ ...input, action: "release" }),
    async settleClaims({ items }) {
      const checked = items.map((item) => {
        const result = settleItem.safeParse(item);
        return result.success ? toItem(result.data) : invalid(result.error.issues, "item");
      });
      const ends = await topics.settleAll(checked);
      return {
        results: ends.map((end) => {
          if (!SignalboxError.is(end)) return "answer" in end ? toReplied(end) : end;
          return { error: { code: end.code, message: end.message, hint: end.hint } };
        }),
      };
    },
    giveReceipt: async ({ event_id, ...given }) => ({
      event_id,
      delivery: await topics.receive(event_id, given),
    }),
    reply: async ({ event_id, ...given }) => toReplied(await topics.reply(event_id, given)),
  };
}

function toSettle(item: Exclude<SettleItem, { action: "reply" }>) {
  const { event_id, lease, agent } = item;
  return { event_id, holder: { lease, agent }, settlement: settlementOf(item) };
}

function settlementOf(item: Exclude<SettleItem, { action: "reply" }>): Settlement {
  switch (item.action) {
    case "complete":
      return { kind: "complete" };
    case "extend":
      return { kind: "extend", lease_ms: item.lease_ms };
    case "release":
      return { kind: "release", delay_ms: item.delay_ms };
    case "fail": {
      const { error, retry_in_ms } = item;
      return item.retry ? { kind: "retry", error, retry_in_ms } : { kind: "reject", error };
    }
  }
}

function toItem(item: SettleItem): QueueItem {
  if (item.action !== "reply") return toSettle(item);
  const { event_id, action: _, ...reply } = item;
  return { event_id, reply };
}

function toReplied({ event, answer, status }: Answered) {
  return {
    event_id: event.id,
    reply_id: answer.id,
    seq: answer.seq,
    correlation_id: answer.correlation_id ?? event.id,
    status,
  };
}

function stillHeld(topic: string, count: number): SignalboxError {
  return new SignalboxError("conflict", `${topic} has claimed events: ${count}`, {
    hint: "Wait until they are done, or release them.",
  });
}
