/** The figure of what was taken: a bar for each course, on the time axis of the results. */

import { h, svg } from "./dom.js";
import { formatLongDate, punctuation } from "./format.js";
import { dataTable, tableToggle } from "./table.js";
import { t } from "./texts.js";
import { crosshair, ends, moveCrosshair, timeAxis, toDate } from "./trend_time.js";

/**
 * @import { TextKey } from "./page_types.js"
 * @import { Exposure } from "./types.js"
 * @import { TimeScale } from "./trend_time.js"
 */

/** @type {Partial<Record<string, TextKey>>} */
const GROUPS = {
  metformin: "trend_metformin", "acid suppressant": "trend_acid", b12: "trend_b12", "vitamin K": "trend_vitamin_k", vka: "trend_vka",
};
const BAR_HEIGHT = 14;
const AXIS_HEIGHT = 26;
const SHORTEST_BAR = 4;

export class CoursesFigure {
  element;
  #lanes;
  #axis = svg("svg", { class: "trend-time-axis", height: AXIS_HEIGHT, "aria-hidden": "true" });
  /** @type {TimeScale | null} */
  #x = null;

  /** @param {Exposure[]} courses */
  constructor(courses) {
    this.#lanes = courses.map((course) => ({
      course,
      bar: svg("svg", { class: "trend-bar", height: BAR_HEIGHT, "aria-hidden": "true" }),
      crosshair: crosshair(0, BAR_HEIGHT),
    }));
    const region = h("div", { class: "trend-table", id: "trend-courses-table", hidden: true }, courseTable(courses));
    this.element = h("figure", { class: "trend courses" },
      h("figcaption", {}, h("h3", {}, t("trend_courses")), tableToggle(region, t("trend_courses"))),
      h("ul", { class: "trend-lanes" }, ...this.#lanes.map(({ course, bar }) => h("li", { "data-group": course.group },
        h("p", {}, h("b", {}, groupName(course)), " ", [course.text, course.dose].filter(Boolean).join(punctuation().comma),
          " ", h("span", { class: "muted" }, period(course))),
        bar))),
      this.#axis, region);
  }

  /** @param {number} width @param {TimeScale} x */
  draw(width, x) {
    this.#x = x;
    for (const lane of this.#lanes) {
      lane.bar.setAttribute("viewBox", `0 0 ${width} ${BAR_HEIGHT}`);
      lane.bar.replaceChildren(...courseBar(lane.course, x), lane.crosshair);
    }
    this.#axis.setAttribute("viewBox", `0 0 ${width} ${AXIS_HEIGHT}`);
    this.#axis.replaceChildren(timeAxis(x, 1));
  }

  /** @param {Date | null} when */
  mark(when) {
    const x = this.#x;
    if (x !== null) for (const lane of this.#lanes) moveCrosshair(lane.crosshair, x, when);
  }
}

/** @param {Exposure[]} courses */
function courseTable(courses) {
  const heads = [t("trend_group"), t("trend_product"), t("trend_dose"), t("trend_period")];
  return dataTable(t("trend_courses"), heads, courses.map((course) =>
    ({ cells: [groupName(course), course.text, course.dose ?? t("trend_dose_unknown"), period(course)] })));
}

/** @param {Exposure} course */
function groupName({ group }) {
  const name = GROUPS[group];
  return name ? t(name) : group;
}

/** @param {Exposure} course @returns {string} from when to when */
function period({ start, end, ongoing }) {
  if (start && end) return `${formatLongDate(start)} – ${formatLongDate(end)}`;
  if (start) return t(ongoing ? "trend_since" : "trend_from", { date: formatLongDate(start) });
  return end ? t("trend_until", { date: formatLongDate(end) }) : t("trend_undated");
}

/** @param {Exposure} course @param {TimeScale} x */
function courseBar({ start, end, ongoing }, x) {
  const [left, right] = ends(x);
  const from = start === null ? left : x(toDate(start));
  const to = end === null ? (ongoing ? right : from + SHORTEST_BAR) : x(toDate(end));
  const first = Math.max(from, left);
  const last = Math.min(Math.max(to, from + SHORTEST_BAR), right);
  const lane = svg("line", { class: "trend-lane", x1: left, x2: right, y1: BAR_HEIGHT / 2, y2: BAR_HEIGHT / 2 });
  if (last < first) return [lane];
  const shape = barShape(first, last, from < left, end === null && ongoing);
  return [lane, svg("path", { class: `trend-course${start === null ? " undated" : ""}`, d: shape })];
}

/**
 * The outline of a bar. An end that lies outside the figure, or in the future, is an arrow.
 * @param {number} from @param {number} to @param {boolean} beganBefore @param {boolean} ongoing
 */
function barShape(from, to, beganBefore, ongoing) {
  const [top, middle, bottom] = [2, BAR_HEIGHT / 2, BAR_HEIGHT - 2];
  const tip = Math.min(7, (to - from) / 2);
  const start = beganBefore ? `M${from},${middle}L${from + tip},${top}` : `M${from},${top}`;
  const end = ongoing ? `L${to - tip},${top}L${to},${middle}L${to - tip},${bottom}` : `L${to},${top}L${to},${bottom}`;
  return `${start}${end}L${beganBefore ? from + tip : from},${bottom}Z`;
}
