/** One card on the page: what it says, what it suggests, and how the user has answered it. */

import { announce, button, h, newTabLink, svgIcon } from "./dom.js";
import { markdown } from "./markdown.js";
import { OverrideForm } from "./override.js";
import { ActionFailed } from "./session.js";
import { t } from "./texts.js";

/**
 * @import { CardActions, ShownCard } from "./page_types.js"
 * @import { Action, Card, Severity, Suggestion } from "./types.js"
 */

/** The most severe first. */
const SEVERITIES = /** @type {const} */ ({
  critical: { text: "severity_critical", icon: "critical" },
  warning: { text: "severity_warning", icon: "warning" },
  info: { text: "severity_info", icon: "info" },
});

/** @param {Card} card @returns {number} 0 for critical */
export function severityRank(card) {
  return Object.keys(SEVERITIES).indexOf(severityOf(card));
}

/** @param {Card} card @returns {Severity} an unknown indicator counts as a warning, never as less */
function severityOf({ indicator }) {
  return indicator in SEVERITIES ? indicator : "warning";
}

/** @typedef {{suggestion: Suggestion, take: HTMLButtonElement, mark: HTMLElement, element: HTMLElement}} SuggestionView */

export class CardView {
  element;
  #shown;
  #actions;
  #onAnswer;
  #state = h("p", { class: "card-state", hidden: true });
  #problem = h("p", { class: "card-problem", role: "alert", hidden: true });
  /** @type {SuggestionView[]} */
  #suggestions;
  #override;

  /**
   * @param {ShownCard} shown
   * @param {CardActions} actions
   * @param {HTMLElement | null} explanation
   * @param {() => void} onAnswer called after the user has answered the card
   */
  constructor(shown, actions, explanation, onAnswer) {
    const { card } = shown;
    this.#shown = shown;
    this.#actions = actions;
    this.#onAnswer = onAnswer;
    this.#suggestions = (card.suggestions ?? []).map((suggestion) => this.#suggestionView(suggestion));
    this.#override = new OverrideForm(card.overrideReasons ?? [], card.uuid,
      (reason, comment) => this.#perform(() => actions.override(shown, reason, comment)));
    const title = `card-${card.uuid}`;
    this.element = h("article", { class: `card ${severityOf(card)}`, "aria-labelledby": title, tabindex: "-1" },
      this.#head(), h("h4", { id: title }, card.summary), this.#state,
      card.detail && h("div", { class: "detail" }, markdown(card.detail)),
      sourceLine(card), this.#suggestionGroup(), this.#problem, this.#override.element,
      explanation && h("div", { class: "why" }, explanation));
    this.refresh();
  }

  /** Shows the state of the card. Buttons are marked as done and not removed, so that the focus stays on them. */
  refresh() {
    const { card, state, accepted, note, feedbackFailed } = this.#shown;
    const closed = state === "withdrawn" || state === "overridden";
    const full = card.selectionBehavior === "at-most-one" && accepted.length > 0;
    for (const { suggestion, take, mark } of this.#suggestions) {
      const taken = accepted.includes(suggestion.uuid);
      take.setAttribute("aria-disabled", String(taken || full || closed));
      mark.replaceChildren(...(taken ? [svgIcon("ok"), t("taken")] : []));
    }
    this.element.dataset.state = state;
    const words = note ?? (state === "withdrawn" ? t("card_withdrawn") : null);
    this.#state.hidden = !words;
    const resend = () => this.#perform(() => this.#actions.resendFeedback(this.#shown));
    this.#state.replaceChildren(
      ...(words ? [svgIcon(state === "withdrawn" ? "info" : "ok"), h("span", {}, words)] : []),
      ...(feedbackFailed ? [button(t("tell_again"), resend, { class: "small" })] : []));
    this.#override.disable(closed || state === "accepted");
  }

  #head() {
    const { card, changed } = this.#shown;
    const { text, icon } = SEVERITIES[severityOf(card)];
    const topic = card.source.topic?.display;
    return h("p", { class: "card-kind" },
      h("span", { class: "severity" }, svgIcon(icon), t(text)),
      topic && h("span", { class: "muted" }, topic),
      changed && h("span", { class: "badge" }, t("card_changed")));
  }

  #suggestionGroup() {
    if (this.#suggestions.length === 0) return null;
    const one = this.#shown.card.selectionBehavior === "at-most-one" && this.#suggestions.length > 1;
    return h("div", { class: "suggestions", role: "group", "aria-label": t("suggestions") },
      one && h("p", { class: "muted" }, t("at_most_one")), ...this.#suggestions.map(({ element }) => element));
  }

  /** @param {Suggestion} suggestion @returns {SuggestionView} */
  #suggestionView(suggestion) {
    const take = button(suggestion.label, () => this.#perform(() => this.#actions.accept(this.#shown, suggestion)), { class: "suggestion" });
    const mark = h("span", { class: "taken" });
    const descriptions = (suggestion.actions ?? []).map((action) => withoutLabel(action, suggestion.label)).filter(Boolean);
    const element = h("div", { class: "suggestion-line" }, take,
      suggestion.isRecommended && h("span", { class: "badge" }, t("recommended")), mark,
      descriptions.length > 0 && h("p", { class: "muted" }, descriptions.join(" ")));
    return { suggestion, take, mark, element };
  }

  /** Does one thing at a time, and shows what was done or why it failed. @param {() => Promise<string>} action */
  async #perform(action) {
    if (this.element.getAttribute("aria-busy") === "true") return;
    this.element.setAttribute("aria-busy", "true");
    this.#problem.hidden = true;
    try {
      this.#shown.note = await action();
      announce(this.#shown.note);
      this.#onAnswer();
    } catch (error) {
      if (!(error instanceof ActionFailed)) throw error;
      this.#problem.textContent = error.message;
      this.#problem.hidden = false;
    } finally {
      this.element.removeAttribute("aria-busy");
      const focused = this.#state.contains(document.activeElement);
      this.refresh();
      if (focused) (this.#state.querySelector("button") ?? this.element).focus({ preventScroll: true });
    }
  }
}

/** The description of an action without the label that stands before it already. @param {Action} action @param {string} label */
function withoutLabel({ description }, label) {
  return description.startsWith(label) ? description.slice(label.length).replace(/^[\s.:;,：；，。、]+/, "") : description;
}

/** @param {Card} card */
function sourceLine({ source, links = [] }) {
  const pages = links.filter(({ type }) => type === "absolute");
  return h("p", { class: "source" }, t("source"), source.url ? webLink(source.url, source.label) : source.label,
    ...pages.flatMap(({ url, label }) => [" · ", webLink(url, label)]));
}

/** @param {string} url @param {string} label */
function webLink(url, label) {
  return /^https?:\/\//.test(url) ? newTabLink(url, label) : label;
}
