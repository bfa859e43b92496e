import {
  CompletionItemKind,
  DiagnosticSeverity,
  DocumentSymbol,
  Range,
  SymbolKind,
  type TextDocument,
} from "vscode";
import type { Completion } from "./features/item.ts";
import type { OutlineSymbol } from "./features/outline.ts";

export function rangeOf(document: TextDocument, { from, to }: { from: number; to: number }): Range {
  return new Range(document.positionAt(from), document.positionAt(to));
}

export function toSymbol(document: TextDocument, symbol: OutlineSymbol): DocumentSymbol {
  const range = rangeOf(document, symbol);
  const selection = rangeOf(document, symbol.selection);
  const own = range.contains(selection) ? selection : new Range(range.start, range.start);
  const made = new DocumentSymbol(symbol.name || "?", symbol.detail, symbolKinds[symbol.kind], range, own);
  made.children = symbol.children.map((child) => toSymbol(document, child));
  return made;
}

export const severities = {
  error: DiagnosticSeverity.Error,
  warning: DiagnosticSeverity.Warning,
  information: DiagnosticSeverity.Information,
  hint: DiagnosticSeverity.Hint,
};

export const symbolKinds: Record<OutlineSymbol["kind"], SymbolKind> = {
  event: SymbolKind.Event,
  function: SymbolKind.Function,
  method: SymbolKind.Method,
  variable: SymbolKind.Variable,
  class: SymbolKind.Class,
};

export const kinds: Record<Completion["kind"], CompletionItemKind> = {
  local: CompletionItemKind.Variable,
  parameter: CompletionItemKind.Variable,
  global: CompletionItemKind.Variable,
  function: CompletionItemKind.Function,
  method: CompletionItemKind.Method,
  field: CompletionItemKind.Field,
  library: CompletionItemKind.Module,
  module: CompletionItemKind.File,
  keyword: CompletionItemKind.Keyword,
  snippet: CompletionItemKind.Snippet,
  class: CompletionItemKind.Class,
  subject: CompletionItemKind.Event,
  type: CompletionItemKind.EnumMember,
  agent: CompletionItemKind.User,
  command: CompletionItemKind.Method,
  topic: CompletionItemKind.Folder,
  value: CompletionItemKind.EnumMember,
};
