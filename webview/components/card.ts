import { html, nothing, type TemplateResult } from "lit";
import type { Card } from "../messages.ts";
import type { App } from "../screens/app.ts";
import { ago, remaining } from "../words.ts";
import { button, icon, textField } from "./controls.ts";

/** All that somebody needs to decide: who, why, exactly what, what is new about it. Everything is text, nothing markup. */
export function approvalCard(app: App, card: Card): TemplateResult {
  const { t } = app;
  const title = `title-${card.id}`;
  return html`<article class="card" aria-labelledby=${title} data-id=${card.id}>
    <header>
      <h2 id=${title}>${card.summary}</h2>
      ${expiry(app, card)}
    </header>
    <p class="who">
      ${icon("account")}
      <span>${t("{0} asks", card.asked_by)}, ${ago(app.nowMs - card.created_ms, t)}</span>
    </p>
    ${because(app, card)} ${card.note === null ? nothing : html`<blockquote>${card.note}</blockquote>`}
    <section aria-label=${t("Exactly what")}>
      <h3>${t("Exactly what")}</h3>
      <p class="what">${card.what}</p>
      <pre tabindex="0" aria-label=${t("Payload")}>${card.payload}</pre>
    </section>
    ${
      card.risks.length === 0
        ? nothing
        : html`<ul class="risks" aria-label=${t("What to look at")}>
          ${card.risks.map((risk) => html`<li>${icon("warning")} <span>${risk}</span></li>`)}
        </ul>`
    }
    ${difference(app, card)} ${why(app, card)}
    <p class="code">${t("Code")} <code>${card.code}</code> · ${card.rule}</p>
    ${card.decision === null ? decide(app, card) : decided(app, card)}
  </article>`;
}

/** Silent for screen readers: a clock that is read aloud each second says nothing else. */
function expiry({ nowMs, t }: App, card: Card): TemplateResult | typeof nothing {
  if (card.expires_ms === null || card.decision !== null) return nothing;
  const left = card.expires_ms - nowMs;
  const time = remaining(left, t);
  const words = t("expires in {0}", time);
  return html`<span
    class="expiry ${left < 60_000 ? "soon" : ""}"
    role="timer"
    aria-live="off"
    aria-label=${words}
    title=${words}
    >${icon("watch")}${time}</span
  >`;
}

/** Why, in a line: where it was asked for, and the nearest cause. The whole chain stands below. */
function because({ t, host }: App, { id, line, chain: [nearest] }: Card): TemplateResult | typeof nothing {
  if (nearest === undefined && line === null) return nothing;
  const place =
    line === null
      ? nothing
      : html`<button class="link" type="button" @click=${() => host.ask({ type: "openLine", id })}>${line}</button>`;
  const cause =
    nearest === undefined
      ? nothing
      : html`<span class="visually-hidden">${t("because of")}</span>
          ${t("{0} from {1}", nearest.type, nearest.source)}${nearest.body === null ? "" : `: ${nearest.body}`}`;
  return html`<p class="because">${icon("arrow-small-right")} <span>${place} ${cause}</span></p>`;
}

function difference({ t, nowMs }: App, card: Card): TemplateResult {
  if (card.difference === null) return html`<p class="first">${t("Nothing like it was allowed before.")}</p>`;
  const { changes, created_ms } = card.difference;
  const since = ago(nowMs - created_ms, t);
  if (changes.length === 0)
    return html`<p class="first">${t("The same as the last one, allowed {0}.", since)}</p>`;
  return html`<table class="difference">
    <caption>
      ${t("What differs from the last one, allowed {0}", since)}
    </caption>
    <thead>
      <tr>
        <th scope="col">${t("Field")}</th>
        <th scope="col">${t("Before")}</th>
        <th scope="col">${t("Now")}</th>
      </tr>
    </thead>
    <tbody>
      ${changes.map(
        ({ path, before, after }) =>
          html`<tr>
            <th scope="row">${path}</th>
            <td class="before">${before ?? t("nothing")}</td>
            <td class="after">${after ?? t("nothing")}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function why({ t, host }: App, card: Card): TemplateResult | typeof nothing {
  if (card.chain.length === 0) return nothing;
  return html`<section aria-label=${t("Why")}>
    <h3>${t("Why")}</h3>
    <ol class="chain">
      ${card.chain.map(
        (link) =>
          html`<li>
            <button class="link" type="button" @click=${() => host.ask({ type: "openEvent", event_id: link.event_id })}>
              ${link.type}
            </button>
            <span>${t("from {0}", link.source)}</span>
            ${link.body === null ? nothing : html`<span class="said">${link.body}</span>`}
          </li>`,
      )}
    </ol>
  </section>`;
}

function decide(app: App, card: Card): TemplateResult {
  const { t, kept, state } = app;
  if (kept.remembering.includes(card.id)) return remember(app, card);
  if (kept.denying.includes(card.id)) return deny(app, card);
  const approve =
    card.choices.length > 0
      ? card.choices.map((choice) =>
          button({
            name: `choose-${choice}`,
            label: choice,
            spoken: t("{0}: {1}", choice, card.summary),
            isDisabled: !state.isReady,
            onPress: () => app.decide([card.id], "approve", { choice }),
          }),
        )
      : button({
          name: "approve",
          label: t("Approve"),
          icon: "check",
          spoken: t("Approve: {0}", card.summary),
          isDisabled: !state.isReady,
          onPress: () => app.decide([card.id], "approve"),
        });
  return html`<div class="actions">
    ${approve}
    ${button({
      name: "deny",
      label: t("Deny…"),
      icon: "x",
      isSecondary: true,
      spoken: t("Deny: {0}", card.summary),
      isDisabled: !state.isReady,
      onPress: () => app.change({ denying: [...kept.denying, card.id] }),
    })}
  </div>
  ${
    card.canRemember
      ? html`<div class="more">
          ${button({
            name: "propose",
            label: t("Approve and Remember…"),
            isSecondary: true,
            isDisabled: !state.isReady,
            onPress: () => app.change({ remembering: [...kept.remembering, card.id] }),
          })}
        </div>`
      : nothing
  }`;
}

function deny(app: App, card: Card): TemplateResult {
  const { t, kept } = app;
  const reason = kept.reasons[card.id] ?? "";
  const close = () => app.change({ denying: kept.denying.filter((id) => id !== card.id) });
  const act = () => app.decide([card.id], "deny", { reason });
  return html`<div class="actions">
    ${textField({
      name: "reason",
      label: t("Why not? (may be left out)"),
      value: reason,
      onInput: (value) => app.change({ reasons: { ...kept.reasons, [card.id]: value } }),
      onEnter: act,
    })}
    ${button({ name: "deny-now", label: t("Deny"), icon: "x", onPress: act })}
    ${button({ name: "back", label: t("Back"), isSecondary: true, onPress: close })}
  </div>`;
}

const REMEMBER_DAYS = [7, 30, 90];

/** The rule is read before it is saved: it is for these bytes and this asker, and nothing else. */
function remember(app: App, card: Card): TemplateResult {
  const { t, kept } = app;
  const close = () => app.change({ remembering: kept.remembering.filter((id) => id !== card.id) });
  return html`<section class="rule" aria-label=${t("Rule")}>
    <h3>${t("Rule")}</h3>
    <p>
      ${t("{0}, with exactly this payload and asked for by {1}, needs nobody’s yes.", card.what, card.asked_by)}
      ${t("Anything else about it asks again. It is added to policy.toml after your own rules.")}
    </p>
    <p class="code"><code>sha256 = ${card.sha256}</code></p>
    <div class="actions">
      ${REMEMBER_DAYS.map((days) =>
        button({
          name: `remember-${days}`,
          label: t("Approve for {0} Days", days),
          isSecondary: days !== 30,
          onPress: () => app.decide([card.id], "approve", { remember_days: days }),
        }),
      )}
      ${button({ name: "back", label: t("Back"), isSecondary: true, onPress: close })}
    </div>
  </section>`;
}

function decided({ t, nowMs }: App, { decision }: Card): TemplateResult | typeof nothing {
  if (decision === null) return nothing;
  const { by, isMine, reason, time_ms } = decision;
  const who = isMine ? t("you") : (by ?? t("nobody"));
  const since = ago(nowMs - time_ms, t);
  const words = {
    approve: t("Approved by {0}, {1}", who, since),
    deny: t("Denied by {0}, {1}", who, since),
    expire: t("Expired {0}: no decision in time is a no", since),
  }[decision.decision];
  return html`<p class="decided ${decision.decision}">
    ${icon(decision.decision === "approve" ? "pass" : "circle-slash")}
    <span>${words}${reason === null ? "" : `: ${reason}`}</span>
  </p>`;
}
