import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { SecretRef } from "../connectors/connector.ts";
import { SignalboxError } from "../contract/errors.ts";
import { Secret } from "../lib/secret.ts";

/**
 * Reads a secret where its reference says; null when it is not set or blank.
 * @throws SignalboxError `forbidden` for a file that others can read
 */
export function readSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): Secret | null {
  const text = "env" in ref ? env[ref.env] : readOwnFile(ref.file.replace(/^~(?=\/)/, homedir()));
  const secret = new Secret(text?.trim() ?? "");
  return secret.isBlank ? null : secret;
}

function readOwnFile(file: string): string | undefined {
  try {
    if (process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0) {
      throw new SignalboxError("forbidden", `${file} holds a secret that others can read`, {
        hint: `Run chmod 600 ${join(file)}`,
      });
    }
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
