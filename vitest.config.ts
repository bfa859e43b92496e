import { defineConfig } from "vitest/config";

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
    pool: "forks",
    reporters: ["default", "./test/harness/summary-reporter.ts"],
    maxWorkers: 2,
    // Real processes on a shared two-core machine: a limit against hangs, never a measure of speed.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { hooks: "stack" },
  },
});
