import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { runCli } from "../../test/harness/cli.ts";
import { type Stub, startStub } from "../../test/harness/stub-service.ts";
import type { TypeShape } from "../contract/types.ts";

let service: Stub;
afterEach(() => service.close());

const opened: TypeShape = {
  type: "issue.opened",
  subjects: ["issue.opened"],
  sampled: 4,
  last_ms: 0,
  payload: {
    kinds: ["object"],
    fields: {
      number: { kinds: ["integer"], presence: 1, sample: "42" },
      milestone: { kinds: ["string"], presence: 0.25 },
    },
  },
};

async function run(args: string[], types: TypeShape[] = [opened]) {
  service = await startStub({
    listTypes: { types },
    getConfig: (_input) => ({
      files: [],
      entries: [
        { key: "workflows.dir", value: join(service.home, "flows"), origin: "file", description: "" },
      ],
      aliases: [],
      warnings: [],
    }),
  });
  const result = await runCli(args, { home: service.home, cwd: service.home });
  return {
    ...result,
    calls: service.calls.filter((call) => call.route === "listTypes").map(({ input }) => input),
  };
}

describe("types", () => {
  it("are listed with the fields of their payloads, those that may be absent with ?", async () => {
    const { stdout, calls } = await run(["types", "--subject", "issue.*", "-n", "50"]);
    expect(stdout).toMatch(/TYPE +LOOKED AT +LAST +PAYLOAD/);
    expect(stdout).toMatch(/issue\.opened +4 +.* number milestone\?/);
    expect(calls).toEqual([{ subject: "issue.*", limit: 50 }]);
  });

  it("K25 are written where editors look for them", async () => {
    const { code, stdout } = await run(["types", "export"]);
    const file = join(service.home, "flows/types/events.lua");
    expect([code, stdout]).toEqual([0, `1 type written to ${file}\n`]);
    expect(readFileSync(file, "utf8")).toContain(
      "---@class events.issue.opened.payload\n---@field number integer",
    );
  });

  it("go to standard output, or to a file of one's own", async () => {
    expect((await run(["types", "export", "-o", "-"])).stdout).toContain(
      "---@field milestone? string # In 25% of them",
    );
    await service.close();
    await run(["types", "export", "--output", "own.lua"], []);
    expect(readFileSync(join(service.home, "own.lua"), "utf8")).toContain("---@meta signalbox.events");
  });
});
