import { parseArgs } from "node:util";
import { SignalboxError } from "./contract/errors.ts";
import { tidyWhenQuiet } from "./lib/heap.ts";

/** Another service holds the lock (EX_TEMPFAIL): whoever started this one uses that. */
const EXIT_ALREADY_RUNNING = 75;

/** What closing may take beyond the work under way, such as the last write to a slow disk. */
const STOP_MARGIN_MS = 10_000;

const oldest = [22, 12] as const;

// better-sqlite3 ends an older Node without a word, so nothing that loads it may be imported before this.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  fail(
    new SignalboxError(
      "node_too_old",
      `Signalbox needs Node.js ${oldest.join(".")} or newer; this is ${process.versions.node}`,
    ),
  );
}

main().catch(fail);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      background: { type: "boolean", default: false },
      // Reads the settings, says what is wrong with them, and ends.
      check: { type: "boolean", default: false },
      set: { type: "string", multiple: true, default: [] },
    },
  });
  if (values.check) {
    const { loadConfig } = await import("./config-load.ts");
    loadConfig({ set: values.set });
    return;
  }
  const [{ loadConfig }, { startApp }, { openServiceLog }] = await Promise.all([
    import("./config-load.ts"),
    import("./app.ts"),
    import("./service-log.ts"),
  ]);
  const loaded = loadConfig({ set: values.set });
  const { log, close } = openServiceLog(loaded, values.background);
  const closeLog = (code: number) => void close().finally(() => process.exit(code));
  let stopping = false;
  let stop: () => void = () => {
    stopping = true;
  };
  let signals = 0;
  const onSignal = (signal: string) => {
    signals += 1;
    if (signals > 1) {
      log.warn({ signal }, "stopping at once");
      closeLog(1);
      return;
    }
    log.info({ signal }, "stopping");
    stop();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  process.on("uncaughtException", (error) => {
    // State in memory can't be trusted any more; the database can, so the next start begins again from there. In the
    // background standard error is the log file, and unlike the log it is written before the process ends.
    process.stderr.write(`a bug ended the service\n${error.stack ?? error.message}\n`);
    process.exit(70);
  });
  const luaWorker = import.meta.url.endsWith(".ts") ? undefined : new URL("./lua-worker.js", import.meta.url);
  const app = await startApp({
    loaded,
    log,
    onStop: () => stop(),
    ...(luaWorker === undefined ? {} : { luaWorker }),
  });
  for (const warning of loaded.warnings) log.warn(warning);
  tidyWhenQuiet();
  const shutDown = () => {
    setTimeout(() => {
      log.error("some parts did not stop in time");
      closeLog(1);
    }, loaded.config.service.drain_ms + STOP_MARGIN_MS).unref();
    app.close().then(
      () => {
        log.info("stopped");
        closeLog(0);
      },
      (error: unknown) => {
        log.error({ err: error }, "some parts did not stop cleanly");
        closeLog(1);
      },
    );
  };
  if (stopping) shutDown();
  stop = shutDown;
}

function fail(error: unknown): never {
  if (!SignalboxError.is(error)) throw error;
  process.stderr.write(`${error.message}\n${error.hint}\n`);
  process.exit(error.code === "already_running" ? EXIT_ALREADY_RUNNING : 1);
}
