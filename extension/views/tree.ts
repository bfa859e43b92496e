import {
  EventEmitter,
  type FileDecoration,
  type FileDecorationProvider,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  Uri,
} from "vscode";
import type { Disposable } from "../emitter.ts";
import { createPortions } from "../models/batch.ts";
import type { Row, RowSource } from "../models/row.ts";

/** What the editor is given for a row. It stays the same object while the row changes, so that nothing collapses. */
export interface Element {
  row: Row;
}

/** A row costs the window a fraction of a millisecond to draw again; so many at once are not felt. */
const PORTION = 100;
/** Longer than the time in which the editor would put two portions together. */
const PORTION_EVERY_MS = 250;

/** Shows the rows of a source; asked for a change, it has only those rows drawn again that look different. */
export class RowTree implements TreeDataProvider<Element>, Disposable {
  readonly #source: RowSource;
  readonly #elements = new Map<string, Element>();
  readonly #changed = new EventEmitter<Element[] | undefined>();
  readonly #listening: Disposable;
  readonly #onError: (error: unknown) => void;
  readonly #read: () => Promise<void>;
  readonly #portions = createPortions<string>(PORTION, PORTION_EVERY_MS, (ids) => this.#redraw(ids));
  readonly onDidChangeTreeData = this.#changed.event;

  /** @param read reads the source for the first time; what it throws is told like any other error */
  constructor(source: RowSource, read: () => Promise<void>, onError: (error: unknown) => void) {
    this.#source = source;
    this.#read = read;
    this.#onError = onError;
    this.#listening = source.onChange((change) => {
      if (change !== "all") return this.#portions.add(change);
      this.#portions.clear();
      this.#changed.fire(undefined);
    });
  }

  getTreeItem({ row }: Element): TreeItem {
    return toTreeItem(row);
  }

  async getChildren(element?: Element): Promise<Element[]> {
    try {
      if (element === undefined) return await this.#roots();
      const children = (await element.row.children?.()) ?? [];
      return children.map((row) => this.#element(row));
    } catch (error) {
      this.#onError(error);
      return [];
    }
  }

  dispose(): void {
    this.#listening.dispose();
    this.#portions.dispose();
    this.#changed.dispose();
  }

  async #roots(): Promise<Element[]> {
    // The editor asks when the view is shown, and may miss a change that is told while this question is under way: so
    // the first answer is the whole one.
    if (this.#source.rows().length === 0) await this.#read();
    const rows = this.#source.rows();
    // Elements of rows that are gone would be kept for ever otherwise.
    if (this.#elements.size > 4 * rows.length + 2_000) this.#elements.clear();
    return rows.map((row) => this.#element(row));
  }

  #element(row: Row): Element {
    const known = this.#elements.get(row.id);
    if (known !== undefined) {
      known.row = row;
      return known;
    }
    const element = { row };
    this.#elements.set(row.id, element);
    return element;
  }

  #redraw(ids: readonly string[]): void {
    const wanted = new Set(ids);
    const changed: Element[] = [];
    for (const row of this.#source.rows()) {
      const element = wanted.has(row.id) ? this.#elements.get(row.id) : undefined;
      if (element === undefined) continue;
      element.row = row;
      changed.push(element);
    }
    if (changed.length > 0) this.#changed.fire(changed);
  }
}

function toTreeItem(row: Row): TreeItem {
  const item = new TreeItem(row.label, collapsible(row));
  item.id = row.id;
  item.tooltip = row.tooltip ?? row.label;
  if (row.description !== undefined) item.description = row.description;
  if (row.icon !== undefined) {
    const { id, color } = row.icon;
    item.iconPath = new ThemeIcon(id, color === undefined ? undefined : new ThemeColor(color));
  }
  if (row.context !== undefined) item.contextValue = row.context;
  // Without it a screen reader says label and tooltip, and leaves the state out.
  item.accessibilityInformation = {
    label: row.spoken ?? [row.label, row.description].filter(Boolean).join(", "),
  };
  if (row.badge !== undefined) item.resourceUri = badgeUri(row.id, row.badge);
  if (row.command !== undefined) {
    item.command = { command: row.command.id, title: row.command.title, arguments: [{ row }] };
  }
  return item;
}

function collapsible(row: Row): TreeItemCollapsibleState {
  if (row.children === undefined) return TreeItemCollapsibleState.None;
  return row.isExpanded === true ? TreeItemCollapsibleState.Expanded : TreeItemCollapsibleState.Collapsed;
}

const BADGE_SCHEME = "signalbox-row";

/** The badge is in the address itself, so that a changed badge is another address and nothing has to be remembered. */
function badgeUri(id: string, badge: NonNullable<Row["badge"]>): Uri {
  return Uri.from({ scheme: BADGE_SCHEME, path: `/${id}`, query: JSON.stringify(badge) });
}

/** Draws badges at the right edge of rows. */
export const badges: FileDecorationProvider = {
  provideFileDecoration(uri): FileDecoration | undefined {
    if (uri.scheme !== BADGE_SCHEME) return undefined;
    const badge = JSON.parse(uri.query) as NonNullable<Row["badge"]>;
    return {
      badge: badge.text,
      tooltip: badge.tooltip,
      ...(badge.isAlarming ? { color: new ThemeColor("list.errorForeground") } : {}),
    };
  },
};
