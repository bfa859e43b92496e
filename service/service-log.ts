import { PinoPretty } from "pino-pretty";
import type { LoadedConfig } from "./config-load.ts";
import { createLog, type Logger, openLogFile } from "./lib/log.ts";

/** To the file always; in the foreground to the terminal as well, in a form for people. */
export function openServiceLog({ config, paths }: LoadedConfig, background: boolean): Logger {
  const streams: NodeJS.WritableStream[] = [openLogFile(paths.logFile, config.log.max_mb, config.log.keep)];
  const pretty =
    config.log.format === "pretty" || (config.log.format === "auto" && process.stderr.isTTY === true);
  if (!background)
    streams.push(
      pretty
        ? PinoPretty({
            destination: 2,
            colorize: process.stderr.isTTY === true,
            ignore: "pid,hostname",
            sync: true,
          })
        : process.stderr,
    );
  return createLog(config.log.level, streams);
}
