/** A result of a series in words: its value in a unit, its side of the range, its date. */

import { h } from "./dom.js";
import { formatLongDate, formatNumber, punctuation } from "./format.js";
import { t } from "./texts.js";

/** @import { Band, DisplayUnit, Point, Side } from "./types.js" */

/** @type {Record<string, string>} */
const COMPARATORS = { "<=": "≤", ">=": "≥" };

/** @param {number} value in the unit of the series @param {DisplayUnit} unit @returns {string} in the unit that is shown */
export function amountText(value, { unit, factor }) {
  return `${formatNumber(value * factor)} ${unit}`.trim();
}

/** @param {Point} point @param {DisplayUnit} unit @returns {string} */
export function valueText({ value, comparator }, unit) {
  return `${COMPARATORS[comparator ?? ""] ?? comparator ?? ""}${amountText(value, unit)}`;
}

/** @param {Band} band @param {DisplayUnit} unit @returns {string} */
export function bandText({ low, high }, unit) {
  if (low === null) return `≤${amountText(high ?? 0, unit)}`;
  return high === null ? `≥${amountText(low, unit)}` : `${formatNumber(low * unit.factor)}–${amountText(high, unit)}`;
}

/** @param {Point} point @param {Band | null} band @returns {Side | null} as the laboratory flags it, else by the band */
export function sideOf({ flag, value, comparator }, band) {
  if (flag !== null || band === null || comparator) return flag;
  const { low, high } = band;
  return low !== null && value < low ? "low" : high !== null && value > high ? "high" : null;
}

/** @param {Side | null} side @returns {string} "" within the range */
export function sideText(side) {
  return side === null ? "" : t(side === "low" ? "trend_low" : "trend_high");
}

/** The shape of a point's mark, in text. @param {Side | null} side @returns {HTMLElement | null} null within the range */
export function sideSign(side) {
  return side && h("span", { class: "trend-sign", "aria-hidden": "true" }, side === "low" ? "▼ " : "▲ ");
}

/** @param {Point} point @param {Band | null} band @param {DisplayUnit} unit @returns {string} date, value and side */
export function pointText(point, band, unit) {
  const { colon, comma } = punctuation();
  return [`${formatLongDate(point.date)}${colon}${valueText(point, unit)}`, sideText(sideOf(point, band))].filter(Boolean).join(comma);
}
