import { DocComment, type Span, type SyntaxProblem } from "./ast.ts";

export type TokenKind = "name" | "keyword" | "number" | "string" | "symbol" | "end" | "bad";

export interface Token extends Span {
  kind: TokenKind;
  /** Of a name, keyword or symbol. */
  text: string;
  /** A string's value, or the number. */
  value: string | number;
  closed: boolean;
  /** The first of its line. */
  startsLine: boolean;
}

export const keywords = new Set(
  "and break do else elseif end false for function goto if in local nil not or repeat return then true until while".split(
    " ",
  ),
);

const pairs = new Set(["<<", ">>", "//", "==", "~=", "<=", ">=", "::", ".."]);
const singles = new Set("+-*/%^#&~|<>=(){}[];:,.");
/** The same object for each token without comments before it. */
const none: DocComment[] = [];

const numberPattern =
  /0[xX](?:[\da-fA-F]*\.?[\da-fA-F]*)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const longOpen = /\[(=*)\[/y;
const simpleEscapes: Record<string, string> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\n": "\n",
};

/** Cuts a text into tokens, one after the other, and keeps the comments between them. */
export class Lexer {
  readonly source: string;
  pos: number;
  private readonly start: number;
  readonly problems: SyntaxProblem[] = [];
  /** `---` comments since the token before. */
  docs: DocComment[] = none;
  private sawLineFeed = false;
  /** Every other comment, for folding. */
  readonly comments: Span[] = [];
  /** Tokens that were cut so far. */
  count = 0;

  constructor(source: string, pos: number) {
    this.source = source;
    this.pos = pos;
    this.start = pos;
  }

  next(): Token {
    this.count += 1;
    this.docs = none;
    this.sawLineFeed = false;
    this.skipTrivia();
    const from = this.pos;
    const token = this.read(from);
    token.startsLine = this.sawLineFeed || (this.count === 1 && this.start === 0);
    this.pos = token.to;
    return token;
  }

  private read(from: number): Token {
    const { source } = this;
    const char = source[from];
    if (char === undefined) return this.token("end", from, from, "");
    const to = nameEnd(source, from);
    if (to > from) {
      const name = source.slice(from, to);
      return this.token(keywords.has(name) ? "keyword" : "name", from, to, name);
    }
    if (char === '"' || char === "'") return this.quoted(from, char);
    if (isDigit(char) || (char === "." && isDigit(source[from + 1]))) return this.number(from);
    if (char === "[") {
      const long = this.long(from);
      if (long) {
        const token = this.token("string", from, long.to, "");
        token.value = long.value;
        token.closed = long.closed;
        return token;
      }
    }
    const pair = source.slice(from, from + 2);
    if (pairs.has(pair)) {
      const symbol = pair === ".." && source[from + 2] === "." ? "..." : pair;
      return this.token("symbol", from, from + symbol.length, symbol);
    }
    if (singles.has(char)) return this.token("symbol", from, from + 1, char);
    this.problems.push({ message: `unexpected character '${char}'`, from, to: from + 1 });
    return this.token("bad", from, from + 1, char);
  }

  private token(kind: TokenKind, from: number, to: number, text: string): Token {
    return { kind, from, to, text, value: "", closed: true, startsLine: false };
  }

  private number(from: number): Token {
    numberPattern.lastIndex = from;
    const text = numberPattern.exec(this.source)?.[0] ?? "0";
    let to = from + text.length;
    const tail = this.source.slice(to, nameEnd(this.source, to));
    if (tail !== "") {
      to += tail.length;
      this.problems.push({ message: `malformed number near '${text}${tail}'`, from, to });
    }
    const token = this.token("number", from, to, text);
    token.value = Number(text);
    return token;
  }

  private quoted(from: number, quote: string): Token {
    const { source } = this;
    let value = "";
    let at = from + 1;
    for (;;) {
      const char = source[at];
      if (char === undefined || char === "\n") {
        const to = char === "\n" && source[at - 1] === "\r" ? at - 1 : at;
        this.problems.push({ message: `unfinished string, ${quote} expected`, from, to });
        return { ...this.token("string", from, to, ""), value, closed: false };
      }
      if (char === quote) return { ...this.token("string", from, at + 1, ""), value };
      if (char !== "\\") {
        value += char;
        at += 1;
        continue;
      }
      const found = readEscape(source, at);
      if (found.problem) this.problems.push({ message: found.problem, from: at, to: found.to });
      value += found.value;
      at = found.to;
    }
  }

  private long(from: number): { to: number; value: string; closed: boolean } | null {
    longOpen.lastIndex = from;
    const open = longOpen.exec(this.source);
    if (!open) return null;
    const start = from + open[0].length;
    const end = this.source.indexOf(`]${open[1] ?? ""}]`, start);
    if (end >= 0) {
      return {
        to: end + open[0].length,
        value: this.source.slice(start, end).replace(/^\r?\n/, ""),
        closed: true,
      };
    }
    this.problems.push({ message: "unfinished long text", from, to: from + open[0].length });
    return { to: this.source.length, value: this.source.slice(start), closed: false };
  }

  private skipTrivia(): void {
    const { source } = this;
    for (;;) {
      const code = source.charCodeAt(this.pos);
      if (code === 32 || (code >= 9 && code <= 13)) {
        if (code === 10) this.sawLineFeed = true;
        this.pos += 1;
      }
      // A comment with line feeds in it counts as none: the token behind it is on its last line.
      else if (code === 45 && source.charCodeAt(this.pos + 1) === 45) this.comment();
      else return;
    }
  }

  private comment(): void {
    const from = this.pos;
    const long = this.long(from + 2);
    if (long) {
      this.pos = long.to;
      this.comments.push({ from, to: long.to });
      return;
    }
    const to = lineEnd(this.source, from);
    this.pos = to;
    const text = this.source.slice(from, to);
    if (!/^---(?!-)/.test(text)) {
      this.comments.push({ from, to });
      return;
    }
    const last = this.docs.at(-1);
    const gap = last ? this.source.slice(last.to, from) : "";
    if (last && isFirst(this.source, last.from, this.start) && /^\r?\n[ \t]*$/.test(gap)) {
      this.docs = [
        ...this.docs.slice(0, -1),
        new DocComment(this.source.slice(last.from, to), last.from, to),
      ];
    } else this.docs = [...this.docs, new DocComment(text, from, to)];
  }
}

function readEscape(source: string, at: number): { value: string; to: number; problem?: string } {
  const char = source[at + 1] ?? "";
  const simple = simpleEscapes[char];
  if (simple !== undefined) return { value: simple, to: at + 2 };
  const digits = /^(?:x([\da-fA-F]{2})|u\{([\da-fA-F]{1,8})\}|(\d{1,3})|z\s*)/.exec(
    source.slice(at + 1, at + 40),
  );
  if (digits) {
    const [all, hex, unicode, decimal] = digits;
    const code = hex ? Number.parseInt(hex, 16) : unicode ? Number.parseInt(unicode, 16) : Number(decimal);
    const to = at + 1 + all.length;
    if (all.startsWith("z")) return { value: "", to };
    if (!unicode && code > 255) return { value: "", to, problem: "decimal escape too large" };
    return { value: code > 0x10ffff ? "" : String.fromCodePoint(code), to };
  }
  if (/[\\"'\r]/.test(char)) return { value: char, to: at + 2 };
  const isAtEnd = char === "" || char === "\n";
  return { value: char, to: at + (isAtEnd ? 1 : 2), problem: "invalid escape sequence" };
}

/** Where the name that begins here ends; the same place when there is none. */
function nameEnd(source: string, from: number): number {
  let at = from;
  for (;;) {
    const code = source.charCodeAt(at) | 0;
    const isLetter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;
    if (!isLetter && !(at > from && code >= 48 && code <= 57)) return at;
    at += 1;
  }
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}

/** Whether only spaces stand before it in its line, as far as the text from `start` on tells. */
function isFirst(source: string, offset: number, start: number): boolean {
  for (let at = offset - 1; at >= start; at--) {
    const code = source.charCodeAt(at);
    if (code === 10) return true;
    if (code !== 32 && code !== 9 && code !== 13) return false;
  }
  return start === 0;
}

export function lineEnd(source: string, offset: number): number {
  const end = source.indexOf("\n", offset);
  if (end < 0) return source.length;
  return source[end - 1] === "\r" ? end - 1 : end;
}
