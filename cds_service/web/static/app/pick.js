/** What can be chosen: patients of a server by name, and draft orders by name or kind. */

import { ask } from "./net.js";
import { dated, spokenLanguage, t } from "./texts.js";

/**
 * @param {any} server
 * @param {string} typed a part of the name; "" for the first patients
 * @returns {Promise<import("./net.js").Outcome & {options: import("./combobox.js").Option[]}>}
 */
export async function findPatients(server, typed) {
  const outcome = await ask(`api/patients/${encodeURIComponent(server.id)}?${new URLSearchParams({ name: typed, lang: spokenLanguage() })}`);
  const options = (outcome.body?.patients ?? []).map((/** @type {any} */ one) => ({
    id: one.id, text: one.name || one.id, note: [one.birthDate ? dated(one.birthDate) : "", one.id].filter(Boolean).join(" · "), about: one.about ?? "",
  }));
  return { ...outcome, options };
}

/**
 * @param {any[]} orders
 * @param {string} typed each word must be in the name or the kind
 * @returns {import("./combobox.js").Option[]}
 */
export function findOrders(orders, typed) {
  const wanted = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return orders
    .map((one) => ({ id: one.id, text: one.text, note: kinds()[one.kind] ?? "" }))
    .filter(({ text, note }) => wanted.every((word) => `${text} ${note}`.toLocaleLowerCase().includes(word)));
}

/** @returns {Record<string, string>} */
function kinds() {
  return {
    "vitamin-k": t("kind_vitamin_k"), anticoagulant: t("kind_anticoagulant"), "vitamin-b12": t("kind_b12"),
    "folic-acid": t("kind_folic_acid"), test: t("kind_test"), other: t("kind_other"),
  };
}
