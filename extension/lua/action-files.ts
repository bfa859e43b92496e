import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Disposable, RelativePattern, Uri, workspace } from "vscode";

const MAX_FILES = 2_000;
const MAX_BYTES = 1_000_000;

interface Target {
  set(uri: string, text: string): void;
  remove(uri: string): void;
}

/** The files of the actions repository, read once and again as they change on the disk. */
export class ActionFiles implements Disposable {
  readonly #target: Target;
  #folder: string | null = null;
  #watcher: Disposable | null = null;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Null while there is none. */
  get folder(): string | null {
    return this.#folder;
  }

  dispose(): void {
    this.#watcher?.dispose();
    this.#watcher = null;
  }

  async read(folder: string | null): Promise<void> {
    if (folder === this.#folder) return;
    this.#folder = folder;
    this.dispose();
    if (folder === null) return;
    const watcher = workspace.createFileSystemWatcher(new RelativePattern(Uri.file(folder), "**/*.lua"));
    watcher.onDidChange((uri) => this.#readFile(uri));
    watcher.onDidCreate((uri) => this.#readFile(uri));
    watcher.onDidDelete((uri) => this.#target.remove(uri.toString()));
    this.#watcher = watcher;
    // A folder that is gone has no files; the service says so where it matters.
    const names = await readdir(folder, { recursive: true }).catch((): string[] => []);
    const files = names.filter(
      (name) => name.endsWith(".lua") && !/(^|[\\/])(\.git|node_modules)[\\/]/.test(name),
    );
    await Promise.all(files.slice(0, MAX_FILES).map((name) => this.#readFile(Uri.file(join(folder, name)))));
  }

  async #readFile(uri: Uri): Promise<void> {
    const isOpen = workspace.textDocuments.some((document) => document.uri.toString() === uri.toString());
    if (isOpen) return;
    // Gone again, or not ours to read: then nothing is known of it.
    const text = await readFile(uri.fsPath, "utf8").catch(() => null);
    if (text !== null && text.length <= MAX_BYTES) this.#target.set(uri.toString(), text);
  }
}
