import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { approvalCard } from "../components/card.ts";
import { button } from "../components/controls.ts";
import type { App } from "./app.ts";

/** The side bar: one card after the other. */
export function inbox(app: App): TemplateResult {
  const { state, t, host } = app;
  return html`<h1 class="visually-hidden">${t("Approvals")}</h1>
    ${
      state.cards.length === 0
        ? html`<p class="empty">${state.isReady ? t("Nothing waits for you.") : t("The service does not run.")}</p>`
        : repeat(
            state.cards,
            ({ id }) => id,
            (card) => approvalCard(app, card),
          )
    }
    ${
      state.cards.length > 1
        ? button({
            name: "open-panel",
            label: t("Open All in a Tab"),
            isSecondary: true,
            onPress: () => host.ask({ type: "openPanel" }),
          })
        : nothing
    }`;
}
