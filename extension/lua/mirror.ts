import type { Edit } from "./syntax/document.ts";

/** A change as editors tell it: so many characters from `rangeOffset` on became `text`. */
export interface ContentChange {
  rangeOffset: number;
  rangeLength: number;
  text: string;
}

/** Changes that all speak of the text as it was before them, as edits one after the other. */
export function editsOf(changes: readonly ContentChange[]): Edit[] {
  return changes
    .toSorted((one, other) => other.rangeOffset - one.rangeOffset)
    .map(({ rangeOffset, rangeLength, text }) => ({
      from: rangeOffset,
      to: rangeOffset + rangeLength,
      text,
    }));
}

/** Whether a Lua text has to do with Signalbox, wherever its file is. */
export function usesSignalbox(text: string): boolean {
  if (/\b(?:sekia|signalbox)\s*\.|\bdefine_action\s*[({]|\btools\s*\.\s*define_tool\b/.test(text))
    return true;
  // Others call a table of their own so: it is ours where nothing else of that name is made.
  return /\b(?:actions|kit)\.\w+\.\w+\s*[({]/.test(text) && !/\b(?:actions|kit)\s*(?:=[^=]|,)/.test(text);
}

/** The name of the workflow that a file is; null when it is not one: those in folders below are left alone. */
export function workflowName(file: string, workflowsDir: string): string | null {
  const normal = (path: string) => path.replaceAll("\\", "/").replace(/\/+$/, "");
  const [path, folder] = [normal(file), normal(workflowsDir)];
  if (!path.startsWith(`${folder}/`)) return null;
  return /^([^/.][^/]*)\.lua$/.exec(path.slice(folder.length + 1))?.[1] ?? null;
}

/** Whether a path is the folder or in it. */
export function isInside(path: string, folder: string | null): boolean {
  if (folder === null) return false;
  const normal = (one: string) => one.replaceAll("\\", "/").replace(/\/+$/, "");
  return normal(path) === normal(folder) || normal(path).startsWith(`${normal(folder)}/`);
}
