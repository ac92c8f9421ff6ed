/** The page: language and colours, FHIR servers, the choice of a patient, and the browser's history. */

import { revealRow } from "./chart.js";
import { Combobox } from "./combobox.js";
import { byId, h } from "./dom.js";
import { openDrawer } from "./drawer.js";
import { request, requestJson } from "./net.js";
import { showFailures } from "./notice.js";
import { findPatients } from "./search.js";
import { knownLanguage, loadTexts, pageLanguage, setLanguage, t } from "./texts.js";
import { Workplace } from "./workplace.js";

/**
 * @import { Choice, Orders, Outcome } from "./page_types.js"
 * @import { FhirServer, OrderList, ServerList } from "./types.js"
 */

const root = document.documentElement;
const serverPicker = byId("server", HTMLSelectElement);
const languagePicker = byId("language", HTMLSelectElement);
const themePicker = byId("theme", HTMLSelectElement);

const query = new URLSearchParams(location.search);
const chosenLanguage = query.get("lang") ?? localStorage.getItem("cds-page-language") ?? root.dataset.language ?? null;
await loadTexts(knownLanguage(chosenLanguage) ?? "en");
languagePicker.value = pageLanguage();
themePicker.value = root.dataset.theme ?? "auto";

/** @type {FhirServer[]} */
let servers = [];
/** @type {FhirServer | null} */
let server = null;
/** The query of the address of the open patient. */
let openQuery = "";

const patientBox = new Combobox(byId("patient-pick"), {
  id: "patient-pick-input", keep: true, label: "patient", hint: "patient_hint", find: patientsNamed, choose: ({ id }) => visit(id),
});
patientBox.disable(true); // until the servers are known: the end of the start empties the field
const workplace = new Workplace((name) => patientBox.set(name));

/** @param {string} name @returns {Promise<Choice[]>} */
async function patientsNamed(name) {
  if (server === null) return [];
  const outcome = await findPatients(server, name);
  showFailures("server-fault", [{ title: t("patients_lost"), outcome }]);
  return outcome.fault === null ? outcome.body : [];
}

/** Lists the first patients of the server. */
async function listPatients() {
  byId("patients").replaceChildren();
  const listed = server;
  if (listed === null || listed.patient) return;
  const patients = await patientsNamed("");
  if (server?.id !== listed.id) return;
  byId("patients").replaceChildren(...patients.map(({ id, text, note, about }) => h("li", {},
    h("a", { href: address(listed, id), on: { click: (event) => followInPlace(event, () => visit(id)) } }, text),
    " ", h("small", {}, note), about && h("p", {}, about))));
}

/** Handles a plain click on a link; the browser handles one that opens a new tab. @param {MouseEvent} event @param {() => unknown} act */
function followInPlace(event, act) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  act();
}

/** @param {FhirServer} of @param {string} [patient] */
function address(of, patient) {
  return `?${new URLSearchParams({ server: of.id, ...(patient === undefined ? {} : { patient }) })}`;
}

/** Loads what does not depend on a patient: servers, and orders to draft. */
async function prepare() {
  const lang = pageLanguage();
  /** @type {[Outcome<ServerList>, Outcome<OrderList>]} */
  const [found, sampleOrders] = await Promise.all([requestJson(`api/servers?lang=${lang}`), requestJson(`api/orders?lang=${lang}`)]);
  servers = found.fault === null ? found.body.servers : [];
  workplace.translate(sampleOrders.fault === null ? sampleOrders.body.orders : []);
  patientBox.translate();
  byId("rules-link").setAttribute("href", `../rules?lang=${lang}`);
  const chosen = serverPicker.value || new URLSearchParams(location.search).get("server");
  showStart(found.fault === null ? sampleOrders : found);
  chooseServer(chosen);
}

/** @param {Outcome<unknown>} outcome the first that failed, if one did */
function showStart(outcome) {
  showFailures("start-fault", [{ title: t("start_lost"), outcome }], restart);
  if (outcome.fault === null && servers.length === 0) byId("start-fault").replaceChildren(h("p", { class: "notice" }, t("no_servers")));
  byId("welcome").hidden = servers.length === 0;
  byId("smart-leave").hidden = !servers.some(({ patient }) => patient);
  serverPicker.replaceChildren(...servers.map(({ id, name }) => h("option", { value: id }, name)));
}

/** Chooses the server with this id, or else the first. @param {string | null} id */
function chooseServer(id) {
  server = servers.find((one) => one.id === id) ?? servers[0] ?? null;
  serverPicker.value = server?.id ?? "";
  patientBox.disable(server === null || Boolean(server.patient));
}

/** Opens a patient's chart and notes it in the browser's history. @param {string} patient */
function visit(patient) {
  if (server === null) return;
  history.pushState(null, "", address(server, patient));
  open(server, patient);
}

/** @param {FhirServer} of @param {string} patient @param {Orders} [orders] drafted and signed before */
function open(of, patient, orders) {
  openQuery = location.search;
  const opened = workplace.open(of, patient, orders);
  byId("welcome").hidden = true;
  return opened;
}

/** Shows the choice of a patient. */
function leave() {
  openQuery = "";
  workplace.close();
  patientBox.set("");
  byId("welcome").hidden = false;
  listPatients();
}

/** Loads everything again in the page's language; a patient who is open stays open, with the drafts. */
async function restart() {
  const { orders } = workplace;
  await prepare();
  if (server === null) return;
  const patient = server.patient ?? new URLSearchParams(location.search).get("patient");
  if (patient) await open(server, patient, orders);
  else leave();
}

serverPicker.addEventListener("change", () => {
  chooseServer(serverPicker.value);
  leave();
  if (server === null) return;
  history.pushState(null, "", address(server));
  if (server.patient) open(server, server.patient);
});
languagePicker.addEventListener("change", () => {
  const language = knownLanguage(languagePicker.value) ?? "en";
  localStorage.setItem("cds-page-language", language);
  setLanguage(language);
  restart();
});
themePicker.addEventListener("change", () => {
  localStorage.setItem("cds-page-theme", themePicker.value);
  root.dataset.theme = themePicker.value;
});
byId("show-calls").addEventListener("click", () => openDrawer());
byId("smart-leave").addEventListener("click", async () => {
  const outcome = await request("../smart/logout", { method: "POST" });
  if (outcome.fault === null) location.assign("./");
  else showFailures("start-fault", [{ title: t("leave_lost"), outcome }]);
});
window.addEventListener("hashchange", revealRow);
window.addEventListener("popstate", () => {
  if (location.search === openQuery) return; // a step within the chart
  const steps = new URLSearchParams(location.search);
  chooseServer(steps.get("server"));
  leave();
  const patient = steps.get("patient");
  if (patient && server) open(server, patient);
});

await restart();
