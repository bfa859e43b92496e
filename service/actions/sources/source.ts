/** Where an action's files come from, as its `define_action` says. */
export interface SourceRequest {
  /** A git URL (`https://`, `ssh://`, `file://`, `git@host:path`), with `#ref` after it where wanted, or a folder. */
  readonly source: string;
  /** A folder inside the source. */
  readonly subdir: string | null;
  /** What a relative folder is relative to: the actions repository. Absolute. */
  readonly base: string;
  /** Where checkouts are kept. */
  readonly cacheDir: string;
  /** The full commit id that was approved. It stays, wherever the branch has moved. */
  readonly pin?: string | null;
  /** Ask the remote where the ref is now. Without it and without `pin`, the commit seen first stays. */
  readonly update?: boolean;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  readonly progress?: (text: string) => void;
}

export interface ResolvedSource {
  /** Absolute, with `subdir`, all links resolved. Of a git source: read-only. */
  readonly dir: string;
  /** Null for a folder. */
  readonly commit: string | null;
  /** Hex SHA-256 over the files under `dir`: see digest.ts. */
  readonly digest: string;
}
