import type { DocComment, Span, SyntaxProblem } from "./ast.ts";
import { Lexer, type Token } from "./lexer.ts";

// Lua itself stops at 200.
const MAX_DEPTH = 180;

/** Words that end a block. */
export const closers = new Set(["end", "else", "elseif", "until"]);

/** Thrown where no stack is left for what is nested; the reader of the chunk catches it. */
export class TooDeep extends Error {}

/** Takes tokens one after the other and keeps what is wrong with them. */
export class TokenReader {
  protected readonly source: string;
  protected readonly lexer: Lexer;
  protected readonly lenient: boolean;
  protected readonly docs: DocComment[] = [];
  protected readonly problems: SyntaxProblem[] = [];
  protected token: Token;
  protected tokenDocs: DocComment[];
  /** Where the last token that was taken ends. */
  protected end: number;
  protected readonly start: number;
  protected depth = 0;

  constructor(source: string, start: number, lenient: boolean) {
    this.source = source;
    this.start = start;
    this.end = start;
    this.lenient = lenient;
    this.lexer = new Lexer(source, start);
    this.token = this.lexer.next();
    this.tokenDocs = this.lexer.docs;
  }

  get tokens(): number {
    return this.lexer.count;
  }

  protected advance(): Token {
    const { token } = this;
    this.docs.push(...this.tokenDocs);
    this.end = token.to;
    this.token = this.lexer.next();
    this.tokenDocs = this.lexer.docs;
    return token;
  }

  protected atEnd(): boolean {
    return this.token.kind === "end";
  }

  protected is(text: string): boolean {
    return this.token.text === text && (this.token.kind === "symbol" || this.token.kind === "keyword");
  }

  protected take(text: string): Token | null {
    return this.is(text) ? this.advance() : null;
  }

  protected expect(text: string, what = `'${text}'`): Token | null {
    const token = this.take(text);
    if (!token) this.problem(`${what} expected near ${this.near()}`);
    return token;
  }

  protected near(): string {
    return this.atEnd() ? "the end" : `'${this.source.slice(this.token.from, this.token.to)}'`;
  }

  protected problem(message: string, at: Span = this.token): void {
    const { problems } = this;
    const from = Math.min(at.from, this.source.length);
    // One mistake is told once: what follows from it at the same place is not another.
    if (problems.some((one) => one.from === from)) return;
    if (this.lexer.problems.some((one) => one.from <= from && from < one.to)) return;
    // Behind the end there is nothing to underline, so the last token is.
    if (at.from >= this.source.trimEnd().length && this.end > 0) {
      problems.push({ message, from: Math.max(this.start, this.end - 1), to: this.end });
    } else problems.push({ message, from, to: Math.max(at.to, from) });
  }

  protected indentAt(offset: number): number {
    const start = Math.max(this.start, this.source.lastIndexOf("\n", offset - 1) + 1);
    const found = /^[ \t]*/.exec(this.source.slice(start, offset))?.[0] ?? "";
    return found.replaceAll("\t", "    ").length;
  }

  /** While reading by indentation: whether this line can't be inside a block that was opened so far to the right. */
  protected isOutside(openerIndent: number): boolean {
    if (!this.lenient || !this.token.startsLine || openerIndent < 0) return false;
    const indent = this.indentAt(this.token.from);
    const isCloser = this.token.kind === "keyword" && closers.has(this.token.text);
    return isCloser ? indent < openerIndent : indent <= openerIndent && !this.is(")") && !this.is("}");
  }

  protected deeper(): void {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) throw new TooDeep();
  }
}

/** Only spaces and one line feed lie between. */
export function isRightAbove(source: string, from: number, to: number): boolean {
  return /^[ \t]*\r?\n[ \t]*$/.test(source.slice(from, to));
}
