import type {
  AssignStatement,
  Block,
  Chunk,
  Expression,
  FunctionBody,
  FunctionStatement,
  IfStatement,
  Member,
  Name,
  Span,
  Statement,
} from "./ast.ts";
import { ExpressionReader } from "./expression-reader.ts";
import type { Token } from "./lexer.ts";
import { closers, isRightAbove, TooDeep } from "./token-reader.ts";

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

class Parser extends ExpressionReader {
  private loops = 0;

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

  protected override body(opener: Token, isMethod: boolean, from = this.token.from): FunctionBody {
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
}
