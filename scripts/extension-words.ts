/**
 * Finds what a translator of the extension has to translate; `--write` puts it into extension/l10n. The tool that the
 * editor offers for this sees calls of `vscode.l10n.t` alone, and most of ours are given `t`, so that models and webview
 * need no editor. So the syntax tree is read here.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { effectState } from "../service/contract/effects.ts";
import { deliveryStatus } from "../service/contract/events.ts";
import { repository, type SourceFile, sourceFiles } from "./source-files.ts";

export const wordsFile = "extension/l10n/bundle.l10n.json";

/** Words that are put together at run time, by the expression that `t` is given. */
const spokenStates: Readonly<Record<string, readonly string[]>> = {
  status: deliveryStatus.options,
  value: deliveryStatus.options,
  "event.status": deliveryStatus.options,
  "effect.state": effectState.options,
};

/** What people read, where it is given to the editor or to an element of the webview. */
const SHOWN = /^(title|label|detail|description|placeHolder|placeholder|prompt|tooltip|spoken)$/;
const SHOWING = /^show(Information|Warning|Error)Message$/;
/** Stands for a value in markup. */
const VALUE = "\uE000";
const LETTERS = /\p{L}{3,}/u;

interface Found {
  /** Texts that `t` is given. */
  readonly words: string[];
  /** What is shown without `t`, or can't be told, each with its place. */
  readonly problems: string[];
}

/** Every text that the extension and its webview say, sorted, in the editor's format: each is its own translation. */
export function extensionWords(): string {
  const sorted = [...new Set(shownSources().flatMap((file) => wordsIn(file).words))].sort();
  return `${JSON.stringify(Object.fromEntries(sorted.map((word) => [word, word])), null, 2)}\n`;
}

/** Texts that are shown and that no translator would see, as `file:line: text`. */
export function untranslatable(): string[] {
  return shownSources().flatMap((file) => wordsIn(file).problems);
}

/**
 * All but the Lua language's own messages, which are English as those of the engine and of other Lua tools are; with the
 * templates of workflows, which the command line has too.
 */
function shownSources(): SourceFile[] {
  return sourceFiles(/^(extension|webview)\/.*\.ts$|^service\/client\/workflow-templates\.ts$/).filter(
    ({ path }) => !path.endsWith(".test.ts") && !/^extension\/lua\/(features|syntax|testing)\//.test(path),
  );
}

export function wordsIn({ path, text }: SourceFile): Found {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: Found = { words: [], problems: [] };
  const problem = (node: ts.Node, said: string) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    found.problems.push(`${path}:${line + 1}: ${said}`);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTranslation(node)) {
      for (const one of textsOf(node.arguments[0])) {
        if (typeof one === "string") found.words.push(one);
        else problem(one, `t(${one.getText()}): add what it may be to spokenStates`);
      }
      node.arguments.slice(1).forEach(visit);
      return;
    }
    if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === "html") {
      const bare = markupText(node.template);
      if (LETTERS.test(bare)) problem(node, bare.trim());
    }
    const shown = shownBy(node);
    if (shown !== undefined && LETTERS.test(shown)) problem(node, shown);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isTranslation({ expression }: ts.CallExpression): boolean {
  if (ts.isIdentifier(expression)) return expression.text === "t";
  return ts.isPropertyAccessExpression(expression) && expression.name.text === "t";
}

/** The texts that an argument may be; a node where it can't be told. */
function textsOf(node: ts.Expression | undefined): (string | ts.Node)[] {
  if (node === undefined) return [];
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isParenthesizedExpression(node)) return textsOf(node.expression);
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)];
  const known = spokenStates[node.getText()];
  return known === undefined ? [node] : [...known];
}

/** A text that a node shows as it stands. */
function shownBy(node: ts.Node): string | undefined {
  if (ts.isPropertyAssignment(node) && ts.isIdentifier(node.name) && SHOWN.test(node.name.text)) {
    return literalText(node.initializer);
  }
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    if (SHOWING.test(node.expression.name.text)) return literalText(node.arguments[0]);
  }
  return undefined;
}

/** What stands in a literal; of a template, what stands between its values. */
function literalText(node: ts.Expression | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isConditionalExpression(node))
    return [literalText(node.whenTrue), literalText(node.whenFalse)].filter(Boolean).join(" ");
  if (!ts.isTemplateExpression(node)) return undefined;
  // `$(name)` is an icon.
  const text = [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join(" ");
  return text.replaceAll(/\$\([\w~-]*\)|\bSignalbox\b/g, "");
}

/** Of markup what is read: text between tags, and attributes that are spoken or shown. */
function markupText(template: ts.TemplateLiteral): string {
  const markup = ts.isNoSubstitutionTemplateLiteral(template)
    ? template.text
    : [template.head.text, ...template.templateSpans.map(({ literal }) => literal.text)].join(VALUE);
  const spoken = [...markup.matchAll(/\b(?:aria-label|title|label|placeholder|alt)="([^"\uE000]*)"/g)];
  const read = markup.replaceAll(/<(code|style)\b.*?<\/\1>/gs, " ");
  const between = read.replaceAll(/<[^>]*>/g, " ").replaceAll(VALUE, " ");
  return [between.replace(/^[^<]*>/, "").replace(/<[^>]*$/, ""), ...spoken.map(([, text]) => text)].join(" ");
}

if (import.meta.main && process.argv.includes("--write"))
  writeFileSync(join(repository, wordsFile), extensionWords());
