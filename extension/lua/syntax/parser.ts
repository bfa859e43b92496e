import type {
  AssignStatement,
  Block,
  Call,
  Chunk,
  DocComment,
  Expression,
  FunctionBody,
  FunctionStatement,
  IfStatement,
  Member,
  Name,
  Span,
  Statement,
  StringLiteral,
  SyntaxProblem,
  TableField,
  TableLiteral,
} from "./ast.ts";
import { Lexer, type Token } from "./lexer.ts";

/**
 * Reads the chunk that begins at `start`; null when only spaces and comments are left, which then stand in `rest`.
 * A text with a mistake is read once more by its indentation, so that a block without its `end` does not take in what
 * follows it.
 */
export function parseChunk(source: string, start: number): { chunk: Chunk; isLast: boolean; tokens: number } {
  const strict = new Parser(source, start, false);
  const first = strict.chunk();
  if (first.chunk.problems.length === 0) return { ...first, tokens: strict.tokens };
  const lenient = new Parser(source, start, true);
  const second = lenient.chunk();
  second.chunk.reach = Math.max(first.chunk.reach, second.chunk.reach);
  if (second.chunk.problems.length === 0) second.chunk.problems = first.chunk.problems;
  return { ...second, tokens: strict.tokens + lenient.tokens };
}

// Lua itself stops at 200.
const MAX_DEPTH = 180;

const closers = new Set(["end", "else", "elseif", "until"]);

/** Left and right binding power. */
const operators: Record<string, readonly [number, number] | undefined> = {
  or: [1, 1],
  and: [2, 2],
  "<": [3, 3],
  ">": [3, 3],
  "<=": [3, 3],
  ">=": [3, 3],
  "~=": [3, 3],
  "==": [3, 3],
  "|": [4, 4],
  "~": [5, 5],
  "&": [6, 6],
  "<<": [7, 7],
  ">>": [7, 7],
  "..": [9, 8],
  "+": [10, 10],
  "-": [10, 10],
  "*": [11, 11],
  "/": [11, 11],
  "//": [11, 11],
  "%": [11, 11],
  "^": [14, 13],
};
const UNARY = 12;

class TooDeep extends Error {}

class Parser {
  private readonly source: string;
  private readonly lexer: Lexer;
  private readonly lenient: boolean;
  private readonly docs: DocComment[] = [];
  private readonly problems: SyntaxProblem[] = [];
  private token: Token;
  private tokenDocs: DocComment[];
  /** Where the last token that was taken ends. */
  private end: number;
  private readonly start: number;
  private depth = 0;
  private loops = 0;
  private takesVararg = true;

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

  chunk(): { chunk: Chunk; isLast: boolean } {
    if (this.atEnd()) {
      this.docs.push(...this.tokenDocs);
      return { chunk: this.finish(null, this.source.length), isLast: true };
    }
    const statement = this.topStatement();
    const trailing = statement?.trailing;
    if (trailing) this.docs.push(trailing);
    const end = Math.max(this.end, trailing?.to ?? 0);
    return { chunk: this.finish(statement, end), isLast: false };
  }

  private topStatement(): Statement | null {
    if (this.token.kind === "keyword" && closers.has(this.token.text)) {
      this.problem(`'${this.token.text}' closes nothing`);
      this.advance();
      return null;
    }
    try {
      const statement = this.statement();
      if (statement?.kind === "return" && !this.atEnd()) this.problem("nothing may follow return");
      return statement;
    } catch (error) {
      if (!(error instanceof TooDeep)) throw error;
      // The rest of the file can't be told from what is nested.
      this.problem("nested too deep");
      this.end = this.source.length;
      return null;
    }
  }

  private finish(statement: Statement | null, end: number): Chunk {
    const within = (span: Span) => span.from < end;
    return {
      start: this.start,
      end,
      reach: this.lexer.pos,
      pending: 0,
      statement,
      docs: this.docs.filter(within),
      comments: this.lexer.comments.filter(within),
      // What is wrong within the token behind the chunk is the next one's.
      problems: [...this.problems, ...this.lexer.problems.filter(within)].sort(
        (one, other) => one.from - other.from,
      ),
    };
  }

  // Tokens

  private advance(): Token {
    const { token } = this;
    this.docs.push(...this.tokenDocs);
    this.end = token.to;
    this.token = this.lexer.next();
    this.tokenDocs = this.lexer.docs;
    return token;
  }

  private atEnd(): boolean {
    return this.token.kind === "end";
  }

  private is(text: string): boolean {
    return this.token.text === text && (this.token.kind === "symbol" || this.token.kind === "keyword");
  }

  private take(text: string): Token | null {
    return this.is(text) ? this.advance() : null;
  }

  private expect(text: string, what = `'${text}'`): Token | null {
    const token = this.take(text);
    if (!token) this.problem(`${what} expected near ${this.near()}`);
    return token;
  }

  private near(): string {
    return this.atEnd() ? "the end" : `'${this.source.slice(this.token.from, this.token.to)}'`;
  }

  private problem(message: string, at: Span = this.token): void {
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

  private indentAt(offset: number): number {
    const start = Math.max(this.start, this.source.lastIndexOf("\n", offset - 1) + 1);
    const found = /^[ \t]*/.exec(this.source.slice(start, offset))?.[0] ?? "";
    return found.replaceAll("\t", "    ").length;
  }

  /** While reading by indentation: whether this line can't be inside a block that was opened so far to the right. */
  private isOutside(openerIndent: number): boolean {
    if (!this.lenient || !this.token.startsLine || openerIndent < 0) return false;
    const indent = this.indentAt(this.token.from);
    const isCloser = this.token.kind === "keyword" && closers.has(this.token.text);
    return isCloser ? indent < openerIndent : indent <= openerIndent && !this.is(")") && !this.is("}");
  }

  // Statements

  private block(opener: Token | Span, closes: readonly string[]): Block {
    const indent = this.indentAt(opener.from);
    const from = this.end;
    const statements: Statement[] = [];
    this.deeper();
    while (!this.atEnd() && !this.isOutside(indent)) {
      if (this.token.kind === "keyword" && closers.has(this.token.text)) {
        if (closes.includes(this.token.text) || closes.includes("end")) break;
        if (!this.lenient) break;
        this.problem(`'${this.token.text}' closes nothing`);
        this.advance();
        continue;
      }
      const statement = this.statement();
      if (statement) statements.push(statement);
      const isDone = statement?.kind === "return" && !closers.has(this.token.text) && !this.atEnd();
      if (isDone && !this.isOutside(indent)) this.problem("nothing may follow return");
    }
    this.depth -= 1;
    return { kind: "block", statements, from, to: Math.max(from, this.token.from) };
  }

  private close(opener: Token, word: string): void {
    if (this.is(word) && !this.isOutside(this.indentAt(opener.from))) this.advance();
    else this.problem(`'${word}' missing: it has to close this '${opener.text}'`, opener);
  }

  private statement(): Statement | null {
    while (this.take(";"));
    const docs = this.tokenDocs.filter(({ to }) => isRightAbove(this.source, to, this.token.from));
    const { from } = this.token;
    if (this.atEnd()) return null;
    this.deeper();
    const statement = this.statementBody(from);
    this.depth -= 1;
    while (this.take(";"));
    if (!statement) return null;
    statement.doc = docs.at(-1) ?? null;
    statement.to = Math.max(this.end, from);
    const [behind] = this.tokenDocs;
    if (behind && !this.source.slice(this.end, behind.from).includes("\n")) statement.trailing = behind;
    return statement;
  }

  private statementBody(from: number): Statement | null {
    const base = { from, to: from, doc: null, trailing: null };
    if (this.token.kind === "keyword") {
      switch (this.token.text) {
        case "if":
          return { ...base, ...this.ifStatement() };
        case "while":
          return { ...base, ...this.whileStatement() };
        case "do":
          return { ...base, kind: "do", body: this.blockToEnd(this.advance()) };
        case "for":
          return { ...base, ...this.forStatement() } as Statement;
        case "repeat":
          return { ...base, ...this.repeatStatement() };
        case "function":
          return { ...base, ...this.functionStatement() };
        case "local":
          return { ...base, ...this.localStatement() } as Statement;
        case "return":
          return { ...base, ...this.returnStatement() };
        case "break":
          if (this.loops === 0) this.problem("break outside a loop");
          this.advance();
          return { ...base, kind: "break" };
        case "goto":
          this.advance();
          return { ...base, kind: "goto", label: this.nameNode("a label") };
      }
    }
    if (this.take("::")) {
      const label = this.nameNode("a label");
      this.expect("::");
      return { ...base, kind: "label", label };
    }
    return this.expressionStatement(base);
  }

  private expressionStatement(base: {
    from: number;
    to: number;
    doc: null;
    trailing: null;
  }): Statement | null {
    const { token } = this;
    const first = this.suffixed();
    if (first.kind === "missing") {
      this.problem(`unexpected ${this.near()}`);
      if (this.token === token) this.advance();
      return null;
    }
    if (this.is("=") || this.is(",")) return { ...base, ...this.assignment(first) };
    if (first.kind !== "call") {
      const isBare = first.kind === "name" || first.kind === "member" || first.kind === "index";
      this.problem(
        isBare ? `'=' or a call expected near ${this.near()}` : "a value alone does nothing",
        isBare ? first : { from: first.from, to: first.to },
      );
    }
    return { ...base, kind: "expression", expression: first };
  }

  private assignment(first: Expression): Pick<AssignStatement, "kind" | "targets" | "values"> {
    const targets = [first];
    while (this.take(",")) targets.push(this.suffixed());
    for (const target of targets) {
      if (!["name", "member", "index", "missing"].includes(target.kind)) {
        this.problem("this can't be assigned to", target);
      }
    }
    return { kind: "assign", targets, values: this.expect("=") ? this.expressions() : [] };
  }

  private blockToEnd(opener: Token): Block {
    const body = this.block(opener, ["end"]);
    this.close(opener, "end");
    return body;
  }

  private loopBody(opener: Token): Block {
    this.expect("do");
    this.loops += 1;
    const body = this.blockToEnd(opener);
    this.loops -= 1;
    return body;
  }

  private ifStatement(): Pick<IfStatement, "kind" | "clauses" | "otherwise"> {
    const opener = this.token;
    const clauses: IfStatement["clauses"] = [];
    let otherwise: Block | null = null;
    do {
      this.advance();
      const condition = this.expression();
      this.expect("then");
      clauses.push({ condition, body: this.block(opener, ["end", "else", "elseif"]) });
    } while (this.is("elseif") && !this.isOutside(this.indentAt(opener.from)));
    if (this.is("else") && !this.isOutside(this.indentAt(opener.from))) {
      this.advance();
      otherwise = this.block(opener, ["end"]);
    }
    this.close(opener, "end");
    return { kind: "if", clauses, otherwise };
  }

  private whileStatement(): { kind: "while"; condition: Expression; body: Block } {
    const opener = this.advance();
    return { kind: "while", condition: this.expression(), body: this.loopBody(opener) };
  }

  private repeatStatement(): { kind: "repeat"; body: Block; condition: Expression } {
    const opener = this.advance();
    this.loops += 1;
    const body = this.block(opener, ["until"]);
    this.loops -= 1;
    this.close(opener, "until");
    const condition = this.expression();
    return { kind: "repeat", body, condition };
  }

  private forStatement() {
    const opener = this.advance();
    const names = this.names();
    const [variable] = names;
    if (variable && names.length === 1 && this.take("=")) {
      const values = this.expressions();
      if (values.length < 2) this.problem(`',' expected near ${this.near()}`);
      return { kind: "numeric-for", variable, values, body: this.loopBody(opener) } as const;
    }
    const values = this.expect("in", "'=' or 'in'") ? this.expressions() : [];
    return { kind: "generic-for", names, values, body: this.loopBody(opener) } as const;
  }

  private names(): Name[] {
    const names = [this.nameNode("a name")];
    while (this.take(",")) names.push(this.nameNode("a name"));
    return names;
  }

  private functionStatement(): Pick<FunctionStatement, "kind" | "isLocal" | "target" | "isMethod" | "fn"> {
    const opener = this.advance();
    let target: Name | Member = this.nameNode("a function's name");
    let isMethod = false;
    while (!isMethod && (this.is(".") || this.is(":"))) {
      const dot = this.advance();
      isMethod = dot.text === ":";
      const name = this.nameNode("a name");
      target = { kind: "member", object: target, name, dot: dot.from, from: target.from, to: name.to };
    }
    return { kind: "function-statement", isLocal: false, target, isMethod, fn: this.body(opener, isMethod) };
  }

  private localStatement() {
    this.advance();
    const opener = this.token;
    if (this.take("function")) {
      const target = this.nameNode("a function's name");
      return {
        kind: "function-statement",
        isLocal: true,
        target,
        isMethod: false,
        fn: this.body(opener, false),
      } as const;
    }
    const names = this.names();
    const values = this.take("=") ? this.expressions() : [];
    return { kind: "local", names, values } as const;
  }

  private returnStatement(): { kind: "return"; values: Expression[] } {
    this.advance();
    const isBare = this.atEnd() || this.is(";") || closers.has(this.token.text);
    return { kind: "return", values: isBare || this.startsStatement() ? [] : this.expressions() };
  }

  /** While reading by indentation: a word that no value begins with. */
  private startsStatement(): boolean {
    return (
      this.lenient && this.token.startsLine && /^(local|if|for|while|repeat|return|do)$/.test(this.token.text)
    );
  }

  // Expressions

  private nameNode(what: string): Name {
    if (this.token.kind === "name" && !(this.lenient && this.token.startsLine)) {
      const { text, from, to } = this.advance();
      return { kind: "name", name: text, local: null, from, to };
    }
    if (this.token.kind === "name" && what !== "a field") {
      const { text, from, to } = this.advance();
      return { kind: "name", name: text, local: null, from, to };
    }
    this.problem(`${what} expected near ${this.near()}`);
    return { kind: "name", name: "", local: null, from: this.end, to: this.end };
  }

  private expressions(): Expression[] {
    const found = [this.expression()];
    while (this.take(",")) found.push(this.expression());
    return found;
  }

  private expression(limit = 0): Expression {
    this.deeper();
    let left = this.unary();
    for (;;) {
      const power =
        this.token.kind === "symbol" || this.token.kind === "keyword"
          ? operators[this.token.text]
          : undefined;
      if (!power || power[0] <= limit) break;
      const operator = this.advance().text;
      const right = this.expression(power[1]);
      left = { kind: "binary", operator, left, right, from: left.from, to: Math.max(right.to, this.end) };
    }
    this.depth -= 1;
    return left;
  }

  private unary(): Expression {
    if (!(this.is("-") || this.is("not") || this.is("#") || this.is("~"))) return this.simple();
    const { text, from } = this.advance();
    const operand = this.expression(UNARY);
    return { kind: "unary", operator: text, operand, from, to: Math.max(operand.to, this.end) };
  }

  private simple(): Expression {
    const { token } = this;
    const { from, to } = token;
    if (token.kind === "number") {
      this.advance();
      const isInteger = !/[.eEpP]/.test(token.text) || /^0[xX][\da-fA-F]+$/.test(token.text);
      return { kind: "number", value: Number(token.value), isInteger, from, to };
    }
    if (token.kind === "string") return this.string();
    if (this.is("nil") || this.is("true") || this.is("false")) {
      this.advance();
      return { kind: token.text as "nil" | "true" | "false", from, to };
    }
    if (this.is("...")) {
      if (!this.takesVararg)
        this.problem("'...' stands outside a function that takes any number of arguments");
      this.advance();
      return { kind: "vararg", from, to };
    }
    if (this.is("{")) return this.table();
    if (this.is("function")) return this.body(this.advance(), false, from);
    return this.suffixed();
  }

  private string(): StringLiteral {
    const token = this.advance();
    const { from, to, closed } = token;
    const long = /^\[=*\[/.exec(this.source.slice(from, from + 20))?.[0].length;
    const inner = { from: from + (long ?? 1), to: closed ? to - (long ?? 1) : to };
    return { kind: "string", value: String(token.value), inner, closed, from, to };
  }

  private primary(): Expression {
    const { from } = this.token;
    if (this.token.kind === "name") {
      const { text, to } = this.advance();
      return { kind: "name", name: text, local: null, from, to };
    }
    if (this.take("(")) {
      const inner = this.expression();
      this.expect(")");
      return { kind: "paren", inner, from, to: this.end };
    }
    this.problem(`a value expected near ${this.near()}`);
    const start = this.end;
    // Spaces on the line belong to what is still to be written there.
    while (this.end < this.token.from && /[ \t]/.test(this.source[this.end] ?? "")) this.end += 1;
    return { kind: "missing", from: start, to: Math.max(this.end, this.token.from) };
  }

  private suffixed(): Expression {
    let left = this.primary();
    if (left.kind === "missing") return left;
    for (let steps = 0; ; steps++) {
      if (steps > 2_000) throw new TooDeep();
      const next = this.suffix(left);
      if (!next) return left;
      left = next;
    }
  }

  private suffix(left: Expression): Expression | null {
    const { token } = this;
    if (this.is(".")) {
      this.advance();
      const name = this.nameNode("a field");
      return {
        kind: "member",
        object: left,
        name,
        dot: token.from,
        from: left.from,
        to: Math.max(name.to, this.end),
      };
    }
    // By indentation, a line that begins with a bracket or a text is one of its own.
    const isNewLine = this.lenient && token.startsLine;
    if (this.is("[") && !isNewLine) {
      this.advance();
      const key = this.expression();
      this.expect("]");
      return { kind: "index", object: left, key, from: left.from, to: this.end };
    }
    if (this.is(":")) {
      this.advance();
      const method = this.nameNode("a field");
      const call = this.arguments(left, method, token.from);
      if (call.style === "none" && method.name !== "") this.problem(`arguments expected near ${this.near()}`);
      return call;
    }
    const isCall = this.is("(") || this.is("{") || token.kind === "string";
    return isCall && !isNewLine ? this.arguments(left, null, left.to) : null;
  }

  private arguments(callee: Expression, method: Name | null, colon: number): Call {
    const call: Call = {
      kind: "call",
      callee,
      method,
      colon,
      args: [],
      argsSpan: { from: this.end, to: this.end },
      style: "none",
      closed: true,
      commas: [],
      from: callee.from,
      to: this.end,
    };
    const { from } = this.token;
    if (this.token.kind === "string") {
      call.style = "string";
      call.args.push(this.string());
    } else if (this.is("{")) {
      call.style = "table";
      call.args.push(this.table());
    } else if (this.is("(")) {
      call.style = "parens";
      this.parenthesised(call);
    } else return call;
    call.argsSpan = { from, to: this.end };
    call.to = this.end;
    return call;
  }

  private parenthesised(call: Call): void {
    this.advance();
    if (!this.is(")")) {
      for (;;) {
        const arg = this.expression();
        call.args.push(arg);
        if (!this.is(",")) break;
        call.commas.push(this.advance().from);
      }
    }
    call.closed = this.expect(")") !== null;
  }

  private table(): TableLiteral {
    const { from } = this.advance();
    const indent = this.indentAt(from);
    const fields: TableField[] = [];
    while (!this.is("}") && !this.atEnd() && !this.isOutside(indent)) {
      const before = this.token;
      fields.push(this.tableField());
      if (this.take(",") || this.take(";")) continue;
      if (this.is("}")) break;
      this.problem(`'}' expected near ${this.near()}`);
      // What can't be part of a table is left to whoever reads on; a forgotten comma costs nothing more.
      if (!(this.token.kind === "name" && this.token.startsLine) || this.token === before) break;
    }
    const closed = this.expect("}") !== null;
    return { kind: "table", fields, closed, from, to: this.end };
  }

  private tableField(): TableField {
    const { from } = this.token;
    const doc = this.tokenDocs.filter(({ to }) => isRightAbove(this.source, to, from)).at(-1) ?? null;
    const field: TableField = {
      kind: "field",
      key: null,
      computed: null,
      value: missing(from),
      doc,
      from,
      to: from,
    };
    if (this.take("[")) {
      field.computed = this.expression();
      this.expect("]");
      if (this.expect("=")) field.value = this.expression();
    } else {
      const value = this.expression();
      if (value.kind === "name" && this.is("=")) {
        field.key = value;
        this.advance();
        field.value = this.expression();
      } else field.value = value;
    }
    field.to = Math.max(this.end, from);
    return field;
  }

  private body(opener: Token, isMethod: boolean, from = this.token.from): FunctionBody {
    const params: Name[] = [];
    let vararg = false;
    const head = { from: this.token.from, to: this.token.from };
    if (this.expect("(")) {
      while (!this.is(")") && !this.atEnd()) {
        if (this.take("...")) {
          vararg = true;
          break;
        }
        params.push(this.nameNode("a parameter"));
        if (!this.take(",")) break;
      }
      this.expect(")");
      head.to = this.end;
    }
    const outer = { loops: this.loops, vararg: this.takesVararg };
    this.loops = 0;
    this.takesVararg = vararg;
    const body = this.blockToEnd(opener);
    this.loops = outer.loops;
    this.takesVararg = outer.vararg;
    const self: Name | null = isMethod
      ? { kind: "name", name: "self", local: null, from: head.from, to: head.from }
      : null;
    return { kind: "function", params, vararg, head, body, self, from, to: this.end };
  }

  private deeper(): void {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) throw new TooDeep();
  }
}

function missing(at: number): Expression {
  return { kind: "missing", from: at, to: at };
}

/** Only spaces and one line feed lie between. */
function isRightAbove(source: string, from: number, to: number): boolean {
  return /^[ \t]*\r?\n[ \t]*$/.test(source.slice(from, to));
}
