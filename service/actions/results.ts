import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Json } from "../contract/common.ts";
import { canonicalJson } from "../lib/canonical.ts";
import { newId } from "../lib/ids.ts";

/** All answers together; the ones that nobody has used for longest go first. */
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Answers of actions in a private folder: those that are kept for a while (`cache = "1h"`), and large ones, which
 * would not fit into the database (K26).
 */
export class Results {
  readonly #dir: string;
  readonly #maxBytes: number;

  constructor(dir: string, maxBytes = MAX_BYTES) {
    this.#dir = dir;
    this.#maxBytes = maxBytes;
  }

  /** The answer under `key`, if it was written after `since_ms`; null otherwise. */
  async read(key: string, since_ms: number): Promise<{ value: Json } | null> {
    const file = this.#file(key);
    const found = await stat(file).catch(absent);
    if (found === null || found.mtimeMs < since_ms) return null;
    const text = await readFile(file, "utf8").catch(absent);
    return text === null ? null : { value: JSON.parse(text) as Json };
  }

  async write(key: string, value: Json, now_ms: number): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = this.#file(key);
    const partial = `${file}.${newId("part")}`;
    await writeFile(partial, JSON.stringify(value), { mode: 0o600 });
    await utimes(partial, now_ms / 1_000, now_ms / 1_000);
    await rename(partial, file);
    await this.#shrink();
  }

  /** Oldest first, until all fit. */
  async #shrink(): Promise<void> {
    const names = await readdir(this.#dir);
    const files = await Promise.all(
      names.map(async (name) => ({ name, found: await stat(join(this.#dir, name)).catch(absent) })),
    );
    const kept = files.flatMap(({ name, found }) =>
      found ? [{ name, size: found.size, ms: found.mtimeMs }] : [],
    );
    let bytes = kept.reduce((sum, { size }) => sum + size, 0);
    for (const { name, size } of kept.sort((a, b) => a.ms - b.ms)) {
      if (bytes <= this.#maxBytes) return;
      await rm(join(this.#dir, name), { force: true });
      bytes -= size;
    }
  }

  #file(key: string): string {
    return join(this.#dir, `${createHash("sha256").update(key).digest("hex")}.json`);
  }
}

/** What has the same answer: the same program with the same parameters. */
export function resultKey(sha256: string, params: Json): string {
  return canonicalJson({ sha256, params });
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
