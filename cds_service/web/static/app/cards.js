/** One card on the page: what it says, what it offers, and what became of it. */

import { announce, button, h, svgIcon } from "./dom.js";
import { markdown } from "./markdown.js";
import { overrideForm } from "./override.js";
import { t } from "./texts.js";

/**
 * What of a card changes while it stands on the page.
 * @typedef {{
 *   service: import("./hooks.js").Service,
 *   card: any,
 *   state: "open" | "accepted" | "overridden" | "withdrawn",
 *   taken: string[],
 *   note: string | null,
 *   changed: boolean,
 *   untold?: boolean,
 * }} Shown
 * @typedef {{accept: (shown: Shown, suggestion: any) => Promise<string>, override: (shown: Shown, reason: any, comment: string) => Promise<string>, tell: (shown: Shown) => Promise<string>}} Deeds
 * `tell` says once more what was accepted, where the service could not be told; each returns in words what was done, or throws a `Refused`
 */

/** Something could not be done; the message says so to the reader. */
export class Refused extends Error {}

const SEVERITY = /** @type {const} */ ({
  critical: { key: "severity_critical", icon: "critical" },
  warning: { key: "severity_warning", icon: "warning" },
  info: { key: "severity_info", icon: "info" },
});

/** @param {any} card @returns {number} critical first */
export function rank(card) {
  return Math.max(0, Object.keys(SEVERITY).indexOf(card.indicator));
}

/** @param {any} card @returns {keyof typeof SEVERITY} an indicator that is not known is shown as a warning, never as less */
function severityOf(card) {
  return card.indicator in SEVERITY ? card.indicator : "warning";
}

/**
 * @param {Shown} shown
 * @param {Deeds} deeds
 * @param {HTMLElement | null} why
 * @param {() => void} answered
 * @returns {{element: HTMLElement, refresh: () => void}}
 */
export function cardView(shown, deeds, why, answered) {
  const { card } = shown;
  const severity = severityOf(card);
  const title = `card-${card.uuid}`;
  const state = h("p", { class: "card-state", hidden: true });
  const problem = h("p", { class: "card-problem", role: "alert", hidden: true });
  const offers = (card.suggestions ?? []).map((/** @type {any} */ one) => offer(one));
  const form = overrideForm(card.overrideReasons ?? [], card.uuid, (reason, comment) => attempt(() => deeds.override(shown, reason, comment)));
  const element = h(
    "article",
    { class: `card ${severity}`, "aria-labelledby": title, tabindex: "-1" },
    h("p", { class: "card-kind" },
      h("span", { class: "severity" }, svgIcon(SEVERITY[severity].icon), t(SEVERITY[severity].key)),
      card.source?.topic?.display ? h("span", { class: "quiet" }, card.source.topic.display) : null,
      shown.changed ? h("span", { class: "badge" }, t("card_changed")) : null),
    h("h4", { id: title }, card.summary),
    state,
    card.detail ? h("div", { class: "detail" }, markdown(card.detail)) : null,
    sourceLine(card),
    offers.length ? h("div", { class: "offers", role: "group", "aria-label": t("suggestions") },
      card.selectionBehavior === "at-most-one" && offers.length > 1 ? h("p", { class: "quiet" }, t("at_most_one")) : null,
      ...offers.map((/** @type {any} */ one) => one.element)) : null,
    problem,
    form.element,
    why ? h("div", { class: "why" }, why) : null,
  );

  /** @param {any} suggestion */
  function offer(suggestion) {
    const take = button(suggestion.label, () => attempt(() => deeds.accept(shown, suggestion)), { class: "offer" });
    const told = (suggestion.actions ?? []).map((/** @type {any} */ action) => beyond(action.description ?? "", suggestion.label)).filter(Boolean);
    const mark = h("span", { class: "taken" });
    return {
      suggestion, take, mark,
      element: h("div", { class: "offer-line" }, take,
        suggestion.isRecommended ? h("span", { class: "badge" }, t("recommended")) : null, mark,
        told.length ? h("p", { class: "quiet" }, told.join(" ")) : null),
    };
  }

  /** @param {() => Promise<string>} deed */
  async function attempt(deed) {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    problem.hidden = true;
    try {
      shown.note = await deed();
      announce(shown.note);
      answered();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      element.removeAttribute("aria-busy");
      const held = state.contains(document.activeElement);
      refresh();
      if (held) (state.querySelector("button") ?? element).focus({ preventScroll: true });
    }
  }

  /** Shows the state; buttons are marked as done and not taken away, so that the focus stays on them. */
  function refresh() {
    const over = shown.state === "withdrawn" || shown.state === "overridden";
    const full = card.selectionBehavior === "at-most-one" && shown.taken.length > 0;
    for (const { suggestion, take, mark } of offers) {
      const taken = shown.taken.includes(suggestion.uuid);
      take.setAttribute("aria-disabled", String(taken || full || over));
      mark.replaceChildren(...(taken ? [svgIcon("ok"), t("taken")] : []));
    }
    element.dataset.state = shown.state;
    const words = shown.note ?? (shown.state === "withdrawn" ? t("card_withdrawn") : null);
    state.hidden = !words;
    state.replaceChildren(...(words ? [svgIcon(shown.state === "withdrawn" ? "info" : "ok"), h("span", {}, words)] : []),
      ...(shown.untold ? [button(t("tell_again"), () => attempt(() => deeds.tell(shown)), { class: "small" })] : []));
    form.disable(over || shown.state === "accepted");
  }

  refresh();
  return { element, refresh };
}

/**
 * What a description says beyond the label that stands before it already.
 * @param {string} description @param {string} label
 */
function beyond(description, label) {
  return description.startsWith(label) ? description.slice(label.length).replace(/^[\s.:;,：；，。、]+/, "") : description;
}

/** @param {any} card */
function sourceLine(card) {
  const { source = {}, links = [] } = card;
  const label = source.url ? outward(source.url, source.label) : source.label;
  return h("p", { class: "source" }, t("source"), label ?? "",
    ...links.filter((/** @type {any} */ link) => link.type === "absolute").flatMap((/** @type {any} */ link) => [" · ", outward(link.url, link.label)]));
}

/** @param {string} url @param {string} label */
function outward(url, label) {
  if (!/^https?:\/\//.test(url)) return label;
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, label, h("span", { class: "unseen" }, t("new_tab")));
}
