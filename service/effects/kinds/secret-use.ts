import * as z from "zod";
import { SignalboxError } from "../../contract/errors.ts";
import type { Secret } from "../../lib/secret.ts";

/** A secret by the name that the settings give it, or by its variable where they list it. Never the secret itself. */
export const secretUse = z.union([
  z.strictObject({ secret: z.string().min(1).max(200), prefix: z.string().max(50).optional() }),
  z.strictObject({ env: z.string().min(1).max(200), prefix: z.string().max(50).optional() }),
]);
export type SecretUse = z.infer<typeof secretUse>;

/** One entry of `effects.secrets`: without it no effect reaches a secret, whatever it names. */
export interface KnownSecret {
  readonly name: string;
  /** Its variable, where it stands in one. */
  readonly env: string | null;
  /** Hosts it may be sent to, `*.example.com` for what is below; empty: any. */
  readonly hosts: readonly string[];
  /** Read anew each time; null when it is not set. */
  read(): Secret | null;
}

/** @throws SignalboxError `forbidden` (not listed, or not for this host), `secret_missing` */
export function useSecret(use: SecretUse, known: readonly KnownSecret[], host: string): string {
  const found = findSecret(use, known, host);
  const secret = found.read();
  if (secret === null)
    throw new SignalboxError("secret_missing", `the secret ${found.name} is not set`, {
      hint: "Set it where `effects.secrets` says that it stands.",
    });
  return `${use.prefix ?? ""}${secret.reveal()}`;
}

/** @throws SignalboxError `forbidden` */
export function findSecret(use: SecretUse, known: readonly KnownSecret[], host: string): KnownSecret {
  const found = known.find((one) => ("secret" in use ? one.name === use.secret : one.env === use.env));
  const name = "secret" in use ? use.secret : use.env;
  if (!found)
    throw new SignalboxError("forbidden", `${name} is not listed in effects.secrets`, {
      hint: "Only secrets that the settings list by name can be used in an effect.",
    });
  if (found.hosts.length > 0 && !found.hosts.some((pattern) => isHost(pattern, host)))
    throw new SignalboxError("forbidden", `the secret ${found.name} is not for ${host}`);
  return found;
}

function isHost(pattern: string, host: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), host.toLowerCase()];
  return wanted.startsWith("*.") ? given.endsWith(wanted.slice(1)) : given === wanted;
}
