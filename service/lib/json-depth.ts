/**
 * Whether arrays and objects stand within each other more than `levels` deep. Looks no deeper than that, so the
 * value may be as deep as it likes.
 */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  // Without a list of all values: a large array of numbers would be copied for nothing.
  if (Array.isArray(value)) return value.some((one) => isDeeperThan(one, levels - 1));
  for (const key in value) {
    if (Object.hasOwn(value, key) && isDeeperThan((value as Record<string, unknown>)[key], levels - 1))
      return true;
  }
  return false;
}
