import { expect, it, onTestFinished } from "vitest";
import { runCli } from "../harness/cli.ts";
import { eventually, startTestServiceProcess } from "../harness/service.ts";
import { startSmtpSink } from "../harness/smtp-sink.ts";

const report = `signalbox.on("deploy.finished", function(event)
  local sent = signalbox.call.mail {
    to = "ops@example.com, boss@example.com",
    subject = "Deployed " .. event.payload.version,
    text = "All is well.",
  }
  return { message_id = sent.message_id }
end)`;

it("R70 R66 U8 a workflow proposes a mail, it waits through a crash and a restart, is approved on the command line, is sent once, and the audit trail verifies", async () => {
  const smtp = await startSmtpSink();
  onTestFinished(() => smtp.close());
  const service = await startTestServiceProcess({
    workflows: { "report.lua": report },
    set: [
      ...["mail.host=127.0.0.1", `mail.port=${smtp.port}`, "mail.tls=never"],
      ...["mail.from=signalbox@example.com", "log.level=warn"],
    ],
  });
  onTestFinished(() => service.close());
  const cli = (...args: string[]) => runCli(args, { home: service.home });

  const { run_id } = await service.client.pushEvent({ type: "deploy.finished", payload: { version: "1.2" } });
  const waits = () =>
    eventually(
      () => service.client.listApprovals({}),
      ({ approvals }) => approvals.length === 1,
    );
  const [approval] = (await waits()).approvals;
  const code = approval?.code ?? "";
  await service.kill9();
  await service.start();
  expect((await waits()).approvals[0]?.code).toBe(code);
  expect(smtp.mails).toEqual([]);

  const shown = await cli("approvals", "show", code);
  for (const part of [
    "Send a mail to ops@example.com and boss@example.com: Deployed 1.2",
    "All is well.",
    "report.lua:2",
  ])
    expect(shown.stdout).toContain(part);
  expect((await cli("approvals", "approve", code, "--yes", "--code", code)).code).toBe(0);
  const run = await eventually(
    () => service.client.getRun({ run_id }),
    ({ status }) => status !== "waiting" && status !== "running",
  );
  const { id } = approval?.effect ?? { id: "" };
  expect(run).toMatchObject({ status: "succeeded", output: { message_id: `<${id}@example.com>` } });
  expect(smtp.mails).toHaveLength(1);
  expect(smtp.mails[0]).toMatchObject({
    ...{ from: "signalbox@example.com", to: ["ops@example.com", "boss@example.com"] },
    text: expect.stringContaining(`Message-ID: <${id}@example.com>`),
  });

  // Neither a second yes nor another start sends it again.
  expect((await cli("approvals", "approve", code, "--yes", "--code", code)).code).toBe(1);
  await service.kill9();
  await service.start();
  await service.client.pushEvent({ type: "nothing.new" });
  expect(smtp.mails).toHaveLength(1);
  const audit = await cli("audit", "list", "--effect", id);
  for (const kind of ["proposed", "judged", "approved", "succeeded"]) expect(audit.stdout).toContain(kind);
  expect((await cli("audit", "verify")).code).toBe(0);
});
