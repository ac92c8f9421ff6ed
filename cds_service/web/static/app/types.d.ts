/**
 * Types of the data that the page exchanges with the service, for `make lint` and for editors; never served.
 * `tests/test_page_types.py` checks them against real answers of the service. Members that the page does not read are left out.
 */

import type { Bundle, Coding, MedicationRequest, Patient, ServiceRequest, Task } from "@medplum/fhirtypes";

// --- FHIR R4 ---------------------------------------------------------------------------------------------------------

/** An order in the list of drafts; order hooks are called with it. */
export type DraftOrder = (MedicationRequest | ServiceRequest) & { id: string };
/** A proposal to stop something; no order hook is called with it. */
export type Proposal = Task & { id: string };
export type Draft = DraftOrder | Proposal;
/** A draft before the session gives it an id and the patient. */
export type DraftTemplate = Omit<MedicationRequest, "subject"> | Omit<ServiceRequest, "subject"> | Task;
/** What a search or read sends as one prefetch key. */
export type Prefetched = Bundle | Patient;

// --- CDS Hooks 2.0 ---------------------------------------------------------------------------------------------------

export interface Discovery {
  services: CdsService[];
}

export interface CdsService {
  id: string;
  hook: string;
  title?: string;
  description: string;
  prefetch?: Record<string, string>;
}

export interface HookRequest {
  hook: string;
  hookInstance: string;
  fhirServer: string;
  context: HookContext;
  prefetch: Record<string, Prefetched>;
}

export interface HookContext {
  userId: string;
  patientId: string;
  encounterId?: string;
  draftOrders?: Bundle<MedicationRequest | ServiceRequest>;
  selections?: string[];
}

export interface HookResponse {
  cards: Card[];
  extension?: { "cds-service.explain"?: RuleTrace[] };
}

export type Severity = "critical" | "warning" | "info";

export interface Card {
  uuid: string;
  summary: string;
  detail?: string;
  indicator: Severity;
  source: { label: string; url?: string; topic?: Coding };
  suggestions?: Suggestion[];
  selectionBehavior?: "at-most-one" | "any";
  overrideReasons?: OverrideReason[];
  links?: { label: string; url: string; type: "absolute" | "smart" }[];
  extension?: { "cds-service.rule"?: { id: string } };
}

export interface Suggestion {
  label: string;
  uuid: string;
  isRecommended?: boolean;
  actions?: Action[];
}

export type Action = { description: string } & (
  | { type: "create"; resource: DraftTemplate }
  | { type: "update"; resource: Draft }
  | { type: "delete"; resourceId: string }
);

export interface OverrideReason {
  code: string;
  system: string;
  display: string;
}

/** One item of a feedback request, without its timestamp. */
export type Feedback = { card: string } & (
  | { outcome: "accepted"; acceptedSuggestions: { id: string }[] }
  | { outcome: "overridden"; overrideReason?: { reason?: OverrideReason; userComment?: string } }
);

// --- The explanation of a response: extension `cds-service.explain` --------------------------------------------------

/** What became of one rule, and the clauses that decided it. */
export interface RuleTrace {
  rule: string;
  title: string;
  kind: "rule" | "silence";
  outcome: RuleOutcome;
  text: string;
  sources: Citation[];
  applies?: Clause;
  when?: Clause;
  unless?: Clause;
  variantWhen?: Clause;
}

export type RuleOutcome =
  "speaks" | "silent" | "silenced" | "snoozed" | "counted" | "unknown" | "undecided" | "not applicable" | "off";

export interface Clause {
  outcome: "yes" | "no" | "unknown";
  text: string;
  all?: Clause[];
  any?: Clause[];
  not?: Clause;
  counted?: Clause[];
  definition?: Clause;
  evidence?: Evidence[];
  limit?: Limit;
}

/** An entry of the record; `ref` is there if the chart may have a row for it. */
export interface Evidence {
  text: string;
  ref?: string;
}

export interface Limit {
  name: string;
  text: string;
  decided?: string;
  sources: Citation[];
}

export interface Citation {
  id: string;
  document: string;
  page: string;
  text?: string;
}

// --- The page's own routes, below /app/api ---------------------------------------------------------------------------

export interface ServerList {
  servers: FhirServer[];
}

/** A FHIR server; one that was opened by a SMART launch has its only patient and its own path for CDS Hooks calls. */
export interface FhirServer {
  id: string;
  name: string;
  base: string;
  patient?: string;
  services?: string;
}

export interface PatientList {
  patients: PatientEntry[];
}

export interface PatientEntry {
  id: string;
  name: string;
  birthDate: string | null;
  about?: string;
}

export interface OrderList {
  orders: SampleOrder[];
}

export interface SampleOrder {
  id: string;
  text: string;
  kind: "vitamin-k" | "anticoagulant" | "vitamin-b12" | "folic-acid" | "test" | "other";
  resource: DraftTemplate;
}

/** Dates are ISO dates. `ref` is `Type/id`; null for an entry without an id that can stand in an address. */
export interface Chart {
  patient: ChartPatient;
  problems: ChartProblem[];
  medicines: ChartMedicine[];
  results: ChartResult[];
  series: Series[];
  exposures: Exposure[];
  pending: { ref: string | null; text: string; since: string | null }[];
  notes: string[];
  prefetch: Record<string, Prefetched>;
}

export interface ChartPatient {
  id: string;
  name: string;
  birthDate: string | null;
  age: number | null;
  sex: string | null;
  deceased: boolean;
}

export interface ChartProblem {
  ref: string | null;
  text: string;
  since: string | null;
  until: string | null;
  status: "current" | "past" | "family";
}

export interface ChartMedicine {
  ref: string | null;
  text: string;
  kind: "order" | "list";
  start: string | null;
  end: string | null;
  ongoing: boolean;
  state: "ongoing" | "held" | "unclear" | "ended";
  dose: string | null;
  doseUnknown: string | null;
  reported: string | null;
  route: string | null;
}

export interface ChartResult {
  ref: string | null;
  text: string;
  date: string | null;
  value: number | null;
  comparator: string | null;
  unit: string;
  reported: string | null;
  range: string | null;
  flag: Side | null;
  unusable: string | null;
}

/** On which side of its range a value lies. */
export type Side = "low" | "high";

/** The results of one analyte over time, oldest first; numbers are in `unit`. */
export interface Series {
  analyte: string;
  title: string;
  unit: string;
  units: DisplayUnit[];
  points: Point[];
  band: Band | null;
  limits: { name: string; value: number; label: string; source: string }[];
}

/** A unit to show values in: what a value in the unit of the series is multiplied by. */
export interface DisplayUnit {
  unit: string;
  factor: number;
}

export interface Point {
  date: string;
  at: string | null;
  value: number;
  comparator: string | null;
  flag: Side | null;
}

export interface Band {
  low: number | null;
  high: number | null;
  label: string;
}

/** A course of a medicine; `group` names the analytes that it bears on. */
export interface Exposure {
  group: string;
  text: string;
  start: string | null;
  end: string | null;
  ongoing: boolean;
  dose: string | null;
}
