"""Why a part of a record is missing, as values: a kind and its parameters. `gap_texts.py` words them for readers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique


@unique
class GapKind(Enum):
    """What went wrong. The names, in lower case, are the keys of `texts/gaps.yaml`."""

    # A server was not called, or gave no complete answer in time.
    ADDRESS_NOT_HTTP = "address-not-http"
    ADDRESS_NOT_ALLOWED = "address-not-allowed"
    ADDRESS_OUTSIDE_SERVER = "address-outside-server"
    ADDRESS_PRIVATE = "address-private"
    CIRCUIT_OPEN = "circuit-open"
    NAME_NOT_RESOLVED = "name-not-resolved"
    NAME_NOT_RESOLVED_IN_TIME = "name-not-resolved-in-time"
    NO_CONNECTION = "no-connection"
    NO_CONNECTION_IN_TIME = "no-connection-in-time"
    TLS_FAILED = "tls-failed"
    CONNECTION_CLOSED = "connection-closed"
    ANSWER_BROKEN_OFF = "answer-broken-off"
    ANSWER_TOO_LARGE = "answer-too-large"
    TIMED_OUT = "timed-out"
    # A server answered with something else than what was asked for.
    HTTP_STATUS = "http-status"
    HTTP_STATUS_RETRY_LATER = "http-status-retry-later"
    NOT_FHIR = "not-fhir"
    NOT_A_SEARCHSET = "not-a-searchset"
    NOT_OF_TYPE = "not-of-type"
    OPERATION_OUTCOME = "operation-outcome"
    ALL_OF_ANOTHER_PATIENT = "all-of-another-patient"
    # Some pages or entries of a search are missing.
    PAGE = "page"
    PAGE_OUTSIDE_SERVER = "page-outside-server"
    PAGES_IN_A_CIRCLE = "pages-in-a-circle"
    TOO_MANY_PAGES = "too-many-pages"
    TOO_MANY_ENTRIES = "too-many-entries"
    FEWER_THAN_TOTAL = "fewer-than-total"
    # How a list came, or did not come, with the request.
    NOT_SENT = "not-sent"
    SENT_AS_NULL = "sent-as-null"
    SENT_AS_OUTCOME = "sent-as-outcome"
    SENT_AS_OTHER_TYPE = "sent-as-other-type"
    SENT_WITH_OTHER_TYPES = "sent-with-other-types"
    SENT_FOR_ANOTHER_PATIENT = "sent-for-another-patient"
    SENT_FIRST_PAGE_ONLY = "sent-first-page-only"
    SENT_FEWER_THAN_TOTAL = "sent-fewer-than-total"
    # Why the FHIR server was not asked for it.
    NO_FHIR_SERVER = "no-fhir-server"
    NO_AUTHORIZATION = "no-authorization"
    SERVER_NOT_ALLOWED = "server-not-allowed"
    # What the FHIR server was asked for and did not give.
    FETCH_FAILED = "fetch-failed"
    # What was at hand and could not be used.
    SERVER_REPORTED = "server-reported"
    NO_PATIENT = "no-patient"
    ENTRIES_UNREADABLE = "entries-unreadable"
    RESOURCE_UNREADABLE = "resource-unreadable"
    MEDICINE_NOT_FOUND = "medicine-not-found"
    STATUS_MISSING = "status-missing"
    DRAFT_NOT_OPENED = "draft-not-opened"
    DRAFT_UNREADABLE = "draft-unreadable"
    DRAFT_MEDICINE_NOT_FOUND = "draft-medicine-not-found"


@dataclass(frozen=True, slots=True)
class Gap:
    """One reason why a list, or a part of one, is missing. Holds no patient data and nothing of an address.

    Attributes:
        status: HTTP status.
        page: number of the page that is meant.
        count: how many entries, pages or resources are meant.
        total: how many there should be.
        seconds: after which the server wants to be asked again.
        resource: FHIR type that is meant.
        issues: issue codes of an OperationOutcome.
        cause: what is behind it, for a page or a fetch that failed.
    """

    kind: GapKind
    status: int = 0
    page: int = 0
    count: int = 0
    total: int = 0
    seconds: int = 0
    resource: str = ""
    issues: str = ""
    cause: Gap | None = None


# Several reasons for the same list, in the order in which they were met; empty: nothing is missing.
Gaps = tuple[Gap, ...]


@unique
class NoteKind(Enum):
    """What is worth a line in the log although no list is incomplete because of it."""

    OTHER_SUBJECT = "other-subject"
    OTHER_FOCUS = "other-focus"
    RESULT_UNUSABLE = "result-unusable"
    DOSAGE_UNREADABLE = "dosage-unreadable"
    MEDICINE_NOT_KNOWN = "medicine-not-known"
    REASON_UNREADABLE = "reason-unreadable"
    DRAFT_UNREADABLE = "draft-unreadable"
    DRAFT_NOT_OPENED = "draft-not-opened"


@dataclass(frozen=True, slots=True)
class Note:
    """A remark for the log. Holds no patient data.

    Attributes:
        about: FHIR type, or the observation value set, that is meant.
        detail: why a result is unusable (`LabResult.unusable`).
    """

    kind: NoteKind
    about: str = ""
    detail: str = ""
