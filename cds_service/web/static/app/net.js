/** Requests of the page to its own service; a request that fails is described in words. */

import { pageLanguage, t } from "./texts.js";

/**
 * @import { OperationOutcome } from "@medplum/fhirtypes"
 * @import { Outcome } from "./page_types.js"
 */

/** @typedef {{method?: "GET" | "POST", body?: unknown, headers?: Record<string, string>}} RequestOptions */

const TIMEOUT_MS = 15_000; // the service gives up on FHIR servers far earlier

/**
 * Sends a request whose response must have JSON.
 * @template Body the type of types.d.ts that the route answers with; tests/test_page_types.py checks that it does
 * @param {string} path relative to the page
 * @param {RequestOptions} [options]
 * @returns {Promise<Outcome<Body>>}
 */
export async function requestJson(path, options) {
  const outcome = await request(path, options);
  if (outcome.fault === null && outcome.body === null) return { ...outcome, fault: t("fault_not_understood") };
  return /** @type {Outcome<Body>} */ (outcome);
}

/**
 * Sends a request. The body is null if the response has none; one that is not JSON is a fault.
 * @param {string} path relative to the page
 * @param {RequestOptions} [options]
 * @returns {Promise<Outcome<unknown>>}
 */
export async function request(path, options = {}) {
  const started = performance.now();
  const ms = () => Math.round(performance.now() - started);
  try {
    const response = await fetch(path, fetchOptions(options));
    const { json, body } = parseJson(await response.text());
    const fault = response.ok ? (json ? null : t("fault_not_understood")) : statusFault(response.status);
    const correlation = response.headers.get("X-Correlation-Id");
    return { status: response.status, body, fault, advice: fault === null ? null : diagnostics(body), correlation, ms: ms() };
  } catch (error) {
    return { status: 0, body: null, fault: networkFault(error), advice: null, correlation: null, ms: ms() };
  }
}

/** @param {RequestOptions} options @returns {RequestInit} */
function fetchOptions({ method = "GET", body, headers = {} }) {
  return {
    method,
    headers: {
      Accept: "application/json",
      "Accept-Language": pageLanguage(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
    referrerPolicy: "no-referrer",
  };
}

/** @param {string} text @returns {{json: boolean, body: unknown}} the body is null if the text is empty or not JSON */
function parseJson(text) {
  try {
    return { json: true, body: text === "" ? null : JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return { json: false, body: null };
    throw error;
  }
}

/** @param {number} status from 300 up @returns {string} */
function statusFault(status) {
  if (status === 412) return t("fault_412");
  if (status === 401 || status === 403) return t("fault_not_allowed", { status });
  if (status === 404) return t("fault_not_found");
  if (status === 429) return t("fault_too_many");
  if (status >= 500) return t("fault_server", { status });
  return t("fault_refused", { status });
}

/** @param {unknown} error @returns {string} */
function networkFault(error) {
  if (error instanceof DOMException && error.name === "TimeoutError") return t("fault_timeout", { seconds: TIMEOUT_MS / 1000 });
  if (error instanceof TypeError || error instanceof DOMException) return t("fault_network");
  throw error;
}

/** @param {unknown} body @returns {string | null} what an OperationOutcome says */
function diagnostics(body) {
  const outcome = /** @type {Partial<OperationOutcome> | null} */ (body);
  const issues = outcome?.resourceType === "OperationOutcome" && Array.isArray(outcome.issue) ? outcome.issue : [];
  return issues.map((issue) => issue.diagnostics ?? issue.details?.text).filter(Boolean).join(" ") || null;
}
