import { PinoPretty } from "pino-pretty";
import type { LoadedConfig } from "./config-load.ts";
import { createLog, type Logger, openLogFile } from "./lib/log.ts";

export interface ServiceLog {
  log: Logger;
  /** Resolves when the last line is in the file. */
  close(): Promise<void>;
}

/** To the file always; in the foreground to the terminal as well, in a form for people. */
export function openServiceLog({ config, paths }: LoadedConfig, background: boolean): ServiceLog {
  const file = openLogFile(paths.logFile, config.log.max_mb, config.log.keep);
  const isTerminal = process.stderr.isTTY === true;
  const pretty = config.log.format === "pretty" || (config.log.format === "auto" && isTerminal);
  const terminal = pretty
    ? PinoPretty({ destination: 2, colorize: isTerminal, ignore: "pid,hostname", sync: true })
    : process.stderr;
  return {
    log: createLog(config.log.level, background ? [file] : [file, terminal]),
    close: () => new Promise((resolve) => file.end(resolve)),
  };
}
