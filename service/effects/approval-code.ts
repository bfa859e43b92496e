import { createHash } from "node:crypto";
import type { JsonObject } from "../contract/common.ts";
import { canonicalJson, sha256 } from "../lib/canonical.ts";

/** Neither 0 and O, 1, I and L, 2 and Z, 5 and S, 8 and B nor U and V. */
const LETTERS = "34679ACDEFGHJKMNPQRTWXY";
const LENGTH = 8;

/**
 * The bytes that are approved and carried out: hex SHA-256 of the canonical JSON of kind, target, action, payload, and
 * of what it is bound to besides.
 */
export function effectDigest(effect: {
  kind: string;
  target: string;
  action: string;
  payload: JsonObject;
  bound?: JsonObject | null | undefined;
}): string {
  const { kind, target, action, payload, bound } = effect;
  return sha256(canonicalJson({ kind, target, action, payload, ...(bound ? { bound } : {}) }));
}

/** What a person types for this effect with these bytes. Other bytes have another code. */
export function approvalCode(effect: { id: string; sha256: string }): string {
  const hash = createHash("sha256").update(`${effect.id}:${effect.sha256}`).digest();
  return Array.from({ length: LENGTH }, (_, index) => {
    // Two bytes a letter, so that every letter is about equally likely.
    return LETTERS[hash.readUInt16BE(index * 2) % LETTERS.length];
  }).join("");
}

/** As people write it: small letters, spaces and hyphens do not matter. */
export function readCode(text: string): string {
  return text.toUpperCase().replaceAll(/[\s-]/g, "");
}
