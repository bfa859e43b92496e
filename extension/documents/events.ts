import {
  CodeLens,
  type CodeLensProvider,
  DocumentLink,
  type DocumentLinkProvider,
  EventEmitter,
  l10n,
  languages,
  Range,
  type TextDocument,
  type TextDocumentContentProvider,
  Uri,
  window,
  workspace,
} from "vscode";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { Disposable } from "../emitter.ts";
import { createBatch } from "../models/batch.ts";
import { type EventAction, eventActions } from "../models/event-actions.ts";
import { eventText } from "../models/event-text.ts";
import type { ServiceLink } from "../service.ts";

const SCHEME = "signalbox-event";
const REFRESH_MS = 500;
const LOOK_AGAIN_MS = 5_000;
/** Ids of events as the service makes them. */
const EVENT_ID = /\bevt_[0-9A-HJKMNP-TV-Z]{26}\b/g;

/** The read-only document of an event. */
export function eventUri(event_id: string): Uri {
  return Uri.from({ scheme: SCHEME, path: `/${event_id}.md` });
}

export interface EventDocuments extends Disposable {
  /** Reads those that are open anew, after something that no event tells of. */
  refresh(): void;
}

/** Shows events as documents, follows what becomes of them while they are open, and links one to another. */
export function createEventDocuments(link: ServiceLink): EventDocuments {
  const changed = new EventEmitter<Uri>();
  const lenses = new Lenses();
  const provider: TextDocumentContentProvider = {
    onDidChange: changed.event,
    async provideTextDocumentContent(uri) {
      const event_id = uri.path.slice(1, -".md".length);
      try {
        const client = await link.ready();
        const [detail, { workflows }] = await Promise.all([
          client.getEvent({ event_id }),
          client.listWorkflows(),
        ]);
        lenses.show(uri, eventActions(detail, workflows.length > 0, Date.now(), l10n.t));
        return eventText(detail, l10n.t);
      } catch (error) {
        lenses.show(uri, []);
        const hint = SignalboxError.is(error) ? `\n\n${error.hint}` : "";
        return `${(error as Error).message}${hint}\n`;
      }
    },
  };
  const refresh = createBatch<unknown>(REFRESH_MS, () => {
    for (const { uri } of workspace.textDocuments) if (uri.scheme === SCHEME) changed.fire(uri);
  });
  // A claim and a pause tell nobody, so what is looked at is read again now and then.
  const timer = setInterval(() => {
    for (const { document } of window.visibleTextEditors)
      if (document.uri.scheme === SCHEME && link.client !== null) changed.fire(document.uri);
  }, LOOK_AGAIN_MS);
  const registered = [
    changed,
    refresh,
    lenses,
    workspace.registerTextDocumentContentProvider(SCHEME, provider),
    workspace.onDidCloseTextDocument(({ uri }) => lenses.forget(uri)),
    languages.registerDocumentLinkProvider({ scheme: SCHEME }, links),
    languages.registerCodeLensProvider({ scheme: SCHEME }, lenses),
    link.onEvent((event) => refresh.add(event)),
    link.onState(({ kind }) => {
      if (kind === "ready") refresh.add(kind);
    }),
  ];
  return {
    refresh: () => refresh.add(null),
    dispose() {
      clearInterval(timer);
      for (const one of registered) one.dispose();
    },
  };
}

/** At the top of each document what can be done with its event now. */
class Lenses implements CodeLensProvider, Disposable {
  readonly #actions = new Map<string, readonly EventAction[]>();
  readonly #changed = new EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.#changed.event;

  show(uri: Uri, actions: readonly EventAction[]): void {
    this.#actions.set(uri.toString(), actions);
    this.#changed.fire();
  }

  forget(uri: Uri): void {
    this.#actions.delete(uri.toString());
  }

  provideCodeLenses({ uri }: TextDocument): CodeLens[] {
    const top = new Range(0, 0, 0, 0);
    const actions = this.#actions.get(uri.toString()) ?? [];
    return actions.map(({ title, command }) => new CodeLens(top, { title, command, arguments: [uri] }));
  }

  dispose(): void {
    this.#changed.dispose();
  }
}

const links: DocumentLinkProvider = {
  provideDocumentLinks(document) {
    const text = document.getText();
    return [...text.matchAll(EVENT_ID)].map((match) => {
      const range = new Range(
        document.positionAt(match.index),
        document.positionAt(match.index + match[0].length),
      );
      const one = new DocumentLink(range, eventUri(match[0]));
      one.tooltip = l10n.t("Open Event");
      return one;
    });
  },
};
