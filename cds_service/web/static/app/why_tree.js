/** A clause of a trace as a tree: its sentence, whether it holds, its limit, and the entries and sources behind it. */

import { h, newTabLink, rowId, svgIcon } from "./dom.js";
import { punctuation } from "./format.js";
import { pageLanguage, t } from "./texts.js";

/**
 * @import { Child } from "./page_types.js"
 * @import { Citation, Clause, Evidence, Limit, RuleTrace } from "./types.js"
 */

const OUTCOMES = /** @type {const} */ ({
  yes: { text: "why_yes", icon: "ok" },
  no: { text: "why_no", icon: "fault" },
  unknown: { text: "why_open", icon: "unknown" },
});
/** If more parts than these do not decide a clause, they are folded away. */
const MOST_UNDECIDING = 2;

/**
 * `title` is that of a whole tree; `folded` folds a group; `listed` holds the entries that a branch beside it lists already.
 * @typedef {{title?: string, folded?: boolean, listed?: Set<string>}} BranchOptions
 */

/**
 * @param {Clause} clause
 * @param {BranchOptions} [options]
 * @returns {HTMLLIElement}
 */
export function clauseTree(clause, { title, folded = false, listed = new Set() } = {}) {
  const line = heading(clause, title);
  const parts = below(clause);
  const body = parts.length === 0
    ? h("div", { class: "why-line" }, ...line)
    : h("details", { open: title !== undefined || (isGroup(clause) && !folded) }, h("summary", { class: "why-line" }, ...line), ...parts);
  return h("li", { class: `why-branch ${clause.outcome}`, "data-outcome": clause.outcome },
    body, clause.limit && limitLine(clause.limit), evidenceList(clause.evidence ?? [], listed));
}

/**
 * The sources of a rule with what each states, and a link to the rule's page.
 * @param {Pick<RuleTrace, "rule" | "title" | "sources">} trace
 * @returns {HTMLElement[]}
 */
export function sourceList({ rule, title, sources }) {
  return [
    h("p", { class: "why-sources" }, t("why_rests")),
    h("ul", { class: "why-cited" }, ...sources.map((source) =>
      h("li", {}, sourceLink(source), source.text && h("span", {}, punctuation().colon, source.text)))),
    h("p", { class: "why-sources" }, catalogueLink(rule, t("why_rule_page", { title }))),
  ];
}

/** @param {Clause} clause */
function isGroup({ all, any, not }) {
  return all !== undefined || any !== undefined || not !== undefined;
}

/** @param {Clause} clause @param {string} [title] */
function heading({ outcome, text }, title) {
  const { text: key, icon } = OUTCOMES[outcome];
  return [
    h("span", { class: `why-outcome ${outcome}` }, svgIcon(icon), t(key)),
    h("span", { class: "why-said" }, title && h("b", {}, title, " "), text),
  ];
}

/** What stands below a clause. @param {Clause} clause @returns {HTMLElement[]} */
function below(clause) {
  if (clause.counted) return [h("p", { class: "muted" }, t("why_of")), branches(clause.counted)];
  if (clause.definition) return definition(clause.definition, clause.outcome);
  if (clause.not) return [branches([clause.not])];
  const parts = clause.all ?? clause.any ?? [];
  return parts.length === 0 ? [] : group(parts, clause.outcome, clause.any ? "yes" : "no");
}

/** @param {Clause} clause the definition of a named condition @param {Clause["outcome"]} outcome of the clause that names it */
function definition(clause, outcome) {
  // If the named condition must not hold, the definition has another outcome, which is shown with it.
  if (clause.outcome !== outcome) return [h("ul", {}, clauseTree(clause, { title: t("why_means") }))];
  if (!isGroup(clause)) return [branches([clause])];
  return [h("p", { class: "muted" }, t("why_means"), " ", clause.text), ...below(clause)];
}

/**
 * @param {Clause[]} parts
 * @param {Clause["outcome"]} outcome of the group
 * @param {Clause["outcome"]} deciding the outcome of one part that decides the group
 */
function group(parts, outcome, deciding) {
  const decisive = outcome === deciding ? parts.filter((part) => part.outcome === outcome) : parts;
  const others = parts.filter((part) => !decisive.includes(part));
  if (others.length <= MOST_UNDECIDING) return [branches(parts, others)];
  return [
    branches(decisive),
    h("details", { class: "why-others" }, h("summary", {}, t("why_others", { count: others.length })), branches(others)),
  ];
}

/** @param {Clause[]} clauses @param {Clause[]} [folded] those of them that are folded */
function branches(clauses, folded = []) {
  /** @type {Set<string>} */
  const listed = new Set();
  return h("ul", {}, ...clauses.map((clause) => clauseTree(clause, { listed, folded: folded.includes(clause) })));
}

/** @param {Limit} limit */
function limitLine({ name, text, decided, sources }) {
  return h("p", { class: "why-limit" }, t("why_limit"), " ", catalogueLink(`thresholds#${name}`, text),
    decided && ` (${decided})`, " · ", ...sourceLinks(sources));
}

/** @param {Evidence[]} entries @param {Set<string>} listed entries that are listed already; those listed here are added */
function evidenceList(entries, listed) {
  const fresh = entries.filter(({ text }) => !listed.has(text));
  for (const { text } of fresh) listed.add(text);
  return fresh.length > 0 && h("ul", { class: "why-evidence" }, ...fresh.map((entry) => h("li", {}, evidenceText(entry))));
}

/** The text of an entry, as a link to its row if the chart has one. @param {Evidence} entry */
function evidenceText({ ref, text }) {
  const id = rowId(ref);
  return id !== null && document.getElementById(id) ? h("a", { href: `#${id}` }, text) : text;
}

/** @param {Citation[]} sources @returns {Child[]} in one line */
function sourceLinks(sources) {
  return sources.flatMap((source, at) => [at > 0 && punctuation().semicolon, sourceLink(source)]);
}

/** @param {Citation} source */
function sourceLink({ id, document: name, page }) {
  return catalogueLink(`${page}#${id}`, `${id} ${name}`);
}

/** @param {string} place a page of the catalogue, with the anchor of what is meant @param {string} label */
function catalogueLink(place, label) {
  const [page, anchor] = place.split("#");
  return newTabLink(`../rules/${page}?lang=${pageLanguage()}${anchor ? `#${anchor}` : ""}`, label);
}
