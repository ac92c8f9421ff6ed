/** The panel of one hook: its cards at fixed places, its failures in words, and never an all-clear without a 200. */

import { CardView, severityRank } from "./card.js";
import { announce, button, h } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { formatTime } from "./format.js";
import { cardsOf, ruleIdOf, tracesOf } from "./hooks.js";
import { failureNotice } from "./notice.js";
import { t } from "./texts.js";
import { cardExplanation, otherRules } from "./why.js";

/**
 * @import { Answer, CardActions, Failure, ShownCard } from "./page_types.js"
 * @import { Card, CdsService } from "./types.js"
 */

/** The titles of the panels, in their order on the page: what is about to be signed comes first. */
export const HOOKS = /** @type {const} */ ({
  "order-sign": "hook_order_sign",
  "order-select": "hook_order_select",
  "patient-view": "hook_patient_view",
  "encounter-start": "hook_encounter_start",
  "encounter-discharge": "hook_encounter_discharge",
});

/** @typedef {keyof typeof HOOKS} Hook */
/** @typedef {{shown: ShownCard, view: CardView, content: string}} CardEntry */
/** @typedef {{open: number, failures: number, rules: Set<string>}} PanelResult open cards, failed services, rules with a card */

export class AdvicePanel {
  element;
  #actions;
  #retry;
  #title;
  /** @type {Map<string, CardEntry>} */
  #cardsByKey = new Map();
  /** @type {Answer[]} */
  #answers = [];
  #heading;
  #status = h("p", { class: "advice-status muted" });
  #calls;
  #notices = h("div", { class: "notices" });
  #cards = h("div", { class: "cards" });
  #otherRules = h("div", { class: "why-not" });

  /**
   * @param {Hook} hook
   * @param {CardActions} actions
   * @param {() => void} retry calls the services of the hook again
   */
  constructor(hook, actions, retry) {
    this.#actions = actions;
    this.#retry = retry;
    this.#title = t(HOOKS[hook]);
    this.#heading = h("h3", { id: `advice-${hook}`, tabindex: "-1" }, this.#title);
    const showCalls = button(t("show_call"), () => openDrawer(this.#answers[0]?.call),
      { class: "small", "aria-label": t("show_call_of", { hook: this.#title }) });
    this.#calls = h("p", { class: "advice-calls", hidden: true }, showCalls);
    this.element = h("section", { class: "advice-panel", "data-hook": hook, "aria-labelledby": this.#heading.id },
      h("div", { class: "advice-head" }, this.#heading, this.#status, this.#calls), this.#notices, this.#cards, this.#otherRules);
  }

  /** Shows that services are being called; what the panel holds stays until they answer. @param {number} count */
  wait(count) {
    this.element.setAttribute("aria-busy", "true");
    this.#status.textContent = t("asking", { count });
    announce(`${this.#title}: ${t("asking", { count })}`);
  }

  /** @param {Answer[]} answers @returns {PanelResult} */
  show(answers) {
    this.element.removeAttribute("aria-busy");
    this.#answers = answers;
    this.#calls.hidden = answers.length === 0;
    this.#merge(answers);
    const failures = failuresOf(answers);
    this.#showFailures(failures);
    this.#showOtherRules();
    const faults = failures.map(({ service, failure }) => `${nameOf(service)}: ${failure.fault}`);
    announce(`${this.#title}: ${[this.#showStatus(), ...faults].join(" ")}`);
    const rules = new Set(this.#entries().map(({ shown }) => ruleKey(shown.card)));
    return { open: this.#openEntries().length, failures: failures.length, rules };
  }

  /** Withdraws the open cards: the orders that they are about have changed, are gone, or are signed. @param {string} note */
  expire(note) {
    for (const entry of this.#openEntries()) withdraw(entry, note);
    this.element.removeAttribute("aria-busy");
    this.#status.textContent = note;
    this.#notices.replaceChildren();
    this.#otherRules.replaceChildren();
  }

  /** Withdraws the open cards of rules that have a card in another panel now. @param {Set<string>} rules @param {string} note */
  supersede(rules, note) {
    for (const entry of this.#openEntries()) if (rules.has(ruleKey(entry.shown.card))) withdraw(entry, note);
    this.#showStatus();
  }

  #entries() {
    return [...this.#cardsByKey.values()];
  }

  #openEntries() {
    return this.#entries().filter(({ shown }) => shown.state === "open");
  }

  /** @param {{service: CdsService, failure: Failure}[]} failures */
  #showFailures(failures) {
    const focused = this.#notices.contains(document.activeElement);
    this.#notices.replaceChildren(...failures.map(({ service, failure }) =>
      failureNotice(nameOf(service), failure, { warning: t("no_all_clear"), retry: this.#retry })));
    // The button to try again is gone: the focus goes to the next one, or to the head of the panel.
    if (focused) (this.#notices.querySelector("button") ?? this.#heading).focus({ preventScroll: true });
  }

  /** Explains the rules without a card; the list stays open if it was. */
  #showOtherRules() {
    const open = this.#otherRules.querySelector("details")?.open ?? false;
    const list = otherRules(this.#answers);
    if (list) list.open = open;
    this.#otherRules.replaceChildren(list ?? "");
  }

  /** @returns {string} the state of the panel in words */
  #showStatus() {
    const words = summary(this.#answers, this.#openEntries().length);
    this.#status.textContent = `${formatTime(this.#answers[0]?.call.at ?? new Date())} · ${words}`;
    return words;
  }

  /** Puts each card at the place of an earlier card of the same rule, or after the others. @param {Answer[]} answers */
  #merge(answers) {
    const given = answers.flatMap((answer) => cardsOf(answer).map((card) => ({ answer, card })));
    given.sort((a, b) => severityRank(a.card) - severityRank(b.card));
    /** @type {Set<string>} */
    const keys = new Set();
    for (const { answer, card } of given) {
      const key = uniqueKey(`${answer.service.id} ${ruleKey(card)}`, keys);
      keys.add(key);
      this.#put(key, answer, card);
    }
    const answered = new Set(answers.filter(({ outcome }) => outcome.fault === null).map(({ service }) => service.id));
    for (const [key, entry] of this.#cardsByKey) {
      // The cards of a service that failed this time stay as they are.
      if (entry.shown.state === "open" && !keys.has(key) && answered.has(entry.shown.service.id)) withdraw(entry, entry.shown.note);
    }
  }

  /** @param {string} key @param {Answer} answer @param {Card} card */
  #put(key, answer, card) {
    const old = this.#cardsByKey.get(key);
    const content = contentOf(card);
    const repeated = old?.content === content && old.shown.state !== "withdrawn";
    // A card that the user has answered stays answered, even if a suggestion was accepted and is no longer made.
    if (repeated && (old.shown.state !== "open" || renew(old.shown.card, card))) return;
    /** @type {ShownCard} */
    const shown = {
      service: answer.service, card, state: "open", accepted: [], note: null, feedbackFailed: false,
      changed: old !== undefined && old.content !== content,
    };
    const view = new CardView(shown, this.#actions, cardExplanation(card, answer), () => this.#showStatus());
    view.element.dataset.rule = ruleKey(card);
    if (old === undefined) this.#cards.append(view.element);
    else {
      const focused = old.view.element.contains(document.activeElement);
      old.view.element.replaceWith(view.element);
      if (focused) view.element.focus({ preventScroll: true });
    }
    this.#cardsByKey.set(key, { shown, view, content });
  }
}

/** @param {CdsService} service */
function nameOf(service) {
  return service.title ?? service.id;
}

/** @param {Answer[]} answers */
function failuresOf(answers) {
  return answers.flatMap(({ service, outcome }) => (outcome.fault === null ? [] : [{ service, failure: outcome }]));
}

/** @param {CardEntry} entry @param {string | null} note */
function withdraw({ shown, view }, note) {
  Object.assign(shown, { state: "withdrawn", note });
  view.refresh();
}

/** @param {Card} card @returns {string} what tells apart the cards of a service */
function ruleKey(card) {
  return ruleIdOf(card) ?? card.source.topic?.code ?? card.summary;
}

/** @param {string} key @param {Set<string>} taken */
function uniqueKey(key, taken) {
  let unique = key;
  while (taken.has(unique)) unique += "+";
  return unique;
}

/** @param {Card} card @returns {string} equal for cards that say the same */
function contentOf(card) {
  return JSON.stringify([card.indicator, card.summary, card.detail]);
}

/**
 * Gives a card on the page the ids of a new card that suggests the same: feedback is sent with them from now on.
 * @param {Card} card @param {Card} fresh @returns {boolean} whether both suggest the same
 */
function renew(card, fresh) {
  if (suggestionsOf(card) !== suggestionsOf(fresh)) return false;
  card.uuid = fresh.uuid;
  card.suggestions?.forEach((suggestion, at) => Object.assign(suggestion, fresh.suggestions?.[at]));
  return true;
}

/** @param {Card} card @returns {string} equal for cards that suggest the same */
function suggestionsOf({ suggestions = [] }) {
  return JSON.stringify(suggestions.map(({ label, isRecommended }) => [label, isRecommended]));
}

/** The answers in a few words. @param {Answer[]} answers @param {number} open number of open cards */
function summary(answers, open) {
  const failures = failuresOf(answers).length;
  if (answers.length === 0) return t("no_services");
  if (failures === answers.length) return t("none_answered");
  const cards = open === 0 ? "" : open === 1 ? t("one_card") : t("cards", { count: open });
  if (failures > 0) return [cards, t("some_silent", { count: failures })].filter(Boolean).join(" ");
  if (open > 0) return cards;
  if (answers.some((answer) => cardsOf(answer).length > 0)) return t("all_answered");
  const judged = answers.flatMap(tracesOf).filter(({ kind, outcome }) => kind === "rule" && outcome !== "off");
  const rules = new Set(judged.map(({ rule }) => rule));
  return rules.size > 0 ? t("nothing_of", { count: rules.size }) : t("nothing");
}
