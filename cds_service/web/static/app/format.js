/** Dates, times, numbers and punctuation as the page's language writes them. */

import { pageLanguage } from "./texts.js";

/** @import { Language } from "./page_types.js" */

/** @typedef {{colon: string, comma: string, semicolon: string, brackets: [string, string]}} Punctuation */

/** @typedef {{locale: string, month: "short" | "numeric", punctuation: Punctuation}} Conventions */

/** @type {Conventions} */
const ENGLISH = { locale: "en-GB", month: "short", punctuation: { colon: ": ", comma: ", ", semicolon: "; ", brackets: [" (", ")"] } };
/** Other languages are written as English, with the dates and numbers of their own locale. @type {Record<Language, Conventions>} */
const CONVENTIONS = {
  en: ENGLISH,
  zh: { locale: "zh-CN", month: "numeric", punctuation: { colon: "：", comma: "，", semicolon: "；", brackets: ["（", "）"] } },
};

/** @returns {Conventions} */
function conventions() {
  return CONVENTIONS[pageLanguage()] ?? { ...ENGLISH, locale: pageLanguage() };
}

/** @returns {Punctuation} with the blanks that go with it */
export function punctuation() {
  return conventions().punctuation;
}

/** @param {string} iso a date or a part of one (a year, a month), or an instant @returns {string} a short date */
export function formatDate(iso) {
  const [year = 1970, month, day] = iso.slice(0, 10).split("-").map(Number);
  return dates({ year: "numeric", ...(month ? { month: monthStyle() } : {}), ...(day ? { day: "numeric" } : {}) })
    .format(Date.UTC(year, (month || 1) - 1, day || 1));
}

/** @param {string} iso a date or an instant @returns {string} */
export function formatLongDate(iso) {
  return dates({ dateStyle: "medium" }).format(new Date(iso.slice(0, 10)));
}

/** @param {"day" | "month" | "year"} precision @returns {Intl.DateTimeFormat} for the labels of a time axis */
export function axisDates(precision) {
  if (precision === "year") return dates({ year: "numeric" });
  return dates(precision === "day" ? { month: monthStyle(), day: "numeric" } : { year: "2-digit", month: monthStyle() });
}

/** @param {Date} moment @returns {string} hours, minutes and seconds in the user's time zone */
export function formatTime(moment) {
  return new Intl.DateTimeFormat(conventions().locale, { timeStyle: "medium" }).format(moment);
}

/** @param {number} value @returns {string} with four significant digits at most */
export function formatNumber(value) {
  return new Intl.NumberFormat(conventions().locale, { maximumSignificantDigits: 4 }).format(value);
}

/** @param {Intl.DateTimeFormatOptions} options */
function dates(options) {
  return new Intl.DateTimeFormat(conventions().locale, { ...options, timeZone: "UTC" });
}

function monthStyle() {
  return conventions().month;
}
