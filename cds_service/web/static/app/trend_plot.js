/** The plot of one analyte as SVG: reference band, limits, edges of courses, curve and points; read by pointer and keys. */

import { svg } from "./dom.js";
import { formatNumber } from "./format.js";
import { MARGIN, crosshair, ends, moveCrosshair, timeAxis, timeOf, toDate } from "./trend_time.js";
import { pointText, sideOf } from "./trend_values.js";

/**
 * @import { ScaleLinear } from "d3"
 * @import { DisplayUnit, Exposure, Series } from "./types.js"
 * @import { TimeScale } from "./trend_time.js"
 */

/**
 * A limit that the plot shows: its line, and the place and letter of its label.
 * @typedef {Series["limits"][number] & {y: number, labelY: number, letter: string}} PlottedLimit
 */
/**
 * `onRead` is called with the index of the point to be read, `onLook` with the time that the user looks at.
 * @typedef {{onRead: (at: number) => void, onLook: (when: Date | null) => void}} PlotListeners
 */
/**
 * What one drawing depends on; `y` takes values in the unit of the series.
 * @typedef {{x: TimeScale, y: (value: number) => number, scale: ScaleLinear<number, number>, unit: DisplayUnit}} Drawing
 */

const HEIGHT = 176;
const BOTTOM = HEIGHT - MARGIN.bottom;
const LETTERS = "abcdefghijklmnop";
const LETTER_HEIGHT = 15;

export class TrendPlot {
  element;
  #series;
  #courses;
  #listeners;
  /** Index of the point that Tab reaches. */
  #selected;
  /** @type {SVGGElement[]} */
  #points = [];
  #crosshair = crosshair(MARGIN.top, BOTTOM);
  /** @type {TimeScale | null} */
  #x = null;

  /**
   * @param {Series} series
   * @param {Exposure[]} courses those of medicines that bear on the analyte
   * @param {{title: string, help: string}} ids of the elements that label and explain the plot
   * @param {PlotListeners} listeners
   */
  constructor(series, courses, ids, listeners) {
    this.#series = series;
    this.#courses = courses;
    this.#listeners = listeners;
    this.#selected = series.points.length - 1;
    this.element = svg("svg", { class: "trend-plot", role: "group", "aria-labelledby": ids.title, "aria-describedby": ids.help });
    this.element.addEventListener("pointermove", (event) => this.#onPointer(event));
    this.element.addEventListener("pointerdown", (event) => this.#onPointer(event));
    this.element.addEventListener("pointerleave", () => {
      listeners.onRead(this.#selected);
      listeners.onLook(null);
    });
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** @param {number} width @param {TimeScale} x @param {DisplayUnit} unit @returns {PlottedLimit[]} from top to bottom */
  draw(width, x, unit) {
    const focused = this.element.contains(document.activeElement);
    const scale = this.#valueScale(unit);
    /** @type {Drawing} */
    const drawing = { x, unit, scale, y: (value) => scale(value * unit.factor) };
    const limits = this.#plottedLimits(drawing);
    this.#x = x;
    this.#points = this.#series.points.map((_, at) => this.#point(at, drawing));
    this.element.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.element.setAttribute("height", String(HEIGHT));
    this.element.replaceChildren(
      ...this.#band(drawing), valueAxis(drawing), timeAxis(x, BOTTOM), ...limits.flatMap((limit) => limitLines(limit, x)),
      ...this.#courseEdges(x), this.#crosshair, this.#curve(drawing), ...this.#points);
    this.#listeners.onRead(this.#selected);
    if (focused) this.#points[this.#selected]?.focus();
    return limits;
  }

  /** Marks the point that is being read. @param {number} at */
  highlight(at) {
    this.#points.forEach((point, index) => point.classList.toggle("read", index === at));
  }

  /** Moves the crosshair to a time. @param {Date | null} when */
  mark(when) {
    if (this.#x !== null) moveCrosshair(this.#crosshair, this.#x, when);
  }

  /** @param {PointerEvent} event */
  #onPointer(event) {
    const x = this.#x;
    if (x === null) return;
    const [place] = d3.pointer(event, this.element);
    const distances = this.#series.points.map((point) => Math.abs(x(timeOf(point)) - place));
    this.#look(d3.minIndex(distances));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const last = this.#points.length - 1;
    /** @type {Record<string, number>} */
    const targets = { ArrowRight: this.#selected + 1, ArrowLeft: this.#selected - 1, Home: 0, End: last };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.#points[Math.min(Math.max(target, 0), last)]?.focus();
  }

  /** @param {number} at */
  #select(at) {
    this.#selected = at;
    this.#points.forEach((point, index) => point.setAttribute("tabindex", index === at ? "0" : "-1"));
    this.#look(at);
  }

  /** @param {number} at */
  #look(at) {
    const point = this.#series.points[at];
    if (point === undefined) return;
    this.#listeners.onRead(at);
    this.#listeners.onLook(timeOf(point));
  }

  /** Limits and ends of the band that lie near the results are shown; one far off would flatten the curve. @param {DisplayUnit} unit */
  #valueScale({ factor }) {
    const { points, band, limits } = this.#series;
    const values = points.map(({ value }) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max(high - low, Math.abs(high) * 0.5);
    const near = [band?.low, band?.high, ...limits.map(({ value }) => value)]
      .filter((value) => typeof value === "number").filter((value) => value > low - room && value < high + room);
    const [bottom, top] = [Math.min(...values, ...near), Math.max(...values, ...near)];
    const pad = (top - bottom || top || 1) * 0.1;
    return d3.scaleLinear().domain([Math.max(0, bottom - pad) * factor, (top + pad) * factor]).range([BOTTOM, MARGIN.top]).nice(4);
  }

  /** @param {Drawing} drawing */
  #band({ x, y }) {
    const { band } = this.#series;
    if (band === null) return [];
    const [left, right] = ends(x);
    const upper = Math.max(MARGIN.top, band.high === null ? -Infinity : y(band.high));
    const lower = Math.min(BOTTOM, band.low === null ? Infinity : y(band.low));
    return [svg("rect", { class: "trend-band", x: left, width: right - left, y: upper, height: Math.max(lower - upper, 0) })];
  }

  /** The limits within the plot; labels of limits that lie close are moved apart. @param {Drawing} drawing @returns {PlottedLimit[]} */
  #plottedLimits({ y }) {
    const within = this.#series.limits.map((limit) => ({ ...limit, y: y(limit.value) }))
      .filter((limit) => limit.y <= BOTTOM && limit.y >= MARGIN.top).sort((a, b) => a.y - b.y);
    let free = 0;
    return within.map((limit, at) => {
      const labelY = Math.min(Math.max(limit.y, free), HEIGHT - (within.length - at - 1) * LETTER_HEIGHT - 6);
      free = labelY + LETTER_HEIGHT;
      return { ...limit, labelY, letter: LETTERS[at] ?? "·" };
    });
  }

  /** Upright lines where courses begin and end. @param {TimeScale} x */
  #courseEdges(x) {
    const [left, right] = ends(x);
    const days = this.#courses.flatMap(({ start, end }) => [start, end]).filter((day) => day !== null);
    const places = days.map((day) => x(toDate(day))).filter((place) => place >= left && place <= right);
    return places.map((place) => svg("line", { class: "trend-course-edge", x1: place, x2: place, y1: MARGIN.top, y2: BOTTOM }));
  }

  /** @param {Drawing} drawing */
  #curve({ x, y }) {
    const places = this.#series.points.map((point) => `${x(timeOf(point))},${y(point.value)}`);
    return svg("path", { class: "trend-line", d: `M${places.join("L")}` });
  }

  /** @param {number} at @param {Drawing} drawing */
  #point(at, { x, y, unit }) {
    const { points, band } = this.#series;
    const point = points[at];
    if (point === undefined) throw new Error(`The series has no point ${at}.`);
    const side = sideOf(point, band);
    return svg("g", {
      class: `trend-point ${side ?? "within"}${point.comparator ? " bounded" : ""}`,
      transform: `translate(${x(timeOf(point))},${y(point.value)})`,
      role: "img", "aria-label": pointText(point, band, unit), tabindex: at === this.#selected ? 0 : -1,
      on: { focus: () => this.#select(at), blur: () => this.#listeners.onLook(null) },
    },
    svg("circle", { class: "trend-ring", r: 11 }),
    svg("path", {
      d: side === null ? d3.symbol(d3.symbolCircle, 52)() : d3.symbol(d3.symbolTriangle, 80)(),
      transform: side === "low" && "rotate(180)",
    }));
  }
}

/** @param {Drawing} drawing */
function valueAxis({ x, scale, unit }) {
  const axis = svg("g", { class: "trend-axis", transform: `translate(${MARGIN.left},0)` });
  d3.select(axis).call(d3.axisLeft(scale).ticks(4).tickSize(MARGIN.left - ends(x)[1]).tickFormat((tick) => formatNumber(tick.valueOf())));
  return svg("g", { "aria-hidden": "true" }, axis, svg("text", { class: "trend-unit", x: 0, y: 9 }, unit.unit));
}

/** @param {PlottedLimit} limit @param {TimeScale} x */
function limitLines({ y, labelY, letter }, x) {
  const [left, right] = ends(x);
  return [
    svg("line", { class: "trend-limit", x1: left, x2: right, y1: y, y2: y }),
    svg("line", { class: "trend-limit", x1: right, x2: right + 7, y1: y, y2: labelY }),
    svg("text", { class: "trend-limit-letter", x: right + 15, y: labelY, dy: "0.35em", "aria-hidden": "true" }, letter),
  ];
}
