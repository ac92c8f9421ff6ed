/** A drawer with the calls of this session: requests and responses as JSON, to be read and copied. */

import { announce, button, byId, h } from "./dom.js";
import { formatTime } from "./format.js";
import { calls } from "./hooks.js";
import { t } from "./texts.js";

/** @import { CallRecord } from "./page_types.js" */

/** @param {CallRecord} [first] the call to show first; the latest one by default */
export function openDrawer(first) {
  const dialog = byId("drawer", HTMLDialogElement);
  const chosen = first && calls.includes(first) ? first : calls[0];
  const body = h("div", { class: "drawer-body" });
  /** @param {CallRecord | undefined} call */
  const show = (call) => body.replaceChildren(...(call ? callParts(call) : [h("p", {}, t("no_calls"))]));
  /** @type {HTMLSelectElement} */
  const picker = h("select", { id: "drawer-pick", on: { change: () => show(calls[picker.selectedIndex]) } },
    ...calls.map((call) => h("option", { selected: call === chosen }, titleOf(call))));
  show(chosen);
  dialog.replaceChildren(
    h("div", { class: "drawer-head" },
      h("h2", { id: "drawer-title" }, t("calls_title")),
      button(t("close"), () => dialog.close(), { class: "small" })),
    ...(calls.length > 0 ? [h("label", { for: picker.id }, t("call_pick")), picker] : []),
    body);
  if (!dialog.open) dialog.showModal();
}

/** @param {CallRecord} call */
function callParts({ path, request, outcome }) {
  const summary = t("call_took", { status: outcome.status || "–", ms: outcome.ms });
  return [
    h("p", { class: "muted" }, summary, outcome.correlation && ` · ${outcome.correlation}`),
    ...jsonPart(t("request"), `POST ${new URL(path, location.href).pathname}`, request),
    ...jsonPart(t("response"), outcome.fault, outcome.body),
  ];
}

/** @param {string} title @param {string | null} line @param {unknown} content null if there is none */
function jsonPart(title, line, content) {
  const text = content === null ? "" : JSON.stringify(content, null, 2);
  const code = h("pre", { tabindex: "0", role: "region", "aria-label": title }, h("code", {}, text || t("no_body")));
  return [
    h("div", { class: "part-head" }, h("h3", {}, title),
      text && button(t("copy"), () => copy(text, code), { class: "small", "aria-label": t("copy_named", { name: title }) })),
    ...(line ? [h("p", {}, h("code", {}, line))] : []),
    code,
  ];
}

/** @param {string} text @param {HTMLElement} element that shows the text */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copied"));
  } catch (error) {
    // Without https, or if it is not allowed, there is no clipboard: the text is selected, so that the user can copy it.
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    getSelection()?.selectAllChildren(element);
    element.focus();
    announce(t("marked_to_copy"));
  }
}

/** @param {CallRecord} call */
function titleOf({ at, path, outcome }) {
  const service = path.replace(/^.*cds-services\//, "").split("/").map(decodeURIComponent).join("/");
  return `${formatTime(at)} ${service} ${outcome.status || "–"}`;
}
