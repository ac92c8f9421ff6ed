/** Elements without markup: everything that is shown is set as text, so nothing of a record can become HTML. */

import { t } from "./texts.js";

/** @import { Attributes, Child } from "./page_types.js" */

const SVG = "http://www.w3.org/2000/svg";

/** Shapes differ as well as colours, so that severity is seen without colour. */
const ICONS = {
  critical: ["M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z", "M12 6.5v7", "M12 17v.5"],
  warning: ["M12 2.5 22.5 21h-21z", "M12 9.5v5.5", "M12 18v.5"],
  info: ["M12 2a10 10 0 1 0 0 20 10 10 0 1 0 0-20z", "M12 11v6", "M12 7v.5"],
  ok: ["M12 2a10 10 0 1 0 0 20 10 10 0 1 0 0-20z", "M7.5 12.5l3 3 6-7"],
  unknown: ["M12 2a10 10 0 1 0 0 20 10 10 0 1 0 0-20z", "M9 9.5a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 1.8v.3", "M12 17v.5"],
  fault: ["M12 2a10 10 0 1 0 0 20 10 10 0 1 0 0-20z", "M8.5 8.5l7 7", "M15.5 8.5l-7 7"],
  close: ["M5 5l14 14", "M19 5L5 19"],
};

/** @typedef {keyof typeof ICONS} Icon */

/**
 * Makes an HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * Makes an SVG element.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @template {Element} Kind
 * @param {Kind} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 * @returns {Kind}
 */
function filled(element, { on = {}, ...attributes }, children) {
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, /** @type {EventListener} */ (listener));
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * One of the icons above. It is decoration: a word stands beside it.
 * @param {Icon} name
 * @returns {SVGElement}
 */
export function svgIcon(name) {
  const shapes = ICONS[name].map((shape) => svg("path", { d: shape }));
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: `icon ${name}` }, ...shapes);
}

/**
 * An element of the page's template.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @param {new () => Kind} [kind]
 * @returns {Kind}
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof (kind ?? HTMLElement)) return /** @type {Kind} */ (element);
  throw new Error(`app.html has no ${kind?.name ?? "element"} with the id ${id}; add it.`);
}

let region = 0;

/**
 * Has screen readers say something when they next pause; the focus stays where it is.
 * @param {string} text
 */
export function announce(text) {
  // Two live regions by turns: screen readers do not repeat the same sentence in the same region.
  byId(`live-region-${region}`).textContent = "";
  region = 1 - region;
  byId(`live-region-${region}`).textContent = text;
}

/**
 * A button. It does nothing while it is `aria-disabled`, and keeps the focus.
 * @param {string} text
 * @param {() => unknown} onClick
 * @param {Attributes} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(text, onClick, attributes = {}) {
  /** @type {HTMLButtonElement} */
  const made = h("button", { type: "button", on: { click }, ...attributes }, text);
  function click() {
    if (made.getAttribute("aria-disabled") !== "true") onClick();
  }
  return made;
}

/**
 * A link that opens in a new tab: drafts on this page would be lost.
 * @param {string} href
 * @param {string} label
 * @returns {HTMLAnchorElement}
 */
export function newTabLink(href, label) {
  return h("a", { href, target: "_blank", rel: "noopener noreferrer" }, label, h("span", { class: "visually-hidden" }, t("new_tab")));
}

/**
 * The id of an entry's row in the chart.
 * @param {string | null | undefined} ref "Observation/7"
 * @returns {string | null} null for an entry without a reference
 */
export function rowId(ref) {
  return ref ? `ref-${ref.replaceAll("/", "-")}` : null;
}
