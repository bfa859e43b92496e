import { describe, expect, it } from "vitest";
import { type CpuProfile, serviceRules, sumLayers, toShares } from "./profile.ts";

const frame = (functionName: string, url: string) => ({
  functionName,
  url,
  scriptId: "0",
  lineNumber: 0,
  columnNumber: 0,
});

/** A profile in which each of these was on the CPU for 10 µs; each is called by the one before with a smaller depth. */
function profileOf(stacks: readonly (readonly [name: string, url: string])[][]): CpuProfile {
  const nodes: CpuProfile["nodes"] = [{ id: 1, callFrame: frame("(root)", ""), children: [] }];
  const samples: number[] = [];
  for (const stack of stacks) {
    let parent = nodes[0];
    for (const [name, url] of stack) {
      const node = { id: nodes.length + 1, callFrame: frame(name, url), children: [] };
      nodes.push(node);
      parent?.children?.push(node.id);
      parent = node;
    }
    samples.push(nodes.length);
  }
  return { nodes, samples, timeDeltas: samples.map(() => 10), startTime: 0, endTime: 10 * samples.length };
}

describe("layers of a profile", () => {
  it("native work counts for whoever called it, by the innermost frame that is known", () => {
    const sums = sumLayers(
      profileOf([
        [
          ["onRequest", "node:_http_server"],
          ["parseJson", "file:///x/service/http/control.ts"],
          ["parse", ""],
        ],
        [
          ["onRequest", "node:_http_server"],
          ["writev", ""],
        ],
        [
          ["flush", "file:///x/service/store/sqlite/committer.ts"],
          ["run", "file:///x/node_modules/better-sqlite3/a.js"],
        ],
        [
          ["#commitGroup", "file:///x/service/store/sqlite/committer.ts"],
          ["run", ""],
        ],
      ]),
      serviceRules,
    );
    expect(Object.fromEntries(sums)).toEqual({
      "parsing and checking": 10,
      "socket and HTTP": 10,
      "statements (SQLite)": 10,
      "commit: pages into the log": 10,
    });
  });

  it("time of coming up is left out; waiting and garbage have their own names; the unknown is other", () => {
    const sums = sumLayers(
      profileOf([
        [
          ["load", "node:internal/modules/esm/loader"],
          ["readFileUtf8", ""],
        ],
        [["(idle)", ""]],
        [["(garbage collector)", ""]],
        [["mystery", "file:///elsewhere.js"]],
      ]),
      serviceRules,
    );
    expect(Object.fromEntries(sums)).toEqual({ waiting: 10, "garbage collection": 10, other: 10 });
  });

  it("shares add up to one, the largest first, crumbs together at the end", () => {
    const shares = toShares(
      "service",
      new Map([
        ["a", 300],
        ["b", 699],
        ["crumb", 1],
      ]),
      10,
    );
    expect(shares.map(({ layer }) => layer)).toEqual(["b", "a", "other"]);
    expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
    expect(shares[0]).toEqual({ of: "service", layer: "b", share: 0.699, perEventUs: 69.9 });
  });
});
