/** Notices of failed requests: title, fault, diagnostics of the service, and a button to try again. */

import { announce, button, byId, h, svgIcon } from "./dom.js";
import { t } from "./texts.js";

/** @import { Failure, Outcome } from "./page_types.js" */

/**
 * @param {string} title
 * @param {Failure} failure
 * @param {{warning?: string, retry?: (() => unknown) | undefined}} [more]
 * @returns {HTMLElement}
 */
export function failureNotice(title, failure, { warning = "", retry } = {}) {
  return h("div", { class: "notice" },
    h("p", {}, svgIcon("fault"), h("strong", {}, title)),
    h("p", {}, failure.fault, warning ? ` ${warning}` : ""),
    failure.advice && h("p", { class: "muted" }, failure.advice),
    failure.correlation && h("p", { class: "muted" }, t("correlation", { id: failure.correlation })),
    retry && button(t("again"), retry, { class: "small" }));
}

/**
 * Shows the requests that failed in an element of the page, instead of earlier ones, and announces them.
 * @param {string} id of the element
 * @param {{title: string, outcome: Outcome<unknown>}[]} requests
 * @param {() => unknown} [retry]
 */
export function showFailures(id, requests, retry) {
  const notices = requests.flatMap(({ title, outcome }) => {
    if (outcome.fault === null) return [];
    announce(`${title} ${outcome.fault}`);
    return [failureNotice(title, outcome, { retry })];
  });
  byId(id).replaceChildren(...notices);
}
