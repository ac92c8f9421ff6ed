/** Draft orders as FHIR resources: their names and doses, and copies with another dose. */

import { t } from "./texts.js";

/**
 * @import { Dosage } from "@medplum/fhirtypes"
 * @import { Draft, DraftOrder } from "./types.js"
 */

/**
 * A dose that can be edited; `frequency` is null unless it is a number of times a day.
 * @typedef {{value: number, unit: string, code: string | null, frequency: number | null}} Dose
 */

/** Units of mass: UCUM codes and the units as people write them. */
const MASSES = new Map([["ug", "µg"], ["mg", "mg"], ["g", "g"]]);

/** @param {Draft} order @returns {string} */
export function nameOf(order) {
  const concept = order.resourceType === "MedicationRequest" ? order.medicationCodeableConcept : order.code;
  const name = concept?.text ?? concept?.coding?.find(({ display }) => display)?.display;
  const other = order.resourceType === "MedicationRequest" ? order.medicationReference?.display
    : order.resourceType === "Task" ? order.description : undefined;
  return name ?? other ?? t("order_unnamed");
}

/** @param {Draft} order @returns {string} "MedicationRequest/page-1" */
export function refOf(order) {
  return `${order.resourceType}/${order.id}`;
}

/** @param {Draft} order @returns {order is DraftOrder} */
export function isOrder(order) {
  return order.resourceType !== "Task";
}

/** @param {Draft} order @returns {Dose | null} null if it has none, or several steps, which are not edited here */
export function doseOf(order) {
  const [step, ...more] = dosages(order);
  const quantity = step?.doseAndRate?.[0]?.doseQuantity;
  if (more.length > 0 || typeof quantity?.value !== "number") return null;
  return { value: quantity.value, unit: quantity.unit ?? quantity.code ?? "", code: quantity.code ?? null, frequency: timesDaily(step) };
}

/** @param {Dosage | undefined} step @returns {number | null} */
function timesDaily(step) {
  const { frequency, period = 1, periodUnit = "d", when, timeOfDay } = step?.timing?.repeat ?? {};
  return frequency !== undefined && period === 1 && periodUnit === "d" && !when && !timeOfDay ? frequency : null;
}

/** @param {Dose} dose @returns {[string, string][]} UCUM code and name of the units that can be chosen */
export function unitsFor(dose) {
  return dose.code !== null && MASSES.has(dose.code) ? [...MASSES] : [[dose.code ?? dose.unit, dose.unit]];
}

/**
 * A copy with another dose, without the texts that tell the old one.
 * @param {Draft} order with a dose that can be edited
 * @param {{value: number, code: string, frequency: number | null}} dose
 * @returns {Draft}
 */
export function withDose(order, { value, code, frequency }) {
  const changed = structuredClone(order);
  const [step] = dosages(changed);
  const quantity = step?.doseAndRate?.[0]?.doseQuantity;
  if (step === undefined || quantity === undefined) throw new Error(`${refOf(order)} has no dose that can be edited.`);
  quantity.value = value;
  if (quantity.code !== code) Object.assign(quantity, { code, unit: code });
  if (frequency !== null && step.timing?.repeat) step.timing.repeat.frequency = frequency;
  delete step.text;
  delete step.patientInstruction;
  return changed;
}

/** @param {Draft} order @returns {string[]} one line for each step */
export function dosageLines(order) {
  return dosages(order).map((step) => step.text ?? stepText(step)).filter(Boolean);
}

/** @param {Draft} order @returns {Dosage[]} */
function dosages(order) {
  return (order.resourceType === "MedicationRequest" && order.dosageInstruction) || [];
}

/** @param {Dosage} step */
function stepText(step) {
  const quantity = step.doseAndRate?.[0]?.doseQuantity;
  if (typeof quantity?.value !== "number") return "";
  const amount = `${quantity.value} ${MASSES.get(quantity.code ?? "") ?? quantity.unit ?? ""}`.trim();
  const { frequency, period = 1, periodUnit } = step.timing?.repeat ?? {};
  if (!frequency || period !== 1 || periodUnit !== "d") return amount;
  return t("dose_daily", { amount, times: frequency });
}
