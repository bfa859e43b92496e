import { expect, it } from "vitest";
import { judge } from "./policy.ts";

const decide = (source: string) =>
  judge({
    kind: "command",
    target: "deployer",
    cause: { event_id: null, run_id: null, workflow: null, version: null, line: null, source },
  }).decision;

it("U6 by default the owner and the owner's workflow files act, all others are asked about", () => {
  expect(["cli", "vscode", "workflow:labeller"].map(decide)).toEqual(["allow", "allow", "allow"]);
  const others = ["api", "deployer", "@bob", "model", "chat", "workflow", "CLI", "cli2", ""];
  expect(others.map(decide)).toEqual(others.map(() => "ask"));
});
