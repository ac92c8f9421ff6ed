/** Draft orders: what they are called, what dose they say, and copies of them with one thing changed. */

import { t } from "./texts.js";

/** Units a mass can be written in, as UCUM codes and as people write them. */
const MASSES = new Map([["ug", "µg"], ["mg", "mg"], ["g", "g"]]);

/** @typedef {{value: number, unit: string, code: string | null, frequency: number | null}} Dose */

/** @param {any} order @returns {string} */
export function nameOf(order) {
  const said = order.medicationCodeableConcept ?? order.code ?? {};
  const coding = (said.coding ?? []).find((/** @type {any} */ one) => one.display);
  return said.text ?? coding?.display ?? order.medicationReference?.display ?? order.description ?? t("order_unnamed");
}

/** @param {any} order @returns {string} "MedicationRequest/page-1" */
export function refOf(order) {
  return `${order.resourceType}/${order.id}`;
}

/** @param {any} order @returns {boolean} whether it is an order that order hooks are asked about */
export function isOrder(order) {
  return order.resourceType !== "Task";
}

/** @param {any} order @returns {Dose | null} null where it has none, or several steps: those are not edited here */
export function doseOf(order) {
  const steps = order.dosageInstruction ?? [];
  const quantity = steps[0]?.doseAndRate?.[0]?.doseQuantity;
  if (steps.length !== 1 || typeof quantity?.value !== "number") return null;
  const repeat = steps[0].timing?.repeat ?? {};
  const daily = (repeat.period ?? 1) === 1 && (repeat.periodUnit ?? "d") === "d" && !repeat.when && !repeat.timeOfDay;
  const timed = typeof repeat.frequency === "number" && daily;
  return { value: quantity.value, unit: quantity.unit ?? quantity.code ?? "", code: quantity.code ?? null, frequency: timed ? repeat.frequency : null };
}

/** @param {Dose} dose @returns {[string, string][]} UCUM code and name of the units that can be chosen */
export function unitsFor(dose) {
  return dose.code !== null && MASSES.has(dose.code) ? [...MASSES] : [[dose.code ?? dose.unit, dose.unit]];
}

/**
 * A copy with another dose; texts that told the old one are gone from it.
 * @param {any} order
 * @param {{value: number, code: string, frequency: number | null}} dose
 */
export function withDose(order, { value, code, frequency }) {
  const changed = structuredClone(order);
  const step = changed.dosageInstruction[0];
  const quantity = step.doseAndRate[0].doseQuantity;
  quantity.value = value;
  if (quantity.code !== code) {
    quantity.code = code;
    quantity.unit = code;
  }
  if (frequency !== null) step.timing.repeat.frequency = frequency;
  delete step.text;
  delete step.patientInstruction;
  return changed;
}

/** @param {any} order @returns {string[]} its dosage in words, one line for each step */
export function dosageLines(order) {
  return (order.dosageInstruction ?? []).map((/** @type {any} */ step) => step.text ?? stepText(step)).filter(Boolean);
}

/** @param {any} step */
function stepText(step) {
  const quantity = step.doseAndRate?.[0]?.doseQuantity;
  if (typeof quantity?.value !== "number") return "";
  const amount = `${quantity.value} ${MASSES.get(quantity.code) ?? quantity.unit ?? ""}`.trim();
  const repeat = step.timing?.repeat;
  if (!repeat?.frequency || (repeat.period ?? 1) !== 1 || repeat.periodUnit !== "d") return amount;
  return t("dose_daily", { amount, times: repeat.frequency });
}
