/** The workplace of one open patient: chart, orders and advice. */

import { AdvicePanel, HOOKS } from "./advice.js";
import { revealRow, showChart } from "./chart.js";
import { Combobox } from "./combobox.js";
import { announce, byId, h } from "./dom.js";
import { discover } from "./hooks.js";
import { requestJson } from "./net.js";
import { showFailures } from "./notice.js";
import { DraftList } from "./orders.js";
import { findOrders } from "./search.js";
import { Session } from "./session.js";
import { pageLanguage, t } from "./texts.js";
import { drawTrends } from "./trends.js";

/**
 * @import { Hook } from "./advice.js"
 * @import { Signing } from "./session.js"
 * @import { Orders, Outcome, TextKey } from "./page_types.js"
 * @import { Chart, Discovery, FhirServer, SampleOrder } from "./types.js"
 */

/** @type {Record<Exclude<Signing, "idle">, TextKey>} */
const SIGNING = { checking: "sign_asking", cards: "sign_cards", failures: "sign_faults" };

export class Workplace {
  /** @type {SampleOrder[]} */
  #sampleOrders = [];
  #drafts = new DraftList({ onEdit: (draft) => this.#session?.edit(draft), onRemove: (ref) => this.#session?.remove(ref) });
  #orderBox = new Combobox(byId("order-pick"), {
    id: "order-pick-input", label: "order_choose", hint: "order_hint",
    find: (typed) => findOrders(this.#sampleOrders, typed), choose: ({ id }) => this.#draft(id),
  });
  #onName;
  /** @type {Session | null} */
  #session = null;
  /** @type {Map<Hook, AdvicePanel>} */
  #panels = new Map();
  /** Number of the latest opening; the responses to an earlier one are dropped. */
  #opening = 0;
  #signedCount = 0;
  /** The rule that a SMART launch from a card names; null after its card had the focus. */
  #launchedRule = new URLSearchParams(location.search).get("rule");
  #removeTrends = () => {};

  /** @param {(name: string) => void} onName called with the patient's name after the chart was read */
  constructor(onName) {
    this.#onName = onName;
    const sign = byId("sign");
    sign.addEventListener("click", () => sign.getAttribute("aria-disabled") !== "true" && this.#session?.sign());
    byId("sign-anyway").addEventListener("click", () => {
      this.#session?.signUnchecked();
      this.#orderBox.focus(); // the button that was pressed is gone
    });
    for (const hook of /** @type {const} */ (["encounter-start", "encounter-discharge"])) {
      byId(hook).addEventListener("click", () => this.#session?.call(hook));
    }
  }

  /** @returns {Orders | undefined} those of the open patient */
  get orders() {
    return this.#session?.orders;
  }

  /** Shows labels in the page's language. @param {SampleOrder[]} sampleOrders what can be drafted, in the same language */
  translate(sampleOrders) {
    this.#sampleOrders = sampleOrders;
    this.#orderBox.translate();
  }

  /**
   * Opens a chart and calls the services.
   * @param {FhirServer} server
   * @param {string} patient
   * @param {Orders} [orders] drafted and signed for this patient before
   */
  async open(server, patient, orders) {
    const focused = ["welcome", "chart-fault"].some((id) => byId(id).contains(document.activeElement));
    const opening = this.#clear();
    this.#showOpening(patient);
    if (focused) byId("patient-name").focus(); // the link or button that was pressed is gone
    const [outcome, discovery] = await Promise.all([readChart(server, patient), discover(server)]);
    if (opening !== this.#opening) return;
    this.#showOutcome(outcome, discovery, () => this.open(server, patient, orders));
    if (outcome.fault !== null) return;
    const chart = outcome.body;
    showChart(chart);
    this.#onName(chart.patient.name || patient);
    this.#removeTrends = drawTrends(byId("trends"), chart);
    revealRow();
    if (discovery.fault !== null) return;
    this.#session = new Session({
      server, patient, orders, prefetch: chart.prefetch, services: discovery.body.services,
      panelFor: (hook) => this.#panelFor(hook), onChange: () => this.#showOrders(),
    });
    await this.#session.begin();
    if (opening === this.#opening) this.#focusLaunchedCard();
  }

  close() {
    this.#clear();
    byId("workplace").hidden = true;
  }

  /** Removes everything of a patient, and drops what is under way: two charts are never mixed. @returns {number} of the next opening */
  #clear() {
    this.#session?.close();
    this.#session = null;
    this.#removeTrends();
    this.#removeTrends = () => {};
    this.#panels.clear();
    this.#drafts.clear();
    for (const id of ["advice", "chart-fault", "notes", "problems", "medicines", "results", "pending", "signed"]) byId(id).replaceChildren();
    byId("sign-state").textContent = "";
    byId("sign-anyway").hidden = true;
    byId("signed-part").hidden = true;
    return (this.#opening += 1);
  }

  /** @param {string} patient */
  #showOpening(patient) {
    byId("workplace").hidden = false;
    byId("workplace").setAttribute("aria-busy", "true");
    byId("patient-name").textContent = t("chart_loading");
    byId("patient-facts").replaceChildren(h("span", {}, patient));
  }

  /** @param {Outcome<Chart>} chart @param {Outcome<Discovery>} discovery @param {() => unknown} retry */
  #showOutcome(chart, discovery, retry) {
    byId("workplace").removeAttribute("aria-busy");
    byId("chart").hidden = chart.fault !== null;
    byId("work").hidden = chart.fault !== null || discovery.fault !== null;
    if (chart.fault !== null) byId("patient-name").textContent = t("chart_none");
    showFailures("chart-fault", [
      { title: t("chart_lost"), outcome: chart },
      { title: `${t("services_lost")} ${t("no_all_clear")}`, outcome: discovery },
    ], retry);
  }

  /** @param {string} id of a sample order */
  #draft(id) {
    const order = this.#sampleOrders.find((sample) => sample.id === id);
    if (order) this.#session?.add(order.resource);
  }

  /** The panel of a hook, made at the first call; panels keep the order of `HOOKS`. @param {Hook} hook */
  #panelFor(hook) {
    const existing = this.#panels.get(hook);
    if (existing) return existing;
    const session = this.#session;
    if (session === null) throw new Error("A panel is made while no patient is open; open one first.");
    const panel = new AdvicePanel(hook, session, () => (hook === "order-sign" ? session.sign() : session.call(hook)));
    this.#panels.set(hook, panel);
    const order = /** @type {Hook[]} */ (Object.keys(HOOKS));
    const next = order.slice(order.indexOf(hook) + 1).map((later) => this.#panels.get(later)).find(Boolean);
    byId("advice").insertBefore(panel.element, next?.element ?? null);
    return panel;
  }

  /** Shows drafts, signed orders, and the buttons that go with them. */
  #showOrders() {
    if (this.#session === null) return;
    const { orders, signing } = this.#session;
    this.#drafts.show(orders);
    byId("sign").setAttribute("aria-disabled", String(orders.drafts.length === 0 || signing === "checking"));
    const waits = signing === "cards" || signing === "failures";
    byId("sign-anyway").hidden = !waits;
    byId("sign-anyway").textContent = t(signing === "failures" ? "sign_unchecked" : "sign_anyway");
    const state = signing === "idle" ? "" : t(SIGNING[signing]);
    byId("sign-state").textContent = state;
    if (waits) announce(state);
    if (orders.signed.length > this.#signedCount) announce(t("orders_signed"));
    this.#signedCount = orders.signed.length;
  }

  #focusLaunchedCard() {
    const cards = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("article.card")]);
    cards.find((card) => card.dataset.rule === this.#launchedRule)?.focus();
    this.#launchedRule = null;
  }
}

/** @param {FhirServer} server @param {string} patient @returns {Promise<Outcome<Chart>>} */
function readChart(server, patient) {
  return requestJson(`api/chart/${encodeURIComponent(server.id)}/${encodeURIComponent(patient)}?lang=${pageLanguage()}`);
}
