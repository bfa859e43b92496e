import { pathOf } from "./scope.ts";
import type { Block, Expression, Local, Node, Statement } from "./syntax/ast.ts";
import { any, isNil, kindName, literal, type Type, union, withoutNil } from "./types.ts";

/** What a condition that held says of an expression. */
type Fact =
  | { path: Path; says: "true"; value: null }
  | { path: Path; says: "nil"; value: null }
  | { path: Path; says: "is"; value: string }
  /** By `type(x)`. */
  | { path: Path; says: "kind" | "other kind"; value: string };

interface Path {
  local: Local | null;
  names: string[];
}

function pathOfExpression(node: Expression): Path | null {
  const found = pathOf(node);
  if (!found) return null;
  const { local, name } = found.base;
  return { local, names: local ? found.path : [name, ...found.path] };
}

function isSamePath(one: Path, other: Path): boolean {
  return (
    one.local === other.local &&
    one.names.length === other.names.length &&
    one.names.every((name, index) => name === other.names[index])
  );
}

/** The type at this place, by the conditions around it: `if x then`, `if not x then return end`, `x ~= nil`. */
export function narrowed(node: Expression, given: Type): Type {
  const type: Type = given;
  const isWorth = type.kind === "union" || type.kind === "literal";
  if (!isWorth) return type;
  const path = pathOfExpression(node);
  if (!path) return type;
  let found: Type = type;
  for (const fact of factsAt(node)) {
    if (!isSamePath(fact.path, path)) continue;
    if (fact.says === "true") found = withoutFalse(withoutNil(found));
    else if (fact.says === "nil") found = found.kind === "union" ? union(found.types.filter(isNil)) : found;
    else if (fact.says === "is") found = literal(fact.value);
    else found = ofKind(found, fact.value, fact.says === "kind");
  }
  return found.kind === "union" && found.types.length === 0 ? any : found;
}

/** Of several types those that `type(x)` calls so, or the others. */
function ofKind(type: Type, name: string, isKept: boolean): Type {
  if (type.kind !== "union") return type;
  const names = (one: Type) => kindName(one).replace("integer", "number");
  const left = type.types.filter((one) => one.kind === "any" || (names(one) === name) === isKept);
  return left.length === 0 ? type : union(left);
}

function withoutFalse(type: Type): Type {
  if (type.kind !== "union") return type;
  return union(type.types.filter((one) => one.kind !== "literal" || one.value !== false));
}

/** The one value that conditions around a place say a path has, as with `if event.type == "x" then`. */
export function valueAt(node: Node, base: Expression, name: string): string | null {
  const object = pathOfExpression(base);
  if (!object) return null;
  const path = { local: object.local, names: [...object.names, name] };
  for (const fact of factsAt(node)) if (fact.says === "is" && isSamePath(fact.path, path)) return fact.value;
  return null;
}

/** Nearest first. */
function* factsAt(node: Node): Generator<Fact> {
  let below: Node = node;
  for (let at = node.up; at; at = at.up) {
    if (at.kind === "if") yield* factsOfIf(at, below);
    else if (at.kind === "while" && below === at.body) yield* truths(at.condition, true);
    else if (at.kind === "binary" && below === at.right && at.operator === "and")
      yield* truths(at.left, true);
    else if (at.kind === "binary" && below === at.right && at.operator === "or")
      yield* truths(at.left, false);
    else if (at.kind === "block") yield* factsAbove(at, below);
    below = at;
  }
}

function* factsOfIf(node: Statement & { kind: "if" }, below: Node): Generator<Fact> {
  for (const { condition, body } of node.clauses) {
    if (below === condition) return;
    if (below === body) {
      yield* truths(condition, true);
      return;
    }
    yield* truths(condition, false);
  }
}

/** `if not x then return end` above, in the same block. */
function* factsAbove(block: Block, below: Node): Generator<Fact> {
  const end = block.statements.indexOf(below as Statement);
  for (let index = end - 1; index >= 0; index--) {
    const statement = block.statements[index];
    if (statement?.kind === "expression") yield* asserted(statement.expression);
    if (statement?.kind !== "if" || statement.otherwise) continue;
    for (const { condition, body } of statement.clauses) {
      const last = body.statements.at(-1);
      if (last?.kind === "return" || last?.kind === "break" || last?.kind === "goto")
        yield* truths(condition, false);
    }
  }
}

/** `assert(x)` above. */
function* asserted(node: Expression): Generator<Fact> {
  if (node.kind !== "call" || node.method || !isGlobal(node.callee, "assert")) return;
  const [condition] = node.args;
  if (condition) yield* truths(condition, true);
}

/** `type(x) == "string"`. */
function* kinds(one: Expression, other: Expression, isEqual: boolean): Generator<Fact> {
  const path = other.kind === "string" ? pathOfType(one) : null;
  if (path && other.kind === "string")
    yield { path, says: isEqual ? "kind" : "other kind", value: other.value };
}

/** Of `type(x)`: what `x` is. */
function pathOfType(node: Expression): Path | null {
  if (node.kind !== "call" || node.method || !isGlobal(node.callee, "type")) return null;
  const [asked] = node.args;
  return asked ? pathOfExpression(asked) : null;
}

function isGlobal(node: Expression, name: string): boolean {
  return node.kind === "name" && node.local === null && node.name === name;
}

/** What follows when a condition holds, or does not. */
function* truths(condition: Expression, holds: boolean): Generator<Fact> {
  if (condition.kind === "paren") {
    yield* truths(condition.inner, holds);
    return;
  }
  if (condition.kind === "unary" && condition.operator === "not") {
    yield* truths(condition.operand, !holds);
    return;
  }
  if (condition.kind === "binary") {
    if (condition.operator === (holds ? "and" : "or")) {
      yield* truths(condition.left, holds);
      yield* truths(condition.right, holds);
    } else yield* comparisons(condition, holds);
    return;
  }
  const path = pathOfExpression(condition);
  if (path && holds) yield { path, says: "true", value: null };
}

function* comparisons(condition: Expression & { kind: "binary" }, holds: boolean): Generator<Fact> {
  const { operator, left, right } = condition;
  if (operator !== "==" && operator !== "~=") return;
  const isEqual = (operator === "==") === holds;
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    yield* kinds(one, other, isEqual);
    const path = pathOfExpression(one);
    if (!path) continue;
    if (other.kind === "nil") yield { path, says: isEqual ? "nil" : "true", value: null };
    else if (other.kind === "string" && isEqual) yield { path, says: "is", value: other.value };
  }
}
