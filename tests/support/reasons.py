"""Gaps and notes in English, as tests compare them."""

from __future__ import annotations

from cds_service.fhir.fetch.client import Fetched
from cds_service.gap_texts import gap_text, gaps_text, note_text
from cds_service.record import PatientRecord


def failure(fetched: Fetched) -> str | None:
    """Why a query brought nothing."""
    return None if fetched.failure is None else gap_text(fetched.failure, "en")


def shortfall(fetched: Fetched) -> str | None:
    """Why a query brought a part only."""
    return None if fetched.incomplete is None else gap_text(fetched.incomplete, "en")


def incomplete(record: PatientRecord) -> dict[str, str]:
    """Why lists of a record are incomplete."""
    return {source: gaps_text(gaps, "en") for source, gaps in record.incomplete.items()}


def notes(record: PatientRecord) -> dict[str, int]:
    """The notes of a record with how often each applies."""
    return {note_text(note): count for note, count in record.notes.items()}
