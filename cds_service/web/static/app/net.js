/** Requests of the page to its own service, and in words what went wrong with one. */

import { spokenLanguage, t } from "./texts.js";

const PATIENCE = 15_000; // milliseconds; the service gives up on FHIR servers far earlier

/**
 * What came of a request. `body` is null when there is none that could be read; `fault` says in words what went wrong.
 * @typedef {{status: number, body: any, fault: string | null, advice: string | null, correlation: string | null, ms: number}} Outcome
 */

/**
 * @param {string} path relative to the page
 * @param {{method?: string, body?: unknown, headers?: Record<string, string>}} [options]
 * @returns {Promise<Outcome>}
 */
export async function ask(path, { method = "GET", body = undefined, headers = {} } = {}) {
  const started = performance.now();
  const done = (/** @type {Partial<Outcome>} */ part) => ({
    status: 0, body: null, fault: null, advice: null, correlation: null, ...part, ms: Math.round(performance.now() - started),
  });
  try {
    const answer = await fetch(path, {
      method,
      headers: {
        Accept: "application/json",
        "Accept-Language": spokenLanguage(),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    const correlation = answer.headers.get("X-Correlation-Id");
    const read = parsed(await answer.text());
    if (answer.ok) return done({ status: answer.status, body: read, correlation });
    return done({ status: answer.status, body: read, fault: refusal(answer.status), advice: diagnostics(read), correlation });
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") return done({ fault: t("fault_timeout", { seconds: PATIENCE / 1000 }) });
    if (error instanceof TypeError || error instanceof DOMException) return done({ fault: t("fault_network") });
    throw error;
  }
}

/** @param {string} text @returns {any} null if it is no JSON */
function parsed(text) {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** @param {number} status */
function refusal(status) {
  if (status === 412) return t("fault_412");
  if (status === 401 || status === 403) return t("fault_not_allowed", { status });
  if (status === 404) return t("fault_not_found");
  if (status === 429) return t("fault_too_many");
  if (status >= 500) return t("fault_server", { status });
  return t("fault_refused", { status });
}

/** @param {any} body an OperationOutcome, if the service made it @returns {string | null} */
function diagnostics(body) {
  const issues = body?.resourceType === "OperationOutcome" && Array.isArray(body.issue) ? body.issue : [];
  const words = issues.map((/** @type {any} */ issue) => issue.diagnostics ?? issue.details?.text).filter(Boolean);
  return words.length ? words.join(" ") : null;
}
