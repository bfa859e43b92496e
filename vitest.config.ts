import { configDefaults, defineConfig } from "vitest/config";
import { missingForEditor } from "./scripts/editor-cache.ts";

// The suites in the real editor need a server and a browser, which not every machine has. CI has to have them.
// A downloaded VS Code is used where its version is asked for, such as SIGNALBOX_E2E_DESKTOP=1.139.1.
const missing = process.env.SIGNALBOX_E2E_DESKTOP ? null : missingForEditor();
const leavesOutEditor = missing !== null && process.env.CI !== "true";
if (leavesOutEditor)
  process.stderr.write(
    `test/extension is left out: ${missing} is missing here; npm run setup:e2e installs it\n`,
  );

export default defineConfig({
  test: {
    include: [
      "service/**/*.test.ts",
      "opencode-plugin/*.test.ts",
      "extension/**/*.test.ts",
      "webview/**/*.test.ts",
      "test/**/*.test.ts",
      "scripts/**/*.test.ts",
      "bench/*.test.ts",
    ],
    exclude: [...configDefaults.exclude, ...(leavesOutEditor ? ["test/extension/**"] : [])],
    pool: "forks",
    globalSetup: ["./test/harness/built.ts"],
    reporters: ["default", "./test/harness/summary-reporter.ts"],
    maxWorkers: 2,
    // Real processes on a shared two-core machine: a limit against hangs, never a measure of speed.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Windows, terminals and browsers of others on a starved machine: a step gets another chance in CI, seen as a retry.
    retry: process.env.CI === "true" ? 2 : 0,
    sequence: { hooks: "stack" },
  },
});
