import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { connectorContext } from "../../../../test/harness/connector-context.ts";
import { openSqlite, type SqliteOpened } from "../../../../test/harness/store.ts";
import type { CommandContext, ConnectorCommand } from "../../../connectors/connector.ts";
import { github } from "../../../connectors/github/index.ts";
import type { JsonObject } from "../../../contract/common.ts";
import type { Event, NewEvent } from "../../../contract/events.ts";
import { silentLog } from "../../../lib/log.ts";
import { eventKind } from "../event/index.ts";
import type { EffectContext, EffectKind } from "../kind.ts";
import { checkedPayload } from "../registry.ts";
import { type Answerer, replyKind } from "./index.ts";

let opened: SqliteOpened;
let sent: { payload: JsonObject; key: string }[];

beforeEach(async () => {
  sent = [];
  opened = await openSqlite();
});
afterEach(() => opened.close());

const answerer: Answerer = {
  agent: "chat-agent",
  commands: {
    say: {
      title: "Say something",
      params: z.strictObject({ text: z.string() }),
      idempotent: false,
      summary: () => "Say something",
      run: async (payload: JsonObject, { idempotencyKey }: CommandContext<unknown>) => {
        sent.push({ payload, key: idempotencyKey });
        return { message: 7 };
      },
    } as ConnectorCommand<unknown>,
  },
  context: connectorContext({} as unknown),
  replyTo: ({ payload }, body) =>
    payload.room === undefined ? null : { command: "say", payload: { text: body } },
};
const reply = () =>
  replyKind({
    store: opened.store,
    events: opened.events,
    answererOf: (source) => (source === "chat" ? answerer : undefined),
  });
const record = async (given: NewEvent): Promise<Event> => {
  const { event_id } = await opened.events.push(given);
  const event = await opened.store.getEvent(event_id);
  if (!event) throw new Error("it was not recorded");
  return event;
};
const context = (given: Partial<EffectContext["cause"]> = {}): EffectContext => ({
  ...{ idempotencyKey: "eff_1", attempt: 1, bound: {}, signal: new AbortController().signal, log: silentLog },
  cause: {
    ...{ source: "model:gpt", workflow: null, event_id: null, run_id: null, correlation_id: null, depth: 0 },
    ...given,
  },
});
const run = async (kind: EffectKind, payload: JsonObject, given = context()) =>
  (await kind.execute(checkedPayload(kind, payload), given)) as JsonObject;

describe("a reply", () => {
  it("U6 goes by the command of the connector that the event came from", async () => {
    const event = await record({ source: "chat", type: "chat.message", payload: { room: 1 } });
    const kind = reply();
    const payload = { event_id: event.id, body: "hello" };
    expect(await kind.bind?.(checkedPayload(kind, payload))).toMatchObject({
      ...{ source: "chat", command: { agent: "chat-agent", command: "say", payload: { text: "hello" } } },
    });
    expect(await run(kind, payload)).toEqual({ message: 7 });
    expect(sent).toEqual([{ payload: { text: "hello" }, key: "eff_1" }]);
  });

  it("U6 is recorded once in the conversation where no connector answers", async () => {
    const event = await record({ source: "chat", topic: "inbox", conversation_key: "chat:1", payload: {} });
    const kind = reply();
    const payload = { event_id: event.id, body: "hello" };
    const first = await run(kind, payload);
    expect(await run(kind, payload)).toEqual(first);
    expect(await opened.store.getEvent(first.event_id as string)).toMatchObject({
      ...{ type: "message.replied", subject: "replies.inbox", body: "hello", conversation_key: "chat:1" },
      ...{ source: "model:gpt", parent_id: event.id, depth: 1, payload: { reply_to: event.id } },
    });
  });

  it("U6 to what is not there fails before anybody is asked", async () => {
    const kind = reply();
    const payload = checkedPayload(kind, { event_id: "evt_none", body: "hello" });
    await expect(kind.bind?.(payload)).rejects.toMatchObject({ code: "not_found" });
  });

  it("U6 to an issue, a pull request or a comment on GitHub is a comment there", async () => {
    const at = async (payload: JsonObject) =>
      github.replyTo?.(await record({ source: "github", payload }), "hello") ?? null;
    const place = { owner: "acme", repo: "site" };
    const expected = { command: "create_comment", payload: { ...place, number: 7, body: "hello" } };
    expect(await at({ ...place, number: 7 })).toEqual(expected);
    expect(await at({ ...place, issue_number: 7 })).toEqual(expected);
    expect(await at({ ...place, ref: "main" })).toBeNull();
  });
});

describe("an event as an effect", () => {
  it("U6 is recorded once, in the name of whoever proposed it, in the chain of its cause", async () => {
    const cause = await record({ type: "one" });
    const kind = eventKind(opened);
    const payload = { type: "report.made", topic: "inbox", body: "three", payload: { n: 3 } };
    const given = context({ event_id: cause.id, depth: cause.depth, correlation_id: cause.id });
    const first = await run(kind, payload, given);
    expect(await run(kind, payload, given)).toEqual(first);
    expect(await opened.store.getEvent(first.event_id as string)).toMatchObject({
      ...{ type: "report.made", topic: "inbox", body: "three", payload: { n: 3 } },
      ...{ source: "model:gpt", origin_kind: "agent", parent_id: cause.id, depth: 1 },
    });
  });

  it("U6 can't take another's name, and says who acts on it", () => {
    const kind = eventKind(opened);
    expect(() => checkedPayload(kind, { type: "a", source: "cli" })).toThrow();
    const payload = checkedPayload(kind, { type: "report.made", topic: "inbox" });
    expect(kind.target(payload)).toBe("topics.inbox");
    expect(kind.risks(payload, {})).toEqual(["Agents that claim from inbox act on it."]);
  });
});
