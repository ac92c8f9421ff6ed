/** Why a card is there, and why the other rules kept silent: the trace of a call as trees that fold. */

import { h, svgIcon } from "./dom.js";
import { basis, branch } from "./why_tree.js";

/**
 * @typedef {import("./why_tree.js").Words} Words
 * @typedef {import("./why_tree.js").Clause} Clause
 * @typedef {{rule: string, title: string, kind: string, outcome: string, text: string, at: string,
 *   sources: import("./why_tree.js").Cited[], applies?: Clause, when?: Clause, unless?: Clause, variantWhen?: Clause}} Decided
 */

/** What became of a rule that shows no card; those that ask for something to be done stand first. */
const STATES = /** @type {const} */ ({
  undecided: { key: "why_undecided", icon: "warning" },
  speaks: { key: "why_unseen", icon: "info" },
  snoozed: { key: "why_snoozed", icon: "info" },
  silenced: { key: "why_silenced", icon: "info" },
  counted: { key: "why_counted", icon: "info" },
  unknown: { key: "why_unknown", icon: "unknown" },
  silent: { key: "why_silent", icon: "fault" },
  "not applicable": { key: "why_elsewhere", icon: "fault" },
  off: { key: "why_off", icon: "close" },
});
const ORDER = Object.keys(STATES);

/**
 * The reasons for one card, to be unfolded; null if the service tells none.
 * @param {any} card
 * @param {any} response the whole answer of the service
 * @param {Words} words
 * @returns {HTMLElement | null}
 */
export function whyCard(card, response, words) {
  const rule = ruleOf(card);
  const decided = traceOf(response).find((one) => one.rule === rule);
  if (decided === undefined) return null;
  return unfolding({ class: "why-card" }, [words.t("why_card")], () => reasons(decided, words));
}

/**
 * The rules of these services that show no card, each with the clause that decided it; null if none is told.
 * @param {{service: any, body: any}[]} answers
 * @param {Words} words
 * @returns {HTMLElement | null}
 */
export function whyNot(answers, words) {
  const silent = answers.flatMap(({ body }) => silentIn(body));
  if (silent.length === 0) return null;
  silent.sort((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  return unfolding({ class: "why-not-list" }, [words.t("why_not", { count: silent.length })], () => searchable(silent, words));
}

/** @param {any} card @returns {string | undefined} */
function ruleOf(card) {
  return card.extension?.["cds-service.rule"]?.id;
}

/** @param {any} response @returns {Decided[]} */
function traceOf(response) {
  return response?.extension?.["cds-service.explain"] ?? [];
}

/** @param {any} body @returns {Decided[]} */
function silentIn(body) {
  const shown = new Set((body?.cards ?? []).map(ruleOf));
  // An entry that only names a silence on purpose says something where that silence holds.
  return traceOf(body).filter((one) => !shown.has(one.rule) && (one.kind !== "silence" || one.outcome === "speaks"));
}

/**
 * A part that is made when it is first unfolded: most are never looked at.
 * @param {Record<string, any>} attributes
 * @param {(Node | string)[]} summary
 * @param {() => Node[]} content
 * @returns {HTMLElement}
 */
function unfolding(attributes, summary, content) {
  const part = h("details", attributes, h("summary", {}, ...summary));
  part.addEventListener("toggle", () => part.append(...content()), { once: true });
  return part;
}

/**
 * @param {Decided} decided
 * @param {Words} words
 * @returns {Node[]}
 */
function reasons(decided, words) {
  const { t } = words;
  const parts = /** @type {[string, Clause | undefined][]} */ ([
    [t("why_applies"), decided.applies],
    [decided.kind === "silence" ? t("why_holds_if") : t("why_when"), decided.when],
    [t("why_unless"), decided.unless],
    [t("why_variant"), decided.variantWhen],
  ]);
  return [
    h("p", { class: "why-text" }, decided.text),
    ...parts.flatMap(([title, clause]) => (clause ? [h("ul", { class: "why-tree" }, branch(clause, words, { title }))] : [])),
    ...basis(decided, words),
  ];
}

/**
 * @param {Decided[]} silent
 * @param {Words} words
 * @returns {Node[]}
 */
function searchable(silent, words) {
  const { t } = words;
  const items = silent.map((one) => ({ found: `${one.title} ${one.rule} ${one.text}`.toLocaleLowerCase(), element: item(one, words) }));
  const count = h("p", { class: "why-count quiet", role: "status" }, t("why_count", { count: items.length }));
  const field = h("input", { type: "search", autocomplete: "off", spellcheck: "false", on: { input: filter } });

  function filter() {
    const wanted = field.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    for (const { found, element } of items) element.hidden = !wanted.every((/** @type {string} */ word) => found.includes(word));
    count.textContent = t("why_count", { count: items.filter(({ element }) => !element.hidden).length });
  }

  return [
    h("p", { class: "why-search" }, h("label", {}, t("why_search"), " ", field)),
    count,
    h("ul", { class: "why-rules" }, ...items.map(({ element }) => element)),
  ];
}

/**
 * @param {Decided} one
 * @param {Words} words
 * @returns {HTMLElement}
 */
function item(one, words) {
  const { key, icon } = stateOf(one);
  const heading = [
    h("span", { class: "why-rule" }, one.title),
    h("span", { class: `why-state ${icon}` }, svgIcon(icon), words.t(key)),
    h("span", { class: "why-reason" }, one.text),
  ];
  return h("li", { "data-outcome": one.outcome, "data-rule": one.rule }, unfolding({}, heading, () => reasons(one, words).slice(1)));
}

/** @param {Decided} one */
function stateOf(one) {
  if (one.kind === "silence") return /** @type {const} */ ({ key: "why_on_purpose", icon: "info" });
  return STATES[/** @type {keyof typeof STATES} */ (one.outcome)] ?? STATES.unknown;
}

