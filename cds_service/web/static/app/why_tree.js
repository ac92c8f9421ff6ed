/** One clause of a trace as a branch: what was asked and found, whether it holds, its limit, what it rests on. */

import { h, rowId, svgIcon } from "./dom.js";

/**
 * @typedef {{t: (key: string, values?: Record<string, string | number>) => string, language: "en" | "zh"}} Words
 * @typedef {{id: string, document: string, page: string, text?: string}} Cited
 * @typedef {{text: string, reference?: string, ref?: string}} Entry
 * @typedef {{outcome: "yes" | "no" | "unknown", text: string, test?: string, all?: Clause[], any?: Clause[], not?: Clause,
 *   counted?: Clause[], definition?: Clause, evidence?: Entry[], limit?: {name: string, text: string, decided?: string, sources: Cited[]}}} Clause
 */

const OUTCOMES = /** @type {const} */ ({
  yes: { key: "why_yes", icon: "ok" },
  no: { key: "why_no", icon: "fault" },
  unknown: { key: "why_open", icon: "unknown" },
});
/** So many parts that settle nothing may stand beside those that do before they are folded away. */
const MOST_BESIDE = 2;

/**
 * `title`: what this branch is for, where it is the first; `told`: entries that stand on a branch beside it.
 * @param {Clause} clause
 * @param {Words} words
 * @param {{title?: string, told?: Set<string>, folded?: boolean}} [place]
 * @returns {HTMLElement}
 */
export function branch(clause, words, { title, told = new Set(), folded = false } = {}) {
  const line = heading(clause, words, title);
  const rows = inner(clause, words);
  const body = rows.length === 0
    ? h("div", { class: "why-line" }, ...line)
    : h("details", { open: title !== undefined || (isGroup(clause) && !folded) }, h("summary", { class: "why-line" }, ...line), ...rows);
  return h("li", { class: `why-branch ${clause.outcome}`, "data-outcome": clause.outcome }, body, limit(clause, words), evidence(clause, told));
}

/** @param {Clause} clause */
function isGroup(clause) {
  return clause.all !== undefined || clause.any !== undefined || clause.not !== undefined;
}

/**
 * @param {Clause} clause
 * @param {Words} words
 * @param {string} [title]
 */
function heading(clause, words, title) {
  const { key, icon } = OUTCOMES[clause.outcome];
  return [
    h("span", { class: `why-outcome ${clause.outcome}` }, svgIcon(icon), words.t(key)),
    h("span", { class: "why-said" }, title ? h("b", {}, title, " ") : null, clause.text),
  ];
}

/**
 * What stands below a clause.
 * @param {Clause} clause
 * @param {Words} words
 * @returns {HTMLElement[]}
 */
function inner(clause, words) {
  if (clause.counted) return [h("p", { class: "quiet" }, words.t("why_of")), branches(clause.counted, words)];
  if (clause.definition) {
    const { definition } = clause;
    // Of a fact that must not be, the definition says what it would be: it has an outcome of its own.
    if (definition.outcome !== clause.outcome) return [h("ul", {}, branch(definition, words, { title: words.t("why_means") }))];
    if (!isGroup(definition)) return [branches([definition], words)];
    return [h("p", { class: "quiet" }, words.t("why_means"), " ", definition.text), ...inner(definition, words)];
  }
  if (clause.not) return [branches([clause.not], words)];
  const parts = clause.all ?? clause.any ?? [];
  if (parts.length === 0) return [];
  // What settles the outcome: one `yes` of an `any`, one `no` of an `all`.
  const settling = clause.outcome === (clause.any ? "yes" : "no") ? parts.filter((part) => part.outcome === clause.outcome) : parts;
  const beside = parts.filter((part) => !settling.includes(part));
  if (beside.length <= MOST_BESIDE) return [branches(parts, words, beside)];
  return [
    branches(settling, words),
    h("details", { class: "why-others" }, h("summary", {}, words.t("why_others", { count: beside.length })), branches(beside, words)),
  ];
}

/**
 * @param {Clause[]} clauses
 * @param {Words} words
 * @param {Clause[]} [beside] those that settle nothing, which are left folded
 */
function branches(clauses, words, beside = []) {
  const told = new Set();
  return h("ul", {}, ...clauses.map((one) => branch(one, words, { told, folded: beside.includes(one) })));
}

/**
 * @param {Clause} clause
 * @param {Words} words
 * @returns {HTMLElement | null}
 */
function limit({ limit: one }, words) {
  if (one === undefined) return null;
  return h("p", { class: "why-limit" }, words.t("why_limit"), " ", outward(`thresholds#${one.name}`, one.text, words),
    one.decided ? ` (${one.decided}) · ` : " · ", ...links(one.sources, words));
}

/**
 * @param {Clause} clause
 * @param {Set<string>} told
 * @returns {HTMLElement | null}
 */
function evidence({ evidence: entries = [] }, told) {
  const fresh = entries.filter((entry) => !told.has(entry.text));
  for (const entry of fresh) told.add(entry.text);
  return fresh.length === 0 ? null : h("ul", { class: "why-evidence" }, ...fresh.map((entry) => h("li", {}, item(entry))));
}

/** An entry leads to its row of the chart, if it has one. @param {Entry} entry */
function item({ ref, text }) {
  const id = ref === undefined ? "" : rowId(ref);
  return id && document.getElementById(id) ? h("a", { href: `#${id}` }, text) : text;
}

/**
 * Sources, each leading to what it states, in one line.
 * @param {Cited[]} cited
 * @param {Words} words
 * @returns {(Node | string)[]}
 */
function links(cited, words) {
  const separator = words.language === "zh" ? "；" : "; ";
  return cited.flatMap((one, at) => [...(at ? [separator] : []), source(one, words)]);
}

/** @param {Cited} cited @param {Words} words */
function source({ id, document: name, page }, words) {
  return outward(`${page}#${id}`, `${id} ${name}`, words);
}

/**
 * What a rule rests on, with what each source states, and the page of the rule.
 * @param {{rule: string, title: string, sources: Cited[]}} decided
 * @param {Words} words
 * @returns {Node[]}
 */
export function basis({ rule, title, sources }, words) {
  const { t } = words;
  return [
    h("p", { class: "why-sources" }, t("why_rests")),
    h("ul", { class: "why-cited" }, ...sources.map((one) => h("li", {}, source(one, words), one.text ? h("span", {}, words.language === "zh" ? "：" : ": ", one.text) : null))),
    h("p", { class: "why-sources" }, outward(rule, t("why_rule_page", { title }), words)),
  ];
}

/**
 * A place of the catalogue, in a tab of its own: drafts on this page would be lost.
 * @param {string} place
 * @param {string} label
 * @param {Words} words
 */
function outward(place, label, words) {
  const [page, anchor] = place.split("#");
  const address = `../rules/${page}?lang=${words.language}${anchor ? `#${anchor}` : ""}`;
  return h("a", { href: address, target: "_blank", rel: "noopener" }, label, h("span", { class: "unseen" }, words.t("new_tab")));
}
