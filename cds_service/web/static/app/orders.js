/** The drafts of this session as a list that can be edited: orders, proposals to stop something, and what was signed. */

import { announce, button, byId, h } from "./dom.js";
import { dosageLines, doseOf, isOrder, nameOf, refOf, unitsFor, withDose } from "./fhir.js";
import { t } from "./texts.js";

/**
 * The list of drafts. It tells what the reader changed; whoever owns the drafts then calls `show`.
 * @param {{edited: (draft: any) => void, removed: (ref: string) => void}} tell
 */
export function draftList(tell) {
  /** @type {Map<string, {draft: any, element: HTMLElement}>} */
  let rows = new Map();
  const list = byId("drafts");
  const signedList = byId("signed");

  /** @param {any} draft */
  function row(draft) {
    const name = nameOf(draft);
    const lines = doseOf(draft) ? [] : dosageLines(draft);
    return h(
      "li",
      { class: isOrder(draft) ? "draft" : "draft proposal", id: `draft-${draft.id}` },
      h("div", { class: "draft-name" }, h("strong", {}, name), isOrder(draft) ? null : h("span", { class: "badge" }, t("proposal"))),
      h("div", { class: "draft-edit" }, editor(draft), ...lines.map((line) => h("span", { class: "quiet" }, line)),
        button(t("remove"), () => remove(draft), { class: "small", "aria-label": t("remove_named", { name }) })),
    );
  }

  /** @param {any} draft @returns {HTMLElement | null} */
  function editor(draft) {
    const dose = doseOf(draft);
    if (dose === null) return null;
    const name = nameOf(draft);
    const value = h("input", { type: "number", min: "0", step: "any", value: dose.value, required: true, inputmode: "decimal", "aria-label": t("dose_of", { name }) });
    const unit = h("select", { "aria-label": t("unit_of", { name }) },
      ...unitsFor(dose).map(([code, label]) => h("option", { value: code, selected: code === (dose.code ?? dose.unit) }, label)));
    const often = dose.frequency === null ? null
      : h("input", { type: "number", min: "1", max: "24", step: "1", value: dose.frequency, required: true, inputmode: "numeric", "aria-label": t("frequency_of", { name }) });
    const change = () => {
      const fields = [value, often].filter(Boolean);
      const wrong = fields.find((/** @type {HTMLInputElement} */ field) => !field.checkValidity() || Number(field.value) <= 0);
      for (const field of fields) field.toggleAttribute("aria-invalid", false);
      if (wrong) {
        wrong.setAttribute("aria-invalid", "true");
        announce(t("dose_invalid"));
        return;
      }
      const changed = withDose(draft, { value: Number(value.value), code: unit.value, frequency: often && Number(often.value) });
      draft = changed;
      const kept = rows.get(refOf(draft));
      if (kept) kept.draft = changed; // the row shows it already; focus stays in it
      tell.edited(changed);
    };
    for (const field of [value, unit, often]) field?.addEventListener("change", change);
    return h("span", { class: "dose" }, value, unit, ...(often ? [h("span", { "aria-hidden": "true" }, "×"), often, h("span", { "aria-hidden": "true" }, t("a_day"))] : []));
  }

  /** @param {any} draft */
  function remove(draft) {
    const ref = refOf(draft);
    const after = rows.get(ref)?.element.nextElementSibling ?? rows.get(ref)?.element.previousElementSibling;
    // The button that had the focus goes; the next draft's takes it, or the field to choose another.
    const next = /** @type {HTMLElement | null} */ (after?.querySelector("button.small") ?? document.getElementById("order-pick-input"));
    tell.removed(ref);
    next?.focus();
  }

  return {
    /** @param {any[]} drafts @param {any[]} signed */
    show(drafts, signed) {
      /** @type {typeof rows} */
      const kept = new Map();
      for (const draft of drafts) {
        const old = rows.get(refOf(draft));
        if (old && old.draft === draft) kept.set(refOf(draft), old);
        else {
          const element = row(draft);
          old?.element.replaceWith(element);
          kept.set(refOf(draft), { draft, element });
        }
      }
      for (const [ref, { element }] of rows) if (!kept.has(ref)) element.remove();
      rows = kept;
      for (const { element } of kept.values()) if (element.parentNode !== list) list.append(element);
      byId("drafts-none").hidden = drafts.length > 0;
      byId("signed-part").hidden = signed.length === 0;
      signedList.replaceChildren(...signed.map((one) => h("li", {}, nameOf(one), " ", h("span", { class: "quiet" }, dosageLines(one).join("; ")))));
    },
    /** All rows anew, as after a change of language. */
    forget() {
      for (const { element } of rows.values()) element.remove();
      rows = new Map();
    },
  };
}
