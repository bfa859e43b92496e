import type { Infer } from "../infer.ts";
import type { Project } from "../project.ts";
import type { SourceFile } from "../source.ts";
import { eachChild, type Local, type Member, type Name, type Node, type Span } from "../syntax/ast.ts";

export const tokenTypes = ["variable", "parameter", "function", "method", "property", "namespace"] as const;
export const tokenModifiers = ["declaration", "defaultLibrary", "deprecated"] as const;

export interface SemanticToken extends Span {
  type: (typeof tokenTypes)[number];
  modifiers: (typeof tokenModifiers)[number][];
}

/** What each name is, in the order of the text. */
export function semanticTokens(project: Project, file: SourceFile): SemanticToken[] {
  const infer = project.inferOf(file);
  const library = new Set(project.libraryNames(file));
  const found: SemanticToken[] = [];
  const visit = (node: Node) => {
    if (node.kind === "name" && node.name !== "") {
      const token = tokenOf(infer, library, node);
      if (token) found.push({ ...token, from: node.from, to: node.to });
    }
    eachChild(node, visit);
  };
  for (const { statement } of file.settled()) if (statement) visit(statement);
  return found.sort((one, other) => one.from - other.from);
}

type Token = Pick<SemanticToken, "type" | "modifiers">;

function tokenOf(infer: Infer, library: Set<string>, name: Name): Token | null {
  const { up } = name;
  if (up?.kind === "member" && up.name === name) return ofMember(library, up);
  if (up?.kind === "call" && up.method === name) return { type: "method", modifiers: [] };
  if (up?.kind === "field" && up.key === name) return { type: "property", modifiers: [] };
  if (up?.kind === "goto" || up?.kind === "label") return null;
  return name.local ? ofLocal(name, name.local) : ofGlobal(infer, library, name);
}

function ofMember(library: Set<string>, node: Member): Token {
  const isCalled = node.up?.kind === "call" && node.up.callee === node;
  const isDefined = node.up?.kind === "function-statement" && node.up.target === node;
  const isLibrary = node.object.kind === "name" && !node.object.local && library.has(node.object.name);
  return {
    type: isCalled || isDefined ? "function" : "property",
    modifiers: isLibrary ? ["defaultLibrary"] : [],
  };
}

function ofLocal(name: Name, { decl, origin }: Local): Token {
  const modifiers: Token["modifiers"] = decl === name ? ["declaration"] : [];
  if (origin.kind === "parameter" || origin.kind === "self") return { type: "parameter", modifiers };
  const value = origin.kind === "value" ? origin.values[origin.index] : null;
  const isFunction = origin.kind === "function" || value?.kind === "function";
  return { type: isFunction ? "function" : "variable", modifiers };
}

function ofGlobal(infer: Infer, library: Set<string>, name: Name): Token {
  if (!library.has(name.name)) return { type: "variable", modifiers: [] };
  const type = infer.typeOfGlobal(name.name);
  return { type: type.kind === "function" ? "function" : "namespace", modifiers: ["defaultLibrary"] };
}
