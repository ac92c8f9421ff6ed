/** Calls of CDS services and feedback, made as an EHR makes them: discovery, prefetch filled in, POST, feedback. */

import { ask } from "./net.js";
import { t } from "./texts.js";

/** Where a server's services are asked; a session that an EHR has begun has a way of its own, which needs no token. */
const services = (/** @type {any} */ server) => server.services ?? "../cds-services";

const USER = "Practitioner/page-user";
const ENCOUNTER = "page-encounter";

/** @typedef {{id: string, hook: string, title?: string, description: string, prefetch?: Record<string, string>}} Service */
/** @typedef {{server: any, patient: string, prefetch: Record<string, any>, drafts: any[], signed: any[]}} Chart what is known of the patient at the moment of a call */
/**
 * One call and what came of it.
 * @typedef {{service: Service, at: Date, path: string, request: any, outcome: import("./net.js").Outcome, cards: any[] | null}} Answer
 */

/** @type {{at: Date, path: string, request: any, outcome: import("./net.js").Outcome}[]} */
export const calls = [];
const KEPT = 60; // calls that can be looked at again; charts are large

/** @param {any} server @returns {Promise<import("./net.js").Outcome & {services: Service[]}>} */
export async function discover(server) {
  const outcome = await ask(services(server));
  const found = Array.isArray(outcome.body?.services) ? outcome.body.services : [];
  if (outcome.fault === null && found.length === 0) outcome.fault = t("fault_no_services");
  return { ...outcome, services: found };
}

/**
 * Calls one service.
 * @param {Service} service
 * @param {Chart} chart
 * @returns {Promise<Answer>}
 */
export async function call(service, chart) {
  const path = `${services(chart.server)}/${encodeURIComponent(service.id)}`;
  const request = requestFor(service, chart);
  const at = new Date();
  const outcome = await ask(path, { method: "POST", body: request, headers: { "X-CDS-Explain": "1" } });
  remember({ at, path, request, outcome });
  const cards = Array.isArray(outcome.body?.cards) ? outcome.body.cards : null;
  // An answer without cards is not an answer of "no cards".
  if (outcome.fault === null && cards === null) outcome.fault = t("fault_not_understood");
  return { service, at, path, request, outcome, cards };
}

/**
 * Tells the service what became of a card. CDS Hooks 2.0, Feedback.
 * @param {any} server
 * @param {string} service
 * @param {{card: string, outcome: "accepted" | "overridden", acceptedSuggestions?: {id: string}[], overrideReason?: any}} entry
 */
export async function sendFeedback(server, service, entry) {
  const path = `${services(server)}/${encodeURIComponent(service)}/feedback`;
  const at = new Date();
  const request = { feedback: [{ ...entry, outcomeTimestamp: at.toISOString() }] };
  const outcome = await ask(path, { method: "POST", body: request });
  remember({ at, path, request, outcome });
  return outcome;
}

/** @param {Service} service @param {Chart} chart */
function requestFor(service, { server, patient, prefetch, drafts, signed }) {
  /** @type {Record<string, any>} */
  const context = { userId: USER, patientId: patient };
  if (service.hook.startsWith("encounter-")) context.encounterId = ENCOUNTER;
  if (service.hook.startsWith("order-")) {
    context.draftOrders = { resourceType: "Bundle", type: "collection", entry: drafts.map((resource) => ({ resource })) };
  }
  // All that is still being chosen is selected: each further order is judged together with those before it.
  if (service.hook === "order-select") context.selections = drafts.map((one) => `${one.resourceType}/${one.id}`);
  return {
    hook: service.hook,
    hookInstance: unique(),
    fhirServer: server.base,
    context,
    prefetch: filled(service.prefetch ?? {}, prefetch, signed),
  };
}

/**
 * The prefetch that a service asks for, from the chart; orders signed in this session belong to the chart by now.
 * @param {Record<string, string>} templates
 * @param {Record<string, any>} prefetch
 * @param {any[]} signed
 */
function filled(templates, prefetch, signed) {
  /** @type {Record<string, any>} */
  const sent = {};
  for (const [key, template] of Object.entries(templates)) {
    if (!(key in prefetch)) continue; // the service fetches it itself, or says what it lacks
    const added = signed.filter((one) => template.startsWith(`${one.resourceType}?`));
    const found = prefetch[key];
    if (added.length === 0 || found?.resourceType !== "Bundle") sent[key] = found;
    else {
      const entry = [...(found.entry ?? []), ...added.map((resource) => ({ resource }))];
      sent[key] = { ...found, entry, ...(found.total === undefined ? {} : { total: entry.length }) };
    }
  }
  return sent;
}

/** @returns {string} a UUID; also where the page comes by plain http and `crypto.randomUUID` is not to be had */
export function unique() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** @param {(typeof calls)[number]} one */
function remember(one) {
  calls.unshift(one);
  calls.length = Math.min(calls.length, KEPT);
}
