/** Results over time and what was taken meanwhile, as figures on one time axis with the newest day on the right. */

import { h } from "./dom.js";
import { t } from "./texts.js";
import { CoursesFigure } from "./trend_courses.js";
import { TrendFigure } from "./trend_figure.js";
import { timeDomain, timeScale } from "./trend_time.js";

/** @import { Chart } from "./types.js" */

/**
 * The groups of medicines that bear on an analyte: its plot shows where their courses begin and end.
 * @type {Partial<Record<string, string[]>>}
 */
const BEARING = {
  b12: ["metformin", "acid suppressant", "b12"],
  mma: ["metformin", "acid suppressant", "b12"],
  homocysteine: ["metformin", "acid suppressant", "b12"],
  haemoglobin: ["b12"],
  mcv: ["b12"],
  inr: ["vka", "vitamin K"],
};

/**
 * Draws the figures into an element, and draws them again when its width changes.
 * @param {HTMLElement} host
 * @param {Pick<Chart, "series" | "exposures">} chart
 * @returns {() => void} removes the figures
 */
export function drawTrends(host, { series, exposures }) {
  if (series.length === 0 && exposures.length === 0) {
    host.replaceChildren(h("p", { class: "muted" }, t("trend_none")));
    return () => host.replaceChildren();
  }
  /** @param {Date | null} when */
  const markAll = (when) => figures.forEach((figure) => figure.mark(when));
  const figures = [
    ...series.map((one) => new TrendFigure(one, exposures.filter(({ group }) => BEARING[one.analyte]?.includes(group)), markAll)),
    ...(exposures.length > 0 ? [new CoursesFigure(exposures)] : []),
  ];
  const domain = timeDomain(series, exposures, new Date());
  let drawnWidth = 0;
  const draw = () => {
    const width = Math.round(host.clientWidth);
    if (width === 0 || width === drawnWidth) return;
    drawnWidth = width;
    const x = timeScale(domain, width);
    for (const figure of figures) figure.draw(width, x);
  };
  host.replaceChildren(h("p", { class: "trend-legend muted" }, t("trend_legend")), ...figures.map(({ element }) => element));
  draw();
  const observer = new ResizeObserver(draw);
  observer.observe(host);
  return () => {
    observer.disconnect();
    host.replaceChildren();
  };
}
