"""A patient's record as the rules see it: dated, in canonical units, free of FHIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec
from msgspec.structs import replace

from cds_service.coding import Coding
from cds_service.gaps import Gaps, Note
from cds_service.quantity import Interval

# The lists a record is read from. "Not in the list" means *no* only if the list was read.
ListName = Literal[
    "observations",
    "medication-requests",
    "medication-statements",
    "conditions",
    "procedures",
    "service-requests",
    "goals",
    "family-history",
    "medication-dispenses",
    "medication-administrations",
    "allergies",
]
Source = Literal[ListName, "draft-orders"]
ADMINISTRATION = "MedicationAdministration"
UseStatus = Literal["active", "held", "ended", "unclear", "draft"]
# Why an entry does not tell whether the product is in use; the words stand in `texts/facts.yaml`.
Doubt = Literal["on hold", "status not recorded", "stopped, day not recorded"]
Route = Literal["oral", "sublingual", "nasal", "im", "sc", "iv", "parenteral", "topical"]


class Private(msgspec.Struct, frozen=True):
    """What is known of a patient: `repr` tells its type and no more, so that no message can quote it by oversight."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Patient(Private, frozen=True):
    """The patient of the call. `birth_date` None: not recorded or not usable."""

    id: str
    birth_date: date | None = None
    sex: str | None = None
    deceased: bool = False


class LabResult(Private, frozen=True):
    """One laboratory result of an analyte the knowledge names.

    Attributes:
        concept: id of the observation value set that its code or text belongs to.
        value: in the canonical unit of that value set; None if the result is unusable.
        unusable: why there is no value ("no unit", "unit not convertible", "implausible", ...); None if usable.
        reported: value and unit as the laboratory wrote them, e.g. "147 pmol/L", "<150 pg/mL".
        effective: day of the sample (a partial date counts as its last day); None: undated, hence unusable.
        effective_at: the instant, where the record has one.
        flag: the laboratory's own interpretation, e.g. "L", "LL", "H".
        reference: e.g. "Observation/o17".
        lab_range: the laboratory's own reference range in words.
        lab_low, lab_high: the ends of that range in the canonical unit; None: none stated, or not readable.
        partial_date: only a month or a year was written; its last day may lie ahead and then means today.
    """

    concept: str
    value: Interval | None
    reported: str
    effective: date | None
    reference: str
    unusable: str | None = None
    effective_at: datetime | None = None
    issued: datetime | None = None
    lab_range: str | None = None
    lab_low: float | None = None
    lab_high: float | None = None
    flag: str | None = None
    partial_date: bool = False


class MedicationUse(Private, frozen=True):
    """One entry of the medication lists, or one draft order, for a product the knowledge names.

    Attributes:
        concepts: ids of the medication value sets that the product belongs to.
        product: the product's name as the record writes it.
        resource: FHIR type of the entry ("MedicationRequest", ...).
        status: what the entry says of itself: "active", "held" (on hold), "ended" (stopped, completed), "unclear" (its
            status is missing, unknown or no status), or "draft".
        ran_out: it ended as completed: nobody is said to have stopped it.
        start, end: first and last day of this entry; None: not recorded. A partial start is its last day.
        recorded: the day on which the entry was written or asserted.
        daily_dose: micrograms a day; None: not stated, as needed, or not readable without doubt.
        daily_units: international units a day, where the dose is stated in them.
        as_needed: taken when needed, so that no day has a dose of its own.
        dose: micrograms at one time, under the same condition.
        reported_dose: the dosage as a person would read it, e.g. "15 mg three times a day"; "" if nothing was written.
        single_dose: given once.
        course_days: stated length of the course in days.
        strength: micrograms per unit of the product (a 5 mg capsule: 5000), where the record tells.
        reasons: ids of condition value sets that the stated reason belongs to.
        rests_on: references of the entries that it is about or came from ("MedicationRequest/m1").
        partial_start: only a month or a year was written for the start; its last day may lie ahead and then means
            today.
    """

    concepts: frozenset[str]
    product: str
    resource: str
    reference: str
    status: UseStatus
    ran_out: bool = False
    start: date | None = None
    end: date | None = None
    recorded: date | None = None
    daily_dose: Interval | None = None
    daily_units: Interval | None = None
    as_needed: bool = False
    dose: Interval | None = None
    reported_dose: str = ""
    route: Route | None = None
    single_dose: bool = False
    course_days: float | None = None
    strength: float | None = None
    reasons: frozenset[str] = frozenset()
    rests_on: frozenset[str] = frozenset()
    partial_start: bool = False

    @property
    def last_day(self) -> date | None:
        """The last day of an entry: its end, or of one that has ended the end of its course; None: not known."""
        if self.end is not None or self.status != "ended" or self.start is None:
            return self.end
        if self.single_dose:
            return self.start
        return None if self.course_days is None else self.start + timedelta(days=self.course_days)

    @property
    def doubt(self) -> Doubt | None:
        """What keeps the entry from telling whether the product is in use; None: it does tell."""
        if self.status == "held":
            return "on hold"
        if self.status == "unclear":
            return "status not recorded"
        return "stopped, day not recorded" if self.status == "ended" and self.last_day is None else None


class Dispense(Private, frozen=True):
    """One hand-over of a product that the knowledge names, to the patient or for the patient.

    Attributes:
        on: the day of the hand-over, else of the preparation; None: undated. A partial date is its last day.
        quantity, unit: how much, as written; None: not stated.
        supply_days: for how many days it is meant to last.
        daily_dose: micrograms a day by its dosage instruction; None: not stated or not readable without doubt.
        strength: micrograms per unit of the product, where the record tells.
        rests_on: references of the orders that it was handed over for.
    """

    concepts: frozenset[str]
    product: str
    reference: str
    on: date | None = None
    partial_date: bool = False
    quantity: float | None = None
    unit: str = ""
    supply_days: float | None = None
    daily_dose: Interval | None = None
    reported_dose: str = ""
    route: Route | None = None
    strength: float | None = None
    rests_on: frozenset[str] = frozenset()


class Problem(Private, frozen=True):
    """A condition or a completed procedure, of a concept the knowledge names. Refuted entries and errors are not here.

    Attributes:
        current: what the entry says of itself (clinical status active, recurrence, relapse or missing; a completed
            procedure is current).
        certain: False for a diagnosis that is provisional, differential or unconfirmed.
        since: the day of onset, else of the entry; of a procedure, its first day.
        recorded: the day on which the entry was made.
    """

    concepts: frozenset[str]
    text: str
    reference: str
    current: bool = True
    certain: bool = True
    since: date | None = None
    recorded: date | None = None


class Allergy(Problem, frozen=True):
    """A reaction to a product or substance that the knowledge names; `concepts` are those of products.

    Attributes:
        severe: a high criticality, a severe reaction or anaphylaxis is stated.
    """

    severe: bool = False


class PendingTest(Private, frozen=True):
    """A test that is ordered or in progress: an active or draft ServiceRequest, or a preliminary Observation."""

    concepts: frozenset[str]
    reference: str
    since: date | None
    kind: Literal["order", "result in progress"] = "order"


class InrGoal(Private, frozen=True):
    """The patient's own INR target range, from a Goal."""

    low: float
    high: float
    reference: str


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """A draft order of the session. `selected`: one of those to be judged (all of them when signing).

    `use` is None for orders of no medicine that the knowledge names; `tests` holds the observation value sets that a
    drafted laboratory order asks for. `written` is the draft of a medicine as the client sent it, for suggestions that
    change it; FHIR wants whole resources there.
    """

    reference: str = field(repr=False)
    selected: bool
    use: MedicationUse | None = None
    tests: frozenset[str] = field(default=frozenset(), repr=False)
    written: bytes = field(default=b"", compare=False, repr=False)


class Unmatched(Private, frozen=True):
    """Entries written alike that no value set knows. For those who run the service; no rule sees them."""

    resource: str
    codings: tuple[Coding, ...]
    text: str
    count: int


class PatientRecord(Private, frozen=True):
    """What was read about one patient.

    Attributes:
        labs: per observation value set, newest first, usable and unusable; undated ones last.
        orders: draft orders of the session; None when no orders are in hand (a chart is being viewed).
        dispensed: what was handed over; undated entries, too.
        unused: entries that say themselves that the product is not used: cancelled, not taken, in error. They tell
            only that it was once listed.
        family: conditions of relatives, of concepts the knowledge names.
        allergies: reactions from the list of allergies, and those that a condition tells of.
        unread: lists that could not be read at all, each with the reasons.
        incomplete: lists of which a part could not be read (a page, an entry), each with the reasons.
        notes: remarks for the log, with how often each one applies.
        lookups: references such as "Medication/m7" of products that entries rest on and that were not at hand.
        unmatched: what the knowledge has no name for; texts in it are the record's and belong in no log.
    """

    patient: Patient
    labs: Mapping[str, tuple[LabResult, ...]] = msgspec.field(default_factory=dict)
    medications: tuple[MedicationUse, ...] = ()
    dispensed: tuple[Dispense, ...] = ()
    unused: tuple[MedicationUse, ...] = ()
    problems: tuple[Problem, ...] = ()
    pending: tuple[PendingTest, ...] = ()
    family: tuple[Problem, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    inr_goal: InrGoal | None = None
    orders: tuple[DraftOrder, ...] | None = None
    unread: Mapping[Source, Gaps] = msgspec.field(default_factory=dict)
    incomplete: Mapping[Source, Gaps] = msgspec.field(default_factory=dict)
    notes: Mapping[Note, int] = msgspec.field(default_factory=dict)
    lookups: tuple[str, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()

    @property
    def administered(self) -> tuple[MedicationUse, ...]:
        """What was given. A product that was given was in use, so these are among `medications`."""
        return tuple(use for use in self.medications if use.resource == ADMINISTRATION)

    def known_on(self, today: date) -> PatientRecord:
        """The record with every month or year that is not over yet meaning today, not a day that has not come."""
        ahead = any(r.partial_date and _ahead(r.effective, today) for results in self.labs.values() for r in results)
        ahead = ahead or any(use.partial_start and _ahead(use.start, today) for use in self.medications)
        if not ahead and not any(one.partial_date and _ahead(one.on, today) for one in self.dispensed):
            return self
        return replace(
            self,
            labs={
                concept: tuple(
                    replace(r, effective=today) if r.partial_date and _ahead(r.effective, today) else r for r in results
                )
                for concept, results in self.labs.items()
            },
            medications=tuple(
                replace(use, start=today) if use.partial_start and _ahead(use.start, today) else use
                for use in self.medications
            ),
            dispensed=tuple(
                replace(one, on=today) if one.partial_date and _ahead(one.on, today) else one for one in self.dispensed
            ),
        )


def _ahead(day: date | None, today: date) -> bool:
    return day is not None and day > today
