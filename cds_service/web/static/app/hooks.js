/** CDS Hooks as an EHR speaks it: discovery, calls with prefetch, feedback; and the extensions of our responses. */

import { refOf } from "./fhir.js";
import { request, requestJson } from "./net.js";
import { t } from "./texts.js";

/**
 * @import { Answer, CallInput, CallRecord, Outcome } from "./page_types.js"
 * @import {
 *   Card, CdsService, Discovery, Draft, Feedback, FhirServer, HookContext, HookRequest, HookResponse, Prefetched, RuleTrace,
 * } from "./types.js"
 */

const USER = "Practitioner/page-user";
const ENCOUNTER = "page-encounter";
const MOST_CALLS = 60; // charts are large

/** The calls of this session, the latest first. @type {CallRecord[]} */
export const calls = [];

/** @param {FhirServer} server @returns {Promise<Outcome<Discovery>>} with at least one service */
export async function discover(server) {
  /** @type {Outcome<Discovery>} */
  const outcome = await requestJson(servicesPath(server));
  if (outcome.fault !== null) return outcome;
  const { services } = outcome.body;
  return Array.isArray(services) && services.length > 0 ? outcome : { ...outcome, fault: t("fault_no_services") };
}

/**
 * Calls one service.
 * @param {CdsService} service
 * @param {CallInput} input
 * @returns {Promise<Answer>}
 */
export async function callService(service, input) {
  const path = `${servicesPath(input.server)}/${encodeURIComponent(service.id)}`;
  const body = hookRequest(service, input);
  const at = new Date();
  /** @type {Outcome<HookResponse>} */
  let outcome = await requestJson(path, { method: "POST", body, headers: { "X-CDS-Explain": "1" } });
  // A response without cards is not a response of "no cards".
  if (outcome.fault === null && !Array.isArray(outcome.body.cards)) outcome = { ...outcome, fault: t("fault_not_understood") };
  const call = { at, path, request: body, outcome };
  record(call);
  return { service, call, outcome };
}

/**
 * Tells the service how the user has answered a card. CDS Hooks 2.0, Feedback.
 * @param {FhirServer} server
 * @param {CdsService} service
 * @param {Feedback} feedback
 * @returns {Promise<Outcome<unknown>>}
 */
export async function sendFeedback(server, service, feedback) {
  const path = `${servicesPath(server)}/${encodeURIComponent(service.id)}/feedback`;
  const at = new Date();
  const body = { feedback: [{ ...feedback, outcomeTimestamp: at.toISOString() }] };
  const outcome = await request(path, { method: "POST", body });
  record({ at, path, request: body, outcome });
  return outcome;
}

/** @param {Answer} answer @returns {Card[]} none if the service did not answer */
export function cardsOf({ outcome }) {
  return outcome.fault === null ? outcome.body.cards : [];
}

/** @param {Answer} answer @returns {RuleTrace[]} what became of each rule; none if the response does not say */
export function tracesOf({ outcome }) {
  return outcome.fault === null ? outcome.body.extension?.["cds-service.explain"] ?? [] : [];
}

/** @param {Card} card @returns {string | undefined} the id of the rule behind it */
export function ruleIdOf(card) {
  return card.extension?.["cds-service.rule"]?.id;
}

/** A session that an EHR has launched has a path of its own, which needs no token. @param {FhirServer} server */
function servicesPath(server) {
  return server.services ?? "../cds-services";
}

/** @param {CdsService} service @param {CallInput} input @returns {HookRequest} */
function hookRequest(service, { server, patient, prefetch, drafts, signed }) {
  /** @type {HookContext} */
  const context = { userId: USER, patientId: patient };
  if (service.hook.startsWith("encounter-")) context.encounterId = ENCOUNTER;
  if (service.hook.startsWith("order-")) {
    context.draftOrders = { resourceType: "Bundle", type: "collection", entry: drafts.map((resource) => ({ resource })) };
  }
  // All drafts are selected: each further order is judged together with those before it.
  if (service.hook === "order-select") context.selections = drafts.map(refOf);
  return {
    hook: service.hook,
    hookInstance: uuid(),
    fhirServer: server.base,
    context,
    prefetch: filledPrefetch(service.prefetch ?? {}, prefetch, signed),
  };
}

/**
 * The prefetch that a service asks for, from the chart. Orders that were signed in this session belong to the chart.
 * @param {Record<string, string>} templates
 * @param {Record<string, Prefetched>} prefetch
 * @param {Draft[]} signed
 */
function filledPrefetch(templates, prefetch, signed) {
  /** @type {Record<string, Prefetched>} */
  const filled = {};
  for (const [key, template] of Object.entries(templates)) {
    const found = prefetch[key];
    if (found === undefined) continue; // the service fetches it itself, or says what it lacks
    const added = signed.filter(({ resourceType }) => template.startsWith(`${resourceType}?`));
    filled[key] = found.resourceType === "Bundle" && added.length > 0 ? withEntries(found, added) : found;
  }
  return filled;
}

/** @param {Extract<Prefetched, {resourceType: "Bundle"}>} bundle @param {Draft[]} resources */
function withEntries(bundle, resources) {
  const entry = [...(bundle.entry ?? []), ...resources.map((resource) => ({ resource }))];
  return { ...bundle, entry, ...(bundle.total === undefined ? {} : { total: entry.length }) };
}

/** @returns {string} a random UUID; `crypto.randomUUID` is missing where the page is served by plain http */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = Array.from(bytes, (byte, at) => (at === 6 ? (byte & 0x0f) | 0x40 : at === 8 ? (byte & 0x3f) | 0x80 : byte))
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** @param {CallRecord} call */
function record(call) {
  calls.unshift(call);
  calls.length = Math.min(calls.length, MOST_CALLS);
}
