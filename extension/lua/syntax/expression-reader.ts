import type { Call, Expression, FunctionBody, Name, StringLiteral, TableField, TableLiteral } from "./ast.ts";
import type { Token } from "./lexer.ts";
import { isRightAbove, TokenReader, TooDeep } from "./token-reader.ts";

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

/** Reads values; statements, which functions hold, are read by who extends it. */
export abstract class ExpressionReader extends TokenReader {
  protected takesVararg = true;

  /** A function from its parameters on. */
  protected abstract body(opener: Token, isMethod: boolean, from?: number): FunctionBody;

  protected nameNode(what: string): Name {
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

  protected expressions(): Expression[] {
    const found = [this.expression()];
    while (this.take(",")) found.push(this.expression());
    return found;
  }

  protected expression(limit = 0): Expression {
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

  protected unary(): Expression {
    if (!(this.is("-") || this.is("not") || this.is("#") || this.is("~"))) return this.simple();
    const { text, from } = this.advance();
    const operand = this.expression(UNARY);
    return { kind: "unary", operator: text, operand, from, to: Math.max(operand.to, this.end) };
  }

  protected simple(): Expression {
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

  protected string(): StringLiteral {
    const token = this.advance();
    const { from, to, closed } = token;
    const long = /^\[=*\[/.exec(this.source.slice(from, from + 20))?.[0].length;
    const inner = { from: from + (long ?? 1), to: closed ? to - (long ?? 1) : to };
    return { kind: "string", value: String(token.value), inner, closed, from, to };
  }

  protected primary(): Expression {
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

  protected suffixed(): Expression {
    let left = this.primary();
    if (left.kind === "missing") return left;
    for (let steps = 0; ; steps++) {
      if (steps > 2_000) throw new TooDeep();
      const next = this.suffix(left);
      if (!next) return left;
      left = next;
    }
  }

  protected suffix(left: Expression): Expression | null {
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

  protected arguments(callee: Expression, method: Name | null, colon: number): Call {
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

  protected parenthesised(call: Call): void {
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

  protected table(): TableLiteral {
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

  protected tableField(): TableField {
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
}

function missing(at: number): Expression {
  return { kind: "missing", from: at, to: at };
}
