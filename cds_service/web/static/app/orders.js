/** The list of drafts, which can be edited, and of what was signed in this session. */

import { announce, button, byId, h } from "./dom.js";
import { dosageLines, doseOf, isOrder, nameOf, refOf, unitsFor, withDose } from "./fhir.js";
import { t } from "./texts.js";

/**
 * @import { Orders } from "./page_types.js"
 * @import { Draft } from "./types.js"
 */

/**
 * Called with what the user changed; the owner of the drafts then calls `show`.
 * @typedef {{onEdit: (draft: Draft) => void, onRemove: (ref: string) => void}} DraftListeners
 */

export class DraftList {
  #listeners;
  #list = byId("drafts");
  /** @type {Map<string, {draft: Draft, element: HTMLElement}>} by reference */
  #rows = new Map();

  /** @param {DraftListeners} listeners */
  constructor(listeners) {
    this.#listeners = listeners;
  }

  /** Rows of drafts that have not changed stay, and with them the focus. @param {Orders} orders */
  show({ drafts, signed }) {
    const rows = new Map(drafts.map((draft) => [refOf(draft), this.#rowFor(draft)]));
    for (const [ref, { element }] of this.#rows) if (!rows.has(ref)) element.remove();
    for (const { element } of rows.values()) if (element.parentNode !== this.#list) this.#list.append(element);
    this.#rows = rows;
    byId("drafts-none").hidden = drafts.length > 0;
    byId("signed-part").hidden = signed.length === 0;
    byId("signed").replaceChildren(...signed.map((order) =>
      h("li", {}, nameOf(order), " ", h("span", { class: "muted" }, dosageLines(order).join("; ")))));
  }

  /** Removes all rows; the next `show` makes them in the page's language. */
  clear() {
    for (const { element } of this.#rows.values()) element.remove();
    this.#rows = new Map();
  }

  /** @param {Draft} draft */
  #rowFor(draft) {
    const old = this.#rows.get(refOf(draft));
    if (old?.draft === draft) return old;
    const element = this.#row(draft);
    old?.element.replaceWith(element);
    return { draft, element };
  }

  /** @param {Draft} draft */
  #row(draft) {
    const name = nameOf(draft);
    const editor = this.#editor(draft);
    const lines = editor ? [] : dosageLines(draft);
    return h("li", { class: isOrder(draft) ? "draft" : "draft proposal", id: `draft-${draft.id}` },
      h("div", { class: "draft-name" }, h("strong", {}, name), isOrder(draft) ? null : h("span", { class: "badge" }, t("proposal"))),
      h("div", { class: "draft-edit" }, editor, ...lines.map((line) => h("span", { class: "muted" }, line)),
        button(t("remove"), () => this.#remove(refOf(draft)), { class: "small", "aria-label": t("remove_named", { name }) })));
  }

  /** @param {Draft} draft @returns {HTMLElement | null} null if its dose cannot be edited */
  #editor(draft) {
    const dose = doseOf(draft);
    if (dose === null) return null;
    const ref = refOf(draft);
    const name = nameOf(draft);
    const on = {
      change: () => {
        this.#edit(ref, fields);
      },
    };
    const number = { type: "number", required: true, on };
    const fields = {
      value: h("input", { ...number, min: "0", step: "any", value: dose.value, inputmode: "decimal", "aria-label": t("dose_of", { name }) }),
      unit: h("select", { "aria-label": t("unit_of", { name }), on },
        ...unitsFor(dose).map(([code, label]) => h("option", { value: code, selected: code === (dose.code ?? dose.unit) }, label))),
      frequency: dose.frequency === null ? null
        : h("input", {
          ...number, min: "1", max: "24", step: "1", value: dose.frequency, inputmode: "numeric", "aria-label": t("frequency_of", { name }),
        }),
    };
    const times = fields.frequency === null ? []
      : [h("span", { "aria-hidden": "true" }, "×"), fields.frequency, h("span", { "aria-hidden": "true" }, t("a_day"))];
    return h("span", { class: "dose" }, fields.value, fields.unit, ...times);
  }

  /** @param {string} ref @param {{value: HTMLInputElement, unit: HTMLSelectElement, frequency: HTMLInputElement | null}} fields */
  #edit(ref, { value, unit, frequency }) {
    const row = this.#rows.get(ref);
    if (row === undefined) return;
    const numbers = [value, frequency].filter((field) => field !== null);
    const wrong = numbers.find((field) => !field.checkValidity() || Number(field.value) <= 0);
    for (const field of numbers) field.removeAttribute("aria-invalid");
    if (wrong) {
      wrong.setAttribute("aria-invalid", "true");
      announce(t("dose_invalid"));
      return;
    }
    // The row shows the new dose already. It is kept, and the focus stays in it.
    row.draft = withDose(row.draft, { value: Number(value.value), code: unit.value, frequency: frequency && Number(frequency.value) });
    this.#listeners.onEdit(row.draft);
  }

  /** @param {string} ref */
  #remove(ref) {
    const element = this.#rows.get(ref)?.element;
    const neighbour = element?.nextElementSibling ?? element?.previousElementSibling;
    // The button that had the focus goes: the one of another draft takes it, or the field to choose an order.
    const next = neighbour?.querySelector("button") ?? document.getElementById("order-pick-input");
    this.#listeners.onRemove(ref);
    next?.focus();
  }
}
