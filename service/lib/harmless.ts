/**
 * Marks that turn the direction of reading, and characters without width in which text can be hidden from the person
 * who looks on: Unicode's copy of ASCII and its many variants. Those that join letters stay, since some scripts need them.
 */
export const unseen = /[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e01ef}]/gu;
const control = /[^\P{Cc}\t\n]/gu;

/** Without what a reader can't see, and without what a terminal would obey. */
export function harmless(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(control, "").replaceAll(unseen, "");
}
