import {
  type Disposable as EditorDisposable,
  type ExtensionContext,
  l10n,
  ViewColumn,
  type Webview,
  type WebviewPanel,
  type WebviewView,
  window,
} from "vscode";
import type { StateMessage } from "../../webview/messages.ts";
import type { Disposable } from "../emitter.ts";
import { ApprovalsList, toCard } from "../models/approvals.ts";
import type { Log, ServiceLink } from "../service.ts";
import { readSettings } from "../settings.ts";
import { answer, type Own } from "./answer.ts";
import { followApprovals, readHistory } from "./feed.ts";
import { createNotifier } from "./notify.ts";
import { createRelay, type Relay } from "./relay.ts";

const PANEL = "signalbox.approvals.panel";

interface ApprovalsOptions {
  readonly context: ExtensionContext;
  readonly link: ServiceLink;
  readonly log: Log;
  onWaiting(count: number): void;
}

/** Follows what waits for a person and shows it: in the side bar, in a panel, and by a notification that leads there. */
export class Approvals implements Disposable {
  readonly #options: ApprovalsOptions;
  readonly #list = new ApprovalsList();
  readonly #relays = new Set<Relay>();
  readonly #own: Own = { history: [], problem: null, shown: null };
  readonly #registered: (Disposable | EditorDisposable)[];
  #view: WebviewView | undefined;
  #panel: WebviewPanel | undefined;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
    const { link, log } = options;
    const notifier = createNotifier(this.#list, (effect_id) => this.show(effect_id));
    this.#registered = [
      this.#list.onChange(() => this.#showAll()),
      notifier,
      followApprovals(
        link,
        this.#list,
        log,
        (approval) => notifier.tell(approval),
        () => this.#readHistory(),
      ),
      link.onState(({ kind }) => {
        if (kind !== "ready" && kind !== "starting") this.#list.clear();
        this.#showAll();
      }),
      window.registerWebviewViewProvider("signalbox.approvals", {
        resolveWebviewView: (view) => this.#adoptView(view),
      }),
      window.registerWebviewPanelSerializer(PANEL, {
        deserializeWebviewPanel: async (panel) => this.#adoptPanel(panel),
      }),
    ];
  }

  /** How many effects wait for a person. */
  get waiting(): number {
    return this.#list.waiting.length;
  }

  /** Opens the full panel, at one of them where it is named. */
  show(effect_id?: string): void {
    this.#own.shown = effect_id ?? null;
    if (this.#panel === undefined)
      this.#adoptPanel(window.createWebviewPanel(PANEL, l10n.t("Approvals"), ViewColumn.Active));
    else this.#panel.reveal();
    this.#showAll();
  }

  dispose(): void {
    for (const one of this.#registered) one.dispose();
    for (const relay of this.#relays) relay.dispose();
    this.#panel?.dispose();
  }

  #adoptView(view: WebviewView): void {
    const { link } = this.#options;
    this.#view = view;
    const relay = this.#connect(view.webview, "inbox");
    view.badge = badgeOf(this.waiting);
    view.onDidDispose(() => {
      this.#leave(relay);
      this.#view = undefined;
    });
    view.onDidChangeVisibility(() => startIfAsked(link));
    startIfAsked(link);
  }

  #adoptPanel(panel: WebviewPanel): void {
    this.#panel = panel;
    const relay = this.#connect(panel.webview, "panel");
    panel.onDidDispose(() => {
      this.#leave(relay);
      if (this.#panel === panel) this.#panel = undefined;
    });
    this.#readHistory();
  }

  #connect(webview: Webview, mode: "inbox" | "panel"): Relay {
    const relay = createRelay(this.#options.context, webview, mode, async (asked) => {
      if (asked.type === "ready") relay.send(this.#state());
      else await answer(this.#shown(), asked);
    });
    this.#relays.add(relay);
    return relay;
  }

  #leave(relay: Relay): void {
    this.#relays.delete(relay);
    relay.dispose();
  }

  #shown() {
    const { link, log } = this.#options;
    return {
      link,
      log,
      list: this.#list,
      own: this.#own,
      showAll: () => this.#showAll(),
      openPanel: () => this.show(),
    };
  }

  #readHistory(): void {
    void readHistory(this.#shown());
  }

  #showAll(): void {
    const state = this.#state();
    for (const relay of this.#relays) relay.send(state);
    this.#options.onWaiting(this.waiting);
    if (this.#view !== undefined) this.#view.badge = badgeOf(this.waiting);
  }

  #state(): StateMessage {
    const { person } = readSettings();
    const { history, problem, shown } = this.#own;
    return {
      type: "state",
      isReady: this.#options.link.state.kind === "ready",
      cards: this.#list.all.map((approval) => toCard(approval, person)),
      history: history.map((approval) => toCard(approval, person)),
      problem,
      shown,
      words: wordsOf(),
    };
  }
}

/** The translations there are; English needs none. */
function wordsOf(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(l10n.bundle ?? {}).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value]] : [],
    ),
  );
}

function badgeOf(count: number): WebviewView["badge"] {
  return count === 0 ? undefined : { value: count, tooltip: l10n.t("{0} waiting for you", count) };
}

function startIfAsked(link: ServiceLink): void {
  if (link.state.kind === "stopped" && readSettings().start !== "never") void link.start();
}
