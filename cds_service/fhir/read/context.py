"""What the readers of one call share: the terminology, whose record it is, and what went wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from cds_service.fhir.codeable_concept import Concept, concepts_of, parse_concept, read_reference
from cds_service.fhir.reference import Medications, PatientMatcher
from cds_service.gaps import Gap, GapKind, Gaps, Note, NoteKind
from cds_service.record import Source
from cds_service.record_lists import filled_by
from cds_service.terminology import Kind, Terminology

# What never happened, for every resource type.
ERRONEOUS = "entered-in-error"


class UnclearSubjectError(msgspec.ValidationError):
    """A resource does not say whose it is: it is not used, and the list that it stands in is not whole."""


@dataclass(slots=True)
class ReadContext:
    """The reading of one record.

    Attributes:
        units: unit spellings to UCUM codes.
        reasons: value sets of the Conditions at hand by "Condition/id", for medicines that refer to one.
        notes: what happened, and how often.
        gaps: per list, why entries could not be read and how many for each reason.
        units_asked: the units whose conversion was looked up.
        unmatched: by resource type and as written, what no value set knows and how often it came.
        lookups: relative references of Medications that an entry rests on and that are not at hand.
    """

    terminology: Terminology
    units: Mapping[str, str]
    patient_matcher: PatientMatcher
    medications: Medications
    reasons: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: Counter[Note] = field(default_factory=Counter)
    gaps: dict[Source, Counter[Gap]] = field(default_factory=dict)
    units_asked: set[str] = field(default_factory=set)
    unmatched: Counter[tuple[str, Concept]] = field(default_factory=Counter)
    lookups: set[str] = field(default_factory=set)
    _unmatched: dict[tuple[str, bytes], int] = field(default_factory=dict)
    _subjects: dict[bytes, bool | None] = field(default_factory=dict)

    def concepts(self, kind: Kind, raw: msgspec.Raw) -> frozenset[str]:
        return concepts_of(self.terminology, kind, raw)

    def is_call_patient(self, kind: str, *subjects: msgspec.Raw, missing: bool = False) -> bool:
        """Whether the subject (or `patient`) is the patient of the call; if not, that is remarked.

        Args:
            kind: FHIR type of the resource, for the remark.
            missing: no subject at all means the patient of the call.
        Raises:
            UnclearSubjectError: nobody can tell; a subject that is certainly somebody else is a plain False.
        """
        ours = True if missing else None
        for subject in subjects:
            written = bytes(subject)
            if written not in (b"", b"null"):
                ours = self._is_patient(written)
                break
        if not ours:
            self.notes[Note(NoteKind.OTHER_SUBJECT, kind)] += 1
        if ours is None:
            raise UnclearSubjectError("no subject that could be told")
        return ours

    def _is_patient(self, written: bytes) -> bool | None:
        """Whether a Reference is to the patient of the call; the same one or two come with every entry."""
        if written not in self._subjects:
            reference = read_reference(msgspec.Raw(written)).reference
            self._subjects[written] = None if reference is None else self.patient_matcher.is_patient(reference)
        return self._subjects[written]

    def count_unmatched(self, kind: str, raw: msgspec.Raw) -> None:
        """Counts a code that no value set knows; most of a chart are such, so they are read once, later."""
        key = kind, bytes(raw)
        self._unmatched[key] = self._unmatched.get(key, 0) + 1

    def read_unmatched(self) -> None:
        """Reads the codes that have been counted so far."""
        for (kind, written), count in self._unmatched.items():
            self.unmatched[kind, parse_concept(msgspec.Raw(written))] += count
        self._unmatched.clear()

    def note_gap(self, kind: str, what: GapKind, *, resource: str | None = None) -> None:
        """An entry of this FHIR type that may matter could not be read: its lists are incomplete.

        Args:
            resource: the type that the gap names, if not this one.
        """
        for source in filled_by(kind):
            self.note_list_gap(source, what, kind if resource is None else resource)

    def note_list_gap(self, source: Source, what: GapKind, resource: str = "") -> None:
        """Something that may matter could not be read: this list is incomplete."""
        self.gaps.setdefault(source, Counter())[Gap(what, resource=resource)] += 1

    def incomplete(self) -> dict[Source, Gaps]:
        """The gaps of each list, with how many entries each one concerns."""
        return {
            source: tuple(replace(gap, count=count) for gap, count in counts.items())
            for source, counts in self.gaps.items()
        }
