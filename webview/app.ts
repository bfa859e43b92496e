import { html, nothing, render, type TemplateResult } from "lit";
import { PressGuard } from "./guard.ts";
import type { Host } from "./host.ts";
import type { StateMessage } from "./messages.ts";
import type { App, Kept } from "./screens/app.ts";
import { inbox } from "./screens/inbox.ts";
import { panel } from "./screens/panel.ts";
import { createWords } from "./words.ts";

/** Draws what the extension says, in the side bar (`inbox`) or in a tab (`panel`), and asks it for what is pressed. */
export function startApp(root: HTMLElement, host: Host, mode: "inbox" | "panel"): void {
  const guard = new PressGuard(() => performance.now());
  let kept = readKept(host.restore());
  let state: StateMessage | null = null;
  let shown: string | null = null;
  /** Cards whose payload was in sight at some time. */
  const seen = new Set<string>();
  const look = () => {
    for (const { id } of state?.cards ?? []) if (!seen.has(id) && isInSight(root, id)) seen.add(id);
  };
  const draw = () => {
    if (state === null) return;
    const app = createApp(state);
    guard.show(offered(app, mode));
    render(html`${said(app)}${mode === "inbox" ? inbox(app) : panel(app)}`, root);
    look();
  };
  const cardOf = (id: string) => state?.cards.find((card) => card.id === id);
  function createApp(current: StateMessage): App {
    return {
      state: current,
      kept,
      nowMs: Date.now(),
      t: createWords(current.words),
      host,
      change(changed) {
        kept = { ...kept, ...changed };
        host.keep(kept);
        draw();
      },
      decide(ids, decision, more = {}) {
        if (!guard.counts(ids)) return;
        const [only, ...others] = ids;
        // The buttons stay in sight while the card is scrolled; what they approve has to have been there, too.
        if (decision === "approve" && only !== undefined && others.length === 0 && !seen.has(only)) {
          payloadOf(root, only)?.scrollIntoView({ block: "start" });
          guard.restart(only);
          look();
          return;
        }
        const decisions = ids.flatMap((id) => {
          const card = cardOf(id);
          return card === undefined || card.decision !== null ? [] : [{ id, sha256: card.sha256 }];
        });
        if (decisions.length > 0) host.ask({ type: "decide", decisions, decision, ...more });
      },
    };
  }
  host.onState((next) => {
    state = next;
    if (next.shown !== null && next.shown !== shown && next.cards.some(({ id }) => id === next.shown)) {
      kept = { ...kept, selected: [next.shown] };
    }
    shown = next.shown;
    draw();
  });
  window.addEventListener("focus", () => guard.focus());
  // Also of the payload itself, or whatever else scrolls in it.
  window.addEventListener("scroll", look, { capture: true, passive: true });
  document.addEventListener("visibilitychange", () => guard.focus());
  setInterval(draw, 1_000);
}

/** A payload counts as seen from so many pixels on, or as a whole. */
const SEEN_PX = 32;

function payloadOf(root: HTMLElement, id: string): HTMLElement | null {
  const card = [...root.querySelectorAll<HTMLElement>("article")].find(({ dataset }) => dataset.id === id);
  return card?.querySelector("pre") ?? null;
}

/** Whether a card's payload can be read now, above the bar with its buttons. */
function isInSight(root: HTMLElement, id: string): boolean {
  const payload = payloadOf(root, id);
  if (payload === null || document.visibilityState !== "visible") return false;
  const { top, bottom, height } = payload.getBoundingClientRect();
  const bar = payload.closest("article")?.querySelector(":scope > .actions")?.getBoundingClientRect();
  const shown = Math.min(bottom, bar?.top ?? bottom, window.innerHeight) - Math.max(top, 0);
  return shown >= Math.min(height, SEEN_PX);
}

/** Those that can be decided about now. */
function offered({ state, kept }: App, mode: "inbox" | "panel"): readonly string[] {
  const waiting = state.cards.filter(({ decision }) => decision === null).map(({ id }) => id);
  if (mode === "inbox") return waiting;
  const selected = waiting.filter((id) => kept.selected.includes(id));
  return selected.length > 0 ? selected : waiting.slice(0, 1);
}

function said({ state, t }: App): TemplateResult {
  const waiting = state.cards.filter(({ decision }) => decision === null).length;
  const words = waiting === 0 ? t("Nothing waits for you.") : t("{0} waiting for you", waiting);
  return html`<p class="visually-hidden" role="status">${words}</p>
    ${state.problem === null ? nothing : html`<p class="problem" role="alert">${state.problem}</p>`}`;
}

function readKept(kept: unknown): Kept {
  const { reasons, denying, remembering, selected } = (
    typeof kept === "object" && kept !== null ? kept : {}
  ) as Partial<Record<keyof Kept, unknown>>;
  const texts = (value: unknown) =>
    Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
  const isRecord = typeof reasons === "object" && reasons !== null;
  return {
    reasons: isRecord
      ? Object.fromEntries(
          Object.entries(reasons).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
        )
      : {},
    denying: texts(denying),
    remembering: texts(remembering),
    selected: texts(selected),
  };
}
