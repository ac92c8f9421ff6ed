"""Gaps and notes: every kind has its words in every language, and they hold what the value holds."""

from __future__ import annotations

import pytest

from cds_service.gap_texts import gap_text, gaps_text, note_text
from cds_service.gaps import Gap, GapKind, Note, NoteKind

HTTP_500 = Gap(GapKind.HTTP_STATUS, status=500)


@pytest.mark.parametrize(
    ("gaps", "english", "chinese"),
    [
        ((Gap(GapKind.TIMED_OUT),), "timed out", "超时"),
        ((Gap(GapKind.PAGE, page=2, cause=HTTP_500),), "page 2: HTTP 500", "第2页：HTTP 500"),
        (
            (
                Gap(GapKind.FEWER_THAN_TOTAL, count=3, total=9),
                Gap(GapKind.RESOURCE_UNREADABLE, count=2, resource="Observation"),
            ),
            "3 of 9 entries came; 2 × Observation could not be read",
            "共9条，仅得3条；2条Observation无法读取",
        ),
        (
            (Gap(GapKind.HTTP_STATUS_RETRY_LATER, status=503, seconds=5),),
            "HTTP 503 (to be asked again in 5 s)",
            "HTTP 503（5秒后可再试）",
        ),
        ((Gap(GapKind.SERVER_REPORTED, issues="forbidden"),), "the server reported forbidden", "服务器报告forbidden"),
    ],
)
def test_gaps_are_worded_in_the_language_of_the_reader(gaps: tuple[Gap, ...], english: str, chinese: str) -> None:
    assert (gaps_text(gaps, "en"), gaps_text(gaps, "zh")) == (english, chinese)


@pytest.mark.parametrize("kind", GapKind)
def test_every_kind_of_gap_has_words_of_its_own(kind: GapKind) -> None:
    gap = Gap(kind, 500, 2, 3, 9, 5, "Observation", "forbidden", HTTP_500)
    for language in ("en", "zh"):
        others = {
            gap_text(Gap(one, 500, 2, 3, 9, 5, "Observation", "forbidden", HTTP_500), language)
            for one in GapKind
            if one not in (kind, GapKind.SERVER_REPORTED, GapKind.OPERATION_OUTCOME)
        }
        assert gap_text(gap, language) not in others


@pytest.mark.parametrize("kind", NoteKind)
def test_every_kind_of_note_has_words(kind: NoteKind) -> None:
    assert note_text(Note(kind, "Observation", "no unit"))
