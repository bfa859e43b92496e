import { describe, expect, it, onTestFinished } from "vitest";
import { type HttpSink, startHttpSink } from "../../test/harness/http-sink.ts";
import { eventually, type TestService } from "../../test/harness/service.ts";
import { pushAndRun, serviceWith } from "../../test/harness/workflows.ts";
import type { Run } from "../contract/workflows.ts";

async function sink(): Promise<HttpSink> {
  const opened = await startHttpSink();
  onTestFinished(() => opened.close());
  return opened;
}
const local = { set: ['effects.http.allow_addresses=["127.0.0.1"]', 'mail.from="box@example.com"'] };
const go = (service: TestService, payload: Record<string, string> = {}) =>
  pushAndRun(service.client, { type: "go", payload });
const ended = (service: TestService, { run_id }: Run) =>
  eventually(
    () => service.client.getRun({ run_id }),
    ({ status }) => status === "succeeded" || status === "failed",
  );
async function approveAll(service: TestService): Promise<number> {
  const { approvals } = await service.client.listApprovals({});
  for (const { effect } of approvals)
    await service.client.decideApproval({
      ...{ approval: effect.id, decision: "approve", sha256: effect.sha256, by: "cli" },
    });
  return approvals.length;
}

describe("acts that the service does itself", () => {
  it("U6 R69 signalbox.call.http waits for a person and then for the answer", async () => {
    const server = await sink();
    server.answer = (_request, response) =>
      void response.setHeader("content-type", "application/json").end('{"version":"1.2"}');
    const service = await serviceWith(
      {
        deploy: `signalbox.on("go", function(event)
  local answer = signalbox.call.http { url = event.payload.url .. "/deploy", json = { n = 42 } }
  return { status = answer.status, version = answer.json.version }
end)`,
      },
      local,
    );
    const run = await go(service, { url: server.url });
    const host = new URL(server.url).host;
    expect(run).toMatchObject({
      status: "waiting",
      waiting_for: `result of: POST 8 bytes of JSON to ${host}/deploy`,
    });
    expect(server.seen).toEqual([]);
    const [approval] = (await service.client.listApprovals({})).approvals;
    expect(approval?.effect).toMatchObject({
      ...{ kind: "http", target: host, action: "POST", state: "waiting" },
      cause: { workflow: "deploy", line: "deploy.lua:2", source: "workflow:deploy" },
    });
    await approveAll(service);
    expect((await ended(service, run)).output).toEqual({ status: 200, version: "1.2" });
    expect(server.seen).toMatchObject([{ method: "POST", path: "/deploy", body: '{"n":42}' }]);
    // The same host in the same way is known by now.
    expect((await ended(service, await go(service, { url: server.url }))).status).toBe("succeeded");
  });

  it("U6 several are asked for at once and waited for one by one", async () => {
    const server = await sink();
    server.answer = (request, response) => void response.end(request.url);
    const service = await serviceWith(
      {
        both: `signalbox.on("go", function(event)
  local one = signalbox.http { url = event.payload.url .. "/one", method = "GET" }
  local two = signalbox.http { url = event.payload.url .. "/two", method = "GET" }
  return { signalbox.wait(two).body, signalbox.wait(one).body }
end)`,
      },
      local,
    );
    const run = await go(service, { url: server.url });
    expect(await approveAll(service)).toBe(2);
    expect((await ended(service, run)).output).toEqual(["/two", "/one"]);
    expect(server.seen.map(({ path }) => path).sort()).toEqual(["/one", "/two"]);
  });

  it("R68 a no, and a failure, are errors that Lua can catch", async () => {
    const server = await sink();
    server.answer = (_request, response) => void response.writeHead(422).end("no");
    const service = await serviceWith(
      {
        tries: `signalbox.on("go", function(event)
  local _, denied = pcall(signalbox.call.mail, { to = "ann@example.com", subject = "Hi", text = "x" })
  local _, failed = pcall(signalbox.call.http, { url = event.payload.url })
  return { tostring(denied), tostring(failed) }
end)`,
      },
      { set: [...local.set, "mail.host=127.0.0.1"] },
    );
    const run = await go(service, { url: server.url });
    const [{ effect } = expect.fail("nothing waits")] = (await service.client.listApprovals({})).approvals;
    await service.client.decideApproval({
      ...{ approval: effect.id, decision: "deny", sha256: effect.sha256, reason: "not now", by: "cli" },
    });
    await eventually(
      () => service.client.listApprovals({}),
      ({ approvals }) => approvals.some((one) => one.effect.kind === "http"),
    );
    await approveAll(service);
    const { output } = await ended(service, run);
    expect(output).toEqual([
      expect.stringContaining("denied by cli: not now"),
      expect.stringContaining("answered 422: no"),
    ]);
  });

  it("U6 what is wrong with a call is said at its line, before anybody is asked", async () => {
    const bad = [
      'signalbox.http { url = "ftp://example.com" }',
      'signalbox.http { url = "https://example.com", headers = { Authorization = "Bearer x" } }',
      'signalbox.mail { to = "ann@example.com", subject = "a\\nBcc: eve@example.com" }',
      'signalbox.shell { command = "/bin/sh" }',
      'signalbox.shell { command = "echo", args = "$(id)" }',
      'signalbox.effect("event", { type = "a b" })',
      'signalbox.effect("command", {})',
      'signalbox.wait("eff_of_another_run")',
    ];
    const calls = bad.map((code) => `function() ${code} end`).join(", ");
    const service = await serviceWith({
      bad: `signalbox.on("go", function()
  local said = {}
  for i, call in ipairs({ ${calls} }) do
    local ok, message = pcall(call)
    said[i] = ok and "accepted" or message
  end
  return said
end)`,
    });
    const { output, error } = await ended(service, await go(service));
    expect(error).toBeNull();
    expect(output).toEqual([
      expect.stringContaining("http:// or https://"),
      expect.stringContaining("must name its secret"),
      expect.stringContaining("must be one line"),
      expect.stringContaining("bare name"),
      expect.stringContaining("more than one way"),
      expect.stringContaining("signalbox.effect: type:"),
      expect.stringContaining("use signalbox.command"),
      expect.stringContaining("has asked for no effect eff_of_another_run"),
    ]);
    expect((await service.client.listEffects({})).effects).toEqual([]);
  });

  it("U6 a workflow's event and reply need nobody's yes", async () => {
    const service = await serviceWith({
      answers: `signalbox.on("go", function(event)
  local reply = signalbox.call.reply { event_id = event.id, body = "done" }
  local told = signalbox.call.effect("event", { type = "report.made", payload = { n = 1 } })
  return { reply.event_id, told.event_id }
end)`,
    });
    const run = await ended(service, await go(service));
    const [reply = "", told = ""] = run.output as string[];
    const shown = await service.client.getEvent({ event_id: reply });
    expect(shown.event).toMatchObject({ type: "message.replied", body: "done", parent_id: run.event_id });
    expect((await service.client.getEvent({ event_id: told })).event).toMatchObject({
      ...{ type: "report.made", source: "workflow:answers", payload: { n: 1 }, origin_kind: "workflow" },
    });
  });

  it("U6 a dry run says what would be done, and does nothing", async () => {
    const service = await serviceWith({});
    const { runs } = await service.client.testWorkflow({
      source: `signalbox.on("go", function()
  signalbox.mail { to = "ann@example.com", from = "box@example.com", subject = "Hi" }
  signalbox.call.http { url = "https://api.example.com/deploy" }
end)`,
      event: { type: "go" },
    });
    expect(runs[0]?.effects.map(({ kind, target, summary }) => [kind, target, summary])).toEqual([
      ["mail", "ann@example.com", "Send a mail to ann@example.com: Hi"],
      ["http", "api.example.com", "POST api.example.com/deploy"],
    ]);
    expect(runs[0]?.waiting_for).toBe("result of: POST api.example.com/deploy");
    expect((await service.client.listEffects({})).effects).toEqual([]);
  });
});
