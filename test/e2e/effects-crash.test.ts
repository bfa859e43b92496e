import { describe, expect, it, onTestFinished } from "vitest";
import type { EffectState } from "../../service/contract/effects.ts";
import { type HttpSink, startHttpSink } from "../harness/http-sink.ts";
import { eventually, startTestServiceProcess, type TestServiceProcess } from "../harness/service.ts";

async function setUp(): Promise<{ service: TestServiceProcess; server: HttpSink }> {
  const server = await startHttpSink();
  onTestFinished(() => server.close());
  const service = await startTestServiceProcess({
    set: ['effects.http.allow_addresses=["127.0.0.1"]', "log.level=warn"],
  });
  onTestFinished(() => service.close());
  return { service, server };
}

const propose = ({ client }: TestServiceProcess, url: string, payload: object = {}) =>
  client.proposeEffect({
    ...{ kind: "http", source: "reviewer", idempotency_key: "once" },
    payload: { url, ...payload },
  });
async function approve({ client }: TestServiceProcess, id: string): Promise<void> {
  const { effect } = await client.getApproval({ approval: id });
  await client.decideApproval({ approval: id, decision: "approve", sha256: effect.sha256, by: "cli" });
}
const inState = ({ client }: TestServiceProcess, id: string, ...states: EffectState[]) =>
  eventually(
    () => client.getEffect({ effect_id: id }),
    ({ state }) => states.includes(state),
  );
async function crash(service: TestServiceProcess): Promise<void> {
  await service.kill9();
  await service.start();
}
/** Something later has gone through the service, so what was to come by itself has come. */
async function settled(service: TestServiceProcess): Promise<void> {
  await service.client.pushEvent({ type: "later" });
  await service.client.getStatus();
}

describe("kill -9 around an effect", () => {
  it("R66 U8 proposed and waiting: it waits again, the same key is the same effect, and nothing was sent", async () => {
    const { service, server } = await setUp();
    // Killed while the answer may be on its way: what was recorded stands, what was not is proposed again.
    const asked = propose(service, server.url).catch(() => null);
    await service.kill9();
    const first = await asked;
    await service.start();
    const { id } = await propose(service, server.url);
    if (first) expect(id).toBe(first.id);
    await inState(service, id, "waiting");
    await crash(service);
    expect(await propose(service, server.url)).toMatchObject({ id, state: "waiting" });
    await settled(service);
    expect(server.seen).toEqual([]);
    expect((await service.client.listEffects({})).effects).toHaveLength(1);
  });

  it("U6 approved: killed right after the yes, it is sent once or its end is unknown, never twice", async () => {
    const { service, server } = await setUp();
    for (let round = 0; round < 2; round++) {
      server.seen.length = 0;
      const { id } = await service.client.proposeEffect({
        ...{ kind: "http", source: "reviewer", payload: { url: `${server.url}/${round}` } },
      });
      await approve(service, id);
      await crash(service);
      const { state } = await inState(service, id, "succeeded", "unknown");
      await settled(service);
      expect(server.seen.length).toBeLessThanOrEqual(1);
      if (state === "succeeded") expect(server.seen).toHaveLength(1);
    }
  });

  it("U6 running, the request on its way: the end is unknown, nothing is sent again, and a person decides", async () => {
    const { service, server } = await setUp();
    server.answer = () => {};
    const { id } = await propose(service, server.url);
    await approve(service, id);
    await eventually(() => server.seen.length === 1);
    await crash(service);
    expect(await inState(service, id, "unknown")).toMatchObject({ attempts: 1 });
    await settled(service);
    expect(server.seen).toHaveLength(1);
    server.answer = (_request, response) => void response.end("ok");
    await service.client.retryEffect({ effect_id: id });
    expect(await inState(service, id, "succeeded")).toMatchObject({ attempts: 2 });
    expect(server.seen.map(({ headers }) => headers["idempotency-key"])).toEqual([id, id]);
  });

  it("U6 running, where the kind may be repeated: it is tried again by itself, under the same key", async () => {
    const { service, server } = await setUp();
    server.answer = () => {};
    const { id } = await propose(service, server.url, { idempotent: true });
    await approve(service, id);
    await eventually(() => server.seen.length === 1);
    server.answer = (_request, response) => void response.end("ok");
    await crash(service);
    await inState(service, id, "succeeded");
    expect(server.seen.map(({ headers }) => headers["idempotency-key"])).toEqual([id, id]);
  });

  it("U6 result recorded: the next start repeats nothing, and the trail is whole", async () => {
    const { service, server } = await setUp();
    const { id } = await propose(service, server.url);
    await approve(service, id);
    const before = await inState(service, id, "succeeded");
    await crash(service);
    expect(await service.client.getEffect({ effect_id: id })).toEqual(before);
    await settled(service);
    expect(server.seen).toHaveLength(1);
    const { entries } = await service.client.listAudit({ effect_id: id });
    expect(entries.map(({ kind }) => kind)).toEqual(["judged", "approved", "succeeded"]);
    expect((await service.client.verifyAudit({})).ok).toBe(true);
  });

  it("U8 denied: a crash does not turn a no into a yes", async () => {
    const { service, server } = await setUp();
    const { id, sha256 } = await propose(service, server.url);
    await service.client.decideApproval({ approval: id, decision: "deny", sha256, by: "cli" });
    await crash(service);
    expect((await service.client.getEffect({ effect_id: id })).state).toBe("denied");
    await expect(approve(service, id)).rejects.toMatchObject({ code: "conflict" });
    await settled(service);
    expect(server.seen).toEqual([]);
  });
});
