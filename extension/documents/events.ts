import {
  CodeLens,
  type CodeLensProvider,
  DocumentLink,
  type DocumentLinkProvider,
  EventEmitter,
  l10n,
  languages,
  Range,
  type TextDocumentContentProvider,
  Uri,
  workspace,
} from "vscode";
import { SignalboxError } from "../../service/contract/errors.ts";
import type { Disposable } from "../emitter.ts";
import { createBatch } from "../models/batch.ts";
import { eventText } from "../models/event-text.ts";
import type { ServiceLink } from "../service.ts";

const SCHEME = "signalbox-event";
const REFRESH_MS = 500;
/** Ids of events as the service makes them. */
const EVENT_ID = /\bevt_[0-9A-HJKMNP-TV-Z]{26}\b/g;

/** The read-only document of an event. */
export function eventUri(event_id: string): Uri {
  return Uri.from({ scheme: SCHEME, path: `/${event_id}.md` });
}

/** Shows events as documents, follows what becomes of them while they are open, and links one to another. */
export function registerEventDocuments(link: ServiceLink): Disposable {
  const changed = new EventEmitter<Uri>();
  const provider: TextDocumentContentProvider = {
    onDidChange: changed.event,
    async provideTextDocumentContent(uri) {
      const event_id = uri.path.slice(1, -".md".length);
      try {
        const client = await link.ready();
        return eventText(await client.getEvent({ event_id }), l10n.t);
      } catch (error) {
        const hint = SignalboxError.is(error) ? `\n\n${error.hint}` : "";
        return `${(error as Error).message}${hint}\n`;
      }
    },
  };
  const refresh = createBatch<unknown>(REFRESH_MS, () => {
    for (const { uri } of workspace.textDocuments) if (uri.scheme === SCHEME) changed.fire(uri);
  });
  const registered = [
    changed,
    refresh,
    workspace.registerTextDocumentContentProvider(SCHEME, provider),
    languages.registerDocumentLinkProvider({ scheme: SCHEME }, links),
    languages.registerCodeLensProvider({ scheme: SCHEME }, lenses),
    link.onEvent((event) => refresh.add(event)),
    link.onState(({ kind }) => {
      if (kind === "ready") refresh.add(kind);
    }),
  ];
  return {
    dispose() {
      for (const one of registered) one.dispose();
    },
  };
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

const lenses: CodeLensProvider = {
  provideCodeLenses(document) {
    const top = new Range(0, 0, 0, 0);
    const actions: [string, string][] = [
      [l10n.t("Reply…"), "signalbox.event.reply"],
      [l10n.t("Dry run…"), "signalbox.event.dryRun"],
      [l10n.t("Open handler"), "signalbox.event.openHandler"],
      [l10n.t("Copy id"), "signalbox.event.copyId"],
    ];
    return actions.map(
      ([title, command]) => new CodeLens(top, { title, command, arguments: [document.uri] }),
    );
  },
};
