/** Elements without markup: everything that is shown is set as text, so nothing of a record can become HTML. */

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

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on` holds listeners; `true` sets an empty attribute; null leaves out.
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * One of the icons above; decoration only, the word stands beside it.
 * @param {keyof typeof ICONS} name
 * @returns {SVGElement}
 */
export function svgIcon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name}`);
  for (const shape of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    svg.append(path);
  }
  return svg;
}

/** @param {string} id @returns {any} the element, which is part of the page's template */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`app.html has no element with the id ${id}; add it.`);
  return element;
}

let spoken = 0;

/**
 * Says something to screen readers when they next pause; focus stays where it is.
 * @param {string} text
 */
export function announce(text) {
  // Two regions in turn: the same sentence twice would otherwise be said once.
  spoken = 1 - spoken;
  byId(`spoken-${1 - spoken}`).textContent = "";
  byId(`spoken-${spoken}`).textContent = text;
}

/**
 * A button with a listener.
 * @param {string} text
 * @param {() => void} click
 * @param {Record<string, any>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(text, click, attributes = {}) {
  const made = h("button", { type: "button", on: { click: () => made.getAttribute("aria-disabled") !== "true" && click() }, ...attributes }, text);
  return made;
}

/** @param {string} ref "Observation/7" @returns {string} the id of its row in the chart */
export function rowId(ref) {
  return `ref-${ref.replaceAll("/", "-")}`;
}
