/** A text field with a list to choose from (ARIA 1.2 combobox): typing filters, arrows move, Enter chooses, Esc closes. */

import { announce, h } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {{id: string, text: string, note?: string, about?: string}} Option */

/**
 * Puts a combobox into `host`.
 * @param {HTMLElement} host
 * @param {{
 *   id: string,
 *   label: () => string,
 *   hint: () => string,
 *   find: (typed: string) => Option[] | Promise<Option[]>,
 *   choose: (option: Option) => void,
 *   keep?: boolean,
 * }} options `keep`: the field shows what was chosen; otherwise it is emptied for the next
 */
export function combobox(host, { id, label, hint, find, choose, keep = false }) {
  const name = h("label", { for: id });
  const list = h("ul", { role: "listbox", id: `${id}-list`, hidden: true, tabindex: "-1" });
  const input = h("input", {
    id, type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", autocapitalize: "none",
    "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list",
  });
  host.replaceChildren(name, h("div", { class: "combobox" }, input, list));
  /** @type {Option[]} */
  let options = [];
  let active = -1;
  let asked = 0;
  let chosen = "";

  function word() {
    name.textContent = label();
    list.setAttribute("aria-label", label());
    input.placeholder = hint();
  }

  /** @param {string} typed */
  async function open(typed) {
    const mine = (asked += 1);
    const found = await find(typed);
    if (mine !== asked || document.activeElement !== input) return; // something newer was typed, or the field was left
    options = found;
    list.replaceChildren(...rows());
    show(true);
    move(-1);
    announce(options.length ? t("options_found", { count: options.length }) : t("options_none"));
  }

  function rows() {
    if (options.length === 0) return [h("li", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, t("options_none"))];
    return options.map((option, at) => h("li", {
      role: "option", id: `${id}-option-${at}`, "aria-selected": "false",
      on: {
        // The field keeps the focus; a click on the list must not blur it.
        mousedown: (/** @type {Event} */ event) => event.preventDefault(),
        click: () => take(at),
      },
    }, option.text, option.note ? h("small", {}, option.note) : null, option.about ? h("small", { class: "about" }, option.about) : null));
  }

  /** @param {boolean} visible */
  function show(visible) {
    list.hidden = !visible;
    input.setAttribute("aria-expanded", String(visible));
    if (!visible) input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} to */
  function move(to) {
    active = to;
    for (const row of list.querySelectorAll("[role=option]")) row.setAttribute("aria-selected", "false");
    const row = document.getElementById(`${id}-option-${to}`);
    if (row === null) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", row.id);
  }

  /** @param {number} at */
  function take(at) {
    const option = options[at];
    input.value = chosen = keep ? option.text : "";
    close();
    choose(option);
  }

  function close() {
    asked += 1; // an answer that is still on its way must not open the list again
    show(false);
    active = -1;
  }

  /** The whole list, where the field shows what was chosen before; else what fits to what is typed. */
  const browse = () => open(input.value === chosen ? "" : input.value.trim());

  input.addEventListener("input", () => open(input.value.trim()));
  input.addEventListener("click", () => list.hidden && browse());
  input.addEventListener("blur", () => {
    close();
    input.value = chosen; // half a name that was not chosen from the list names nobody
  });
  input.addEventListener("focus", () => keep && input.select());
  input.addEventListener("keydown", async (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing) return; // Enter and arrows belong to the input method, as when Chinese is typed
    const last = options.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) await browse();
      else if (event.key === "ArrowDown") move(active >= last ? 0 : active + 1);
      else move(active <= 0 ? last : active - 1);
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      if (active >= 0) take(active);
      else if (options.length === 1) take(0);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });

  word();
  return {
    word,
    /** @param {string} text */
    set(text) {
      input.value = chosen = text;
    },
    focus: () => input.focus(),
    /** @param {boolean} off */
    disable(off) {
      input.disabled = off;
    },
  };
}
