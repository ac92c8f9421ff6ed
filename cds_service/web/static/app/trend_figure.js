/** The figure of one analyte: its plot, the result that is being read, the limits in words, and a table behind it. */

import { h } from "./dom.js";
import { formatLongDate, punctuation } from "./format.js";
import { dataTable, tableToggle } from "./table.js";
import { t } from "./texts.js";
import { TrendPlot } from "./trend_plot.js";
import { lastsAt, timeOf } from "./trend_time.js";
import { amountText, bandText, pointText, sideOf, sideSign, sideText, valueText } from "./trend_values.js";

/**
 * @import { DisplayUnit, Exposure, Series } from "./types.js"
 * @import { PlottedLimit } from "./trend_plot.js"
 * @import { TimeScale } from "./trend_time.js"
 */

export class TrendFigure {
  element;
  #series;
  #courses;
  #name;
  /** @type {DisplayUnit} */
  #unit;
  /** @type {{width: number, x: TimeScale} | null} */
  #drawn = null;
  #plot;
  #readout = h("p", { class: "trend-readout", role: "status" });
  #limits = h("ul", { class: "trend-limits", "aria-label": t("trend_limits") });
  #table;

  /**
   * @param {Series} series
   * @param {Exposure[]} courses those of medicines that bear on the analyte
   * @param {(when: Date | null) => void} onLook called with the time that the user looks at
   */
  constructor(series, courses, onLook) {
    this.#series = series;
    this.#courses = courses;
    this.#name = `trend-${series.analyte}`;
    this.#unit = series.units[0] ?? { unit: series.unit, factor: 1 };
    const ids = { title: `${this.#name}-title`, help: `${this.#name}-help` };
    this.#plot = new TrendPlot(series, courses, ids, { onRead: (at) => this.#read(at), onLook });
    this.#table = h("div", { class: "trend-table", id: `${this.#name}-table`, hidden: true });
    this.element = h("figure", { class: "trend", "data-analyte": series.analyte },
      h("figcaption", {}, h("h3", { id: ids.title }, series.title), this.#unitChoice(), tableToggle(this.#table, series.title)),
      this.#plot.element, h("p", { class: "visually-hidden", id: ids.help }, t("trend_how")), this.#readout, this.#limits, this.#table);
  }

  /** @param {number} width @param {TimeScale} x */
  draw(width, x) {
    this.#drawn = { width, x };
    this.#showLimits(this.#plot.draw(width, x, this.#unit));
    this.#table.replaceChildren(this.#dataTable());
  }

  /** @param {Date | null} when */
  mark(when) {
    this.#plot.mark(when);
  }

  #unitChoice() {
    const { units } = this.#series;
    if (units.length < 2) return null;
    const labels = units.map((unit, at) => {
      const on = { change: () => this.#use(unit) };
      return h("label", {}, h("input", { type: "radio", name: `${this.#name}-unit`, value: unit.unit, checked: at === 0, on }), " ", unit.unit);
    });
    return h("fieldset", { class: "trend-units" }, h("legend", { class: "visually-hidden" }, t("trend_unit")), ...labels);
  }

  /** @param {DisplayUnit} unit */
  #use(unit) {
    this.#unit = unit;
    if (this.#drawn) this.draw(this.#drawn.width, this.#drawn.x);
  }

  /** Shows a result in words, with what was taken at that time. @param {number} at */
  #read(at) {
    const { points, band } = this.#series;
    const point = points[at];
    if (point === undefined) return;
    const { comma, semicolon } = punctuation();
    const courses = this.#courses.filter((course) => lastsAt(course, timeOf(point)));
    const taken = courses.map(({ text, dose }) => [text, dose].filter(Boolean).join(comma));
    const list = [...new Set(taken)].join(semicolon);
    this.#readout.replaceChildren(sideSign(sideOf(point, band)) ?? "", h("strong", {}, pointText(point, band, this.#unit)),
      list ? ` · ${t("trend_while", { list })}` : "");
    this.#plot.highlight(at);
  }

  /** @param {PlottedLimit[]} limits */
  #showLimits(limits) {
    const { band } = this.#series;
    const { colon, brackets: [open, close] } = punctuation();
    const bandLine = band === null ? []
      : [h("li", {}, h("span", { class: "trend-key band", "aria-hidden": "true" }), `${band.label}${colon}${bandText(band, this.#unit)}`)];
    const lines = limits.map(({ letter, label, value, source }) => h("li", {},
      h("span", { class: "trend-key", "aria-hidden": "true" }, letter), `${label}${colon}${amountText(value, this.#unit)}`,
      h("span", { class: "muted" }, `${open}${source}${close}`)));
    this.#limits.replaceChildren(...bandLine, ...lines);
    this.#limits.hidden = bandLine.length + lines.length === 0;
  }

  /** The newest result comes first. */
  #dataTable() {
    const { title, points, band } = this.#series;
    return dataTable(title, [t("trend_date"), t("trend_value"), t("trend_remark")], points.toReversed().map((point) => {
      const side = sideOf(point, band);
      const remark = h("span", {}, sideSign(side), sideText(side) || "–");
      return { cells: [formatLongDate(point.date), valueText(point, this.#unit), remark] };
    }));
  }
}
