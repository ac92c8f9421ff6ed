"""The one road to a record: a source's lists are read, and again with the resources that their entries refer to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple, Protocol

from msgspec.structs import replace

from cds_service.fhir.bundle import Entry, ListResult
from cds_service.record import PatientRecord
from cds_service.record_lists import RECORD_LISTS, by_type, has_default

# A chart with more medicines that say nothing but a reference is not worth a hundred calls; the rest stays unknown.
MAX_REFERENCES = 50

Step = Callable[[Literal["acquire", "read"]], AbstractContextManager[object]]


class RecordSource(Protocol):
    """Where a record comes from: a request's prefetch, a FHIR server, the embedded sandbox or a Bundle file."""

    def lists(self) -> Sequence[ListResult]:
        """The Patient and the lists of the record, each whole, in part, or unread with the reason."""
        ...

    def references(self, references: Sequence[str]) -> Sequence[Entry]:
        """The resources that relative references such as "Medication/m7" lead to, as far as they can be had."""
        ...


class BundleSource:
    """A Bundle file: all there is, so every list counts as read, and what is not in it cannot be looked up."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        by_list: dict[str, list[Entry]] = {row.source: [] for row in RECORD_LISTS}
        others: list[Entry] = []
        for entry in entries:
            row = by_type().get(entry.resource_type)
            (others if row is None else by_list[row.source]).append(entry)
        self._lists = [
            ListResult((), others),
            *(ListResult((row.source,), by_list[row.source]) for row in RECORD_LISTS),
        ]

    def lists(self) -> Sequence[ListResult]:
        return self._lists

    def references(self, references: Sequence[str]) -> Sequence[Entry]:
        return ()


class Gathered(NamedTuple):
    """A record, and the results that it was read from, in the order of the source."""

    record: PatientRecord
    lists: Sequence[ListResult]


def gather(
    source: RecordSource, read: Callable[[Sequence[ListResult]], PatientRecord], step: Step = lambda name: nullcontext()
) -> Gathered:
    """The record of one patient from what a source has.

    Args:
        read: lists to a record (`read_record`, for this patient).
        step: held while the source is asked ("acquire") and while its lists are read ("read").
    """
    with step("acquire"):
        obtained = [settled(one) for one in source.lists()]
    with step("read"):
        record = read(obtained)
    if record.lookups:
        with step("acquire"):
            entries = source.references(record.lookups[:MAX_REFERENCES])
        with step("read"):
            record = read([*obtained, ListResult((), entries)]) if entries else record
    return Gathered(record, obtained)


def settled(obtained: ListResult) -> ListResult:
    """A list with a documented default counts as read: without it the default is used."""
    if obtained.sources and all(map(has_default, obtained.sources)):
        return replace(obtained, unread=(), incomplete=())
    return obtained
