/** Results over time with what was taken meanwhile: pictures on one time axis, the newest day on the right. */

import { h } from "./dom.js";
import { coursesPanel } from "./trend_courses.js";
import { panel } from "./trend_panel.js";
import { reach, timeScale } from "./trend_time.js";

/** What bears on an analyte, so that its beginning and end are seen in the picture. */
const BEARING = /** @type {Record<string, string[]>} */ ({
  b12: ["metformin", "acid suppressant", "b12"], mma: ["metformin", "acid suppressant", "b12"], homocysteine: ["metformin", "acid suppressant", "b12"],
  haemoglobin: ["b12"], mcv: ["b12"], inr: ["vka", "vitamin K"],
});

/**
 * @param {HTMLElement} host an empty element
 * @param {any} chart as /app/api/chart gives it
 * @param {import("./trend_time.js").Words} words
 * @returns {() => void} takes the pictures away again
 */
export function drawTrends(host, chart, words) {
  const { series, exposures } = chart;
  if (series.length === 0 && exposures.length === 0) {
    host.replaceChildren(h("p", { class: "quiet" }, words.t("trend_none")));
    return () => host.replaceChildren();
  }
  const domain = reach(series, exposures, new Date());
  /** @type {import("./trend_panel.js").Panel[]} */
  const panels = series.map((/** @type {import("./trend_time.js").Series} */ one) => {
    const groups = BEARING[one.analyte] ?? [];
    return panel(one, exposures.filter((/** @type {any} */ { group }) => groups.includes(group)), words, look);
  });
  if (exposures.length > 0) panels.push(coursesPanel(exposures, words));

  /** @param {Date | null} when */
  function look(when) {
    for (const { mark } of panels) mark(when);
  }

  let drawn = 0;
  function draw() {
    const width = Math.round(host.clientWidth);
    if (width === 0 || width === drawn) return;
    drawn = width;
    const x = timeScale(domain, width);
    for (const one of panels) one.draw(width, x);
  }

  host.replaceChildren(h("p", { class: "trend-legend quiet" }, words.t("trend_legend")), ...panels.map(({ element }) => element));
  draw();
  const sizes = new ResizeObserver(draw);
  sizes.observe(host);
  return () => {
    sizes.disconnect();
    host.replaceChildren();
  };
}
