/** Tables of data. On a narrow screen a row becomes a block, so every cell carries the head of its column. */

import { button, h } from "./dom.js";
import { t } from "./texts.js";

/** @import { Attributes, Child } from "./page_types.js" */

/**
 * A row; its first cell is its head.
 * @typedef {{cells: Child[], attributes?: Attributes}} Row
 */

/**
 * @param {string} caption for screen readers
 * @param {string[]} heads
 * @param {Row[]} rows
 * @returns {HTMLTableElement}
 */
export function dataTable(caption, heads, rows) {
  return h("table", {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...rows.map(({ cells, attributes }) => h("tr", attributes, ...cells.map((cell, column) =>
      (column === 0 ? h("th", { scope: "row" }, cell) : h("td", { "data-head": heads[column] }, cell)))))));
}

/**
 * A button that shows and hides the table behind a figure.
 * @param {HTMLElement} region holds the table; it has an id and is hidden
 * @param {string} title of the figure
 * @returns {HTMLButtonElement}
 */
export function tableToggle(region, title) {
  const toggle = button(t("trend_table"), () => {
    region.hidden = !region.hidden;
    toggle.setAttribute("aria-expanded", String(!region.hidden));
  }, { class: "small", "aria-expanded": "false", "aria-controls": region.id });
  toggle.append(h("span", { class: "visually-hidden" }, ` ${title}`));
  return toggle;
}
