import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { approvalCard } from "../components/card.ts";
import { button } from "../components/controls.ts";
import type { Card } from "../messages.ts";
import { ago, remaining } from "../words.ts";
import type { App } from "./app.ts";

/** The tab: what waits as a table, what is marked in full beside it, and what was decided below. */
export function panel(app: App): TemplateResult {
  const { state, kept, t } = app;
  const marked = state.cards.filter(({ id }) => kept.selected.includes(id));
  const open = marked.length > 0 ? marked : state.cards.slice(0, 1);
  return html`<h1>${t("Approvals")}</h1>
    ${
      state.cards.length === 0
        ? html`<p class="empty">${state.isReady ? t("Nothing waits for you.") : t("The service does not run.")}</p>`
        : html`<div class="columns">
          <div class="list">${waitingTable(app, open)}</div>
          <div class="cards">
            ${together(app, marked)}
            ${repeat(
              open,
              ({ id }) => id,
              (card) => approvalCard(app, card),
            )}
          </div>
        </div>`
    }
    ${history(app)}`;
}

function waitingTable(app: App, open: readonly Card[]): TemplateResult {
  const { state, kept, t, nowMs } = app;
  const toggle = (id: string) => {
    const others = kept.selected.filter((one) => one !== id && state.cards.some((card) => card.id === one));
    app.change({ selected: kept.selected.includes(id) ? others : [...others, id] });
  };
  return html`<table>
    <caption>
      ${t("Waiting for you")}
    </caption>
    <thead>
      <tr>
        <th scope="col"><span class="visually-hidden">${t("Mark")}</span></th>
        <th scope="col">${t("What")}</th>
        <th scope="col">${t("Expires")}</th>
      </tr>
    </thead>
    <tbody>
      ${repeat(
        state.cards,
        ({ id }) => id,
        (card) =>
          html`<tr class=${open.includes(card) ? "open" : ""}>
            <td>
              <input
                type="checkbox"
                aria-label=${t("Mark {0}", card.summary)}
                .checked=${kept.selected.includes(card.id)}
                @change=${() => toggle(card.id)}
              />
            </td>
            <th scope="row">
              <button class="link" type="button" @click=${() => app.change({ selected: [card.id] })}>
                ${card.summary}
              </button>
              <span class="said">${card.asked_by} · ${brief(card)}</span>
            </th>
            <td class="time">${expires(card, nowMs, app)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** What tells it from others of its kind, on one line. */
function brief({ payload }: Card): string {
  const line = payload.replaceAll(/\s+/g, " ");
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function expires(card: Card, nowMs: number, { t }: App): string {
  if (card.decision !== null) return card.decision.decision === "approve" ? t("approved") : t("denied");
  return card.expires_ms === null ? t("never") : remaining(card.expires_ms - nowMs, t);
}

/** Many at once only where they are alike, and only those whose payloads stand below. */
function together(app: App, marked: readonly Card[]): TemplateResult | typeof nothing {
  const { t, state } = app;
  const waiting = marked.filter(({ decision }) => decision === null);
  if (waiting.length < 2) return nothing;
  const [first] = waiting;
  if (!waiting.every(({ alike, choices }) => alike === first?.alike && choices.length === 0))
    return html`<p class="first">${t("They differ in kind, so each is decided by itself.")}</p>`;
  const ids = waiting.map(({ id }) => id);
  return html`<div class="actions together">
    ${button({
      name: "approve-all",
      label: t("Approve These {0}", ids.length),
      icon: "check-all",
      isDisabled: !state.isReady,
      onPress: () => app.decide(ids, "approve"),
    })}
    ${button({
      name: "deny-all",
      label: t("Deny These {0}", ids.length),
      icon: "x",
      isSecondary: true,
      isDisabled: !state.isReady,
      onPress: () => app.decide(ids, "deny"),
    })}
  </div>`;
}

function history({ state, t, nowMs }: App): TemplateResult | typeof nothing {
  if (state.history.length === 0) return nothing;
  return html`<table class="history">
    <caption>
      ${t("Decided")}
    </caption>
    <thead>
      <tr>
        <th scope="col">${t("What")}</th>
        <th scope="col">${t("Decision")}</th>
        <th scope="col">${t("By")}</th>
        <th scope="col">${t("Why")}</th>
        <th scope="col">${t("When")}</th>
      </tr>
    </thead>
    <tbody>
      ${state.history.map(({ summary, decision }) =>
        decision === null
          ? nothing
          : html`<tr>
              <th scope="row">${summary}</th>
              <td>${{ approve: t("approved"), deny: t("denied"), expire: t("expired") }[decision.decision]}</td>
              <td>${decision.isMine ? t("you") : (decision.by ?? "")}</td>
              <td>${decision.reason ?? ""}</td>
              <td>${ago(nowMs - decision.time_ms, t)}</td>
            </tr>`,
      )}
    </tbody>
  </table>`;
}
