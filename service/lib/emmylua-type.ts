/**
 * Types as EmmyLua comments write them: `string`, `Foo`, `table<K, V>`, `T[]`, `A | B`, `T?`, `"word"`,
 * `{ a: T, b?: U }`, `[A, B]`, `fun(a: T, b?: U): R`.
 */
export type LuaType =
  /** `any`, `string`, a class, an alias, a generic; `args` of `table<K, V>`. */
  | { kind: "name"; name: string; args: LuaType[] }
  | { kind: "literal"; value: string | number | boolean }
  | { kind: "array"; element: LuaType }
  | { kind: "optional"; type: LuaType }
  /** Two types or more. */
  | { kind: "union"; types: LuaType[] }
  | { kind: "table"; fields: TableField[] }
  | { kind: "tuple"; types: LuaType[] }
  | { kind: "function"; params: FunctionParam[]; returns: FunctionReturn[] }
  /** `T...`: any number of them. */
  | { kind: "variadic"; type: LuaType }
  /** What could not be read. */
  | { kind: "unknown" };

export interface TableField {
  /** A name, or the type of a key in brackets. */
  key: string | LuaType;
  optional: boolean;
  type: LuaType;
}

export interface FunctionParam {
  /** `...` for any number. */
  name: string;
  optional: boolean;
  /** Null where only a name stands. */
  type: LuaType | null;
}

export interface FunctionReturn {
  name: string | null;
  type: LuaType;
}

/** What could not be read, and where: characters from the beginning of the text. */
export interface TypeProblem {
  message: string;
  from: number;
  to: number;
}

/** Deeper ones are read as unknown, so that no text can exhaust the stack. */
const MAX_DEPTH = 60;

const space = /[ \t]*/y;
const nameToken = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(?:[.-][\w\u0080-\uffff]+)*/y;
const wordToken = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/y;
const numberToken = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const stringToken = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/y;
const captureToken = /`([A-Za-z_]\w*)`/y;

/** Reads types and the small things around them from one line. Never throws: what is wrong stands in `problems`. */
export class TypeReader {
  readonly text: string;
  pos: number;
  readonly problems: TypeProblem[] = [];
  private depth = 0;

  constructor(text: string, pos = 0) {
    this.text = text;
    this.pos = pos;
  }

  /** The text that was not read. */
  rest(): string {
    return this.text.slice(this.pos).trim();
  }

  peek(token: string): boolean {
    this.match(space);
    return this.text.startsWith(token, this.pos);
  }

  take(token: string): boolean {
    if (!this.peek(token)) return false;
    this.pos += token.length;
    return true;
  }

  expect(token: string): void {
    if (!this.take(token)) this.problem(`'${token}' expected`);
  }

  /** A name without dots, or `...`. */
  word(): string | null {
    this.match(space);
    if (this.take("...")) return "...";
    return this.match(wordToken);
  }

  /** A name, also with dots. */
  name(): string | null {
    this.match(space);
    return this.match(nameToken);
  }

  problem(message: string): void {
    const found = /\S+/.exec(this.text.slice(this.pos))?.[0].length ?? 0;
    this.problems.push({ message, from: this.pos, to: Math.min(this.text.length, this.pos + found) });
  }

  /**
   * One type with all that belongs to it. `inList`: a comma after a function's first result ends the type, as in
   * `fun(f: fun(): A, b: B)`.
   */
  type(inList = false): LuaType {
    if (this.depth >= MAX_DEPTH) {
      this.problem("nested too deep");
      this.pos = this.text.length;
      return { kind: "unknown" };
    }
    this.depth += 1;
    const types = [this.postfix(inList)];
    while (this.peek("|") && !this.peek("||")) {
      this.pos += 1;
      types.push(this.postfix(inList));
    }
    this.depth -= 1;
    const [only] = types;
    return types.length === 1 && only ? only : { kind: "union", types };
  }

  /** Types with commas between them. */
  types(): LuaType[] {
    const found = [this.type(true)];
    while (this.take(",")) found.push(this.type(true));
    return found;
  }

  private postfix(inList: boolean): LuaType {
    let type = this.primary(inList);
    let steps = 0;
    // A mark belongs to a type only where it stands right behind it.
    while (steps++ < MAX_DEPTH) {
      if (this.text.startsWith("[]", this.pos)) {
        this.pos += 2;
        type = { kind: "array", element: type };
      } else if (this.text[this.pos] === "?") {
        this.pos += 1;
        type = { kind: "optional", type };
      } else if (this.text.startsWith("...", this.pos)) {
        this.pos += 3;
        type = { kind: "variadic", type };
      } else break;
    }
    return type;
  }

  private primary(inList: boolean): LuaType {
    this.match(space);
    const literal = this.literal();
    if (literal) return literal;
    if (this.take("(")) {
      const type = this.type();
      this.expect(")");
      return type;
    }
    if (this.take("{")) return this.table();
    if (this.take("[")) return { kind: "tuple", types: this.listUntil("]", () => this.type(true)) };
    if (this.take("...")) return { kind: "variadic", type: this.postfix(inList) };
    const name = this.capture() ?? this.name();
    if (name === null) {
      this.problem("a type expected");
      return { kind: "unknown" };
    }
    if ((name === "fun" || name === "async") && this.isFunction(name)) return this.function(inList);
    if (name === "true" || name === "false") return { kind: "literal", value: name === "true" };
    // `Foo<T>` has no space before its bracket, unlike `a < b` in a description.
    if (this.text[this.pos] !== "<") return { kind: "name", name, args: [] };
    this.pos += 1;
    return { kind: "name", name, args: this.listUntil(">", () => this.type(true)) };
  }

  private literal(): LuaType | null {
    const number = this.match(numberToken);
    if (number !== null) return { kind: "literal", value: Number(number) };
    const text = this.match(stringToken);
    if (text !== null) return { kind: "literal", value: unquote(text) };
    return null;
  }

  /** `` `T` `` in a parameter: the type that a text names. */
  private capture(): string | null {
    captureToken.lastIndex = this.pos;
    const found = captureToken.exec(this.text);
    if (!found) return null;
    this.pos = captureToken.lastIndex;
    return found[1] ?? null;
  }

  private isFunction(name: string): boolean {
    if (name === "async") {
      const isAsync = /^[ \t]+fun[ \t]*[(<]/.test(this.text.slice(this.pos));
      if (isAsync) this.name();
      return isAsync;
    }
    return this.peek("(") || this.peek("<");
  }

  private function(inList: boolean): LuaType {
    if (this.take("<")) this.listUntil(">", () => this.name());
    this.expect("(");
    const params = this.listUntil(")", () => this.param());
    return { kind: "function", params, returns: this.take(":") ? this.returns(inList) : [] };
  }

  private param(): FunctionParam {
    const name = this.word();
    if (name === null) this.problem("a parameter's name expected");
    const optional = this.take("?");
    return { name: name ?? "_", optional, type: this.take(":") ? this.type(true) : null };
  }

  private returns(inList: boolean): FunctionReturn[] {
    const first = this.result(inList);
    const found = [first];
    if (!inList) while (this.take(",")) found.push(this.result(false));
    return found;
  }

  /** `name: type` or `type`. */
  private result(inList: boolean): FunctionReturn {
    this.match(space);
    const start = this.pos;
    const name = this.word();
    if (name !== null && name !== "..." && this.take(":")) return { name, type: this.type(inList) };
    this.pos = start;
    return { name: null, type: this.type(inList) };
  }

  private table(): LuaType {
    const fields = this.listUntil("}", (): TableField => {
      if (this.take("[")) {
        const key = this.type(true);
        this.expect("]");
        const optional = this.take("?");
        this.expect(":");
        return { key, optional, type: this.type(true) };
      }
      const key = this.word();
      if (key === null) this.problem("a field's name expected");
      const optional = this.take("?");
      this.expect(":");
      return { key: key ?? "_", optional, type: this.type(true) };
    });
    return { kind: "table", fields };
  }

  /** Items with `,` or `;` between them; the bracket that ends them is read as well. */
  private listUntil<Item>(end: string, read: () => Item): Item[] {
    const found: Item[] = [];
    for (;;) {
      if (this.take(end)) return found;
      if (this.rest() === "") {
        this.problem(`'${end}' expected`);
        return found;
      }
      const before = this.pos;
      found.push(read());
      if (this.take(",") || this.take(";") || this.peek(end)) continue;
      if (this.rest() !== "") this.problem(`',' or '${end}' expected`);
      if (this.pos === before) {
        // Nothing here can be read: what follows is not part of the type any more.
        found.pop();
        return found;
      }
    }
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.pos;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) return null;
    this.pos += found.length;
    return found;
  }
}

const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r" };

function unquote(quoted: string): string {
  return quoted.slice(1, -1).replace(/\\(.)/gs, (_all, char: string) => escapes[char] ?? char);
}

/** Reads one type; `rest` is what follows it. Never throws. */
export function parseType(text: string): { type: LuaType; rest: string; problems: TypeProblem[] } {
  const reader = new TypeReader(text);
  const type = reader.type();
  return { type, rest: reader.rest(), problems: reader.problems };
}

/** The type as `parseType` reads it back. */
export function printType(type: LuaType): string {
  return print(type, false);
}

function print(type: LuaType, inList: boolean): string {
  switch (type.kind) {
    case "name":
      return type.args.length === 0 ? type.name : `${type.name}<${commas(type.args)}>`;
    case "literal":
      return typeof type.value === "string" ? quote(type.value) : String(type.value);
    case "array":
      return `${tight(type.element)}[]`;
    case "optional":
      return `${tight(type.type)}?`;
    case "variadic":
      return `${tight(type.type)}...`;
    case "union":
      return type.types
        .map((one) => (isLoose(one) ? `(${print(one, false)})` : print(one, inList)))
        .join(" | ");
    case "table":
      return type.fields.length === 0 ? "{}" : `{ ${type.fields.map(printTableField).join(", ")} }`;
    case "tuple":
      return `[${commas(type.types)}]`;
    case "function":
      return printFunction(type, inList);
    case "unknown":
      return "unknown";
  }
}

function printTableField({ key, optional, type }: TableField): string {
  const name = typeof key === "string" ? key : `[${print(key, true)}]`;
  return `${name}${optional ? "?" : ""}: ${print(type, true)}`;
}

function printFunction(type: LuaType & { kind: "function" }, inList: boolean): string {
  const params = type.params.map(
    (param) =>
      `${param.name}${param.optional ? "?" : ""}${param.type === null ? "" : `: ${print(param.type, true)}`}`,
  );
  const isSpread = type.returns.length > 1;
  const returns = type.returns.map(
    (one) => `${one.name === null ? "" : `${one.name}: `}${printResult(one.type, inList || isSpread)}`,
  );
  const text = `fun(${params.join(", ")})${returns.length > 0 ? `: ${returns.join(", ")}` : ""}`;
  return inList && isSpread ? `(${text})` : text;
}

// A function among the results would take those after it for its own.
function printResult(type: LuaType, isListed: boolean): string {
  return isListed && isLoose(type) ? `(${print(type, false)})` : print(type, isListed);
}

function commas(types: readonly LuaType[]): string {
  return types.map((type) => print(type, true)).join(", ");
}

/** As something to put a mark behind. */
function tight(type: LuaType): string {
  return isLoose(type) ? `(${print(type, false)})` : print(type, true);
}

function isLoose(type: LuaType): boolean {
  return type.kind === "union" || type.kind === "function";
}

function quote(text: string): string {
  const escaped = text.replace(/[\\"\n\r\t]/g, (char) => {
    const letter = Object.entries(escapes).find(([, meant]) => meant === char)?.[0];
    return `\\${letter ?? char}`;
  });
  return `"${escaped}"`;
}
