export function explain(_context: unknown): void {}
