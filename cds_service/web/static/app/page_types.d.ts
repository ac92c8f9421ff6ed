/** Types of what the page's own scripts exchange with each other, for `make lint` and for editors; never served. */

import type {
  Card, CdsService, Draft, DraftOrder, Feedback, FhirServer, HookRequest, HookResponse, OverrideReason, Prefetched, Suggestion,
} from "./types.js";

/** The code of a language that the service has. */
export type Language = string;
/** A key of texts/page.yaml; tests/web/viewer/test_texts.py checks those in the scripts. */
export type TextKey = string;

interface Exchange {
  /** 0 if no response arrived. */
  status: number;
  /** The diagnostics of an OperationOutcome. */
  advice: string | null;
  correlation: string | null;
  ms: number;
}

/** A response that could be used, or a fault in words. */
export type Outcome<Body> = (Exchange & { fault: null; body: Body }) | Failure;
export type Failure = Exchange & { fault: string; body: unknown };

/** A request to a CDS service and its response, as the drawer shows them. */
export interface CallRecord {
  at: Date;
  path: string;
  request: HookRequest | { feedback: (Feedback & { outcomeTimestamp: string })[] };
  outcome: Outcome<unknown>;
}

/** The answer of one service to one hook. */
export interface Answer {
  service: CdsService;
  call: CallRecord;
  outcome: Outcome<HookResponse>;
}

/** The state of the chart and the orders at the moment of a call. */
export interface CallInput {
  server: FhirServer;
  patient: string;
  prefetch: Record<string, Prefetched>;
  drafts: DraftOrder[];
  signed: Draft[];
}

/** What was drafted and signed for one patient. */
export interface Orders {
  drafts: Draft[];
  signed: Draft[];
}

/** A card on the page; everything but `service` and `card` changes while it stands there. */
export interface ShownCard {
  service: CdsService;
  card: Card;
  state: "open" | "accepted" | "overridden" | "withdrawn";
  /** Ids of the suggestions that were accepted. */
  accepted: string[];
  note: string | null;
  /** Whether an earlier card of the same rule said something else. */
  changed: boolean;
  /** Whether the feedback on what was accepted could not be sent. */
  feedbackFailed: boolean;
}

/** What a user can do with a card. Each returns in words what was done, or throws an `ActionFailed`. */
export interface CardActions {
  accept(shown: ShownCard, suggestion: Suggestion): Promise<string>;
  override(shown: ShownCard, reason: OverrideReason | null, comment: string): Promise<string>;
  resendFeedback(shown: ShownCard): Promise<string>;
}

/** A choice in a combobox. */
export interface Choice {
  id: string;
  text: string;
  note?: string;
  about?: string;
}

/** A child of an element; what is not a node or a text is left out. */
export type Child = Node | string | null | undefined | false;

export type Listeners = { [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => unknown };

/** Attributes of an element: true sets an empty one, null, undefined and false set none; `on` holds listeners. */
export interface Attributes {
  [name: string]: string | number | boolean | null | undefined | Listeners;
  on?: Listeners;
}
