/** The words of the page, in the language that was chosen; texts.json has both languages side by side. */

/** @type {Record<string, {en: string, zh: string}>} */
let texts = {};
/** @type {"en" | "zh"} */
let language = "en";

const TAGS = { en: "en-GB", zh: "zh-CN" };
const FILE = new URL("texts.json", import.meta.url);

/** Loads the words. @param {"en" | "zh"} chosen */
export async function loadTexts(chosen) {
  const answer = await fetch(FILE);
  if (!answer.ok) throw new Error(`texts.json cannot be read (${answer.status}); the page has no words. Load it again.`);
  texts = await answer.json();
  speak(chosen);
}

/** Changes the language of all that is said from now on. @param {"en" | "zh"} chosen */
export function speak(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-Hans" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.getAttribute("data-text") ?? "");
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.getAttribute("data-label") ?? ""));
  document.title = t("title");
  delete document.documentElement.dataset.waiting;
}

export function spokenLanguage() {
  return language;
}

/**
 * A text in the language of the page; `{name}` in it is filled in.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`texts.json has no text ${key}; add it in both languages.`);
  return text[language].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} day ISO date, or a part of one (a year, a month) @returns {string} as it is written here */
export function dated(day) {
  const [year, month, date] = day.slice(0, 10).split("-").map(Number);
  /** @type {Intl.DateTimeFormatOptions} */
  const style = { year: "numeric", timeZone: "UTC" };
  if (month) style.month = language === "zh" ? "numeric" : "short";
  if (date) style.day = "numeric";
  return new Intl.DateTimeFormat(TAGS[language], style).format(new Date(Date.UTC(year, (month || 1) - 1, date || 1)));
}

/** @param {Date} moment @returns {string} hours, minutes and seconds of the reader's own clock */
export function timed(moment) {
  return new Intl.DateTimeFormat(TAGS[language], { timeStyle: "medium" }).format(moment);
}

/** @param {string[]} items @returns {string} */
export function listed(items) {
  return items.join(language === "zh" ? "、" : ", ");
}
