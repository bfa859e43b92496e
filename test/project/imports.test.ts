import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkImports, type ImportReport } from "../../scripts/check-imports.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** One import that must not be: the rule, who imports, and what. A path is made when it is not there. */
const forbidden: [rule: string, from: string, to: string][] = [
  ["no-cycles", "service/lib/planted-a.ts", "service/lib/planted-b.ts"],
  ["known-folder", "service/planted/planted.ts", "service/lib/ids.ts"],
  ["contract-is-zod-only", "service/contract/planted.ts", "node:fs"],
  ["contract-is-zod-only", "service/contract/planted.ts", "service/lib/ids.ts"],
  ["lib-is-small", "service/lib/planted.ts", "service/contract/errors.ts"],
  ["lib-is-small", "service/lib/planted.ts", "zod"],
  ["client-runs-anywhere", "service/client/client.ts", "node:net"],
  ["client", "service/client/planted.ts", "service/workflows/target.ts"],
  ["client", "service/client/planted.ts", "service/topics/target.ts"],
  ["store", "service/store/planted.ts", "service/bus/bus.ts"],
  ["store", "service/store/sqlite/planted.ts", "service/events/target.ts"],
  ["bus", "service/bus/planted.ts", "service/store/store.ts"],
  ["outbox", "service/bus/outbox.ts", "service/events/target.ts"],
  ["adapters-only-in-app", "service/main.ts", "service/store/sqlite/target.ts"],
  ["adapters-only-in-app", "service/effects/planted.ts", "service/bus/sqlite/target.ts"],
  ["adapters-do-not-meet", "service/store/sqlite/planted.ts", "service/store/postgres/target.ts"],
  ["connector-folder", "service/connectors/planted/index.ts", "service/connectors/github/index.ts"],
  ["connector-folder", "service/connectors/planted/store.ts", "service/store/store.ts"],
  ["connector-folder", "service/connectors/planted/bus.ts", "service/bus/bus.ts"],
  ["connector-interface", "service/connectors/poll.ts", "service/connectors/github/index.ts"],
  ["connector-registry", "service/connectors/registry.ts", "service/connectors/github/planted.ts"],
  ["connectors-only-in-registry", "service/app.ts", "service/connectors/github/index.ts"],
  ["part-events", "service/events/planted.ts", "service/topics/target.ts"],
  ["part-search", "service/search/planted.ts", "service/events/target.ts"],
  ["part-topics", "service/topics/planted.ts", "service/agents/target.ts"],
  ["part-effects", "service/effects/planted.ts", "service/workflows/target.ts"],
  ["part-workflows", "service/workflows/planted.ts", "service/client/target.ts"],
  ["part-workflows", "service/workflows/planted.ts", "service/connectors/github/index.ts"],
  ["part-agents", "service/agents/planted.ts", "service/client/target.ts"],
  ["agent-sdk", "service/agents/sdk.ts", "service/store/store.ts"],
  ["http", "service/http/planted.ts", "service/store/sqlite/target.ts"],
  ["http", "service/http/planted.ts", "service/compat/target.ts"],
  ["compat", "service/compat/planted.ts", "service/cli/target.ts"],
  ["cli", "service/cli/planted.ts", "service/store/store.ts"],
  ["mcp", "service/mcp/planted.ts", "service/effects/target.ts"],
  ["extension", "extension/planted.ts", "service/topics/target.ts"],
  ["opencode-plugin", "opencode-plugin/planted.ts", "service/topics/target.ts"],
  ["webview", "webview/planted.ts", "service/client/target.ts"],
  ["composition-is-the-root", "service/effects/planted.ts", "service/config.ts"],
  ["product-without-tests", "service/topics/planted.ts", "test/harness/target.ts"],
  ["product-without-tests", "service/connectors/github/planted.ts", "service/connectors/github/fake.ts"],
  ["product-without-tests", "scripts/planted.ts", "test/harness/target.ts"],
  ["only-owner-of-vscode", "service/lib/planted.ts", "vscode"],
  ["only-owner-of-lua", "service/workflows/planted.ts", "fengari"],
  ["only-owner-of-fastify", "service/compat/planted.ts", "fastify"],
  ["only-owner-of-sqlite", "service/events/planted.ts", "better-sqlite3"],
  ["only-owner-of-arguments", "service/http/planted.ts", "commander"],
  ["only-owner-of-octokit", "service/connectors/planted/index.ts", "@octokit/core"],
  ["resolvable", "service/lib/planted.ts", "service/lib/nowhere.ts"],
  ["declared-package", "service/lib/planted.ts", "acorn"],
  ["no-dev-package-in-product", "service/http/planted.ts", "esbuild"],
];

/** Imports that must stay possible. */
const allowed: [from: string, to: string][] = [
  ["service/contract/good.ts", "zod"],
  ["service/client/good.ts", "service/contract/errors.ts"],
  ["service/store/sqlite/good.ts", "service/store/store.ts"],
  ["service/store/sqlite/good.ts", "better-sqlite3"],
  ["service/bus/outbox.ts", "service/store/store.ts"],
  ["service/app.ts", "service/store/sqlite/target.ts"],
  ["service/config-file.ts", "service/connectors/registry.ts"],
  ["service/connectors/registry.ts", "service/connectors/github/index.ts"],
  ["service/connectors/github/good.ts", "service/connectors/connector.ts"],
  ["service/topics/good.ts", "service/events/target.ts"],
  ["service/workflows/good.ts", "service/effects/target.ts"],
  ["service/workflows/good.ts", "service/store/store.ts"],
  ["service/workflows/lua/good.ts", "fengari"],
  ["service/agents/sdk.ts", "service/client/target.ts"],
  ["service/http/good.ts", "service/workflows/target.ts"],
  ["service/http/good.ts", "fastify"],
  ["service/cli/good.ts", "service/client/target.ts"],
  ["service/cli/good.ts", "commander"],
  ["extension/good.ts", "vscode"],
  ["scripts/demo.ts", "service/connectors/github/fake.ts"],
  ["service/topics/good.test.ts", "service/store/sqlite/target.ts"],
  ["service/topics/good.test.ts", "test/harness/target.ts"],
  ["test/e2e/good.test.ts", "service/app.ts"],
];

let root: string;
let report: ImportReport;

function isPath(specifier: string): boolean {
  return specifier.endsWith(".ts");
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { flag: "a" });
}

function plant(from: string, to: string): void {
  const up = "../".repeat(from.split("/").length - 1);
  write(from, `import "${isPath(to) ? up + to : to}";\n`);
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "signalbox-planted-"));
  cpSync(join(repository, "service"), join(root, "service"), { recursive: true });
  cpSync(join(repository, "package.json"), join(root, "package.json"));
  symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
  for (const [, to] of allowed) if (isPath(to)) write(to, "");
  for (const [rule, , to] of forbidden) if (isPath(to) && rule !== "resolvable") write(to, "");
  for (const [from, to] of allowed) plant(from, to);
  for (const [, from, to] of forbidden) plant(from, to);
  plant("service/lib/planted-b.ts", "service/lib/planted-a.ts");
  write("service/cli/planted-type.ts", 'import type { Store } from "../store/store.ts";\n');
  write("service/cli/planted-late.ts", 'export const late = () => import("../store/store.ts");\n');
  report = await checkImports(root);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** How the report names it: Node's own modules without their prefix. */
function named(specifier: string): string {
  return specifier.replace(/^node:/, "");
}

describe("import rules", () => {
  it.each(forbidden)("%s: %s must not import %s", (rule, from, to) => {
    const found = report.violations.filter((violation) => violation.rule === rule && violation.from === from);
    expect(found.some((violation) => violation.to.includes(named(to)))).toBe(true);
  });

  it.each(["type", "late"])("an import of kind %s counts like any other", (kind) => {
    const from = `service/cli/planted-${kind}.ts`;
    const found = report.violations.find((violation) => violation.from === from);
    expect(found).toMatchObject({ rule: "cli", to: "service/store/store.ts" });
  });

  it.each(allowed)("%s may import %s", (from, to) => {
    const found = report.violations.filter(
      (violation) =>
        violation.from === from && violation.to.includes(named(to)) && violation.rule !== "no-cycles",
    );
    expect(found).toEqual([]);
  });

  it("every rule was seen to fail, but those of parts, which share one table", () => {
    const seen = new Set(forbidden.map(([rule]) => rule));
    const rules = report.rules.filter((rule) => !rule.startsWith("part-"));
    expect(rules.filter((rule) => !seen.has(rule))).toEqual([]);
  });

  it("every file was read", () => {
    expect(report.files).toBeGreaterThan(forbidden.length / 2);
    expect(report.modules).toBe(report.files);
  });

  it("the command prints each violation and fails", async () => {
    const { code, stderr } = await run([root]);
    expect(code).toBe(1);
    expect(stderr).toContain("service/cli/planted.ts\n  must not import service/store/store.ts\n  cli: ");
    expect(stderr).toMatch(/\d+ imports go the wrong way/);
  });

  it("the command fails where it finds nothing to read", async () => {
    const empty = join(root, "empty");
    mkdirSync(join(empty, "service"), { recursive: true });
    const { code, stderr } = await run([empty]);
    expect(code).toBe(1);
    expect(stderr).toContain("only 0 of 0 files were read");
  });
});

function run(args: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(repository, "scripts/check-imports.ts"), ...args],
      (error, _stdout, stderr) => resolve({ code: typeof error?.code === "number" ? error.code : 0, stderr }),
    );
  });
}
