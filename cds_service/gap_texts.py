"""Gaps and notes in words: the only place where a reason for missing data becomes text."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.gaps import Gap, Note, NoteKind
from cds_service.languages import LANGUAGES, Language
from cds_service.texts import Texts

_texts = Texts("gaps")
# The log is English only.
_NOTES: dict[NoteKind, str] = {
    NoteKind.OTHER_SUBJECT: "{about} dropped: its subject is not the patient of the call, or not stated",
    NoteKind.OTHER_FOCUS: "{about} dropped: it is about somebody or something else than its subject (focus)",
    NoteKind.RESULT_UNUSABLE: "{about} result unusable: {detail}",
    NoteKind.DOSAGE_UNREADABLE: "{about} whose dosage could not be read: dose unknown",
    NoteKind.MEDICINE_NOT_KNOWN: "medicine by text alone that no value set names",
    NoteKind.REASON_UNREADABLE: "stated reason for a medicine could not be read",
    NoteKind.DRAFT_UNREADABLE: "draft {about} could not be read",
    NoteKind.DRAFT_NOT_OPENED: "draft order that could not be opened",
}


def gap_text(gap: Gap, language: Language) -> str:
    """Why something is missing, in words.

    >>> gap_text(Gap(GapKind.PAGE, page=2, cause=Gap(GapKind.HTTP_STATUS, status=500)), "en")
    'page 2: HTTP 500'
    """
    return _texts.get(
        gap.kind.name.lower(),
        language,
        status=gap.status,
        page=gap.page,
        count=gap.count,
        total=gap.total,
        seconds=gap.seconds,
        resource=gap.resource,
        issues=gap.issues,
        cause=gap_text(gap.cause, language) if gap.cause is not None else "",
    )


def gaps_text(gaps: Iterable[Gap], language: Language) -> str:
    """Several reasons, joined.

    >>> gaps_text([Gap(GapKind.NOT_SENT), Gap(GapKind.NO_FHIR_SERVER)], "en")
    'not sent as prefetch; no fhirServer to fetch it from'
    """
    return LANGUAGES[language].semicolon.join(gap_text(gap, language) for gap in gaps)


def note_text(note: Note) -> str:
    """A remark for the log, in words.

    >>> note_text(Note(NoteKind.DRAFT_UNREADABLE, "ServiceRequest"))
    'draft ServiceRequest could not be read'
    """
    return _NOTES[note.kind].format(about=note.about, detail=note.detail)
