import { eastAsianWidth } from "get-east-asian-width";

// Letters and marks that are one column wide wherever they stand: nearly all there is, and nothing to look up.
const plain = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff–…→⏎]*$/;
const invisible = /^[\p{Cf}\p{M}]+$/u;
const emoji = /\p{Emoji_Presentation}|\ufe0f/u;

let segmenter: Intl.Segmenter | undefined;

/** Columns that a text without control characters takes on a terminal. */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const grapheme of graphemes(text)) width += graphemeWidth(grapheme);
  return width;
}

/** What a reader sees as one character each: letters with their accents, flags, families. */
export function* graphemes(text: string): Generator<string> {
  if (plain.test(text)) {
    yield* text;
    return;
  }
  // Its tables take several milliseconds to load, which most commands can spare.
  segmenter ??= new Intl.Segmenter();
  for (const { segment } of segmenter.segment(text)) yield segment;
}

function graphemeWidth(grapheme: string): number {
  if (invisible.test(grapheme)) return 0;
  return emoji.test(grapheme) ? 2 : eastAsianWidth(grapheme.codePointAt(0) ?? 0);
}
