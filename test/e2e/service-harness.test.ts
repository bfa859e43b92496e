import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { startTestService, startTestServiceProcess } from "../harness/service.ts";

it("a service in this process answers, starts again on the same files, and leaves none behind", async () => {
  const service = await startTestService();
  const { event_id } = await service.client.pushEvent({ topic: "work", body: "hello" });
  await service.restart();
  const { event } = await service.client.getEvent({ event_id });
  expect(event.body).toBe("hello");
  await service.close();
  expect(existsSync(service.home)).toBe(false);
});

it("a service of its own process keeps what it acknowledged when it is killed", async () => {
  const service = await startTestServiceProcess();
  const { event_id } = await service.client.pushEvent({ topic: "work", body: "hello" });
  await service.kill9();
  await service.start();
  const { event } = await service.client.getEvent({ event_id });
  expect(event.body).toBe("hello");
  await service.close();
  expect(existsSync(service.home)).toBe(false);
});
