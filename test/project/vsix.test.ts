import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { repository } from "../../scripts/source-files.ts";
import { readZipNames } from "../harness/zip.ts";

const { version } = z
  .looseObject({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")));
const file = join(repository, `dist/signalbox-${process.platform}-${process.arch}-${version}.vsix`);

let names: string[];
beforeAll(() => {
  // Made by `npm run package`, which `npm test` begins with.
  names = readZipNames(readFileSync(file));
});

describe("the extension's package", () => {
  it("holds what it runs, one file each, and nothing of what it is made from", () => {
    const inside = names
      .filter((name) => name.startsWith("extension/"))
      .map((name) => name.slice("extension/".length));
    for (const name of [
      "main.cjs",
      "dist/service.js",
      "dist/lua-worker.js",
      "dist/index-worker.js",
      "dist/cli.cjs",
      "bin/signalbox.cjs",
    ])
      expect(inside).toContain(name);
    expect(inside.filter((name) => name.endsWith(".node"))).toHaveLength(1);
    expect(inside.filter((name) => /node_modules|\.(ts|map|vsix|tsbuildinfo)$|test/.test(name))).toEqual([]);
  });

  it("holds licence, changes and the licences of what is bundled", () => {
    const inside = names.join("\n");
    for (const name of [/LICENSE/i, /changelog\.md/i, /readme\.md/i, /NOTICES\.txt/])
      expect(inside).toMatch(name);
  });

  it("holds every program of the build that is not there for others to import", () => {
    const built = readdirSync(join(repository, "dist")).filter((name) => /\.c?js$/.test(name));
    const others = ["agent.js", "client.js"];
    const inside = names.map((name) => name.replace(/^extension\/dist\//, ""));
    expect(built.filter((name) => !others.includes(name) && !inside.includes(name))).toEqual([]);
  });

  it("is smaller than 3 MB", () => {
    expect(statSync(file).size).toBeLessThan(3_000_000);
  });
});
