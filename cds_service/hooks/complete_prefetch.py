"""Prefetch, completed from the FHIR server where it may be called, to the lists that a record is read from.

A prefetch key has six states, and they are kept apart:
    absent                               not sent: fetched, else unread
    null                                 the client has no such data: read and empty
    Bundle without entries               read and empty
    Bundle with an informational outcome read and empty (Epic's "no results")
    OperationOutcome, or of a wrong type failed: fetched, else unread (so is a Bundle of nothing else)
    one page of several                  fetched whole, else incomplete
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, TooLarge
from cds_service.fhir.bundle import MAX_ENTRIES, Entry, ListResult, ParsedResource, open_resource
from cds_service.fhir.fetch.client import MOST_PAGES, Fetched, fetch_all
from cds_service.fhir.reference import PatientMatcher, is_other_patient, normal_base
from cds_service.gaps import Gap, GapKind, Gaps
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.prefetch import PrefetchKey
from cds_service.json_types import is_null
from cds_service.record_lists import filled_by

# Called after each query with its prefetch key, or `references`, and what was fetched.
OnFetched = Callable[[str, Fetched], None]


def _ignore(key: str, fetched: Fetched) -> None:
    return None


@dataclass(frozen=True, slots=True)
class RequestSource:
    """A hook request as a source of the record: its prefetch, completed from its FHIR server.

    Attributes:
        without_token: this client's FHIR server may be called without a token (a sandbox).
        deadline: `time.monotonic()` at which all fetching must have ended.
        max_pages: of each search; what lies beyond makes the list incomplete.
        on_fetched: called after each query.
    """

    needs: Sequence[PrefetchKey]
    request: HookRequest
    egress: Egress
    without_token: bool
    deadline: float
    max_pages: int = MOST_PAGES
    on_fetched: OnFetched = _ignore

    def lists(self) -> list[ListResult]:
        """One result per need: from prefetch, else from the FHIR server, else with the reason why it is unread.

        Raises:
            TooLarge: more entries were sent than any patient has.
        """
        request = self.request
        patient_matcher = PatientMatcher(
            request.patient_id, normal_base(request.fhir_server) if request.fhir_server else None
        )
        sent = [_from_prefetch(need, request.prefetch, patient_matcher) for need in self.needs]
        if sum(len(obtained.entries) for obtained in sent) > MAX_ENTRIES:
            raise _too_many("prefetch")
        pairs = list(zip(self.needs, sent, strict=True))
        lacking = [need for need, obtained in pairs if obtained.unread or obtained.incomplete]
        if not lacking:
            return sent
        spare = [need.key for need in lacking if not need.worth_waiting_for]
        fetched, barred = self._fetch({need.key: need.query(request.patient_id) for need in lacking}, spare)
        for key, found in fetched.items():
            self.on_fetched(key, found)
        return [
            _better(obtained, from_fetch(need, fetched[need.key], patient_matcher))
            if need.key in fetched
            else _explained(obtained, barred)
            for need, obtained in pairs
        ]

    def references(self, references: Sequence[str]) -> Sequence[Entry]:
        """What the FHIR server has under these references; `on_fetched` is not told them, for they hold ids."""
        fetched, _ = self._fetch({reference: reference for reference in references})
        for found in fetched.values():
            self.on_fetched("references", found)
        return entries_of(fetched)

    def _fetch(self, queries: Mapping[str, str], spare: Sequence[str] = ()) -> tuple[Mapping[str, Fetched], Gaps]:
        """What the FHIR server gave per key, or nothing and why it was not asked."""
        server, token = self.request.fhir_server, self.request.fhir_token
        if server is None:
            return {}, (Gap(GapKind.NO_FHIR_SERVER),)
        # CDS Hooks 2.0, FHIR Resource Access: a service may call the server only with both address and authorization.
        if token is None and not self.without_token:
            return {}, (Gap(GapKind.NO_AUTHORIZATION),)
        deadline, pages = self.deadline, self.max_pages
        try:
            return fetch_all(self.egress, server, token, queries, deadline=deadline, max_pages=pages, spare=spare), ()
        except EgressError:
            return {}, (Gap(GapKind.SERVER_NOT_ALLOWED),)


def entries_of(fetched: Mapping[str, Fetched]) -> list[Entry]:
    """The resources that single reads brought."""
    pages = [page for found in fetched.values() for page in found.pages]
    return [entry for page in pages for entry in open_resource(page).entries]


def _from_prefetch(
    need: PrefetchKey, prefetch: Mapping[str, msgspec.Raw], patient_matcher: PatientMatcher
) -> ListResult:
    raw = prefetch.get(need.key)
    if raw is None:
        return ListResult(need.sources, unread=(Gap(GapKind.NOT_SENT),))
    if is_null(raw):
        # The client looked and has nothing. A Patient, though, cannot be nothing.
        return ListResult(need.sources, unread=() if need.sources else (Gap(GapKind.SENT_AS_NULL),))
    opened = open_resource(raw)
    if opened.resource_type == "OperationOutcome":
        return ListResult(need.sources, unread=(Gap(GapKind.SENT_AS_OUTCOME, issues=opened.outcome or ""),))
    if opened.resource_type != "Bundle" and opened.resource_type != need.type:
        return ListResult(need.sources, unread=(Gap(GapKind.SENT_AS_OTHER_TYPE),))
    if opened.too_many:
        raise _too_many(f"prefetch.{need.key}")
    if opened.entries and not any(_belongs(entry.resource_type, need) for entry in opened.entries):
        # A Bundle under the wrong key says nothing about what was asked for.
        return ListResult(need.sources, unread=(Gap(GapKind.SENT_WITH_OTHER_TYPES),))
    if _is_of_others(need, opened.entries, patient_matcher):
        return ListResult(need.sources, unread=(Gap(GapKind.SENT_FOR_ANOTHER_PATIENT),))
    return _judged(need, opened, incomplete=_shortfall(opened))


def _is_of_others(need: PrefetchKey, entries: Sequence[Entry], patient_matcher: PatientMatcher) -> bool:
    """Whether all that came is another patient's: whatever question that answers, it is not ours about this patient."""
    asked = [entry for entry in entries if _belongs(entry.resource_type, need)]
    return bool(need.sources and asked) and all(is_other_patient(entry, patient_matcher) for entry in asked)


def _belongs(kind: str, need: PrefetchKey) -> bool:
    """Whether resources of this type answer the need; older FHIR versions have other names for some."""
    return kind == need.type or not set(filled_by(kind)).isdisjoint(need.sources)


def _too_many(path: str) -> TooLarge:
    return TooLarge(f"{path} has more than {MAX_ENTRIES} entries. Send what the templates ask for.", expression=path)


def _shortfall(opened: ParsedResource) -> Gap | None:
    """Why one page sent as prefetch is not the whole list, if it is not."""
    if opened.next_url is not None:
        return Gap(GapKind.SENT_FIRST_PAGE_ONLY)
    if opened.total is not None and opened.total > len(opened.entries) + opened.unreadable:
        return Gap(GapKind.SENT_FEWER_THAN_TOTAL)
    return None


def from_fetch(need: PrefetchKey, fetched: Fetched, patient_matcher: PatientMatcher) -> ListResult:
    """What a FHIR server gave for one need: whole, in part, or not at all, and why."""
    if fetched.failure is not None:
        return ListResult(need.sources, unread=(Gap(GapKind.FETCH_FAILED, cause=fetched.failure),))
    opened = _together([open_resource(page) for page in fetched.pages])
    if _is_of_others(need, opened.entries, patient_matcher):
        cause = Gap(GapKind.ALL_OF_ANOTHER_PATIENT)
        return ListResult(need.sources, unread=(Gap(GapKind.FETCH_FAILED, cause=cause),))
    return _judged(need, opened, fetched.incomplete)


def _together(pages: Sequence[ParsedResource]) -> ParsedResource:
    """The pages of one search as if they had come as one."""
    return ParsedResource(
        entries=[entry for page in pages for entry in page.entries],
        outcome=next((page.outcome for page in pages if page.outcome is not None), None),
        unreadable=sum(page.unreadable for page in pages),
        too_many=any(page.too_many for page in pages),
    )


def _judged(need: PrefetchKey, opened: ParsedResource, incomplete: Gap | None) -> ListResult:
    """The list as it was opened; of several reasons for a missing part, only the first is told."""
    entries, failed = opened.entries, opened.outcome
    if opened.too_many:
        return ListResult(need.sources, unread=(Gap(GapKind.TOO_MANY_ENTRIES, count=MAX_ENTRIES),))
    if failed is not None:
        reported = Gap(GapKind.SERVER_REPORTED, issues=failed)
        if not entries:
            return ListResult(need.sources, unread=(reported,))
        incomplete = incomplete or reported
    if opened.unreadable:
        incomplete = incomplete or Gap(GapKind.ENTRIES_UNREADABLE, count=opened.unreadable)
    if not need.sources and not entries:
        return ListResult((), unread=(Gap(GapKind.NO_PATIENT),))
    return ListResult(need.sources, entries, incomplete=() if incomplete is None else (incomplete,))


def _better(sent: ListResult, fetched: ListResult) -> ListResult:
    """The fetched list; but what was sent, if fetching failed and a part had been sent."""
    return sent if fetched.unread and not sent.unread else fetched


def _explained(obtained: ListResult, barred: Gaps) -> ListResult:
    if obtained.unread:
        return replace(obtained, unread=(*obtained.unread, *barred))
    return replace(obtained, incomplete=(*obtained.incomplete, *barred)) if obtained.incomplete else obtained
