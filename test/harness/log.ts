import { Writable } from "node:stream";
import { createLog, type Logger, type LogLevel } from "../../service/lib/log.ts";

/** A log whose lines go into a list, as JSON text. */
export function collectingLog(lines: string[], level: LogLevel = "debug"): Logger {
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      lines.push(...piece.toString().trimEnd().split("\n"));
      done();
    },
  });
  return createLog(level, [stream]);
}
