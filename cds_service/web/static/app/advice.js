/** The answers to one hook on the page: cards in a fixed place, faults in words, and never an all-clear without a 200. */

import { announce, button, h } from "./dom.js";
import { cardView, rank } from "./cards.js";
import { faultNotice } from "./notice.js";
import { t, timed } from "./texts.js";

/** What each hook is called here; the order is the order on the page: what is about to be signed stands first. */
export const HOOKS = new Map([
  ["order-sign", "hook_order_sign"],
  ["order-select", "hook_order_select"],
  ["patient-view", "hook_patient_view"],
  ["encounter-start", "hook_encounter_start"],
  ["encounter-discharge", "hook_encounter_discharge"],
]);

/** @typedef {import("./hooks.js").Answer} Answer */
/** @typedef {import("./cards.js").Shown} Shown */

/**
 * The place of one hook's answers.
 * @param {string} hook
 * @param {{
 *   deeds: import("./cards.js").Deeds,
 *   again: () => void,
 *   look: (answer: Answer) => void,
 *   why: (card: any, body: any) => HTMLElement | null,
 *   whyNot: (answers: {service: any, body: any}[]) => HTMLElement | null,
 * }} use
 */
export function advice(hook, use) {
  /** @type {Map<string, {shown: Shown, view: ReturnType<typeof cardView>, print: string}>} */
  const standing = new Map();
  /** @type {Answer[]} */
  let last = [];
  const name = t(HOOKS.get(hook) ?? "");
  const status = h("p", { class: "slot-status quiet" });
  const look = h("p", { class: "slot-calls", hidden: true },
    button(t("show_call"), () => use.look(last[0]), { class: "small", "aria-label": t("show_call_of", { hook: name }) }));
  const notices = h("div", { class: "notices" });
  const cards = h("div", { class: "cards" });
  const silent = h("div", { class: "why-not" });
  const title = `slot-${hook}`;
  const element = h("section", { class: "slot", "data-hook": hook, "aria-labelledby": title },
    h("div", { class: "slot-head" }, h("h3", { id: title, tabindex: "-1" }, name), status, look), notices, cards, silent);

  return {
    element,
    /** A call is under way; what stood here stays until the answer is there. @param {number} count */
    wait(count) {
      element.setAttribute("aria-busy", "true");
      status.textContent = t("asking", { count });
      announce(`${name}: ${t("asking", { count })}`);
    },
    /** @param {Answer[]} answers @returns {{open: number, faults: number, rules: Set<string>}} */
    show(answers) {
      element.removeAttribute("aria-busy");
      const faults = answers.filter((answer) => answer.outcome.fault !== null);
      last = answers;
      merge(answers);
      const words = count();
      look.hidden = answers.length === 0;
      const held = notices.contains(document.activeElement);
      notices.replaceChildren(...faults.map(notice));
      // Whoever asked again is at the next button to do so, or at the head of what came.
      if (held) (notices.querySelector("button") ?? element.querySelector("h3"))?.focus({ preventScroll: true });
      explainSilence(answers);
      announce(`${name}: ${[words, ...faults.map(({ service, outcome }) => `${service.title ?? service.id}: ${outcome.fault}`)].join(" ")}`);
      return { open: openCards().length, faults: faults.length, rules: new Set([...standing.values()].map(({ shown }) => ruleOf(shown.card))) };
    },
    /** Open cards are past: the orders they were about have changed, are gone, or signed. @param {string} words */
    settle(words) {
      for (const one of openCards()) retire(one, words);
      element.removeAttribute("aria-busy");
      status.textContent = words;
      notices.replaceChildren();
      silent.replaceChildren();
    },
    /** Open cards of these rules stand in another place by now. @param {Set<string>} rules @param {string} words */
    giveWay(rules, words) {
      for (const one of openCards()) if (rules.has(ruleOf(one.shown.card))) retire(one, words);
      count();
    },
  };

  /** @param {Answer[]} answers */
  function explainSilence(answers) {
    const open = silent.querySelector("details")?.open ?? false;
    const heard = answers.filter(({ cards: given }) => given !== null).map(({ service, outcome }) => ({ service, body: outcome.body }));
    silent.replaceChildren(use.whyNot(heard) ?? "");
    const made = silent.querySelector("details");
    if (made) made.open = open;
  }

  function openCards() {
    return [...standing.values()].filter(({ shown }) => shown.state === "open");
  }

  /** @param {{shown: Shown, view: ReturnType<typeof cardView>}} one @param {string} words */
  function retire({ shown, view }, words) {
    Object.assign(shown, { state: "withdrawn", note: words });
    view.refresh();
  }

  /** Says in the head how things stand. */
  function count() {
    const words = summary(last, last.filter(({ outcome }) => outcome.fault !== null).length, openCards().length);
    status.textContent = `${timed(last[0]?.at ?? new Date())} · ${words}`;
    return words;
  }

  /**
   * Puts the cards of these answers where cards of the same rule stood, and new ones after them.
   * @param {Answer[]} answers
   */
  function merge(answers) {
    const given = answers.flatMap(({ service, cards: list, outcome }) => (list ?? []).map((card) => ({ service, card, body: outcome.body })));
    given.sort((a, b) => rank(a.card) - rank(b.card));
    const seen = new Set();
    for (const { service, card, body } of given) {
      const key = keyOf(service, card, seen);
      seen.add(key);
      put(key, service, card, body);
    }
    const answered = new Set(answers.filter(({ cards: list }) => list !== null).map(({ service }) => service.id));
    for (const [key, { shown, view }] of standing) {
      // A card of a service that did not answer this time stays as it was.
      if (seen.has(key) || shown.state !== "open" || !answered.has(shown.service.id)) continue;
      shown.state = "withdrawn";
      view.refresh();
    }
  }

  /** @param {string} key @param {any} service @param {any} card @param {any} body */
  function put(key, service, card, body) {
    const old = standing.get(key);
    const print = fingerprint(card);
    if (old?.print === print && old.shown.state !== "withdrawn") {
      // The same advice again: what the reader has answered stays answered, even if an offer was taken and is gone.
      if (old.shown.state !== "open") return;
      if (renewed(old.shown.card, card)) return;
    }
    /** @type {Shown} */
    const shown = { service, card, state: "open", taken: [], note: null, changed: old !== undefined && old.print !== print };
    const view = cardView(shown, use.deeds, use.why(card, body), count);
    view.element.dataset.rule = ruleOf(card);
    if (old === undefined) cards.append(view.element);
    else {
      const held = old.view.element.contains(document.activeElement);
      old.view.element.replaceWith(view.element);
      if (held) view.element.focus({ preventScroll: true });
    }
    standing.set(key, { shown, view, print });
  }

  /** @param {Answer} answer */
  function notice({ service, outcome }) {
    return faultNotice(service.title ?? service.id, outcome, { warning: t("no_all_clear"), again: use.again });
  }
}

/** @param {any} card @returns {string} the situation that it speaks of */
function ruleOf(card) {
  return card.extension?.["cds-service.rule"]?.id ?? card.source?.topic?.code ?? card.summary;
}

/** @param {any} service @param {any} card @param {Set<string>} seen */
function keyOf(service, card, seen) {
  let key = `${service.id} ${ruleOf(card)}`;
  while (seen.has(key)) key += "+";
  return key;
}

/** @param {any} card @returns {string} what the card says */
function fingerprint(card) {
  return JSON.stringify([card.indicator, card.summary, card.detail]);
}

/**
 * Gives a card that stands on the page the ids of its successor, to which feedback belongs from now on.
 * @param {any} card @param {any} successor @returns {boolean} whether they offer the same
 */
function renewed(card, successor) {
  const [old = [], fresh = []] = [card.suggestions, successor.suggestions];
  const told = (/** @type {any[]} */ offers) => JSON.stringify(offers.map(({ label, isRecommended }) => [label, isRecommended]));
  if (told(old) !== told(fresh)) return false;
  card.uuid = successor.uuid;
  old.forEach((/** @type {any} */ offer, /** @type {number} */ at) => Object.assign(offer, fresh[at]));
  return true;
}

/**
 * What came of a call, in a few words.
 * @param {Answer[]} answers @param {number} faults @param {number} open
 */
function summary(answers, faults, open) {
  if (answers.length === 0) return t("no_services");
  if (faults === answers.length) return t("none_answered");
  const cards = open === 0 ? "" : open === 1 ? t("one_card") : t("cards", { count: open });
  if (faults > 0) return [cards, t("some_silent", { count: faults })].filter(Boolean).join(" ");
  if (open > 0) return cards;
  if (answers.some((answer) => (answer.cards ?? []).length > 0)) return t("all_answered");
  const rules = new Set(answers.flatMap(({ outcome }) => outcome.body?.extension?.["cds-service.explain"] ?? [])
    .filter((/** @type {any} */ node) => node.kind === "rule" && node.outcome !== "off").map((/** @type {any} */ node) => node.rule));
  return rules.size > 0 ? t("nothing_of", { count: rules.size }) : t("nothing");
}
