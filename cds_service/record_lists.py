"""The lists that a record is read from: one row each, from which every other part of the service derives its own.

A new list is a name in `record.ListName`, a row here and a reader in `fhir/read/record.py`, where mypy asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from cds_service.record import ListName, Source
from cds_service.terminology import Kind

# What facts ask of a list: a fact over products reads every list of kind "medication", and so on.
ListKind = Literal[
    "laboratory",
    "medication",
    "problem",
    "procedure",
    "order",
    "goal",
    "family",
    "dispense",
    "administration",
    "allergy",
]

# No fact reads these kinds: their entries are read where they come, but are not asked for.
_READ_BY_NO_FACT: frozenset[ListKind] = frozenset(("dispense", "administration"))
CODES = "{codes}"
_PAGE = "_count=200"


@dataclass(frozen=True, slots=True)
class RecordList:
    """One list of the record.

    Attributes:
        source: its name in the record and in traces; what a clinician calls it stands under it in `texts/lists.yaml`.
        key: its prefetch key.
        types: FHIR types whose entries fill it: the name of R4 first, then those of other versions.
        kind: which facts read it.
        concepts: kind of the value sets that its entries are recognised by.
        also: types of other lists whose entries count here, too.
        search: parameters of its query besides the patient; `CODES` stands for the codes of the tests that are needed.
        default: what is assumed if it cannot be read; None: nothing is, and its facts are then unknown.
        may_be_missing: its facts are then unknown, but no rule waits for it: it leads to no 412 and no card.
        worth_waiting_for: fetching waits for it until the deadline; others are taken if they come in the meantime.
        in_sandbox: the embedded FHIR server has this type.
        tokens, dates: R4 search parameters of the embedded server and the members that they search.
    """

    source: ListName
    key: str
    types: tuple[str, ...]
    kind: ListKind
    concepts: Kind
    also: tuple[str, ...] = ()
    search: str = _PAGE
    default: str | None = None
    may_be_missing: bool = False
    worth_waiting_for: bool = True
    in_sandbox: bool = True
    tokens: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The type of FHIR R4: what is searched for, and what an OAuth scope names."""
        return self.types[0]

    @property
    def awaited(self) -> bool:
        """Whether a rule that needs this list stays undecided without it."""
        return self.default is None and not self.may_be_missing


RECORD_LISTS: tuple[RecordList, ...] = (
    RecordList(
        source="observations",
        key="labs",
        types=("Observation",),
        kind="laboratory",
        concepts="observation",
        search=f"code={CODES}&_sort=-date&{_PAGE}",
        tokens={"status": "status", "code": "code"},
        dates={"date": ("effectiveDateTime", "issued")},
    ),
    RecordList(
        source="medication-requests",
        key="medicationRequests",
        types=("MedicationRequest", "MedicationOrder"),
        kind="medication",
        concepts="medication",
        tokens={"status": "status", "intent": "intent", "code": "medication"},
        dates={"authoredon": ("authoredOn",)},
    ),
    RecordList(
        source="medication-statements",
        key="medicationStatements",
        types=("MedicationStatement", "MedicationUsage"),
        also=("MedicationAdministration",),
        kind="medication",
        concepts="medication",
        tokens={"status": "status", "code": "medication"},
        dates={"effective": ("effectivePeriod",)},
    ),
    RecordList(
        source="conditions",
        key="conditions",
        types=("Condition",),
        kind="problem",
        concepts="condition",
        tokens={
            "clinical-status": "clinicalStatus",
            "verification-status": "verificationStatus",
            "code": "code",
        },
        dates={"onset-date": ("onsetDateTime",), "recorded-date": ("recordedDate",)},
    ),
    RecordList(
        source="procedures",
        key="procedures",
        types=("Procedure",),
        kind="procedure",
        concepts="condition",
        tokens={"status": "status", "code": "code"},
        dates={"date": ("performedDateTime",)},
    ),
    RecordList(
        source="service-requests",
        key="serviceRequests",
        types=("ServiceRequest", "ProcedureRequest"),
        kind="order",
        concepts="observation",
        tokens={"status": "status", "intent": "intent", "code": "code"},
        dates={"authored": ("authoredOn",)},
    ),
    RecordList(
        source="goals",
        key="goals",
        types=("Goal",),
        kind="goal",
        concepts="observation",
        default="the INR range of the knowledge",
        tokens={"lifecycle-status": "lifecycleStatus"},
        dates={"start-date": ("startDate",)},
    ),
    RecordList(
        source="family-history",
        key="familyHistory",
        types=("FamilyMemberHistory",),
        kind="family",
        concepts="condition",
        default="no condition of a relative",
        tokens={"status": "status", "code": "code"},
    ),
    RecordList(
        source="medication-dispenses",
        key="medicationDispenses",
        types=("MedicationDispense",),
        kind="dispense",
        concepts="medication",
        may_be_missing=True,
        worth_waiting_for=False,
        tokens={"status": "status", "code": "medication"},
        dates={"whenhandedover": ("whenHandedOver",), "whenprepared": ("whenPrepared",)},
    ),
    RecordList(
        source="medication-administrations",
        key="medicationAdministrations",
        types=("MedicationAdministration",),
        kind="administration",
        concepts="medication",
        may_be_missing=True,
        worth_waiting_for=False,
        tokens={"status": "status", "code": "medication"},
        dates={"effective-time": ("effectiveDateTime", "effectivePeriod")},
    ),
    RecordList(
        source="allergies",
        key="allergies",
        types=("AllergyIntolerance",),
        kind="allergy",
        concepts="medication",
        may_be_missing=True,
        tokens={
            "clinical-status": "clinicalStatus",
            "verification-status": "verificationStatus",
            "code": "code",
        },
        dates={"date": ("recordedDate",)},
    ),
)


@cache
def by_source() -> Mapping[str, RecordList]:
    """The rows by the name of the list in the record."""
    return {row.source: row for row in RECORD_LISTS}


def has_default(source: Source) -> bool:
    """Whether something documented is assumed of this list if it cannot be read."""
    row = by_source().get(source)
    return row is not None and row.default is not None


def is_awaited(source: Source) -> bool:
    """Whether a rule that needs this list stays undecided without it; draft orders are always needed."""
    row = by_source().get(source)
    return row is None or row.awaited


@cache
def by_type() -> Mapping[str, RecordList]:
    """The row that entries of a FHIR type fill."""
    return {kind: row for row in RECORD_LISTS for kind in row.types}


@cache
def filled_by(kind: str) -> tuple[ListName, ...]:
    """The lists that an entry of this FHIR type speaks for; none for other types."""
    return tuple(row.source for row in RECORD_LISTS if kind in row.types or kind in row.also)


@cache
def sources_of(*kinds: ListKind) -> tuple[Source, ...]:
    """The lists that facts of these kinds must have read."""
    return tuple(row.source for row in RECORD_LISTS if row.kind in kinds)


def lists_asked_for() -> tuple[RecordList, ...]:
    """The lists that some fact reads."""
    return tuple(row for row in RECORD_LISTS if row.kind not in _READ_BY_NO_FACT)


def readable_types() -> frozenset[str]:
    """The types that the service reads of a patient, and no more: what the page and its OAuth scopes may ask for."""
    return frozenset(("Patient", "Medication", *(row.type for row in lists_asked_for())))
