/** Why a card is there, and why other rules show none: the traces of a response as trees that fold. */

import { h, svgIcon } from "./dom.js";
import { cardsOf, ruleIdOf, tracesOf } from "./hooks.js";
import { wordFilter } from "./search.js";
import { t } from "./texts.js";
import { clauseTree, sourceList } from "./why_tree.js";

/**
 * @import { Answer, Attributes, Child, TextKey } from "./page_types.js"
 * @import { Card, Clause, RuleOutcome, RuleTrace } from "./types.js"
 * @import { Icon } from "./dom.js"
 */

/**
 * Words and icons for a rule without a card. The order is that of the list: what asks for something to be done comes first.
 * @type {Record<RuleOutcome, {text: TextKey, icon: Icon}>}
 */
const OUTCOMES = {
  undecided: { text: "why_undecided", icon: "warning" },
  speaks: { text: "why_unseen", icon: "info" },
  snoozed: { text: "why_snoozed", icon: "info" },
  silenced: { text: "why_silenced", icon: "info" },
  counted: { text: "why_counted", icon: "info" },
  unknown: { text: "why_unknown", icon: "unknown" },
  silent: { text: "why_silent", icon: "fault" },
  "not applicable": { text: "why_elsewhere", icon: "fault" },
  off: { text: "why_off", icon: "close" },
};
const ORDER = Object.keys(OUTCOMES);

/**
 * The explanation of a card, to be unfolded.
 * @param {Card} card
 * @param {Answer} answer the answer that holds the card
 * @returns {HTMLElement | null} null if the answer explains nothing
 */
export function cardExplanation(card, answer) {
  const rule = ruleIdOf(card);
  const trace = tracesOf(answer).find((one) => one.rule === rule);
  return trace === undefined ? null : foldedPart({ class: "why-card" }, [t("why_card")], () => explanation(trace));
}

/**
 * The rules without a card, each with the clause that decided it, to be unfolded.
 * @param {Answer[]} answers
 * @returns {HTMLDetailsElement | null} null if the answers explain nothing
 */
export function otherRules(answers) {
  const traces = answers.flatMap(withoutCard);
  if (traces.length === 0) return null;
  traces.sort((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  return foldedPart({ class: "why-not-list" }, [t("why_not", { count: traces.length })], () => searchableList(traces));
}

/** @param {Answer} answer @returns {RuleTrace[]} */
function withoutCard(answer) {
  const shown = new Set(cardsOf(answer).map(ruleIdOf));
  // A rule of kind `silence` has no card of its own; it is listed where it holds.
  return tracesOf(answer).filter(({ rule, kind, outcome }) => !shown.has(rule) && (kind !== "silence" || outcome === "speaks"));
}

/**
 * Makes its content when it is first unfolded: most are never looked at.
 * @param {Attributes} attributes
 * @param {Child[]} summary
 * @param {() => Node[]} content
 * @returns {HTMLDetailsElement}
 */
function foldedPart(attributes, summary, content) {
  const part = h("details", attributes, h("summary", {}, ...summary));
  part.addEventListener("toggle", () => part.append(...content()), { once: true });
  return part;
}

/** @param {RuleTrace} trace @returns {Node[]} */
function explanation(trace) {
  return [h("p", { class: "why-text" }, trace.text), ...clauses(trace)];
}

/** The clauses that decided a rule, and its sources. @param {RuleTrace} trace @returns {Node[]} */
function clauses({ kind, applies, when, unless, variantWhen, ...basis }) {
  /** @type {[TextKey, Clause | undefined][]} */
  const parts = [
    ["why_applies", applies],
    [kind === "silence" ? "why_holds_if" : "why_when", when],
    ["why_unless", unless],
    ["why_variant", variantWhen],
  ];
  const trees = parts.flatMap(([title, clause]) => (clause ? [h("ul", { class: "why-tree" }, clauseTree(clause, { title: t(title) }))] : []));
  return [...trees, ...sourceList(basis)];
}

/** @param {RuleTrace[]} traces @returns {Node[]} */
function searchableList(traces) {
  const items = traces.map((trace) => ({ text: `${trace.title} ${trace.rule} ${trace.text}`, element: listItem(trace) }));
  const count = h("p", { class: "why-count muted", role: "status" }, t("why_count", { count: items.length }));
  /** @type {HTMLInputElement} */
  const field = h("input", { type: "search", autocomplete: "off", spellcheck: "false", on: { input: () => filter(field.value) } });

  /** @param {string} typed */
  function filter(typed) {
    const matches = wordFilter(typed);
    for (const { text, element } of items) element.hidden = !matches(text);
    count.textContent = t("why_count", { count: items.filter(({ element }) => !element.hidden).length });
  }

  return [
    h("p", { class: "why-search" }, h("label", {}, t("why_search"), " ", field)),
    count,
    h("ul", { class: "why-rules" }, ...items.map(({ element }) => element)),
  ];
}

/** @param {RuleTrace} trace */
function listItem(trace) {
  const { text, icon } = trace.kind === "silence" ? /** @type {const} */ ({ text: "why_on_purpose", icon: "info" }) : OUTCOMES[trace.outcome];
  const summary = [
    h("span", { class: "why-rule" }, trace.title),
    h("span", { class: `why-state ${icon}` }, svgIcon(icon), t(text)),
    h("span", { class: "why-reason" }, trace.text),
  ];
  return h("li", { "data-outcome": trace.outcome, "data-rule": trace.rule }, foldedPart({}, summary, () => clauses(trace)));
}
