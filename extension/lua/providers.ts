import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  CodeAction,
  CodeActionKind,
  CodeLens,
  CompletionItem,
  CompletionItemTag,
  commands,
  Diagnostic,
  DiagnosticRelatedInformation,
  DiagnosticTag,
  type Disposable,
  EventEmitter,
  type ExtensionContext,
  FoldingRange,
  FoldingRangeKind,
  Hover,
  Location,
  type LogOutputChannel,
  l10n,
  languages,
  MarkdownString,
  ParameterInformation,
  type Position,
  Range,
  SemanticTokensBuilder,
  SemanticTokensLegend,
  SignatureHelp,
  SignatureInformation,
  SnippetString,
  SymbolInformation,
  type TextDocument,
  Uri,
  WorkspaceEdit,
  workspace,
} from "vscode";
import { eventUri } from "../documents/events.ts";
import { promptUri } from "../documents/prompts.ts";
import { createBatch } from "../models/batch.ts";
import type { ServiceLink } from "../service.ts";
import { ActionFiles } from "./action-files.ts";
import { kinds, rangeOf, severities, symbolKinds, toSymbol } from "./convert.ts";
import { engineProblems, handlerAt, statsOf, statsText } from "./engine.ts";
import type { Completion } from "./features/item.ts";
import { tokenModifiers, tokenTypes } from "./features/tokens.ts";
import { createLanguageService, type FileRole, type LanguageService } from "./language-service.ts";
import { sandboxLibrary } from "./library.ts";
import { LiveData, RUNS_LOOKED_AT } from "./live.ts";
import { liveText, topicOf } from "./live-texts.ts";
import { hasOtherServer, offerLibrary } from "./lua-ls.ts";
import { editsOf, isInside, usesSignalbox, workflowName } from "./mirror.ts";
import type { HeardEvent } from "./news.ts";
import { dryRunOn, runOnLast } from "./try-out.ts";

export interface LuaDeps {
  readonly link: ServiceLink;
  readonly log: LogOutputChannel;
}

const LUA = { language: "lua" };
const DIAGNOSE_AFTER_MS = 250;
/** Events come in crowds. */
const LOOK_AFTER_MS = 1_000;
/** How long a list of completions waits for what the service says to a first question. */
const WAIT_MS = 300;

/**
 * All that the editor does with Lua files of workflows and actions, and with others that use the API. Nothing is read
 * before the first of them is opened. Where another Lua server runs, only what the service alone knows is said.
 */
export function registerLua(context: ExtensionContext, deps: LuaDeps): Disposable {
  return new LuaFiles(context, deps);
}

class LuaFiles implements Disposable {
  readonly #context: ExtensionContext;
  readonly #link: ServiceLink;
  readonly #log: LogOutputChannel;
  readonly #live: LiveData;
  readonly #problems = languages.createDiagnosticCollection("signalbox");
  readonly #lensesChanged = new EventEmitter<void>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #made = new WeakMap<CompletionItem, Completion>();
  readonly #disposables: { dispose(): void }[] = [];
  #service: LanguageService | null = null;
  readonly #heard = createBatch<HeardEvent>(LOOK_AFTER_MS, (events) => {
    this.#live.heard(events);
    this.#lookAgain();
  });
  #isOffered = false;
  readonly #actions: ActionFiles;

  constructor(context: ExtensionContext, { link, log }: LuaDeps) {
    this.#context = context;
    this.#link = link;
    this.#log = log;
    this.#live = new LiveData({
      client: () => link.client,
      nowMs: () => Date.now(),
      debug: (message) => log.debug(message),
    });
    this.#actions = new ActionFiles({
      set: (uri, text) => this.#service?.set(uri, text, "actions"),
      remove: (uri) => this.#service?.remove(uri),
    });
    this.#disposables.push(
      this.#actions,
      this.#problems,
      this.#lensesChanged,
      ...this.#listeners(),
      ...this.#providers(),
    );
    for (const document of workspace.textDocuments) this.#opened(document);
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    for (const one of this.#disposables) one.dispose();
  }

  #listeners(): { dispose(): void }[] {
    return [
      workspace.onDidOpenTextDocument((document) => this.#opened(document)),
      workspace.onDidSaveTextDocument((document) => this.#opened(document)),
      workspace.onDidCloseTextDocument((document) => this.#closed(document)),
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (!this.#isOurs(document) || contentChanges.length === 0) return;
        const uri = document.uri.toString();
        const service = this.#service;
        if (service?.text(uri) != null) service.edit(uri, editsOf(contentChanges));
        this.#diagnoseSoon(document);
      }),
      this.#live.onChange(() => {
        this.#service?.refresh();
        this.#lensesChanged.fire();
        this.#readActions();
        for (const document of workspace.textDocuments)
          if (this.#isOurs(document)) this.#diagnoseSoon(document);
      }),
      this.#link.onState(() => this.#live.reset()),
      this.#link.onEvent((event) => this.#heard.add(event)),
      this.#heard,
      workspace.registerTextDocumentContentProvider("signalbox-lua", {
        provideTextDocumentContent: (uri) =>
          uri.path === "/sandbox.lua" ? sandboxLibrary : liveText(uri.toString(), this.#live),
      }),
    ];
  }

  #isOurs(document: TextDocument): boolean {
    if (document.languageId !== "lua" || document.uri.scheme === "signalbox-lua") return false;
    const { fsPath } = document.uri;
    const isThere = isInside(fsPath, this.#workflowsDir()) || isInside(fsPath, this.#actions.folder);
    return (
      isThere || this.#service?.text(document.uri.toString()) != null || usesSignalbox(document.getText())
    );
  }

  /** Where the running service loads from; its usual place otherwise. */
  #workflowsDir(): string {
    const [first] = this.#live.workflows() ?? [];
    const loaded = first?.file.replace(/[\\/][^\\/]*$/, "");
    return loaded ?? this.#link.paths.workflowsDir;
  }

  /** The service with this document's text as it is now; null when the document is none of ours. */
  #with(document: TextDocument): { service: LanguageService; uri: string } | null {
    if (!this.#isOurs(document)) return null;
    const service = this.#open();
    const uri = document.uri.toString();
    const text = document.getText();
    if (service.text(uri) !== text) {
      service.set(uri, text, this.#roleOf(document.uri.fsPath));
    }
    return { service, uri };
  }

  #open(): LanguageService {
    if (this.#service) return this.#service;
    const types = Uri.joinPath(this.#context.extensionUri, "workflows", "types");
    const read = (name: string) => {
      const uri = Uri.joinPath(types, name);
      return { uri: uri.toString(), text: this.#packed(uri) };
    };
    this.#service = createLanguageService({
      host: this.#live,
      api: read("signalbox.lua"),
      scripts: read("scripts.lua"),
    });
    this.#readActions();
    return this.#service;
  }

  #roleOf(path: string): FileRole {
    if (isInside(path, this.#actions.folder)) return "actions";
    return isInside(path, this.#workflowsDir()) ? "workflow" : "script";
  }

  #packed(file: Uri): string {
    try {
      return readFileSync(file.fsPath, "utf8");
    } catch (error) {
      this.#log.error(`the API's annotations are not in the package: ${String(error)}`);
      return "";
    }
  }

  #opened(document: TextDocument): void {
    if (!this.#isOurs(document)) return;
    this.#diagnoseSoon(document);
  }

  #closed(document: TextDocument): void {
    const uri = document.uri.toString();
    clearTimeout(this.#timers.get(uri));
    this.#timers.delete(uri);
    this.#problems.delete(document.uri);
    // A file of the actions folder is still required by others.
    if (!isInside(document.uri.fsPath, this.#actions.folder)) this.#service?.remove(uri);
  }

  /** Their comments tell what actions take. */
  #readActions(): void {
    this.#live.actions();
    if (this.#service) void this.#actions.read(this.#live.actionsFolder());
  }

  /** After events, however many: what is shown of them is asked for anew. */
  #lookAgain(): void {
    const ours = workspace.textDocuments.filter((document) => this.#isOurs(document));
    if (ours.length === 0) return;
    this.#lensesChanged.fire();
    for (const document of ours) this.#diagnoseSoon(document);
  }

  #diagnoseSoon(document: TextDocument): void {
    const uri = document.uri.toString();
    clearTimeout(this.#timers.get(uri));
    this.#timers.set(
      uri,
      setTimeout(() => {
        this.#timers.delete(uri);
        if (!document.isClosed) this.#diagnose(document);
      }, DIAGNOSE_AFTER_MS),
    );
  }

  #diagnose(document: TextDocument): void {
    const opened = this.#with(document);
    if (!opened) return;
    const isAlone = !hasOtherServer();
    if (!isAlone) void this.#offerLibrary();
    const own = opened.service
      .diagnostics(opened.uri)
      .filter(({ live }) => isAlone || live)
      .map((one) => {
        const made = new Diagnostic(rangeOf(document, one), one.message, severities[one.severity]);
        made.source = "signalbox";
        made.code = one.code;
        if (one.tag)
          made.tags = [one.tag === "unnecessary" ? DiagnosticTag.Unnecessary : DiagnosticTag.Deprecated];
        return made;
      });
    this.#problems.set(document.uri, [...own, ...this.#engineDiagnostics(document)]);
  }

  /** Once the service has said where its files are. */
  async #offerLibrary(): Promise<void> {
    if (this.#isOffered || this.#link.client === null) return;
    this.#isOffered = true;
    this.#live.actions();
    this.#live.workflows();
    await this.#live.pending();
    await offerLibrary(this.#context, this.#workflowsDir(), this.#live.actionsFolder());
  }

  /** What the engine said about the text as it is saved. */
  #engineDiagnostics(document: TextDocument): Diagnostic[] {
    const name = workflowName(document.uri.fsPath, this.#workflowsDir());
    if (name === null || document.isDirty) return [];
    const digest = createHash("sha256").update(document.getText()).digest("hex");
    return engineProblems(this.#live.workflow(name), this.#live.runs(name), digest).map((one) => {
      const line = document.lineAt(Math.min(Math.max(one.line, 1), document.lineCount) - 1);
      const range = new Range(
        line.lineNumber,
        line.firstNonWhitespaceCharacterIndex,
        line.lineNumber,
        line.text.length,
      );
      const made = new Diagnostic(range, one.message, severities[one.severity]);
      made.source = "signalbox engine";
      if (one.event_id !== null) {
        const place = new Location(eventUri(one.event_id), new Range(0, 0, 0, 0));
        made.relatedInformation = [
          new DiagnosticRelatedInformation(place, l10n.t("The event that it failed on")),
        ];
      }
      return made;
    });
  }

  /** For what another Lua server does as well or better. */
  #alone(document: TextDocument): { service: LanguageService; uri: string } | null {
    return hasOtherServer() ? null : this.#with(document);
  }

  /** The same, unless the service alone knows what is there. */
  #knowing(document: TextDocument, position: Position): { service: LanguageService; uri: string } | null {
    const opened = this.#with(document);
    const isOurs = !hasOtherServer() || opened?.service.isLive(opened.uri, document.offsetAt(position));
    return isOurs ? opened : null;
  }

  #providers(): { dispose(): void }[] {
    const legend = new SemanticTokensLegend([...tokenTypes], [...tokenModifiers]);
    return [
      languages.registerCompletionItemProvider(
        LUA,
        {
          provideCompletionItems: (document, position) => this.#complete(document, position),
          resolveCompletionItem: (item) => this.#describe(item),
        },
        ...[".", ":", '"', "'", "{", "(", ",", "@"],
      ),
      languages.registerHoverProvider(LUA, {
        provideHover: (document, position) => this.#hover(document, position),
      }),
      languages.registerSignatureHelpProvider(
        LUA,
        { provideSignatureHelp: (document, position) => this.#signature(document, position) },
        ...["(", ",", "{"],
      ),
      languages.registerDefinitionProvider(LUA, {
        provideDefinition: (document, position) => this.#definition(document, position),
      }),
      languages.registerReferenceProvider(LUA, {
        provideReferences: (document, position) => {
          const opened = this.#alone(document);
          const found = opened?.service.references(opened.uri, document.offsetAt(position)) ?? [];
          return found.map((span) => new Location(document.uri, rangeOf(document, span)));
        },
      }),
      languages.registerRenameProvider(LUA, {
        prepareRename: (document, position) => this.#prepareRename(document, position),
        provideRenameEdits: (document, position, name) => this.#rename(document, position, name),
      }),
      languages.registerDocumentSymbolProvider(LUA, {
        provideDocumentSymbols: (document) => {
          const opened = this.#alone(document);
          return opened?.service.symbols(opened.uri).map((symbol) => toSymbol(document, symbol)) ?? [];
        },
      }),
      languages.registerWorkspaceSymbolProvider({
        provideWorkspaceSymbols: (query) => this.#findSymbols(query),
      }),
      languages.registerFoldingRangeProvider(LUA, {
        provideFoldingRanges: (document) => {
          const opened = this.#alone(document);
          const kind = (isComment: boolean) => (isComment ? FoldingRangeKind.Comment : undefined);
          const found = opened?.service.folds(opened.uri) ?? [];
          return found.map(({ from, to, isComment }) => new FoldingRange(from, to, kind(isComment)));
        },
      }),
      languages.registerDocumentSemanticTokensProvider(
        LUA,
        {
          provideDocumentSemanticTokens: (document) => {
            const opened = this.#alone(document);
            if (!opened) return null;
            const builder = new SemanticTokensBuilder(legend);
            for (const token of opened.service.tokens(opened.uri)) {
              builder.push(rangeOf(document, token), token.type, token.modifiers);
            }
            return builder.build();
          },
        },
        legend,
      ),
      languages.registerCodeActionsProvider(
        LUA,
        { provideCodeActions: (document, range) => this.#fixes(document, range) },
        { providedCodeActionKinds: [CodeActionKind.QuickFix] },
      ),
      languages.registerCodeLensProvider(LUA, {
        onDidChangeCodeLenses: this.#lensesChanged.event,
        provideCodeLenses: (document) => this.#lenses(document),
      }),
      commands.registerCommand("signalbox.workflow.runOnLast", (target) =>
        runOnLast(this.#link, this.#log, target),
      ),
      commands.registerCommand("signalbox.workflow.dryRunOn", (target) =>
        dryRunOn(this.#link, this.#log, target),
      ),
    ];
  }

  async #complete(document: TextDocument, position: Position): Promise<CompletionItem[]> {
    const opened = this.#with(document);
    if (!opened) return [];
    const offset = document.offsetAt(position);
    let found = opened.service.complete(opened.uri, offset);
    const pending = this.#live.pending();
    if (pending) {
      const version = document.version;
      const limit = new Promise<void>((resolve) => {
        setTimeout(() => resolve(), WAIT_MS);
      });
      await Promise.race([pending, limit]);
      if (document.version === version) found = opened.service.complete(opened.uri, offset);
    }
    const isAlone = !hasOtherServer();
    return found.filter(({ live }) => isAlone || live).map((one) => this.#item(document, position, one));
  }

  #item(document: TextDocument, position: Position, made: Completion): CompletionItem {
    const item = new CompletionItem(made.label, kinds[made.kind]);
    const from = document.positionAt(made.from);
    const to = document.positionAt(made.to);
    item.insertText = made.isSnippet ? new SnippetString(made.insert) : made.insert;
    // Editors ask for one line around the place; a longer text is completed up to it.
    const isOneLine = from.line === position.line && to.line === position.line;
    if (isOneLine) item.range = { inserting: new Range(from, position), replacing: new Range(from, to) };
    item.sortText = made.sort;
    item.filterText = made.label.replaceAll('"', "");
    if (made.deprecated) item.tags = [CompletionItemTag.Deprecated];
    // A field's kind and how often it was there is worth seeing for all of the list at once.
    if (made.kind !== "local" && made.kind !== "function")
      item.label = { label: made.label, description: made.detail };
    this.#made.set(item, made);
    return item;
  }

  #describe(item: CompletionItem): CompletionItem {
    const made = this.#made.get(item);
    if (!made) return item;
    item.detail = made.detail;
    if (made.doc !== "") item.documentation = new MarkdownString(made.doc);
    return item;
  }

  #hover(document: TextDocument, position: Position): Hover | null {
    const opened = this.#with(document);
    const found = opened?.service.hover(opened.uri, document.offsetAt(position));
    if (!found || (hasOtherServer() && !found.live)) return null;
    return new Hover(new MarkdownString(found.text), rangeOf(document, found));
  }

  #signature(document: TextDocument, position: Position): SignatureHelp | null {
    const opened = this.#knowing(document, position);
    const found = opened?.service.signature(opened.uri, document.offsetAt(position));
    if (!found) return null;
    const help = new SignatureHelp();
    help.activeSignature = found.active;
    help.activeParameter = found.activeParameter;
    help.signatures = found.signatures.map(({ label, doc, params }) => {
      const made = new SignatureInformation(label, doc === "" ? undefined : new MarkdownString(doc));
      made.parameters = params.map(
        (param) => new ParameterInformation(param.label, new MarkdownString(param.doc)),
      );
      return made;
    });
    return help;
  }

  async #definition(document: TextDocument, position: Position): Promise<Location[]> {
    const opened = this.#knowing(document, position);
    const found = opened?.service.definition(opened.uri, document.offsetAt(position)) ?? [];
    return Promise.all(
      found.map(async ({ uri, from, to }) => {
        const topic = topicOf(uri);
        if (topic !== null) return new Location(promptUri(topic), new Range(0, 0, 0, 0));
        const target = await workspace.openTextDocument(Uri.parse(uri));
        return new Location(target.uri, rangeOf(target, { from, to }));
      }),
    );
  }

  #prepareRename(document: TextDocument, position: Position): { range: Range; placeholder: string } | null {
    const opened = this.#alone(document);
    if (!opened) return null;
    const found = opened.service.renameable(opened.uri, document.offsetAt(position));
    if ("problem" in found) throw new Error(found.problem);
    return { range: rangeOf(document, found.span), placeholder: found.name };
  }

  #rename(document: TextDocument, position: Position, name: string): WorkspaceEdit | null {
    const opened = this.#alone(document);
    if (!opened) return null;
    const found = opened.service.rename(opened.uri, document.offsetAt(position), name);
    if ("problem" in found) throw new Error(found.problem);
    const edit = new WorkspaceEdit();
    for (const span of found.edits) edit.replace(document.uri, rangeOf(document, span), name);
    return edit;
  }

  async #findSymbols(query: string): Promise<SymbolInformation[]> {
    if (hasOtherServer() || !this.#service) return [];
    const found = this.#service.find(query).slice(0, 100);
    return Promise.all(
      found.map(async ({ uri, symbol }) => {
        const document = await workspace.openTextDocument(Uri.parse(uri));
        const place = new Location(document.uri, rangeOf(document, symbol.selection));
        return new SymbolInformation(symbol.name, symbolKinds[symbol.kind], "", place);
      }),
    );
  }

  #fixes(document: TextDocument, range: Range): CodeAction[] {
    const opened = this.#with(document);
    if (!opened) return [];
    const span = { from: document.offsetAt(range.start), to: document.offsetAt(range.end) };
    const isAlone = !hasOtherServer();
    return opened.service
      .fixes(opened.uri, span)
      .filter(({ diagnostic }) => isAlone || diagnostic.live)
      .map(({ diagnostic, fix }) => {
        const action = new CodeAction(fix.title, CodeActionKind.QuickFix);
        action.edit = new WorkspaceEdit();
        for (const one of fix.edits) action.edit.replace(document.uri, rangeOf(document, one), one.text);
        action.diagnostics = (this.#problems.get(document.uri) ?? []).filter(
          ({ code, range: at }) => code === diagnostic.code && at.isEqual(rangeOf(document, diagnostic)),
        );
        action.isPreferred = true;
        return action;
      });
  }

  #lenses(document: TextDocument): CodeLens[] {
    const opened = this.#with(document);
    const name = workflowName(document.uri.fsPath, this.#workflowsDir());
    const workflow = opened && name !== null ? this.#live.workflow(name) : null;
    if (!opened || name === null || !workflow) return [];
    const runs = this.#live.runs(name);
    const item = { row: { item: { kind: "workflow", workflow: name, file: workflow.file } } };
    const isOff = workflow.state === "disabled" || workflow.state === "parked";
    return opened.service.handlers(opened.uri).flatMap((place) => {
      const range = rangeOf(document, { from: place.from, to: place.from });
      const handler = handlerAt(workflow, place, range.start.line + 1);
      const now = Date.now();
      const target = { workflow: name, pattern: place.pattern, uri: document.uri.toString() };
      const lens = (title: string, command: string, argument: unknown) =>
        new CodeLens(range, { title, command: `signalbox.workflow.${command}`, arguments: [argument] });
      const stats = handler
        ? statsText(statsOf(runs, handler, now, RUNS_LOOKED_AT), now, l10n.t)
        : l10n.t("not loaded");
      const tries =
        place.pattern === null
          ? []
          : [
              lens(l10n.t("Run on Last Event"), "runOnLast", target),
              lens(l10n.t("Dry Run on…"), "dryRunOn", target),
            ];
      const toggle = isOff
        ? lens(l10n.t("Enable"), "enable", item)
        : lens(l10n.t("Disable"), "disable", item);
      return [lens(stats, "logs", item), ...tries, toggle, lens(l10n.t("Log"), "logs", item)];
    });
  }
}
