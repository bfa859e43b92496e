import { createHash, randomFillSync } from "node:crypto";
import { encodeTime, monotonicFactory } from "ulid";

/** Drawn ahead: the library asks for each letter by itself, and one call for one byte costs more than the letter. */
const randomBytes = new Uint8Array(4_096);
let used = randomBytes.length;

const nextUlid = monotonicFactory(() => {
  if (used === randomBytes.length) {
    randomFillSync(randomBytes);
    used = 0;
  }
  return (randomBytes[used++] ?? 0) / 256;
});

/** A new `prefix_ULID`. Ids made by one process sort by the order they were made in, even when its clock goes back. */
export function newId(prefix: string): string {
  return `${prefix}_${nextUlid()}`;
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * The `prefix_ULID` that always belongs to `key`: its time is `timeMs`, its random part the key's hash. A
 * handler that runs again after a crash names the same effects and events by the same ids.
 */
export function idFromKey(prefix: string, timeMs: number, key: string): string {
  const hash = createHash("sha256").update(key).digest();
  let random = "";
  for (let index = 0; index < 16; index++) random += CROCKFORD[(hash[index] ?? 0) & 31];
  return `${prefix}_${encodeTime(Math.max(0, Math.floor(timeMs)), 10)}${random}`;
}
