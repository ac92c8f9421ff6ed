/** A text field with a list of choices (ARIA 1.2 combobox): typing filters, arrows move, Enter chooses, Esc closes. */

import { announce, h } from "./dom.js";
import { t } from "./texts.js";

/** @import { Choice, TextKey } from "./page_types.js" */

/**
 * `keep`: the field shows what was chosen; otherwise it is emptied for the next choice.
 * @typedef {{
 *   id: string,
 *   label: TextKey,
 *   hint: TextKey,
 *   find: (typed: string) => Choice[] | Promise<Choice[]>,
 *   choose: (choice: Choice) => void,
 *   keep?: boolean,
 * }} ComboboxOptions
 */

export class Combobox {
  #options;
  #label;
  #list;
  /** @type {HTMLInputElement} */
  #input;
  /** @type {Choice[]} */
  #choices = [];
  #active = -1;
  /** The text of the field when nothing is being typed. */
  #chosen = "";
  /** Number of the latest search; the result of an earlier one is dropped. */
  #search = 0;

  /** @param {HTMLElement} host @param {ComboboxOptions} options */
  constructor(host, options) {
    const { id } = options;
    this.#options = options;
    this.#label = h("label", { for: id });
    this.#list = h("ul", { role: "listbox", id: `${id}-list`, hidden: true, tabindex: "-1" });
    this.#input = h("input", {
      id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", autocapitalize: "none",
      "aria-expanded": "false", "aria-controls": this.#list.id, "aria-autocomplete": "list",
      on: {
        input: () => this.#open(this.#input.value.trim()),
        click: () => this.#list.hidden && this.#browse(),
        blur: () => this.#leave(),
        focus: () => options.keep && this.#input.select(),
        keydown: (event) => this.#onKey(event),
      },
    });
    host.replaceChildren(this.#label, h("div", { class: "combobox" }, this.#input, this.#list));
    this.translate();
  }

  /** Shows label and hint in the page's language. */
  translate() {
    const label = t(this.#options.label);
    this.#label.textContent = label;
    this.#list.setAttribute("aria-label", label);
    this.#input.placeholder = t(this.#options.hint);
  }

  /** @param {string} text */
  set(text) {
    this.#input.value = this.#chosen = text;
  }

  focus() {
    this.#input.focus();
  }

  /** @param {boolean} disabled */
  disable(disabled) {
    this.#input.disabled = disabled;
  }

  /** @param {string} typed */
  async #open(typed) {
    const search = (this.#search += 1);
    const found = await this.#options.find(typed);
    if (search !== this.#search || document.activeElement !== this.#input) return; // something newer was typed, or the field was left
    this.#choices = found;
    this.#list.replaceChildren(...this.#rows());
    this.#show(true);
    this.#activate(-1);
    announce(found.length ? t("options_found", { count: found.length }) : t("options_none"));
  }

  /** Opens the whole list if the field shows what was chosen before, else what fits to the text in it. */
  #browse() {
    return this.#open(this.#input.value === this.#chosen ? "" : this.#input.value.trim());
  }

  #rows() {
    if (this.#choices.length === 0) {
      return [h("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, t("options_none"))];
    }
    return this.#choices.map((choice, at) => h("li", {
      role: "option", id: this.#rowId(at), "aria-selected": "false",
      // The field keeps the focus: a click on the list must not blur it.
      on: { mousedown: (event) => event.preventDefault(), click: () => this.#take(choice) },
    }, choice.text, choice.note && h("small", {}, choice.note), choice.about && h("small", { class: "about" }, choice.about)));
  }

  /** @param {number} at */
  #rowId(at) {
    return `${this.#options.id}-option-${at}`;
  }

  /** @param {boolean} visible */
  #show(visible) {
    this.#list.hidden = !visible;
    this.#input.setAttribute("aria-expanded", String(visible));
    if (!visible) this.#input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} to -1 for none */
  #activate(to) {
    this.#active = to;
    for (const row of this.#list.querySelectorAll("[role=option]")) row.setAttribute("aria-selected", "false");
    const row = document.getElementById(this.#rowId(to));
    if (row === null) {
      this.#input.removeAttribute("aria-activedescendant");
      return;
    }
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    this.#input.setAttribute("aria-activedescendant", row.id);
  }

  /** @param {Choice | undefined} choice */
  #take(choice) {
    if (choice === undefined) return;
    this.set(this.#options.keep ? choice.text : "");
    this.#close();
    this.#options.choose(choice);
  }

  #close() {
    this.#search += 1; // a search under way must not open the list again
    this.#show(false);
    this.#active = -1;
  }

  #leave() {
    this.#close();
    this.#input.value = this.#chosen; // a typed text that was not chosen from the list names nothing
  }

  /** @param {KeyboardEvent} event */
  async #onKey(event) {
    if (event.isComposing) return; // Enter and arrows belong to the input method, as when Chinese is typed
    const closed = this.#list.hidden;
    const last = this.#choices.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (closed) await this.#browse();
      else if (event.key === "ArrowDown") this.#activate(this.#active >= last ? 0 : this.#active + 1);
      else this.#activate(this.#active <= 0 ? last : this.#active - 1);
    } else if (event.key === "Enter" && !closed) {
      event.preventDefault();
      this.#take(this.#choices[last === 0 ? 0 : this.#active]);
    } else if (event.key === "Escape" && !closed) {
      event.preventDefault();
      this.#close();
    }
  }
}
