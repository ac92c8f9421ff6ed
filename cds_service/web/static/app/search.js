/** Searches for patients of a server and for orders to draft, and the filter of lists by typed words. */

import { formatDate } from "./format.js";
import { requestJson } from "./net.js";
import { pageLanguage, t } from "./texts.js";

/**
 * @import { Choice, Outcome, TextKey } from "./page_types.js"
 * @import { FhirServer, PatientList, SampleOrder } from "./types.js"
 */

/** @type {Record<SampleOrder["kind"], TextKey>} */
const KINDS = {
  "vitamin-k": "kind_vitamin_k", anticoagulant: "kind_anticoagulant", "vitamin-b12": "kind_b12",
  "folic-acid": "kind_folic_acid", test: "kind_test", other: "kind_other",
};

/**
 * @param {FhirServer} server
 * @param {string} name a part of the name; "" for the first patients
 * @returns {Promise<Outcome<Choice[]>>}
 */
export async function findPatients(server, name) {
  const query = new URLSearchParams({ name, lang: pageLanguage() });
  /** @type {Outcome<PatientList>} */
  const outcome = await requestJson(`api/patients/${encodeURIComponent(server.id)}?${query}`);
  if (outcome.fault !== null) return outcome;
  const choices = outcome.body.patients.map((patient) => ({
    id: patient.id,
    text: patient.name || patient.id,
    note: [patient.birthDate ? formatDate(patient.birthDate) : "", patient.id].filter(Boolean).join(" · "),
    about: patient.about ?? "",
  }));
  return { ...outcome, body: choices };
}

/**
 * @param {SampleOrder[]} orders
 * @param {string} typed
 * @returns {Choice[]} orders whose name and kind contain every typed word
 */
export function findOrders(orders, typed) {
  const matches = wordFilter(typed);
  return orders
    .map((order) => ({ id: order.id, text: order.text, note: t(KINDS[order.kind]) }))
    .filter(({ text, note }) => matches(`${text} ${note}`));
}

/**
 * @param {string} typed
 * @returns {(text: string) => boolean} whether a text contains every typed word, in upper or lower case
 */
export function wordFilter(typed) {
  const words = typed.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return (text) => {
    const lower = text.toLocaleLowerCase();
    return words.every((word) => lower.includes(word));
  };
}
