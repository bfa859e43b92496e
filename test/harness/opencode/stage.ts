/** All that a test of the plugin needs: the service, OpenCode, the fake model, and short words for what they do. */
import type { OpencodeClient } from "@opencode-ai/sdk";
import type { Event } from "../../../service/contract/events.ts";
import type { Receipt } from "../../../service/contract/receipts.ts";
import { eventually } from "../eventually.ts";
import { startTestServiceProcess, type TestServiceProcess } from "../service.ts";
import { type FakeLlm, type LlmAnswer, type LlmRequest, startFakeLlm } from "./fake-llm.ts";
import {
  makePlace,
  type OpencodePlace,
  type OpencodeServer,
  type ProjectSettings,
  packPlugin,
  startServer,
} from "./opencode.ts";

/** Generous: a limit against hangs on a busy machine. */
const PATIENCE_MS = 45_000;

export interface Stage {
  readonly llm: FakeLlm;
  readonly service: TestServiceProcess;
  readonly place: OpencodePlace;
  /** The packed plugin, as opencode.json names it. */
  readonly spec: string;
  /** The same with its options. */
  plugin(options: object): unknown;
  startServer(): Promise<OpencodeServer>;
  push(topic: string, body: string, more?: object): Promise<string>;
  /** The event and all that came of it, once that is as wanted. */
  until(event_id: string, isRight: (shown: Shown) => boolean): Promise<Shown>;
  completed(event_id: string): Promise<Shown>;
  /** Prompts that the model was given which hold this text. */
  asked(text: string): readonly LlmRequest[];
  /** The next prompts that hold this text are answered only after `release`; `reached` is when the first came. */
  hold(text: string, answer?: LlmAnswer): { reached: Promise<void>; release(): void };
  close(): Promise<void>;
}

export interface Shown {
  readonly status: string | undefined;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly receipts: readonly Receipt[];
  readonly replies: readonly Event[];
}

export async function openStage(binary: string, env: Record<string, string> = {}): Promise<Stage> {
  const llm = await startFakeLlm();
  const service = await startTestServiceProcess();
  const tarball = await packPlugin();
  const place = makePlace(llm.url, { SIGNALBOX_HOME: service.home, SIGNALBOX_NO_AUTOSTART: "1", ...env });
  const servers: OpencodeServer[] = [];
  const show = async (event_id: string): Promise<Shown> => {
    const { deliveries, receipts, caused } = await service.client.getEvent({ event_id });
    const [delivery] = deliveries;
    return {
      ...{ status: delivery?.status, attempts: delivery?.attempts ?? 0 },
      ...{ last_error: delivery?.last_error ?? null, receipts },
      replies: caused.filter(({ type }) => type === "message.replied"),
    };
  };
  const until = (event_id: string, isRight: (shown: Shown) => boolean) =>
    eventually(() => show(event_id), isRight, PATIENCE_MS);
  return {
    llm,
    service,
    place,
    spec: tarball.spec,
    plugin: (options) => [tarball.spec, options],
    async startServer() {
      const server = await startServer(binary, place);
      servers.push(server);
      return server;
    },
    push: async (topic, body, more) =>
      (await service.client.pushEvent({ topic, body, source: "test", ...more })).event_id,
    until,
    completed: (event_id) => until(event_id, ({ status }) => status === "completed"),
    asked: (text) => llm.requests.filter(({ prompt }) => prompt.includes(text)),
    hold(text, answer = { text: "ok" }) {
      const reached = Promise.withResolvers<void>();
      const held = Promise.withResolvers<void>();
      llm.when(
        ({ prompt, messages }) => prompt.includes(text) && messages.at(-1)?.role === "user",
        () => {
          reached.resolve();
          return { ...answer, until: held.promise };
        },
      );
      return { reached: reached.promise, release: held.resolve };
    },
    async close() {
      for (const server of servers) await server.close();
      await llm.close();
      await service.close();
      place.remove();
      tarball.remove();
    },
  };
}

/** A session that takes events from these topics from its beginning. */
export async function newSession(client: OpencodeClient, topics: readonly string[] | null): Promise<string> {
  const metadata = topics === null ? {} : { metadata: { signalbox: { topics } } };
  const { data, error } = await client.session.create({ body: { title: "test", ...metadata } });
  if (data === undefined) throw new Error(`no session: ${JSON.stringify(error)}`);
  return data.id;
}

/** The user writes something, and the turn ends. */
export async function say(client: OpencodeClient, id: string, text: string, more: object = {}) {
  const body = { ...more, parts: [{ type: "text" as const, text }] };
  const { data, error } = await client.session.prompt({ path: { id }, body });
  if (data === undefined) throw new Error(`no answer: ${JSON.stringify(error)}`);
  return data;
}

export function projectSettings(plugin: unknown, config: object = {}): ProjectSettings {
  return { plugin: [plugin], config };
}
