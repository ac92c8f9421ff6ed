/** The chart that matters for the rules: problems, medicines, results, what is under way, and what could not be read. */

import { button, byId, h, rowId, svgIcon } from "./dom.js";
import { formatDate } from "./format.js";
import { dataTable } from "./table.js";
import { t } from "./texts.js";

/**
 * @import { Child, TextKey } from "./page_types.js"
 * @import { Chart, ChartMedicine, ChartPatient, ChartProblem, ChartResult } from "./types.js"
 * @import { Row } from "./table.js"
 */

const FIRST_ROWS = 15; // rows of a table that are shown at once

/** @type {Record<ChartProblem["status"], TextKey>} */
const PROBLEM_STATUS = { current: "status_current", past: "status_past", family: "status_family" };
/** FHIR, administrative-gender. @type {Partial<Record<string, TextKey>>} */
const SEXES = { female: "sex_female", male: "sex_male", other: "sex_other", unknown: "sex_unknown" };
const FLAGS = /** @type {const} */ ({ high: { text: "flag_high", sign: "▲ " }, low: { text: "flag_low", sign: "▼ " } });

/** @typedef {{ref: string | null, cells: Child[], past?: boolean}} ChartRow */

/** @param {Chart} chart */
export function showChart({ patient, notes, problems, medicines, results, pending }) {
  showPatient(patient);
  byId("notes").replaceChildren(...(notes.length > 0 ? [noteList(notes)] : []));
  showTable("problems", [t("problem"), t("since"), t("status")], problems.map(problemRow), t("problems_none"));
  showTable("medicines", [t("medicine"), t("dose"), t("from"), t("status")], medicines.map(medicineRow), t("medicines_none"));
  showTable("results", [t("test"), t("result"), t("range"), t("date")], results.map(resultRow), t("results_none"));
  byId("pending-part").hidden = pending.length === 0;
  byId("pending").replaceChildren(...pending.map(({ ref, text, since }) =>
    h("li", { id: rowId(ref), tabindex: "-1" }, text, since && ` (${formatDate(since)})`)));
}

/** Shows and focuses the row that the address points to. */
export function revealRow() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row === null) return;
  if (row.hidden) showAllRows(row.closest("div.table"));
  row.focus();
}

/** @param {ChartPatient} patient */
function showPatient({ id, name, sex, age, birthDate, deceased }) {
  const sexText = SEXES[sex ?? "unknown"];
  const facts = [
    sexText ? t(sexText) : sex,
    age === null ? t("age_unknown") : t("age", { years: age }),
    birthDate && t("born", { date: formatDate(birthDate) }),
    id,
  ].filter(Boolean);
  byId("patient-name").textContent = name || t("unnamed");
  byId("patient-facts").replaceChildren(...facts.map((fact) => h("span", {}, fact)));
  if (deceased) byId("patient-facts").append(h("span", { class: "badge" }, t("deceased")));
}

/** @param {string[]} notes */
function noteList(notes) {
  return h("div", { class: "notice muted-notice" },
    h("p", {}, svgIcon("info"), h("strong", {}, t("notes"))), h("ul", {}, ...notes.map((note) => h("li", {}, note))));
}

/** @param {ChartProblem} problem @returns {ChartRow} */
function problemRow({ ref, text, since, until, status }) {
  return { ref, cells: [text || t("unnamed"), period(since, until), t(PROBLEM_STATUS[status])], past: status === "past" };
}

/** @param {ChartMedicine} medicine @returns {ChartRow} */
function medicineRow({ ref, text, kind, dose, reported, doseUnknown, route, start, end, ongoing, state }) {
  const product = h("span", {}, text || t("unnamed"), " ", h("small", { class: "muted" }, t(kind === "order" ? "kind_order" : "kind_list")));
  const unknown = h("span", { class: "muted" }, doseUnknown ?? t("dose_unknown"));
  const doseText = dose ?? h("span", {}, reported && h("span", {}, reported, h("br")), unknown);
  const doseCell = route ? h("span", {}, doseText, h("small", { class: "muted below" }, route)) : doseText;
  const states = { ongoing: t("ongoing"), held: t("held"), unclear: t("unclear"), ended: t("ended") };
  return { ref, cells: [product, doseCell, period(start, end), states[state]], past: !ongoing };
}

/** @param {ChartResult} result @returns {ChartRow} */
function resultRow({ ref, text, reported, value, comparator, unit, flag, unusable, range, date }) {
  const amount = reported ?? (value === null ? t("no_value") : `${comparator ?? ""}${value} ${unit}`.trim());
  const flagText = flag && h("span", { class: `flag ${flag}` }, FLAGS[flag].sign, t(FLAGS[flag].text));
  const unusableText = unusable && h("small", { class: "unusable below" }, svgIcon("unknown"), t("unusable", { why: unusable }));
  const cell = h("span", {}, amount, flagText && " ", flagText, unusableText);
  return { ref, cells: [text || t("unnamed"), cell, range ?? "–", date ? formatDate(date) : t("date_unknown")] };
}

/** @param {string | null} start @param {string | null} end */
function period(start, end) {
  if (start && end) return `${formatDate(start)} – ${formatDate(end)}`;
  if (end) return t("until", { date: formatDate(end) });
  return start ? formatDate(start) : t("date_unknown");
}

/**
 * @param {"problems" | "medicines" | "results"} part the id of its element, and the key of its caption
 * @param {string[]} heads
 * @param {ChartRow[]} rows
 * @param {string} none shown if there is no row
 */
function showTable(part, heads, rows, none) {
  if (rows.length === 0) {
    byId(part).replaceChildren(h("p", { class: "muted" }, none));
    return;
  }
  /** @type {Row[]} */
  const tableRows = rows.map(({ ref, cells, past }, at) =>
    ({ cells, attributes: { id: rowId(ref), tabindex: "-1", class: past ? "past" : null, hidden: at >= FIRST_ROWS } }));
  const section = h("div", { class: "table" }, dataTable(t(part), heads, tableRows));
  if (rows.length > FIRST_ROWS) section.append(button(t("show_all", { count: rows.length }), () => showAllRows(section), { class: "small more" }));
  byId(part).replaceChildren(section);
}

/** Shows the hidden rows of a table and focuses the first of them. @param {HTMLElement | null} section */
function showAllRows(section) {
  const hidden = [...(section?.querySelectorAll("tr") ?? [])].filter((row) => row.hidden);
  for (const row of hidden) row.hidden = false;
  section?.querySelector(".more")?.remove();
  hidden[0]?.focus();
}
