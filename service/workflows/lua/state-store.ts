import type { Json, JsonObject } from "../../contract/common.ts";

/**
 * The durable key-value pairs of one workflow, as its handlers see them. Changes since `begin` can be undone, for
 * a handler that fails.
 */
export class StateStore {
  #values: Map<string, Json>;
  #before = new Map<string, Json | undefined>();

  constructor(values: JsonObject) {
    this.#values = new Map(Object.entries(values));
  }

  get(key: string): Json | undefined {
    return this.#values.get(key);
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  set(key: string, value: Json | undefined): void {
    if (!this.#before.has(key)) this.#before.set(key, this.#values.get(key));
    this.#put(key, value);
  }

  /** What was changed so far stays. */
  begin(): void {
    this.#before.clear();
  }

  undo(): void {
    for (const [key, value] of this.#before) this.#put(key, value);
    this.#before.clear();
  }

  #put(key: string, value: Json | undefined): void {
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }
}
