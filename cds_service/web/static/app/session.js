/** The session of one patient: drafts, signatures, and which hooks are called when. It does not know how things look. */

import { isOrder, nameOf, refOf } from "./fhir.js";
import { callService, sendFeedback } from "./hooks.js";
import { t } from "./texts.js";

/**
 * @import { AdvicePanel, Hook, PanelResult } from "./advice.js"
 * @import { CardActions, Orders, ShownCard } from "./page_types.js"
 * @import { Action, CdsService, Draft, DraftTemplate, FhirServer, OverrideReason, Prefetched, Suggestion } from "./types.js"
 */

/** What the user wanted could not be done; the message tells the user so. */
export class ActionFailed extends Error {}

/**
 * `panelFor` gives the panel of a hook; `onChange` is called after drafts, signatures or the state of signing have changed.
 * @typedef {{
 *   server: FhirServer,
 *   patient: string,
 *   prefetch: Record<string, Prefetched>,
 *   services: CdsService[],
 *   panelFor: (hook: Hook) => AdvicePanel,
 *   onChange: () => void,
 *   orders?: Orders | undefined,
 * }} SessionOptions
 */

/**
 * The state of signing: not begun, services are called, cards are open, or services have failed.
 * @typedef {"idle" | "checking" | "cards" | "failures"} Signing
 */

let draftCount = 0;

/** @implements {CardActions} */
export class Session {
  #options;
  /** @type {Draft[]} */
  #drafts;
  /** @type {Draft[]} */
  #signed;
  #closed = false;
  /** @type {Signing} */
  #signing = "idle";
  /** Number of the latest call of each hook; answers to an earlier one are dropped. @type {Map<Hook, number>} */
  #latestCalls = new Map();

  /** @param {SessionOptions} options */
  constructor(options) {
    this.#options = options;
    this.#drafts = options.orders?.drafts ?? [];
    this.#signed = options.orders?.signed ?? [];
  }

  /** @returns {Orders} */
  get orders() {
    return { drafts: this.#drafts, signed: this.#signed };
  }

  get signing() {
    return this.#signing;
  }

  /** Calls the hooks of a chart that was opened, and those of drafts that it has already. */
  async begin() {
    this.#options.onChange();
    await Promise.all([this.call("patient-view"), ...(this.#draftOrders().length > 0 ? [this.call("order-select")] : [])]);
  }

  /**
   * Calls all services of a hook and shows their answers.
   * @param {Hook} hook
   * @returns {Promise<PanelResult | null>} null if the hook was called again meanwhile, or the session was closed
   */
  async call(hook) {
    const { server, patient, prefetch, services, panelFor } = this.#options;
    const number = this.#countCall(hook);
    const called = services.filter((service) => service.hook === hook);
    const panel = panelFor(hook);
    panel.wait(called.length);
    const input = { server, patient, prefetch, drafts: this.#draftOrders(), signed: this.#signed };
    const answers = await Promise.all(called.map((service) => callService(service, input)));
    return this.#closed || this.#latestCalls.get(hook) !== number ? null : panel.show(answers);
  }

  /** @param {DraftTemplate} template */
  add(template) {
    this.#changeDrafts([...this.#drafts, this.#asDraft(template)]);
  }

  /** @param {Draft} draft */
  edit(draft) {
    this.#changeDrafts(this.#drafts.map((other) => (refOf(other) === refOf(draft) ? draft : other)));
  }

  /** @param {string} ref */
  remove(ref) {
    this.#changeDrafts(this.#drafts.filter((draft) => refOf(draft) !== ref));
  }

  /** Checks the drafts, and signs them if every service has answered and no card is open. */
  async sign() {
    if (this.#draftOrders().length > 0) {
      this.#setSigning("checking");
      const result = await this.call("order-sign");
      if (result === null || this.#signing !== "checking") return;
      if (this.#latestCalls.has("order-select")) this.#options.panelFor("order-select").supersede(result.rules, t("stands_on_signing"));
      if (result.failures > 0 || result.open > 0) {
        this.#setSigning(result.failures > 0 ? "failures" : "cards");
        return;
      }
    }
    this.signUnchecked();
  }

  /** Signs the drafts, whatever the services have said. Nothing is written to any server. */
  signUnchecked() {
    const authoredOn = new Date().toISOString();
    this.#signed = [...this.#signed, ...this.#drafts.map((draft) => signedCopy(draft, authoredOn))];
    this.#drafts = [];
    this.#expire(["order-select", "order-sign"], t("orders_signed"));
    this.#setSigning("idle");
  }

  /** Shows no answer that is still under way. */
  close() {
    this.#closed = true;
  }

  /** @param {ShownCard} shown @param {Suggestion} suggestion @returns {Promise<string>} */
  async accept(shown, suggestion) {
    const done = (suggestion.actions ?? []).map((action) => this.#carryOut(action)).join(" ");
    shown.accepted.push(suggestion.uuid);
    shown.state = "accepted";
    this.#changeDrafts(this.#drafts);
    return (await this.#sendAccepted(shown)) ? done : `${done} ${t("feedback_lost")}`;
  }

  /** @param {ShownCard} shown @param {OverrideReason | null} reason @param {string} comment @returns {Promise<string>} */
  async override(shown, reason, comment) {
    const overrideReason = { ...(reason ? { reason } : {}), ...(comment ? { userComment: comment } : {}) };
    const { fault } = await sendFeedback(this.#options.server, shown.service, {
      card: shown.card.uuid,
      outcome: "overridden",
      ...(reason || comment ? { overrideReason } : {}),
    });
    if (fault !== null) throw new ActionFailed(t("override_lost", { why: fault }));
    shown.state = "overridden";
    return reason ? t("overridden_because", { reason: reason.display }) : t("overridden");
  }

  /** @param {ShownCard} shown @returns {Promise<string>} */
  async resendFeedback(shown) {
    return t((await this.#sendAccepted(shown)) ? "feedback_sent" : "feedback_lost");
  }

  #draftOrders() {
    return this.#drafts.filter(isOrder);
  }

  /** @param {Signing} signing */
  #setSigning(signing) {
    this.#signing = signing;
    this.#options.onChange();
  }

  /** After each change the draft orders are judged together. @param {Draft[]} drafts */
  #changeDrafts(drafts) {
    this.#drafts = drafts;
    this.#setSigning("idle");
    if (this.#draftOrders().length > 0) {
      this.#expire(["order-sign"], t("orders_changed"));
      this.call("order-select");
    } else this.#expire(["order-select", "order-sign"], t("no_drafts_left"));
  }

  /** Withdraws the cards of these hooks, and drops answers under way. @param {Hook[]} hooks @param {string} note */
  #expire(hooks, note) {
    for (const hook of hooks) {
      if (!this.#latestCalls.has(hook)) continue;
      this.#countCall(hook);
      this.#options.panelFor(hook).expire(note);
    }
  }

  /** @param {Hook} hook @returns {number} */
  #countCall(hook) {
    const number = (this.#latestCalls.get(hook) ?? 0) + 1;
    this.#latestCalls.set(hook, number);
    return number;
  }

  /** @param {DraftTemplate} template @returns {Draft} a copy with an id and the patient */
  #asDraft(template) {
    const draft = structuredClone(template);
    const id = draft.id ?? `page-${(draftCount += 1)}`;
    const patient = { reference: `Patient/${this.#options.patient}` };
    if (draft.resourceType === "Task") return { ...draft, id, for: draft.for ?? patient };
    return { subject: patient, ...draft, id };
  }

  /** @param {Action} action @returns {string} what was done */
  #carryOut(action) {
    if (action.type === "create") {
      const { id: _, ...template } = action.resource;
      const draft = this.#asDraft(template);
      this.#drafts = [...this.#drafts, draft];
      return isOrder(draft) ? t("done_added", { name: nameOf(draft) }) : t("done_proposed", { name: draft.description ?? nameOf(draft) });
    }
    const ref = action.type === "delete" ? action.resourceId : refOf(action.resource);
    const old = this.#drafts.find((draft) => refOf(draft) === ref);
    if (old === undefined) throw new ActionFailed(t("draft_gone"));
    if (action.type === "delete") {
      this.#drafts = this.#drafts.filter((draft) => draft !== old);
      return t("done_removed", { name: nameOf(old) });
    }
    this.#drafts = this.#drafts.map((draft) => (draft === old ? action.resource : draft));
    return t("done_replaced", { name: nameOf(action.resource) });
  }

  /** @param {ShownCard} shown @returns {Promise<boolean>} whether the service has received it */
  async #sendAccepted(shown) {
    const { fault } = await sendFeedback(this.#options.server, shown.service, {
      card: shown.card.uuid,
      outcome: "accepted",
      acceptedSuggestions: shown.accepted.map((id) => ({ id })),
    });
    shown.feedbackFailed = fault !== null;
    return fault === null;
  }
}

/** @param {Draft} draft @param {string} authoredOn @returns {Draft} */
function signedCopy(draft, authoredOn) {
  return isOrder(draft) ? { ...draft, status: "active", intent: "order", authoredOn } : { ...draft, status: "requested" };
}
