import { type Cursor, cursorAt } from "./cursor.ts";
import { complete } from "./features/completion.ts";
import { type Diagnostic, diagnose, type Fix } from "./features/diagnostics.ts";
import { type Hover, hover, type SignatureHelp, signatureHelp } from "./features/hover.ts";
import type { Completion } from "./features/item.ts";
import { isLivePlace } from "./features/live-names.ts";
import { definition, references, rename, renameable } from "./features/names.ts";
import {
  type Fold,
  folds,
  type HandlerPlace,
  handlers,
  type OutlineSymbol,
  outline,
} from "./features/outline.ts";
import { type SemanticToken, semanticTokens } from "./features/tokens.ts";
import type { LuaHost } from "./host.ts";
import { sandboxLibrary } from "./library.ts";
import { Project } from "./project.ts";
import type { Role, SourceFile } from "./source.ts";
import type { Span } from "./syntax/ast.ts";
import type { Edit } from "./syntax/document.ts";
import type { Place } from "./types.ts";

export interface LanguageServiceOptions {
  host: LuaHost;
  /** The text of workflows/types/signalbox.lua, and the address that "go to definition" leads to. */
  api: { uri: string; text: string };
  /** That of scripts.lua beside it. */
  scripts: { uri: string; text: string };
}

export type FileRole = Exclude<Role, "library" | "script-library">;

/**
 * All that an editor asks about Lua files. Files are named by their URI, places are characters (UTF-16) from the
 * beginning. Everything answers at once from memory. A file that is not there answers with nothing.
 */
export interface LanguageService {
  /** Takes a file in, or its whole new text. */
  set(uri: string, text: string, role: FileRole): void;
  /** Changes it, one edit after the other. */
  edit(uri: string, edits: readonly Edit[]): void;
  remove(uri: string): void;
  text(uri: string): string | null;
  /** What the host says has changed. */
  refresh(): void;
  complete(uri: string, offset: number): Completion[];
  hover(uri: string, offset: number): Hover | null;
  signature(uri: string, offset: number): SignatureHelp | null;
  /** Addresses that begin with `signalbox-lua:` are those of live-texts.ts. */
  definition(uri: string, offset: number): Place[];
  /** Whether only the running service knows the thing at the place, and no other language server does. */
  isLive(uri: string, offset: number): boolean;
  references(uri: string, offset: number): Span[];
  renameable(uri: string, offset: number): { span: Span; name: string } | { problem: string };
  rename(uri: string, offset: number, to: string): { edits: Span[] } | { problem: string };
  symbols(uri: string): OutlineSymbol[];
  /** Symbols of all files whose name has the letters of the query in their order. */
  find(query: string): { uri: string; symbol: OutlineSymbol }[];
  folds(uri: string): Fold[];
  tokens(uri: string): SemanticToken[];
  diagnostics(uri: string): Diagnostic[];
  /** What can be done about the diagnostics that touch a span. */
  fixes(uri: string, span: Span): { diagnostic: Diagnostic; fix: Fix }[];
  handlers(uri: string): HandlerPlace[];
  /** Tokens cut and expressions looked at since it was made: the work that was done, for tests. */
  work(): { tokens: number; expressions: number };
}

const LIBRARY = "signalbox-lua:/";

export function createLanguageService({ host, api, scripts }: LanguageServiceOptions): LanguageService {
  const project = new Project(host);
  project.set(api.uri, api.text, "library");
  project.set(`${LIBRARY}sandbox.lua`, sandboxLibrary, "library");
  project.set(scripts.uri, scripts.text, "script-library");
  let tokens = 0;

  const at = <Answer>(
    uri: string,
    offset: number,
    otherwise: Answer,
    answer: (cursor: Cursor) => Answer,
  ): Answer => {
    const file = project.file(uri);
    if (!file) return otherwise;
    return answer(cursorAt(project, file, Math.max(0, Math.min(offset, file.text.length))));
  };
  const whole = <Answer>(uri: string, answer: (file: SourceFile) => Answer[]): Answer[] => {
    const file = project.file(uri);
    return file ? answer(file) : [];
  };
  const diagnostics = (uri: string) => whole(uri, (file) => diagnose(project, file));
  return {
    set(uri, text, role) {
      project.set(uri, text, role);
      tokens += project.file(uri)?.tree.tokens ?? 0;
    },
    edit(uri, edits) {
      for (const edit of edits) {
        project.edit(uri, edit);
        tokens += project.file(uri)?.tree.tokens ?? 0;
      }
    },
    remove: (uri) => project.remove(uri),
    text: (uri) => project.file(uri)?.text ?? null,
    refresh: () => project.forget(null),
    complete: (uri, offset) => at(uri, offset, [], complete),
    hover: (uri, offset) => at(uri, offset, null, hover),
    signature: (uri, offset) => at(uri, offset, null, signatureHelp),
    definition: (uri, offset) => at(uri, offset, [], definition),
    isLive: (uri, offset) => at(uri, offset, false, isLivePlace),
    references: (uri, offset) => at(uri, offset, [], references),
    renameable: (uri, offset) => at(uri, offset, { problem: "There is no such file." }, renameable),
    rename: (uri, offset, to) =>
      at(uri, offset, { problem: "There is no such file." }, (cursor) => rename(cursor, to)),
    symbols: (uri) => whole(uri, outline),
    find: (query) => findSymbols(project, query),
    folds: (uri) => whole(uri, folds),
    tokens: (uri) => whole(uri, (file) => semanticTokens(project, file)),
    diagnostics,
    fixes: (uri, span) =>
      diagnostics(uri)
        .filter(({ from, to }) => from <= span.to && span.from <= to)
        .flatMap((diagnostic) => diagnostic.fixes.map((fix) => ({ diagnostic, fix }))),
    handlers: (uri) => whole(uri, handlers),
    work: () => ({ tokens, expressions: project.expressions() }),
  };
}

function findSymbols(project: Project, query: string): { uri: string; symbol: OutlineSymbol }[] {
  const files = project.all().filter(({ role }) => role !== "library" && role !== "script-library");
  return files
    .flatMap((file) =>
      flat(outline(file))
        .filter((symbol) => hasLetters(symbol.name, query))
        .map((symbol) => ({ uri: file.uri, symbol })),
    )
    .slice(0, 500);
}

function flat(symbols: OutlineSymbol[]): OutlineSymbol[] {
  return symbols.flatMap((symbol) => [symbol, ...flat(symbol.children)]);
}

function hasLetters(name: string, query: string): boolean {
  const lower = name.toLowerCase();
  let from = 0;
  for (const letter of query.toLowerCase()) {
    const found = lower.indexOf(letter, from);
    if (found < 0) return false;
    from = found + 1;
  }
  return true;
}
