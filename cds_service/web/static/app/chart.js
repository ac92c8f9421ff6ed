/** The chart that matters for the rules: problems, medicines, results, what is under way, and what could not be read. */

import { byId, h, rowId, svgIcon } from "./dom.js";
import { dated, t } from "./texts.js";

const FIRST = 15; // rows of a table that are shown at once

/** @param {any} chart as /app/api/chart gives it */
export function showChart(chart) {
  showPatient(chart.patient);
  byId("notes").replaceChildren(...(chart.notes.length
    ? [h("div", { class: "notice quiet-notice" }, h("p", {}, svgIcon("info"), h("strong", {}, t("notes"))), h("ul", {}, ...chart.notes.map((/** @type {string} */ one) => h("li", {}, one))))]
    : []));
  byId("problems").replaceChildren(table(t("problems"), [t("problem"), t("since"), t("status")], chart.problems.map(problem), t("problems_none")));
  byId("medicines").replaceChildren(table(t("medicines"), [t("medicine"), t("dose"), t("from"), t("status")], chart.medicines.map(medicine), t("medicines_none")));
  byId("results").replaceChildren(table(t("results"), [t("test"), t("result"), t("range"), t("date")], chart.results.map(result), t("results_none")));
  const pending = chart.pending ?? [];
  byId("pending-part").hidden = pending.length === 0;
  byId("pending").replaceChildren(...pending.map((/** @type {any} */ one) => h("li", { id: rowId(one.ref), tabindex: "-1" }, one.text, one.since ? ` (${dated(one.since)})` : "")));
}

/** @param {any} patient */
function showPatient(patient) {
  const facts = [
    patient.sex ? sexes()[patient.sex] ?? patient.sex : t("sex_unknown"),
    patient.age === null || patient.age === undefined ? t("age_unknown") : t("age", { years: patient.age }),
    patient.birthDate ? t("born", { date: dated(patient.birthDate) }) : null,
    patient.id,
  ].filter(Boolean);
  byId("patient-name").textContent = patient.name || t("unnamed");
  byId("patient-facts").replaceChildren(...facts.map((fact) => h("span", {}, fact)), ...(patient.deceased ? [h("span", { class: "badge" }, t("deceased"))] : []));
}

/** @returns {Record<string, string>} */
function sexes() {
  return { female: t("sex_female"), male: t("sex_male"), other: t("sex_other"), unknown: t("sex_unknown") };
}

/** @param {any} one */
function problem(one) {
  const status = { current: t("status_current"), past: t("status_past"), family: t("status_family") }[/** @type {string} */ (one.status)] ?? one.status;
  return { ref: one.ref, cells: [one.text || t("unnamed"), period(one.since, one.until), status], past: one.status === "past" };
}

/** @param {any} one */
function medicine(one) {
  const dose = one.dose ?? h("span", {}, one.reported ? h("span", {}, one.reported, h("br")) : "", h("span", { class: "quiet" }, one.doseUnknown ?? t("dose_unknown")));
  return {
    ref: one.ref,
    cells: [
      h("span", {}, one.text || t("unnamed"), " ", h("small", { class: "quiet" }, one.kind === "order" ? t("kind_order") : t("kind_list"))),
      one.route ? h("span", {}, dose, h("small", { class: "quiet below" }, one.route)) : dose,
      period(one.start, one.end),
      one.ongoing ? t("ongoing") : t("ended"),
    ],
    past: !one.ongoing,
  };
}

/** @param {any} one */
function result(one) {
  const flag = one.flag === "high" ? h("span", { class: "flag high" }, "▲ ", t("flag_high")) : one.flag === "low" ? h("span", { class: "flag low" }, "▼ ", t("flag_low")) : null;
  const value = one.reported ?? (one.value === null ? t("no_value") : `${one.comparator ?? ""}${one.value} ${one.unit ?? ""}`.trim());
  return {
    ref: one.ref,
    cells: [
      one.text || t("unnamed"),
      h("span", {}, value, flag ? " " : "", flag, one.unusable ? h("small", { class: "unusable below" }, svgIcon("unknown"), t("unusable", { why: one.unusable })) : null),
      one.range ?? "–",
      one.date ? dated(one.date) : t("date_unknown"),
    ],
    past: false,
  };
}

/** @param {string | null} start @param {string | null} end */
function period(start, end) {
  if (start && end) return `${dated(start)} – ${dated(end)}`;
  if (end) return t("until", { date: dated(end) });
  return start ? dated(start) : t("date_unknown");
}

/**
 * @param {string} caption
 * @param {string[]} head
 * @param {{ref: string, cells: (Node | string)[], past: boolean}[]} rows
 * @param {string} none said where there is no row
 */
function table(caption, head, rows, none) {
  if (rows.length === 0) return h("p", { class: "quiet" }, none);
  const body = h("tbody", {}, ...rows.map(({ ref, cells, past }, at) => h("tr", { id: rowId(ref), tabindex: "-1", class: past ? "past" : null, hidden: at >= FIRST },
    ...cells.map((cell, column) => h(column === 0 ? "th" : "td", column === 0 ? { scope: "row" } : { "data-head": head[column] }, cell)))));
  const more = rows.length > FIRST
    ? h("button", { type: "button", class: "small more", on: { click: () => showAll(body) } }, t("show_all", { count: rows.length }))
    : null;
  return h("div", { class: "table" }, h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...head.map((one) => h("th", { scope: "col" }, one)))), body), more);
}

/** @param {HTMLElement} body */
function showAll(body) {
  const first = /** @type {HTMLElement | null} */ (body.querySelector("tr[hidden]"));
  for (const row of body.querySelectorAll("tr[hidden]")) row.removeAttribute("hidden");
  body.closest(".table")?.querySelector(".more")?.remove();
  first?.focus();
}

/** Shows the row that the address points to, also one that was folded away. */
export function reveal() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row === null) return;
  const body = row.closest("tbody");
  if (row.hidden && body) showAll(body);
  row.focus();
}
