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

import msgspec
from msgspec.structs import replace

from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, TooLarge
from cds_service.fhir.bundle import MAX_ENTRIES, Entry, ListResult, ParsedResource, open_resource
from cds_service.fhir.fetch.client import MOST_PAGES, Fetched, fetch_all
from cds_service.fhir.read.relevance import SOURCES
from cds_service.fhir.reference import PatientMatcher, is_other_patient, normal_base
from cds_service.gaps import Gap, GapKind, Gaps
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.prefetch import PrefetchKey
from cds_service.json_types import is_null

# Is told what came of each query: the prefetch key, and what was fetched.
Told = Callable[[str, Fetched], None]

# A chart with more medicines that say nothing but a reference is not worth a hundred calls; the rest stays unknown.
_MOST_LOOKUPS = 50


def complete_prefetch(
    needs: Sequence[PrefetchKey],
    request: HookRequest,
    egress: Egress,
    *,
    without_token: bool,
    deadline: float,
    max_pages: int = MOST_PAGES,
    told: Told | None = None,
) -> list[ListResult]:
    """One `Obtained` per need: from prefetch, else from the FHIR server, else with the reason why it is unread.

    Args:
        without_token: this client's FHIR server may be called without a token (a sandbox).
        deadline: `time.monotonic()` at which all fetching must have ended.
        max_pages: of each search; what lies beyond is told as incomplete.
        told: is told of each list that was asked for.
    Raises:
        TooLarge: more entries were sent than any patient has.
    """
    patient_matcher = PatientMatcher(
        request.patient_id, normal_base(request.fhir_server) if request.fhir_server else None
    )
    sent = [_from_prefetch(need, request.prefetch, patient_matcher) for need in needs]
    if sum(len(obtained.entries) for obtained in sent) > MAX_ENTRIES:
        raise _too_many("prefetch")
    lacking = [need for need, obtained in zip(needs, sent, strict=True) if obtained.unread or obtained.incomplete]
    if not lacking:
        return sent
    queries = {need.key: need.query(request.patient_id) for need in lacking}
    fetched, barred = _fetch(queries, request, egress, without_token, deadline, max_pages)
    if told is not None:
        for key, found in fetched.items():
            told(key, found)
    completed = [
        _better(obtained, from_fetch(need, fetched[need.key], patient_matcher))
        if need.key in fetched
        else _explained(obtained, barred)
        for need, obtained in zip(needs, sent, strict=True)
    ]
    # A list with a documented default counts as read: without it the default is used.
    return [
        replace(obtained, unread=(), incomplete=()) if need.optional else obtained
        for need, obtained in zip(needs, completed, strict=True)
    ]


def look_up(
    references: Sequence[str],
    request: HookRequest,
    egress: Egress,
    *,
    without_token: bool,
    deadline: float,
    told: Told | None = None,
) -> ListResult:
    """The resources that entries refer to and that did not come with them, as far as they can be fetched.

    Args:
        references: relative, e.g. "Medication/m7"; no more than `_MOST_LOOKUPS` of them are fetched.
        told: is told of each under the name `references`, for they themselves hold ids.
    """
    queries = {reference: reference for reference in references[:_MOST_LOOKUPS]}
    fetched, _ = _fetch(queries, request, egress, without_token, deadline)
    if told is not None:
        for found in fetched.values():
            told("references", found)
    pages = [page for found in fetched.values() for page in found.pages]
    return ListResult((), tuple(entry for page in pages for entry in open_resource(page).entries))


def _fetch(
    queries: Mapping[str, str],
    request: HookRequest,
    egress: Egress,
    without_token: bool,
    deadline: float,
    max_pages: int = MOST_PAGES,
) -> tuple[Mapping[str, Fetched], Gaps]:
    """What the FHIR server gave per key, or nothing and why it was not asked."""
    if request.fhir_server is None:
        return {}, (Gap(GapKind.NO_FHIR_SERVER),)
    # CDS Hooks 2.0, FHIR Resource Access: a service may call the server only with both address and authorization.
    if request.fhir_token is None and not without_token:
        return {}, (Gap(GapKind.NO_AUTHORIZATION),)
    try:
        server, token = request.fhir_server, request.fhir_token
        return fetch_all(egress, server, token, queries, deadline=deadline, max_pages=max_pages), ()
    except EgressError:
        return {}, (Gap(GapKind.SERVER_NOT_ALLOWED),)


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
    if opened.resource_type != "Bundle" and opened.resource_type not in need.types:
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
    return kind in need.types or SOURCES.get(kind) in need.sources


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
