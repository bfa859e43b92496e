import type { Output } from "../../service/contract/routes.ts";

/** The first line that sets something below a key, as far as it is set in a file; lines count from 1. */
export function settingsPlace(
  entries: Output<"getConfig">["entries"],
  key: string,
): { readonly file: string; readonly line: number } | null {
  const places = entries.flatMap((entry) => {
    const [, file, line] = /^(.+):(\d+)$/.exec(entry.origin) ?? [];
    if (file === undefined || !(entry.key === key || entry.key.startsWith(`${key}.`))) return [];
    return [{ file, line: Number(line) }];
  });
  return places.sort((one, other) => one.line - other.line)[0] ?? null;
}
