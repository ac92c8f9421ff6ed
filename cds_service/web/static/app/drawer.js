/** The calls of this session as they went over the wire: request and answer as JSON, to be read and copied. */

import { announce, button, byId, h } from "./dom.js";
import { calls } from "./hooks.js";
import { t, timed } from "./texts.js";

/** @param {any} [first] the call to begin with; by default the last one */
export function openDrawer(first) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("drawer"));
  const chosen = calls.find((one) => one.request === first?.request) ?? calls[0];
  const picker = h("select", { id: "drawer-pick", on: { change: () => show(calls[Number(picker.value)]) } },
    ...calls.map((one, at) => h("option", { value: at, selected: one === chosen }, titleOf(one))));
  const body = h("div", { class: "drawer-body" });

  /** @param {(typeof calls)[number] | undefined} one */
  function show(one) {
    body.replaceChildren(...(one
      ? [
          h("p", { class: "quiet" }, t("call_took", { status: one.outcome.status || "–", ms: one.outcome.ms }), one.outcome.correlation ? ` · ${one.outcome.correlation}` : ""),
          ...part(t("request"), `POST ${new URL(one.path, location.href).pathname}`, one.request),
          ...part(t("response"), one.outcome.fault ?? "", one.outcome.body),
        ]
      : [h("p", {}, t("no_calls"))]));
  }

  show(chosen);
  dialog.replaceChildren(
    h("div", { class: "drawer-head" },
      h("h2", { id: "drawer-title" }, t("calls_title")),
      button(t("close"), () => dialog.close(), { class: "small" })),
    ...(calls.length ? [h("label", { for: picker.id }, t("call_pick")), picker] : []),
    body,
  );
  if (!dialog.open) dialog.showModal();
}

/** @param {string} title @param {string} line @param {any} content */
function part(title, line, content) {
  const text = content === null || content === undefined || content === "" ? "" : JSON.stringify(content, null, 2);
  const code = h("pre", { tabindex: "0", role: "region", "aria-label": title }, h("code", {}, text || t("no_body")));
  return [
    h("div", { class: "part-head" }, h("h3", {}, title), text ? button(t("copy"), () => copy(text, code), { class: "small", "aria-label": t("copy_named", { name: title }) }) : ""),
    ...(line ? [h("p", {}, h("code", {}, line))] : []),
    code,
  ];
}

/** @param {string} text @param {HTMLElement} shown */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    announce(t("copied"));
  } catch (error) {
    // No clipboard by plain http, or not allowed: the text is marked, so that the reader can copy it.
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    getSelection()?.selectAllChildren(shown);
    shown.focus();
    announce(t("marked_to_copy"));
  }
}

/** @param {(typeof calls)[number]} one */
function titleOf(one) {
  return `${timed(one.at)} ${one.path.replace(/^.*cds-services\//, "").split("/").map(decodeURIComponent).join("/")} ${one.outcome.status || "–"}`;
}
