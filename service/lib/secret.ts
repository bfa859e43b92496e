import { createHash, timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";

const MASK = "[secret]";

/** A value that prints as `[secret]` in logs, JSON, templates and the debugger. Only `reveal()` gives it away. */
export class Secret {
  readonly #value: string;
  /** Made when it is first compared. */
  #digest: Buffer | undefined;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** Compares in constant time, whatever the lengths. A blank secret equals nothing, so it can't fail open. */
  equals(candidate: string): boolean {
    if (this.#value === "") return false;
    this.#digest ??= digest(this.#value);
    return timingSafeEqual(this.#digest, digest(candidate));
  }

  get isBlank(): boolean {
    return this.#value.trim() === "";
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
