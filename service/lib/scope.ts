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
