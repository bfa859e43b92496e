import type { Expression, Statement } from "./syntax/ast.ts";
import { any, boolean, integer, membersOf, number, string, type Type, union, withoutNil } from "./types.ts";

/** `a or b`: an empty table beside a known one is only its default. */
export function alternative(left: Type, right: Type): Type {
  const rest = withoutNil(left);
  const isFalse = (type: Type) => type.kind === "literal" && type.value === false;
  const kept = membersOf(rest).filter((type) => !isFalse(type));
  const isEmpty = right.kind === "object" && right.shape.fields().length === 0;
  if (isEmpty && kept.some(({ kind }) => kind === "object" || kind === "map" || kind === "array"))
    return union(kept);
  if (left.kind === "any") return right.kind === "literal" ? any : isEmpty ? any : right;
  return union([...kept, right].map(widenedUnless(kept)));
}

function widenedUnless(kept: Type[]): (type: Type) => Type {
  const hasWords = kept.some(({ kind }) => kind === "literal");
  return (type) => (hasWords ? type : widened(type));
}

export function widened(type: Type): Type {
  if (type.kind === "union") return union(type.types.map(widened));
  if (type.kind !== "literal") return type;
  if (typeof type.value === "string") return string;
  if (typeof type.value === "boolean") return boolean;
  return Number.isInteger(type.value) ? integer : number;
}

export function entriesOf(type: Type): { key: Type; value: Type } {
  for (const one of membersOf(type)) {
    const index = indexOf(one);
    if (index) return index;
    if (one.kind === "tuple") return { key: integer, value: union(one.types) };
    if (one.kind === "object" && one.shape.fields().length > 0) {
      return {
        key: string,
        value: union(
          one.shape
            .fields()
            .slice(0, 20)
            .map((field) => field.type()),
        ),
      };
    }
  }
  return { key: any, value: any };
}

export function indexOf(type: Type): { key: Type; value: Type } | null {
  if (type.kind === "array") return { key: integer, value: type.element };
  if (type.kind === "map") return type;
  return type.kind === "object" ? type.shape.index() : null;
}

export function* returnsIn(statements: readonly Statement[]): Generator<Expression[]> {
  for (const statement of statements) {
    if (statement.kind === "return") yield statement.values;
    else for (const block of blocksOf(statement)) yield* returnsIn(block);
  }
}

function blocksOf(statement: Statement): Statement[][] {
  switch (statement.kind) {
    case "if":
      return [...statement.clauses.map(({ body }) => body.statements), statement.otherwise?.statements ?? []];
    case "do":
    case "while":
    case "repeat":
    case "numeric-for":
    case "generic-for":
      return [statement.body.statements];
    default:
      return [];
  }
}

export function alwaysReturns(statements: readonly Statement[]): boolean {
  const last = statements.at(-1);
  if (last?.kind === "return") return true;
  if (last?.kind === "do") return alwaysReturns(last.body.statements);
  if (last?.kind === "expression" && last.expression.kind === "call") {
    const { callee } = last.expression;
    return callee.kind === "name" && callee.name === "error" && callee.local === null;
  }
  if (last?.kind !== "if" || !last.otherwise) return false;
  return [...last.clauses.map(({ body }) => body), last.otherwise].every((block) =>
    alwaysReturns(block.statements),
  );
}
