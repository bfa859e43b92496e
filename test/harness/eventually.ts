/** Asks until `read` answers with something that `isRight` accepts. @throws Error with the last answer */
export async function eventually<T>(
  read: () => T | Promise<T>,
  isRight: (value: T) => boolean = Boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (isRight(value)) return value;
    if (performance.now() > end) throw new Error(`it did not come to pass: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
