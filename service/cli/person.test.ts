import { afterEach, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { type Stub, startStub } from "../../test/harness/stub-service.ts";

let service: Stub;
afterEach(() => service.close());

it.each([
  ["approvals approve eff_1 --yes --code ABC234"],
  ["approvals deny eff_1"],
  ["effects retry eff_1"],
  ["effects skip eff_1"],
  ["actions approve prometheus.query --yes"],
])("B17 an agent's own command line can't decide: %s", async (line) => {
  service = await startStub({});
  const env = { SIGNALBOX_AGENT: "@builder" };
  const { code, stderr } = await runCli(line.split(" "), { home: service.home, env });
  expect([code, stderr]).toEqual([1, expect.stringContaining("a person has to")]);
  expect(service.calls.filter(({ route }) => route !== "getInfo")).toEqual([]);
});
