import { SignalboxError } from "../../contract/errors.ts";

const corruptHint =
  "Stop the service, keep a copy of the file, then restore a backup; `signalbox events export` may still read parts.";

/** SQLite's error as one of ours: what happened to which file and what to do. Others pass unchanged. */
export function storageError(error: unknown, file: string): unknown {
  if (error instanceof SignalboxError) return error;
  const code = (error as { code?: unknown }).code;
  if (typeof code !== "string" || !code.startsWith("SQLITE_")) return error;
  const text = `${file}: ${(error as Error).message}`;
  if (code === "SQLITE_FULL") return new SignalboxError("storage_full", text, { cause: error });
  if (code.startsWith("SQLITE_IOERR")) return new SignalboxError("storage_failed", text, { cause: error });
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return new SignalboxError("storage_corrupt", text, { cause: error, hint: corruptHint });
  }
  if (code.startsWith("SQLITE_READONLY") || code.startsWith("SQLITE_CANTOPEN") || code === "SQLITE_PERM") {
    return new SignalboxError("storage_failed", text, {
      cause: error,
      hint: `Make ${file} and its folder writable for this user.`,
    });
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new SignalboxError("busy", text, {
      cause: error,
      hint: "Another program has the database open for writing.",
      retryAfterS: 1,
    });
  }
  return error;
}
