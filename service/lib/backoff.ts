/**
 * How long to wait before attempt `attempt + 1`, in milliseconds: doubles from `baseMs` up to `maxMs`, and takes
 * a random part of up to half off so that many clients do not come back together.
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random = Math.random): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(attempt - 1, 0), 30));
  return Math.round(full * (1 - random() / 2));
}
