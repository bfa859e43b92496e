import type { LuaHost } from "./host.ts";
import type { Declared, DeclaredClass, DeclaredEnum, SourceFile } from "./source.ts";
import type { Call, DocComment, Expression, Name } from "./syntax/ast.ts";
import type { Field, Shape, Type } from "./types.ts";

/** What is known about the values in one file. */
export interface Inference {
  readonly file: SourceFile;
  readonly project: Declarations;
  typeOf(node: Expression): Type;
  /** Null when it is known that there is no such field. */
  memberType(type: Type, name: string): Type | null;
  fieldOfType(type: Type, name: string): Field | null;
  /** Where its fields are; those of texts are the string library's. */
  shapeOf(type: Type): Shape | null;
  /** By `---@type` or `---@class` in a comment; the index is that of the name below it. */
  typeInDoc(doc: DocComment | null, index: number): Type | null;
  /** What a name's table has: by its value and by later assignments. */
  ownFields(target: Name): Field[];
  /** `fallback` when the answer to `key` rests on itself. */
  guarded<Value>(key: unknown, fallback: Value, answer: () => Value): Value;
}

/** What all files together and the running service say. */
export interface Declarations {
  readonly host: LuaHost;
  classes(name: string): DeclaredClass[];
  alias(name: string): Declared<"alias"> | null;
  enumeration(name: string): DeclaredEnum | null;
  inferOf(file: SourceFile): Inference;
  /** A global of the sandbox and the API; null when there is none. */
  libraryGlobal(name: string, from: SourceFile): Type | null;
  /** `actions` and `kit`. */
  liveGlobal(name: string): Type | null;
  /** What `require` gives. */
  required(from: SourceFile, name: string): Type;
  /** What only the running service knows of an argument, such as a command's payload. */
  liveArgument(call: Call, index: number): Type | null;
}
