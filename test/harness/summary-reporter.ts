import type { Reporter, TestModule, Vitest } from "vitest/node";

/**
 * Ends the output with `N passed, N failed`, alone on its line, for programs that read it. A file that does not
 * load and an error outside any test count as failed, so `0 failed` means that the run is green.
 */
export default class SummaryReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const testModule of testModules) {
      failed += testModule.errors().length;
      for (const suite of testModule.children.allSuites()) failed += suite.errors().length;
      for (const test of testModule.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed += 1;
        // One that was never reached did not pass either; a skipped one was left out on purpose, as by `-t`.
        else if (state !== "skipped") failed += 1;
      }
    }
    // A run without tests has shown nothing.
    if (passed + failed === 0) failed = 1;
    this.#vitest?.logger.log(`${passed} passed, ${failed} failed`);
  }
}
