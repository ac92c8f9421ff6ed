/** The form in which a user says why a card is not followed: one of the card's override reasons, and a comment. */

import { button, h } from "./dom.js";
import { t } from "./texts.js";

/** @import { OverrideReason } from "./types.js" */

/** @typedef {(reason: OverrideReason | null, comment: string) => Promise<void>} SendOverride */

export class OverrideForm {
  element;
  #send;
  #opener;
  #body;
  #comment;
  #choices;

  /**
   * @param {OverrideReason[]} reasons
   * @param {string} id part of the ids in the form
   * @param {SendOverride} send
   */
  constructor(reasons, id, send) {
    this.#send = send;
    this.#comment = h("textarea", { id: `comment-${id}`, rows: "2", maxlength: "2000" });
    this.#choices = reasons.map((reason, at) => {
      const input = h("input", { type: "radio", name: `reason-${id}`, id: `reason-${id}-${at}`, value: at });
      return { reason, input, element: h("label", { class: "reason" }, input, h("span", {}, reason.display)) };
    });
    this.#body = h("div", { class: "override-body", id: `override-${id}`, hidden: true },
      reasons.length > 0 && h("fieldset", {}, h("legend", {}, t("override_why")), ...this.#choices.map(({ element }) => element)),
      h("label", { for: this.#comment.id }, t("override_comment")),
      this.#comment,
      h("p", { class: "buttons" },
        button(t("override_send"), () => this.#submit(), { class: "main" }),
        button(t("cancel"), () => this.#toggle(false))));
    this.#opener = button(t("override"), () => this.#toggle(Boolean(this.#body.hidden)),
      { class: "small", "aria-expanded": "false", "aria-controls": this.#body.id });
    this.element = h("div", { class: "override", on: { keydown: (event) => this.#onKey(event) } }, this.#opener, this.#body);
  }

  /** @param {boolean} disabled */
  disable(disabled) {
    this.#opener.setAttribute("aria-disabled", String(disabled));
    if (disabled && !this.#body.contains(document.activeElement)) this.#show(false);
  }

  async #submit() {
    const chosen = this.#choices.find(({ input }) => input.checked);
    await this.#send(chosen?.reason ?? null, this.#comment.value.trim());
    if (this.#opener.getAttribute("aria-disabled") === "true") this.#toggle(false);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === "Escape" && !this.#body.hidden) this.#toggle(false);
  }

  /** @param {boolean} open */
  #toggle(open) {
    this.#show(open);
    (open ? this.#choices[0]?.input ?? this.#comment : this.#opener).focus();
  }

  /** @param {boolean} open */
  #show(open) {
    this.#body.hidden = !open;
    this.#opener.setAttribute("aria-expanded", String(open));
  }
}
