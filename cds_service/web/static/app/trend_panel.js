/** One analyte over time: curve, band and limits as SVG; values by pointer and by arrow keys; a table behind it. */

import { h } from "./dom.js";
import { MARGIN, d3, dayIn, goesOn, moment, numberIn, taken, timeAxis } from "./trend_time.js";

/**
 * @typedef {import("./trend_time.js").Words} Words
 * @typedef {import("./trend_time.js").Series} Series
 * @typedef {import("./trend_time.js").Point} Point
 * @typedef {import("./trend_time.js").Exposure} Exposure
 * @typedef {{element: HTMLElement, draw: (width: number, x: any) => void, mark: (when: Date | null) => void}} Panel
 */

const HEIGHT = 176;
const MARKS = "abcdefghijklmnop";
const MARK_ROOM = 15;
const SIGNS = /** @type {Record<string, string>} */ ({ "<=": "≤", ">=": "≥" });

/**
 * @param {Series} series
 * @param {Exposure[]} courses those of medicines that bear on this analyte
 * @param {Words} words
 * @param {(when: Date | null) => void} look told where the reader looks
 * @returns {Panel}
 */
export function panel(series, courses, words, look) {
  const { t } = words;
  const colon = words.language === "zh" ? "：" : ": ";
  const comma = words.language === "zh" ? "，" : ", ";
  const name = `trend-${series.analyte}`;
  let unit = series.units[0] ?? { unit: series.unit, factor: 1 };
  let drawn = { width: 0, x: /** @type {any} */ (null), current: series.points.length - 1 };

  const svg = d3().create("svg").attr("class", "trend-picture").attr("role", "group").attr("aria-labelledby", `${name}-title`).attr("aria-describedby", `${name}-how`);
  const readout = h("p", { class: "trend-readout", role: "status" });
  const limits = h("ul", { class: "trend-limits", "aria-label": t("trend_limits") });
  const table = h("div", { class: "trend-table", id: `${name}-table`, hidden: true });
  const element = h("figure", { class: "trend", "data-analyte": series.analyte },
    h("figcaption", {}, h("h3", { id: `${name}-title` }, series.title), units(), tableButton()),
    svg.node(), h("p", { class: "unseen", id: `${name}-how` }, t("trend_how")), readout, limits, table);

  svg.on("pointermove pointerdown", (/** @type {PointerEvent} */ event) => { const at = nearest(event); tell(at); look(taken(series.points[at])); });
  svg.on("pointerleave", () => { tell(drawn.current); look(null); });
  svg.on("keydown", step);

  function units() {
    if (series.units.length < 2) return null;
    return h("fieldset", { class: "trend-units" }, h("legend", { class: "unseen" }, t("trend_unit")), ...series.units.map((one, at) =>
      h("label", {}, h("input", { type: "radio", name: `${name}-unit`, value: one.unit, checked: at === 0, on: { change: () => use(one) } }), " ", one.unit)));
  }

  function tableButton() {
    const toggle = h("button", { type: "button", class: "small", "aria-expanded": "false", "aria-controls": table.id, on: { click: () => {
      table.hidden = !table.hidden;
      toggle.setAttribute("aria-expanded", String(!table.hidden));
    } } }, t("trend_table"), h("span", { class: "unseen" }, ` ${series.title}`));
    return toggle;
  }

  /** @param {{unit: string, factor: number}} chosen */
  function use(chosen) {
    unit = chosen;
    draw(drawn.width, drawn.x);
  }

  /** @param {number} value in the unit of the series @returns {string} in the unit that is shown */
  const amount = (value) => `${numberIn(value * unit.factor, words)} ${unit.unit}`.trim();

  /** @param {Point} point @returns {string} */
  const valueOf = ({ value, comparator }) => `${SIGNS[comparator ?? ""] ?? comparator ?? ""}${amount(value)}`;

  /** @param {Point} point @returns {"low" | "high" | null} by the laboratory, else by the band */
  function side({ flag, value, comparator }) {
    if (flag !== null || series.band === null || comparator) return flag;
    const { low, high } = series.band;
    return low !== null && value < low ? "low" : high !== null && value > high ? "high" : null;
  }

  /** @param {Point} point @returns {string} what lies out of range, in words; "" for what does not */
  function remark(point) {
    const where = side(point);
    return where === null ? "" : t(where === "low" ? "trend_low" : "trend_high");
  }

  /** @param {Point} point @returns {HTMLElement | null} the shape of its mark, for the eye only */
  function sign(point) {
    const where = side(point);
    return where && h("span", { class: "trend-sign", "aria-hidden": "true" }, where === "low" ? "▼ " : "▲ ");
  }

  /** @param {Point} point */
  function said(point) {
    return [`${dayIn(point.date, words)}${colon}${valueOf(point)}`, remark(point)].filter(Boolean).join(comma);
  }

  /** @param {number} at */
  function tell(at) {
    const point = series.points[at];
    const going = courses.filter((course) => goesOn(course, taken(point))).map(({ text, dose }) => [text, dose].filter(Boolean).join(comma));
    readout.replaceChildren(...[sign(point)].filter((mark) => mark !== null), h("strong", {}, said(point)), going.length ? ` · ${t("trend_while", { list: [...new Set(going)].join(words.language === "zh" ? "；" : "; ") })}` : "");
    svg.selectAll(".trend-point").classed("looked-at", (/** @type {any} */ _, /** @type {number} */ one) => one === at);
  }

  /** @param {PointerEvent} event @returns {number} the point that lies nearest in time */
  function nearest(event) {
    const [place] = d3().pointer(event, svg.node());
    return d3().leastIndex(series.points, (/** @type {Point} */ a, /** @type {Point} */ b) => Math.abs(drawn.x(taken(a)) - place) - Math.abs(drawn.x(taken(b)) - place));
  }

  /** @param {KeyboardEvent} event */
  function step(event) {
    const last = series.points.length - 1;
    const to = { ArrowRight: drawn.current + 1, ArrowLeft: drawn.current - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = Math.min(Math.max(to, 0), last);
    svg.selectAll(".trend-point").nodes()[next].focus();
  }

  /** @param {number} width @param {any} x */
  function draw(width, x) {
    const held = svg.node().contains(document.activeElement);
    drawn = { ...drawn, width, x };
    svg.selectAll("*").remove();
    svg.attr("viewBox", `0 0 ${width} ${HEIGHT}`).attr("height", HEIGHT);
    const y = valueScale();
    drawBand(y);
    svg.append("g").attr("class", "trend-axis").attr("aria-hidden", "true").attr("transform", `translate(${MARGIN.left},0)`)
      .call(d3().axisLeft(y).ticks(4).tickSize(-(x.range()[1] - MARGIN.left)).tickFormat((/** @type {number} */ tick) => numberIn(tick, words)));
    svg.append("text").attr("class", "trend-unit").attr("x", 0).attr("y", 9).attr("aria-hidden", "true").text(unit.unit);
    timeAxis(svg, x, HEIGHT - MARGIN.bottom, words);
    drawLimits(y);
    for (const day of courses.flatMap(({ start, end }) => [start, end])) if (day !== null) upright(moment(day), "trend-turn");
    svg.append("line").attr("class", "trend-cross").attr("y1", MARGIN.top).attr("y2", HEIGHT - MARGIN.bottom).attr("visibility", "hidden");
    const line = d3().line().x((/** @type {Point} */ point) => x(taken(point))).y((/** @type {Point} */ { value }) => y(value * unit.factor));
    svg.append("path").attr("class", "trend-line").attr("d", line(series.points));
    drawPoints(y);
    tell(drawn.current);
    if (held) svg.selectAll(".trend-point").nodes()[drawn.current].focus();
    fillTable();
  }

  /** What lies near the results is to be seen with them; a limit or an end of the band far off would flatten the curve. */
  function valueScale() {
    const values = series.points.map(({ value }) => value);
    const [low, high] = d3().extent(values);
    const room = Math.max(high - low, Math.abs(high) * 0.5);
    const around = [series.band?.low, series.band?.high, ...series.limits.map(({ value }) => value)];
    const near = around.filter((value) => typeof value === "number" && value > low - room && value < high + room);
    const [bottom, top] = d3().extent([...values, ...near]);
    const pad = (top - bottom || top || 1) * 0.1;
    return d3().scaleLinear().domain([Math.max(0, bottom - pad) * unit.factor, (top + pad) * unit.factor]).range([HEIGHT - MARGIN.bottom, MARGIN.top]).nice(4);
  }

  /** @param {any} y */
  function drawBand(y) {
    if (series.band === null) return;
    const [bottom, top] = y.domain();
    const upper = y(Math.min(top, (series.band.high ?? Infinity) * unit.factor));
    const lower = y(Math.max(bottom, (series.band.low ?? -Infinity) * unit.factor));
    const [left, right] = drawn.x.range();
    svg.append("rect").attr("class", "trend-band").attr("x", left).attr("width", right - left).attr("y", upper).attr("height", Math.max(lower - upper, 0));
  }

  /** Lines of limits with a letter each, which the list below explains. @param {any} y */
  function drawLimits(y) {
    const [bottom, top] = y.domain();
    const [left, right] = drawn.x.range();
    const inside = series.limits.map((limit) => ({ ...limit, place: y(limit.value * unit.factor) })).filter(({ value }) => value * unit.factor >= bottom && value * unit.factor <= top);
    inside.sort((a, b) => a.place - b.place);
    let free = 0;
    const marked = inside.map((limit, at) => {
      const at_ = Math.min(Math.max(limit.place, free), HEIGHT - (inside.length - at - 1) * MARK_ROOM - 6);
      free = at_ + MARK_ROOM;
      return { ...limit, mark: MARKS[at] ?? "·", label_at: at_ };
    });
    for (const { place, mark, label_at } of marked) {
      svg.append("line").attr("class", "trend-limit").attr("x1", left).attr("x2", right).attr("y1", place).attr("y2", place);
      svg.append("line").attr("class", "trend-limit").attr("x1", right).attr("x2", right + 7).attr("y1", place).attr("y2", label_at);
      svg.append("text").attr("class", "trend-mark").attr("x", right + 15).attr("y", label_at).attr("dy", "0.35em").attr("aria-hidden", "true").text(mark);
    }
    limits.replaceChildren(
      ...(series.band ? [h("li", {}, h("span", { class: "trend-key band", "aria-hidden": "true" }), `${series.band.label}${colon}${range(series.band)}`)] : []),
      ...marked.map(({ mark, label, value, source }) => h("li", {}, h("span", { class: "trend-key", "aria-hidden": "true" }, mark), `${label}${colon}${amount(value)}`, h("span", { class: "quiet" }, words.language === "zh" ? `（${source}）` : ` (${source})`))));
    limits.hidden = limits.childElementCount === 0;
  }

  /** @param {{low: number | null, high: number | null}} band */
  function range({ low, high }) {
    if (low === null) return `≤${amount(high ?? 0)}`;
    return high === null ? `≥${amount(low)}` : `${numberIn(low * unit.factor, words)}–${amount(high)}`;
  }

  /** @param {any} y */
  function drawPoints(y) {
    const symbols = { low: d3().symbolTriangle, high: d3().symbolTriangle, within: d3().symbolCircle };
    const points = svg.selectAll(".trend-point").data(series.points).join("g")
      .attr("class", (/** @type {Point} */ point) => `trend-point ${side(point) ?? "within"}${point.comparator ? " bounded" : ""}`)
      .attr("transform", (/** @type {Point} */ point) => `translate(${drawn.x(taken(point))},${y(point.value * unit.factor)})`)
      .attr("role", "img").attr("aria-label", said)
      .attr("tabindex", (/** @type {Point} */ _, /** @type {number} */ at) => (at === drawn.current ? 0 : -1))
      .on("focus", function (/** @type {FocusEvent} */ event) {
        const nodes = svg.selectAll(".trend-point").nodes();
        drawn.current = nodes.indexOf(event.currentTarget);
        nodes.forEach((/** @type {Element} */ node, /** @type {number} */ at) => node.setAttribute("tabindex", at === drawn.current ? "0" : "-1"));
        tell(drawn.current);
        look(taken(series.points[drawn.current]));
      })
      .on("blur", () => look(null));
    points.append("circle").attr("class", "trend-ring").attr("r", 11);
    points.append("path")
      .attr("d", (/** @type {Point} */ point) => d3().symbol(symbols[side(point) ?? "within"], side(point) ? 80 : 52)())
      .attr("transform", (/** @type {Point} */ point) => (side(point) === "low" ? "rotate(180)" : null));
  }

  /** @param {Date} when @param {string} kind */
  function upright(when, kind) {
    const [left, right] = drawn.x.range();
    const place = drawn.x(when);
    if (place >= left && place <= right) svg.append("line").attr("class", kind).attr("x1", place).attr("x2", place).attr("y1", MARGIN.top).attr("y2", HEIGHT - MARGIN.bottom);
  }

  function fillTable() {
    table.replaceChildren(h("table", {}, h("caption", { class: "unseen" }, series.title),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("trend_date")), h("th", { scope: "col" }, t("trend_value")), h("th", { scope: "col" }, t("trend_remark")))),
      h("tbody", {}, ...[...series.points].reverse().map((point) => h("tr", {}, h("th", { scope: "row" }, dayIn(point.date, words)), h("td", {}, valueOf(point)), h("td", {}, sign(point), remark(point) || "–"))))));
  }

  return {
    element, draw,
    mark(when) {
      const cross = svg.select(".trend-cross");
      if (when !== null) cross.attr("x1", drawn.x(when)).attr("x2", drawn.x(when));
      cross.attr("visibility", when === null ? "hidden" : "visible");
    },
  };
}
