import { isAbsolute } from "node:path";
import { SignalboxError } from "../contract/errors.ts";
import type { Closeable } from "../lib/scope.ts";
import { Catalog, type CatalogOptions } from "./catalog.ts";
import { readGitSource } from "./sources/git.ts";

/** Repositories besides the one that is set, kept open at once. */
const MAX_OPEN = 20;

/** The repository that is set, and those that scripts name (`--actions DIR`). */
export class Catalogs implements Closeable {
  readonly #options: CatalogOptions;
  readonly #others = new Map<string, Promise<Catalog>>();
  readonly set: Catalog;

  private constructor(options: CatalogOptions, set: Catalog) {
    this.#options = options;
    this.set = set;
  }

  static async open(options: CatalogOptions): Promise<Catalogs> {
    return new Catalogs(options, await Catalog.open(options));
  }

  /**
   * The one that is set where nothing is named. Others are read again each time, as nobody watches them.
   * @throws SignalboxError `invalid_request`
   */
  async of(source: string | undefined): Promise<Catalog> {
    if (source === undefined || source === this.#options.source) return this.set;
    if (!isAbsolute(source) && readGitSource(source) === null)
      throw new SignalboxError("invalid_request", `${source} is neither an absolute path nor a git URL`);
    const known = this.#others.get(source);
    if (known) {
      const catalog = await known;
      await catalog.sync();
      return catalog;
    }
    const missing = `There is no actions repository at ${source}`;
    const opening = Catalog.open({ ...this.#options, source, missing, hotReload: false });
    this.#others.set(source, opening);
    const [oldest] = this.#others.keys();
    if (this.#others.size > MAX_OPEN && oldest !== undefined) this.#others.delete(oldest);
    return opening;
  }

  async close(): Promise<void> {
    await this.set.close();
    for (const opening of this.#others.values()) await (await opening).close();
  }
}
