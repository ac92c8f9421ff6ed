/** The time axis that all figures of one chart share. */

import { svg } from "./dom.js";
import { axisDates } from "./format.js";
import { pageLanguage } from "./texts.js";

/**
 * @import { ScaleTime } from "d3"
 * @import { Language } from "./page_types.js"
 * @import { Exposure, Point, Series } from "./types.js"
 */

/** @typedef {ScaleTime<number, number>} TimeScale */

const DAY = 86_400_000;
const MONTH = 28 * DAY;
const YEAR = 365 * DAY;
const SHORTEST = 60 * DAY;
/** Pixels that a label of the axis takes. @type {Record<Language, number>} */
const LABEL_WIDTH = { zh: 76 };
const USUAL_LABEL_WIDTH = 64;
/** Pixels around a plot: numbers on the left, letters of limits on the right. */
export const MARGIN = { top: 18, right: 28, bottom: 22, left: 46 };

/** @param {string} iso a date, or an instant @returns {Date} */
export function toDate(iso) {
  return new Date(iso.length > 10 ? iso : `${iso}T00:00:00Z`);
}

/** @param {Point} point */
export function timeOf({ at, date }) {
  return toDate(at ?? date);
}

/**
 * The time that the figures show: all results, and as much of the courses before them as leaves room for the results.
 * @param {Series[]} series
 * @param {Exposure[]} exposures
 * @param {Date} today
 * @returns {[Date, Date]}
 */
export function timeDomain(series, exposures, today) {
  const now = today.getTime();
  const results = series.flatMap(({ points }) => points.map((point) => timeOf(point).getTime()));
  const courses = exposures.flatMap(({ start, end }) => [start, end].filter((day) => day !== null).map((day) => toDate(day).getTime()));
  const last = Math.max(now, ...results, ...courses.filter((time) => time < now));
  const firstResult = Math.min(last, ...results);
  const earliest = Math.min(firstResult, ...courses);
  const first = results.length === 0 ? earliest : Math.max(earliest, firstResult - Math.max((last - firstResult) / 4, SHORTEST));
  const length = Math.max(last - first, SHORTEST);
  return [new Date(last - length * 1.03), new Date(last + length * 0.03)];
}

/** @param {[Date, Date]} domain @param {number} width @returns {TimeScale} */
export function timeScale(domain, width) {
  return d3.scaleUtc().domain(domain).range([MARGIN.left, Math.max(width - MARGIN.right, MARGIN.left + 40)]);
}

/** The two ends of a plot's width. @param {TimeScale} x @returns {[number, number]} */
export function ends(x) {
  const [left = 0, right = 0] = x.range();
  return [left, right];
}

/**
 * @param {TimeScale} x
 * @param {number} top where the axis lies in its SVG element
 * @returns {SVGGElement}
 */
export function timeAxis(x, top) {
  const ticks = axisTicks(x);
  const [first, second] = ticks;
  const apart = first && second ? second.getTime() - first.getTime() : YEAR;
  const labels = axisDates(showsYears(x) ? "year" : apart < MONTH ? "day" : "month");
  const axis = svg("g", { class: "trend-axis", transform: `translate(0,${top})`, "aria-hidden": "true" });
  d3.select(axis).call(d3.axisBottom(x).tickValues(ticks).tickSizeOuter(0).tickSize(4).tickFormat((tick) => labels.format(tick.valueOf())));
  return axis;
}

/** @param {TimeScale} x @returns {Date[]} D3 takes the number of ticks as a hint, so those whose labels would touch are left out */
function axisTicks(x) {
  const width = LABEL_WIDTH[pageLanguage()] ?? USUAL_LABEL_WIDTH;
  const [left, right] = ends(x);
  const all = x.ticks(Math.max(2, Math.floor((right - left) / width)));
  const ticks = showsYears(x) ? all.filter((tick) => tick.getUTCMonth() === 0) : all;
  const [first, second] = ticks;
  const every = first && second ? Math.max(1, Math.ceil(width / (x(second) - x(first)))) : 1;
  return ticks.filter((_, at) => at % every === 0);
}

/** @param {TimeScale} x @returns {boolean} whether the axis is so long that it shows years only */
function showsYears(x) {
  const [first = new Date(0), last = first] = x.domain();
  return d3.utcYear.count(first, last) > 3;
}

/** A line that marks one time in all figures. @param {number} top @param {number} bottom */
export function crosshair(top, bottom) {
  return svg("line", { class: "trend-crosshair", y1: top, y2: bottom, visibility: "hidden" });
}

/** @param {SVGLineElement} line @param {TimeScale} x @param {Date | null} when null hides it */
export function moveCrosshair(line, x, when) {
  line.setAttribute("visibility", when === null ? "hidden" : "visible");
  if (when !== null) for (const end of ["x1", "x2"]) line.setAttribute(end, String(x(when)));
}

/** @param {Exposure} exposure @param {Date} when @returns {boolean} whether the course is known to have lasted at that time */
export function lastsAt({ start, end, ongoing }, when) {
  if (start === null || toDate(start) > when) return false;
  return end === null ? ongoing : toDate(end).getTime() + DAY > when.getTime();
}
