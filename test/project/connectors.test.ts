import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repository } from "../../scripts/source-files.ts";
import { connectorById, connectors } from "../../service/connectors/registry.ts";

const root = join(repository, "service/connectors");
const folders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

describe("connectors", () => {
  it("are all in registry.ts, each under the name of its folder", () => {
    expect(Object.keys(connectorById).sort()).toEqual(folders.sort());
    expect(connectors.map(({ id }) => id)).toEqual(Object.keys(connectorById));
  });

  it("have an agent's name of their own each", () => {
    expect(new Set(connectors.map(({ agent }) => agent)).size).toBe(connectors.length);
  });

  it.each(folders)("%s has settings, a README and tests in its folder", (folder) => {
    for (const file of ["index.ts", "config.ts", "README.md"]) {
      expect(existsSync(join(root, folder, file)), file).toBe(true);
    }
    expect(readdirSync(join(root, folder)).some((file) => file.endsWith(".test.ts"))).toBe(true);
  });
});
