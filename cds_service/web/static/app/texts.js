/** The page's texts: texts.json holds every text in each language (texts/page.yaml). */

/** @import { Language, TextKey } from "./page_types.js" */

const FILE = new URL("texts.json", import.meta.url);
/** BCP 47 tags by language, as the picker of languages in the template has them. @type {Record<Language, string>} */
const TAGS = Object.fromEntries(
  [...document.querySelectorAll("#language option")].map((option) => [option.getAttribute("value") ?? "", option.getAttribute("lang") ?? ""]),
);

/** @type {Record<string, Record<Language, string>>} */
let texts = {};
/** @type {Language} */
let current = "en";

/** Loads the texts and shows the page in a language. @param {Language} language */
export async function loadTexts(language) {
  const response = await fetch(FILE);
  if (!response.ok) throw new Error(`texts.json cannot be read (${response.status}), so the page has no texts. Load it again.`);
  texts = await response.json();
  setLanguage(language);
}

/** Translates the texts of the template; texts made from now on are in this language, too. @param {Language} language */
export function setLanguage(language) {
  current = language;
  document.documentElement.lang = TAGS[language] ?? language;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.getAttribute("data-text"));
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.getAttribute("data-label")));
  document.title = t("title");
  delete document.documentElement.dataset.waiting;
}

/** @returns {Language} */
export function pageLanguage() {
  return current;
}

/** @param {string | null} name @returns {Language | null} the language of this name, if the page has it */
export function knownLanguage(name) {
  return name !== null && Object.hasOwn(TAGS, name) ? name : null;
}

/**
 * A text in the page's language, with values in the place of `{name}`.
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  return text(key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string | null} key @returns {string} */
function text(key) {
  const translations = texts[key ?? ""];
  if (translations === undefined) throw new Error(`texts.json has no text ${key}; add it to texts/page.yaml.`);
  return translations[current] ?? key ?? "";
}
