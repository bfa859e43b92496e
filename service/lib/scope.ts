/** Anything that is opened and must be closed. */
export interface Closeable {
  close(): Promise<void> | void;
}

/** Closes what it was given in reverse order, once, and goes on when one of them fails. */
export class Scope implements Closeable {
  #parts: Closeable[] = [];
  #closing: Promise<void> | undefined;

  use<T extends Closeable>(part: T): T {
    this.#parts.push(part);
    return part;
  }

  defer(close: () => Promise<void> | void): void {
    this.#parts.push({ close });
  }

  /** @throws AggregateError of what failed to close, after everything was tried. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of this.#parts.reverse()) {
      try {
        await part.close();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#parts = [];
    if (failures.length > 0) throw new AggregateError(failures, "some parts did not close cleanly");
  }
}

/** What is left of `totalMs`, in milliseconds; it begins to run with the first question. */
export function createDrain(totalMs: number): () => number {
  let endMs: number | undefined;
  return () => {
    endMs ??= performance.now() + totalMs;
    return Math.max(0, endMs - performance.now());
  };
}

/** Whether `work` settles before `ms` are over. A failure counts as settled; it is for whoever else awaits it. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), Math.max(0, ms));
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      late.promise,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
