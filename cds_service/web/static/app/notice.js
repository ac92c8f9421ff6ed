/** What went wrong, in words: title, fault, what the service says of it, and a way to try again. */

import { button, h, svgIcon } from "./dom.js";
import { t } from "./texts.js";

/**
 * @param {string} title
 * @param {import("./net.js").Outcome} outcome one with a fault
 * @param {{warning?: string, again?: () => void}} [more]
 * @returns {HTMLElement}
 */
export function faultNotice(title, outcome, { warning = "", again } = {}) {
  return h("div", { class: "notice" },
    h("p", {}, svgIcon("fault"), h("strong", {}, title)),
    h("p", {}, outcome.fault ?? "", warning ? ` ${warning}` : ""),
    outcome.advice ? h("p", { class: "quiet" }, outcome.advice) : null,
    outcome.correlation ? h("p", { class: "quiet" }, t("correlation", { id: outcome.correlation })) : null,
    again ? button(t("again"), again, { class: "small" }) : null);
}
