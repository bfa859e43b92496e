import { once } from "node:events";
import type { Client } from "../service/client/index.ts";
import type { Scope } from "../service/lib/scope.ts";
import { eventually } from "../test/harness/eventually.ts";
import { startFakeLlm } from "../test/harness/opencode/fake-llm.ts";
import { makePlace, opencodeBinary, packPlugin, startServer } from "../test/harness/opencode/opencode.ts";
import { newSession, say } from "../test/harness/opencode/stage.ts";
import type { BenchContext, Line, Row } from "./line.ts";
import { percentile } from "./measure.ts";
import { startService } from "./service.ts";

/** How soon an event is in a session of the real OpenCode, whose model answers at once. */
export const opencode: Line = {
  name: "opencode",
  title: "9. Push → a session of OpenCode",
  async run(context, scope) {
    const binary = opencodeBinary();
    if (binary === null) return { rows: [], skipped: ["OpenCode: no program for this platform"] };
    const { client, session, sessions } = await open(context, scope, binary);
    const count = context.quick ? 20 : 100;
    context.progress(`opencode: ${count} events`);
    const delivered = await deliveries(client, session, sessions, count);
    const prompts = await promptCalls(session, sessions, count);
    const row = (what: string, share: number, bar: number | null): Row => ({
      ...{ what: `push → accepted by an idle session, ${what}`, unit: "ms" },
      ours: percentile(delivered, share),
      peer: { name: "OpenCode's own prompt call", value: percentile(prompts, share) },
      ratio: percentile(delivered, share) / percentile(prompts, share),
      spread: null,
      bar: bar === null ? null : { of: "ours", kind: "at most", value: bar },
    });
    return { rows: [row("p50", 0.5, 300), row("p95", 0.95, null)], skipped: [] };
  },
};

type Sessions = Awaited<ReturnType<Awaited<ReturnType<typeof startServer>>["open"]>>;

async function open(context: BenchContext, scope: Scope, binary: string) {
  const llm = await startFakeLlm();
  scope.defer(() => llm.close());
  const service = scope.use(
    await startService({ product: context.product, home: context.folder("opencode") }),
  );
  const tarball = await packPlugin();
  scope.defer(() => tarball.remove());
  const place = makePlace(llm.url, { SIGNALBOX_HOME: service.home, SIGNALBOX_NO_AUTOSTART: "1" });
  scope.defer(() => place.remove());
  const plugin = [tarball.spec, { topics: ["bench"], perHour: 100_000 }];
  const server = scope.use(await startServer(binary, place));
  const sessions = await server.open(place.project("project", { plugin: [plugin] }));
  const session = await newSession(sessions, ["bench"]);
  await say(sessions, session, "hello");
  return { client: service.client, session, sessions };
}

/** One after the other, each to a session that has fallen idle, until the service knows that it was accepted. */
async function deliveries(
  client: Client,
  session: string,
  sessions: Sessions,
  count: number,
): Promise<number[]> {
  const stop = new AbortController();
  const arrivals = new Map<string, number>();
  const arrived = new EventTarget();
  const follow = (async () => {
    const type = "signalbox.receipt.delivered";
    for await (const { parent_id } of client.streamEvents({ type }, { signal: stop.signal })) {
      arrivals.set(parent_id ?? "", performance.now());
      arrived.dispatchEvent(new Event(parent_id ?? ""));
    }
  })();
  const times: number[] = [];
  // The first ones find nothing compiled yet.
  for (let number = -3; number < count; number++) {
    await idle(sessions, session);
    const begun = performance.now();
    const { event_id } = await client.pushEvent({ topic: "bench", body: `event ${number}`, source: "bench" });
    if (!arrivals.has(event_id)) await once(arrived, event_id);
    if (number >= 0) times.push((arrivals.get(event_id) ?? Number.NaN) - begun);
    await eventually(async () => {
      const { deliveries } = await client.getEvent({ event_id });
      return deliveries[0]?.status === "completed";
    });
  }
  stop.abort();
  await follow;
  return times;
}

/** What OpenCode itself takes to accept a prompt, without anybody in between. */
async function promptCalls(id: string, sessions: Sessions, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let number = 0; number < count; number++) {
    await idle(sessions, id);
    const begun = performance.now();
    const parts = [{ type: "text" as const, text: `event ${number}`, synthetic: true }];
    await sessions.session.promptAsync({ path: { id }, body: { parts } });
    times.push(performance.now() - begun);
  }
  return times;
}

/** And a moment more, in which the plugin has seen it too. */
async function idle(sessions: Sessions, id: string): Promise<void> {
  await eventually(async () => !(id in ((await sessions.session.status()).data ?? {})));
  await new Promise((resolve) => setTimeout(resolve, 150));
}
