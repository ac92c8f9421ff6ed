/** The page: servers, patients and charts to choose and see; a session for the patient who is open. */

import { HOOKS, advice } from "./advice.js";
import { reveal, showChart } from "./chart.js";
import { combobox } from "./combobox.js";
import { announce, byId, h } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { discover } from "./hooks.js";
import { ask } from "./net.js";
import { faultNotice } from "./notice.js";
import { draftList } from "./orders.js";
import { findOrders, findPatients } from "./pick.js";
import { startSession } from "./session.js";
import { loadTexts, speak, spokenLanguage, t } from "./texts.js";
import { drawTrends } from "./trends.js";
import { whyCard, whyNot } from "./why.js";

const root = document.documentElement;
const address = new URLSearchParams(location.search);

const asked = address.get("lang") ?? localStorage.getItem("cds-page-language") ?? root.dataset.language;
await loadTexts(asked === "zh" ? "zh" : "en");
byId("language").value = spokenLanguage();
byId("theme").value = root.dataset.theme ?? "auto";

/** @type {any[]} */
let servers = [];
/** @type {any[]} */
let orders = [];
/** @type {any} */
let server = null;
/** @type {ReturnType<typeof startSession> | null} */
let session = null;
/** @type {Map<string, ReturnType<typeof advice>>} */
let slots = new Map();
let opened = 0;
let shownAt = "";
let signedBefore = 0;
let eraseTrends = () => {};

const words = () => ({ t, language: spokenLanguage() });
const drafts = draftList({ edited: (draft) => session?.edit(draft), removed: (ref) => session?.remove(ref) });

const patientBox = combobox(byId("patient-pick"), {
  id: "patient-pick-input", keep: true, label: () => t("patient"), hint: () => t("patient_hint"),
  find: patientsNamed, choose: (option) => visit(option.id),
});
const orderBox = combobox(byId("order-pick"), {
  id: "order-pick-input", label: () => t("order_choose"), hint: () => t("order_hint"),
  find: (typed) => findOrders(orders, typed), choose: (option) => session?.add(orders.find((one) => one.id === option.id).resource),
});

/** @param {string} typed */
async function patientsNamed(typed) {
  const found = await findPatients(server, typed);
  tell("server-fault", found.fault === null ? [] : [fault(t("patients_lost"), found)]);
  return found.options;
}

/** The first patients of the server, to begin with. */
async function showPatients() {
  byId("patients").replaceChildren();
  if (server === null || server.patient) return;
  const { id } = server;
  const found = await patientsNamed("");
  if (server?.id !== id) return;
  byId("patients").replaceChildren(...found.map((/** @type {any} */ one) => h("li", {},
    h("a", { href: `?${new URLSearchParams({ server: id, patient: one.id })}`, on: { click: (/** @type {MouseEvent} */ event) => here(event, () => visit(one.id)) } },
      one.text), " ", h("small", {}, one.note), one.about ? h("p", {}, one.about) : null)));
}

/** A plain click is answered in place; one that asks for a new tab is the browser's. @param {MouseEvent} event @param {() => void} act */
function here(event, act) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  act();
}

/** @param {string} id @param {HTMLElement[]} content */
function tell(id, content) {
  byId(id).replaceChildren(...content);
}

/** @param {string} title @param {any} outcome @param {() => void} [again] */
function fault(title, outcome, again) {
  announce(`${title} ${outcome.fault}`);
  return faultNotice(title, outcome, { again });
}

/** Servers and orders: what does not depend on a patient. */
async function prepare() {
  const language = spokenLanguage();
  const [known, offered] = await Promise.all([ask(`api/servers?lang=${language}`), ask(`api/orders?lang=${language}`)]);
  servers = known.body?.servers ?? [];
  orders = offered.body?.orders ?? [];
  const faults = [known, offered].filter(({ fault }) => fault !== null);
  tell("start-fault", faults.length ? [fault(t("start_lost"), faults[0], restart)] : servers.length ? [] : [h("p", { class: "notice" }, t("no_servers"))]);
  byId("welcome").hidden = servers.length === 0;
  const picker = byId("server");
  const wanted = picker.value || address.get("server");
  picker.replaceChildren(...servers.map(({ id, name }) => h("option", { value: id }, name)));
  server = servers.find(({ id }) => id === wanted) ?? servers[0] ?? null;
  if (server) picker.value = server.id;
  patientBox.disable(server === null || Boolean(server.patient));
  byId("smart-leave").hidden = !servers.some(({ patient }) => patient);
  byId("rules-link").setAttribute("href", `../rules?lang=${language}`);
  for (const box of [patientBox, orderBox]) box.word();
}

/**
 * Opens a chart.
 * @param {string} patient @param {boolean} [fresh] whether the address is to tell it
 * @param {{drafts: any[], signed: any[]}} [before] what was done for the same patient
 */
async function visit(patient, fresh = true, before = undefined) {
  const mine = (opened += 1);
  const held = ["welcome", "chart-fault"].some((id) => byId(id).contains(document.activeElement));
  close();
  if (fresh) history.pushState(null, "", `?${new URLSearchParams({ server: server.id, patient })}`);
  shownAt = location.search;
  byId("welcome").hidden = true;
  byId("workplace").hidden = false;
  byId("workplace").setAttribute("aria-busy", "true");
  byId("patient-name").textContent = t("chart_loading");
  if (held) byId("patient-name").focus(); // what was clicked is gone
  byId("patient-facts").replaceChildren(h("span", {}, patient));
  const [outcome, found] = await Promise.all([
    ask(`api/chart/${encodeURIComponent(server.id)}/${encodeURIComponent(patient)}?lang=${spokenLanguage()}`), discover(server),
  ]);
  if (mine !== opened) return;
  byId("workplace").removeAttribute("aria-busy");
  byId("chart").hidden = outcome.fault !== null;
  byId("work").hidden = outcome.fault !== null || found.fault !== null;
  const again = () => visit(patient, false, before);
  tell("chart-fault", [
    ...(outcome.fault === null ? [] : [fault(t("chart_lost"), outcome, again)]),
    ...(found.fault === null ? [] : [fault(`${t("services_lost")} ${t("no_all_clear")}`, found, again)]),
  ]);
  if (outcome.fault !== null) {
    byId("patient-name").textContent = t("chart_none");
    return;
  }
  const chart = outcome.body;
  showChart(chart);
  patientBox.set(chart.patient.name || patient);
  eraseTrends = drawTrends(byId("trends"), chart, words());
  reveal();
  if (found.fault !== null) return;
  session = startSession({ server, patient, prefetch: chart.prefetch ?? {}, services: found.services, place, changed, before });
  await session.begin();
  if (mine === opened) showRule();
}

/** A launch from a card names its rule: that card is what the reader came for. Once only. */
function showRule() {
  const rule = address.get("rule");
  address.delete("rule");
  const card = [...document.querySelectorAll("article.card")].find((one) => one instanceof HTMLElement && one.dataset.rule === rule);
  if (rule !== null && card instanceof HTMLElement) card.focus();
}

/** The place of a hook's answers, made when it is first asked; places keep the order of `HOOKS`. @param {string} hook */
function place(hook) {
  const there = slots.get(hook);
  if (there) return there;
  const made = advice(hook, {
    deeds: /** @type {NonNullable<typeof session>} */ (session).deeds,
    again: () => (hook === "order-sign" ? session?.sign() : session?.ask(hook)),
    look: openDrawer,
    why: (card, body) => whyCard(card, body, words()),
    whyNot: (answers) => whyNot(answers, words()),
  });
  slots.set(hook, made);
  const order = [...HOOKS.keys()];
  const next = order.slice(order.indexOf(hook) + 1).map((later) => slots.get(later)).find(Boolean);
  byId("advice").insertBefore(made.element, next?.element ?? null);
  return made;
}

/** Drafts, signatures and the buttons that go with them, as the session has them. */
function changed() {
  if (session === null) return;
  drafts.show(session.drafts, session.signed);
  const { signing } = session;
  byId("sign").setAttribute("aria-disabled", String(session.drafts.length === 0 || signing === "asking"));
  const waits = signing === "cards" || signing === "faults";
  byId("sign-anyway").hidden = !waits;
  byId("sign-anyway").textContent = signing === "faults" ? t("sign_unchecked") : t("sign_anyway");
  byId("sign-state").textContent = signing === "asking" ? t("sign_asking") : signing === "cards" ? t("sign_cards") : signing === "faults" ? t("sign_faults") : "";
  if (waits) announce(byId("sign-state").textContent);
  if (session.signed.length > signedBefore) announce(t("orders_signed"));
  signedBefore = session.signed.length;
}

/** Leaves the patient: nothing of one chart may stand beside another. */
function close() {
  session?.close();
  session = null;
  eraseTrends();
  eraseTrends = () => {};
  slots = new Map();
  drafts.forget();
  for (const id of ["advice", "chart-fault", "notes", "problems", "medicines", "results", "pending", "signed"]) byId(id).replaceChildren();
  byId("sign-state").textContent = "";
  byId("sign-anyway").hidden = true;
  byId("signed-part").hidden = true;
}

/** Everything anew in the language that was chosen; a patient who is open stays open, with the drafts. */
async function restart() {
  const before = session ? { drafts: session.drafts, signed: session.signed } : undefined;
  const patient = new URLSearchParams(location.search).get("patient") ?? server?.patient;
  await prepare();
  if (server === null) return;
  const only = server.patient ?? patient;
  if (only) await visit(only, false, before);
  else leave();
}

function leave() {
  opened += 1;
  shownAt = "";
  close();
  patientBox.set("");
  byId("welcome").hidden = false;
  byId("workplace").hidden = true;
  showPatients();
}

byId("server").addEventListener("change", () => {
  server = servers.find(({ id }) => id === byId("server").value);
  leave();
  patientBox.disable(Boolean(server.patient));
  history.pushState(null, "", `?${new URLSearchParams({ server: server.id })}`);
  if (server.patient) visit(server.patient, false);
});
byId("language").addEventListener("change", () => {
  const chosen = byId("language").value;
  localStorage.setItem("cds-page-language", chosen);
  speak(chosen);
  restart();
});
byId("theme").addEventListener("change", () => {
  const chosen = byId("theme").value;
  localStorage.setItem("cds-page-theme", chosen);
  root.dataset.theme = chosen;
});
byId("sign").addEventListener("click", () => byId("sign").getAttribute("aria-disabled") !== "true" && session?.sign());
byId("sign-anyway").addEventListener("click", () => {
  session?.confirm();
  orderBox.focus(); // the button that was pressed is gone
});
for (const hook of ["encounter-start", "encounter-discharge"]) byId(hook).addEventListener("click", () => session?.ask(hook));
byId("show-calls").addEventListener("click", () => openDrawer());
byId("smart-leave").addEventListener("click", async () => {
  const outcome = await ask("../smart/logout", { method: "POST" });
  if (outcome.fault === null) location.assign("./");
  else tell("start-fault", [fault(t("leave_lost"), outcome)]);
});
window.addEventListener("hashchange", reveal);
window.addEventListener("popstate", () => {
  if (location.search === shownAt) return; // a step inside the chart
  leave();
  const there = new URLSearchParams(location.search);
  server = servers.find(({ id }) => id === there.get("server")) ?? server;
  byId("server").value = server?.id ?? "";
  const patient = there.get("patient");
  if (patient && server) visit(patient, false);
});

await restart();
