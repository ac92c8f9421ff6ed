/** What was taken from when to when: a bar per course on the same time axis as the results. */

import { h } from "./dom.js";
import { d3, moment, periodOf, timeAxis } from "./trend_time.js";

/**
 * @typedef {import("./trend_time.js").Words} Words
 * @typedef {import("./trend_time.js").Exposure} Exposure
 */

const BAR = 14;
const FOOT = 26;

/** @param {string} group @param {Words} words */
function groupName(group, { t }) {
  const names = /** @type {Record<string, string>} */ ({
    metformin: t("trend_metformin"), "acid suppressant": t("trend_acid"), b12: t("trend_b12"), "vitamin K": t("trend_vitamin_k"), vka: t("trend_vka"),
  });
  return names[group] ?? group;
}

/**
 * @param {Exposure[]} courses
 * @param {Words} words
 * @returns {import("./trend_panel.js").Panel}
 */
export function coursesPanel(courses, words) {
  const { t } = words;
  /** @type {any} */
  let scale = null;
  const lanes = courses.map((course) => ({ course, svg: d3().create("svg").attr("class", "trend-bar").attr("height", BAR).attr("aria-hidden", "true") }));
  const foot = d3().create("svg").attr("class", "trend-foot").attr("height", FOOT).attr("aria-hidden", "true");
  const table = h("div", { class: "trend-table", id: "trend-courses-table", hidden: true }, h("table", {}, h("caption", { class: "unseen" }, t("trend_courses")),
    h("thead", {}, h("tr", {}, ...["trend_group", "trend_product", "trend_dose", "trend_period"].map((key) => h("th", { scope: "col" }, t(key))))),
    h("tbody", {}, ...courses.map((course) => h("tr", {}, h("th", { scope: "row" }, groupName(course.group, words)), h("td", {}, course.text), h("td", {}, course.dose ?? t("trend_dose_unknown")), h("td", {}, periodOf(course, words)))))));
  const toggle = h("button", { type: "button", class: "small", "aria-expanded": "false", "aria-controls": table.id, on: { click: () => {
    table.hidden = !table.hidden;
    toggle.setAttribute("aria-expanded", String(!table.hidden));
  } } }, t("trend_table"), h("span", { class: "unseen" }, ` ${t("trend_courses")}`));
  const element = h("figure", { class: "trend courses" },
    h("figcaption", {}, h("h3", {}, t("trend_courses")), toggle),
    h("ul", { class: "trend-lanes" }, ...lanes.map(({ course, svg }) => h("li", { "data-group": course.group },
      h("p", {}, h("b", {}, groupName(course.group, words)), " ", [course.text, course.dose].filter(Boolean).join(words.language === "zh" ? "，" : ", "), " ", h("span", { class: "quiet" }, periodOf(course, words))),
      svg.node()))),
    foot.node(), table);

  /** @param {number} width @param {any} x */
  function draw(width, x) {
    scale = x;
    for (const { course, svg } of lanes) bar(svg, course, width, x);
    foot.attr("viewBox", `0 0 ${width} ${FOOT}`).selectAll("*").remove();
    timeAxis(foot, x, 1, words);
  }

  /** @param {any} svg @param {Exposure} course @param {number} width @param {any} x */
  function bar(svg, course, width, x) {
    svg.attr("viewBox", `0 0 ${width} ${BAR}`).selectAll("*").remove();
    const [left, right] = x.range();
    const start = course.start === null ? left : x(moment(course.start));
    const end = course.end === null ? (course.ongoing ? right : start + 4) : x(moment(course.end));
    const [from, to] = [Math.max(start, left), Math.min(Math.max(end, start + 4), right)];
    svg.append("line").attr("class", "trend-lane").attr("x1", left).attr("x2", right).attr("y1", BAR / 2).attr("y2", BAR / 2);
    if (to >= from) svg.append("path").attr("class", `trend-course${course.start === null ? " undated" : ""}`).attr("d", shape(from, to, start < left, course.end === null && course.ongoing));
    svg.append("line").attr("class", "trend-cross").attr("y1", 0).attr("y2", BAR).attr("visibility", "hidden");
  }

  return {
    element, draw,
    mark(when) {
      for (const { svg } of lanes) svg.select(".trend-cross").attr("visibility", when === null ? "hidden" : "visible");
      if (when === null) return;
      for (const { svg } of lanes) svg.select(".trend-cross").attr("x1", scale(when)).attr("x2", scale(when));
    },
  };
}

/**
 * A bar; an end that lies beyond the picture, or is not reached yet, is an arrow.
 * @param {number} from @param {number} to @param {boolean} before @param {boolean} goesOn
 */
function shape(from, to, before, goesOn) {
  const [top, middle, bottom] = [2, BAR / 2, BAR - 2];
  const tip = Math.min(7, (to - from) / 2);
  const start = before ? `M${from},${middle}L${from + tip},${top}` : `M${from},${top}`;
  const end = goesOn ? `L${to - tip},${top}L${to},${middle}L${to - tip},${bottom}` : `L${to},${top}L${to},${bottom}`;
  return `${start}${end}L${before ? from + tip : from},${bottom}Z`;
}
