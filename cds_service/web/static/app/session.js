/** One patient who is open: drafts, signatures, and which hooks are asked when. It knows nothing of how things look. */

import { Refused } from "./cards.js";
import { isOrder, nameOf, refOf } from "./fhir.js";
import { call, sendFeedback } from "./hooks.js";
import { t } from "./texts.js";

let count = 0;

/**
 * @param {{
 *   server: any,
 *   patient: string,
 *   prefetch: Record<string, any>,
 *   services: import("./hooks.js").Service[],
 *   place: (hook: string) => any,
 *   changed: () => void,
 *   before?: {drafts: any[], signed: any[]},
 * }} with_ `place` gives the place of a hook's answers; `changed` is told when drafts or signatures have changed;
 * `before`: what was drafted and signed for this patient when the page changed its language
 */
export function startSession({ server, patient, prefetch, services, place, changed, before }) {
  let drafts = before?.drafts ?? [];
  let signed = before?.signed ?? [];
  let closed = false;
  /** @type {Map<string, number>} */
  const turns = new Map();
  /** @type {"" | "asking" | "cards" | "faults"} */
  let signing = "";

  const orders = () => drafts.filter(isOrder);

  /**
   * Asks all services of a hook; null if something newer has been asked meanwhile.
   * @param {string} hook
   */
  async function ask(hook) {
    const turn = (turns.get(hook) ?? 0) + 1;
    turns.set(hook, turn);
    const asked = services.filter((service) => service.hook === hook);
    const slot = place(hook);
    slot.wait(asked.length);
    const chart = { server, patient, prefetch, drafts: orders(), signed };
    const answers = await Promise.all(asked.map((service) => call(service, chart)));
    if (closed || turns.get(hook) !== turn) return null;
    return slot.show(answers);
  }

  /** After each change of the orders they are judged together. */
  function reconsider() {
    signing = "";
    changed();
    if (orders().length > 0) {
      forget(["order-sign"], t("orders_changed"));
      ask("order-select");
    } else forget(["order-select", "order-sign"], t("no_drafts_left"));
  }

  /** @param {string[]} hooks @param {string} words */
  function forget(hooks, words) {
    for (const hook of hooks) {
      if (!turns.has(hook)) continue;
      turns.set(hook, (turns.get(hook) ?? 0) + 1); // an answer under way is about orders that are gone
      place(hook).settle(words);
    }
  }

  /** @param {any} resource @returns {any} with an id of its own and the patient it is for */
  function asDraft(resource) {
    const draft = structuredClone(resource);
    draft.id ??= `page-${(count += 1)}`;
    draft[draft.resourceType === "Task" ? "for" : "subject"] ??= { reference: `Patient/${patient}` };
    return draft;
  }

  /** @param {any} action of a suggestion @returns {string} what was done */
  function carryOut(action) {
    if (action.type === "create" && action.resource) {
      const draft = asDraft({ ...action.resource, id: undefined });
      drafts = [...drafts, draft];
      return t(isOrder(draft) ? "done_added" : "done_proposed", { name: isOrder(draft) ? nameOf(draft) : draft.description ?? nameOf(draft) });
    }
    const ref = action.type === "delete" ? action.resourceId : action.resource && refOf(action.resource);
    const at = drafts.findIndex((one) => refOf(one) === ref);
    if (at < 0) throw new Refused(t("draft_gone"));
    if (action.type === "delete") {
      const [gone] = drafts.splice(at, 1);
      drafts = [...drafts];
      return t("done_removed", { name: nameOf(gone) });
    }
    drafts = drafts.map((one, index) => (index === at ? action.resource : one));
    return t("done_replaced", { name: nameOf(action.resource) });
  }

  /** @param {import("./cards.js").Shown} shown @returns {Promise<boolean>} whether the service knows what was accepted */
  async function tellAccepted(shown) {
    const accepted = shown.taken.map((id) => ({ id }));
    const told = await sendFeedback(server, shown.service.id, { card: shown.card.uuid, outcome: "accepted", acceptedSuggestions: accepted });
    shown.untold = told.fault !== null;
    return !shown.untold;
  }

  const deeds = {
    /** @param {import("./cards.js").Shown} shown @param {any} suggestion */
    async accept(shown, suggestion) {
      const done = (suggestion.actions ?? []).map(carryOut).join(" ");
      shown.taken.push(suggestion.uuid);
      shown.state = "accepted";
      reconsider();
      return (await tellAccepted(shown)) ? done : `${done} ${t("feedback_lost")}`;
    },
    /** @param {import("./cards.js").Shown} shown */
    async tell(shown) {
      return t((await tellAccepted(shown)) ? "feedback_sent" : "feedback_lost");
    },
    /** @param {import("./cards.js").Shown} shown @param {any} reason @param {string} comment */
    async override(shown, reason, comment) {
      const coded = reason && { code: reason.code, system: reason.system, display: reason.display };
      const told = await sendFeedback(server, shown.service.id, {
        card: shown.card.uuid,
        outcome: "overridden",
        ...(coded || comment ? { overrideReason: { ...(coded ? { reason: coded } : {}), ...(comment ? { userComment: comment } : {}) } } : {}),
      });
      if (told.fault !== null) throw new Refused(t("override_lost", { why: told.fault }));
      shown.state = "overridden";
      return reason ? t("overridden_because", { reason: reason.display ?? reason.code }) : t("overridden");
    },
  };

  return {
    deeds,
    ask,
    get drafts() {
      return drafts;
    },
    get signed() {
      return signed;
    },
    get signing() {
      return signing;
    },
    /** The chart is open. Drafts that were there already are asked about, too. */
    async begin() {
      changed();
      await Promise.all([ask("patient-view"), ...(orders().length > 0 ? [ask("order-select")] : [])]);
    },
    /** @param {any} resource */
    add(resource) {
      drafts = [...drafts, asDraft(resource)];
      reconsider();
    },
    /** @param {any} draft */
    edit(draft) {
      drafts = drafts.map((one) => (refOf(one) === refOf(draft) ? draft : one));
      reconsider();
    },
    /** @param {string} ref */
    remove(ref) {
      drafts = drafts.filter((one) => refOf(one) !== ref);
      reconsider();
    },
    /** The signature: asked about first; carried out at once only if every service has answered and has nothing to say. */
    async sign() {
      if (orders().length > 0) {
        signing = "asking";
        changed();
        const came = await ask("order-sign");
        if (came === null || signing !== "asking") return;
        if (turns.has("order-select")) place("order-select").giveWay(came.rules, t("stands_on_signing"));
        signing = came.faults > 0 ? "faults" : came.open > 0 ? "cards" : "";
      }
      if (signing === "") this.confirm();
      else changed();
    },
    /** Signs what is drafted, whatever was said. The drafts leave the page's list; nothing is written to any server. */
    confirm() {
      const date = new Date().toISOString();
      signed = [...signed, ...drafts.map((one) => (isOrder(one) ? { ...one, status: "active", intent: "order", authoredOn: date } : { ...one, status: "requested" }))];
      drafts = [];
      signing = "";
      forget(["order-select", "order-sign"], t("orders_signed"));
      changed();
    },
    /** Nothing that is still under way is shown any more. */
    close() {
      closed = true;
    },
  };
}
