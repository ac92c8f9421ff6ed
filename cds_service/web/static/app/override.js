/** The form in which a reader says why a card is not followed: a reason from the card's own list, and a comment. */

import { button, h } from "./dom.js";
import { t } from "./texts.js";

/**
 * @param {any[]} reasons the card's overrideReasons
 * @param {string} id part of the ids in the form
 * @param {(reason: any | null, comment: string) => Promise<void>} send
 */
export function overrideForm(reasons, id, send) {
  const body = h("div", { class: "override-body", id: `override-${id}`, hidden: true });
  const opener = button(t("override"), () => toggle(body.hidden), { class: "small", "aria-expanded": "false", "aria-controls": body.id });
  const comment = h("textarea", { id: `comment-${id}`, rows: "2", maxlength: "2000" });
  const choices = reasons.map((reason, at) => {
    const input = h("input", { type: "radio", name: `reason-${id}`, id: `reason-${id}-${at}`, value: String(at) });
    return { reason, input, element: h("label", { class: "reason" }, input, h("span", {}, reason.display ?? reason.code)) };
  });
  body.append(
    choices.length ? h("fieldset", {}, h("legend", {}, t("override_why")), ...choices.map((one) => one.element)) : "",
    h("label", { for: comment.id }, t("override_comment")),
    comment,
    h("p", { class: "buttons" },
      button(t("override_send"), async () => {
        const chosen = choices.find(({ input }) => input.checked);
        await send(chosen?.reason ?? null, comment.value.trim());
        if (opener.getAttribute("aria-disabled") === "true") toggle(false);
      }, { class: "main" }),
      button(t("cancel"), () => toggle(false))),
  );
  const element = h("div", { class: "override", on: { keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && !body.hidden && toggle(false) } }, opener, body);

  /** @param {boolean} open */
  function toggle(open) {
    body.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    (open ? choices[0]?.input ?? comment : opener).focus();
  }

  return {
    element,
    /** @param {boolean} off */
    disable(off) {
      opener.setAttribute("aria-disabled", String(off));
      if (off && !body.contains(document.activeElement)) {
        body.hidden = true;
        opener.setAttribute("aria-expanded", "false");
      }
    },
  };
}
