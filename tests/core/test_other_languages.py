"""A language more: nothing answers 500, no sentence of ours stays English, and a partial one falls back to English."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.languages import FALLBACK, LANGUAGES
from tests.support.kb import knowledge
from tests.support.more_languages import Copied, english_texts, pseudo
from tests.support.paths import ROOT

pytestmark = pytest.mark.process

CHART_REVIEW = "Vitamin B12 - chart review"
PSEUDO = 'LanguageRow("qps", "qps", "Pseudo", "en_GB"),'
PATIENTS = ("b12-and-warfarin", "vka-menatetrenone-draft", "healthy-adult")
# What holds English by design: the description of the API, and all languages of the page side by side.
_ENGLISH = ("/openapi.json", "/app/static/texts.json", "/")
# Members that programs read, and the record of the patient.
_NOT_WORDS = ("because", "prefetch", "resource", "reported", "coding")
_RUN = re.compile(r"[A-Za-z][a-z'’-]+(?: [a-z][a-z'’-]+){3,}")
_SLOT = re.compile(r"\{[a-z0-9_]+\}")
_MARKED_ENGLISH = re.compile(r'<(span|a)\b[^>]*\blang="en"[^>]*>.*?</\1>', re.DOTALL)
_NOT_TEXT = re.compile(r"<style.*?</style>|<code>.*?</code>|<!--.*?-->|<[^>]*>", re.DOTALL)


@pytest.fixture(scope="module")
def in_pseudo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copied, dict[str, Any]]:
    """A complete language: every text in letters that are not ASCII."""
    copied = Copied(tmp_path_factory.mktemp("pseudo"))
    copied.add_row(PSEUDO)
    assert copied.translate("qps", pseudo) > 3_000
    return copied, copied.walk("qps", *PATIENTS)


@pytest.fixture(scope="module")
def in_german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A partial language, of which there are a few texts only."""
    german = {
        "Vitamin B12 and K decision support": "Entscheidungshilfe zu Vitamin B12 und K",
        "Rules and evidence": "Regeln und Belege",
        "Use of the rules: {period}": "Gebrauch der Regeln: {period}",
        CHART_REVIEW: "Vitamin B12 - Akte",
        "About this rule": "Zu dieser Regel",
    }
    copied = Copied(tmp_path_factory.mktemp("german"))
    copied.add_row('LanguageRow("de", "de", "Deutsch", "de_DE", partial=True),')
    assert copied.translate("de", german.get) >= len(german)
    return copied.walk("de", PATIENTS[0])


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in _NOT_WORDS:
                yield from strings(each)


def said(answer: Any) -> Iterator[str]:
    """What a person reads of an answer, without what a page marks as English."""
    if answer["status"] == 412:
        return  # told in English, to whoever programs the client
    for text in strings(answer["body"]):
        if text.startswith("<!"):
            yield html.unescape(_NOT_TEXT.sub("\n", _MARKED_ENGLISH.sub("\n", text)))
        else:
            yield text


def test_nothing_fails_in_a_language_that_no_code_knows(in_pseudo: tuple[Copied, dict[str, Any]]) -> None:
    answers = in_pseudo[1]
    assert len(answers) > 100
    assert {where: answer["status"] for where, answer in answers.items() if answer["status"] not in (200, 412)} == {}
    assert [where for where, answer in answers.items() if answer["status"] == 412 and "nobody" not in where] == []


def test_no_text_of_ours_stays_english(in_pseudo: tuple[Copied, dict[str, Any]]) -> None:
    copied, answers = in_pseudo
    pieces = {piece for text in english_texts(copied.folder) for piece in _SLOT.split(text)}
    # The words by which records are understood are no texts.
    pieces -= {word for value_set in knowledge().value_sets.values() for word in (*value_set.text, *value_set.not_text)}
    ours = re.compile("|".join(re.escape(p) for p in sorted(pieces, key=len, reverse=True) if len(p) > 15 and " " in p))
    found = {
        (where.partition(" ")[0], match[0])
        for where, answer in answers.items()
        if where not in _ENGLISH
        for text in said(answer)
        if (match := ours.search(text))
    }
    assert sorted(found) == []


def test_no_sentence_stands_in_code(in_pseudo: tuple[Copied, dict[str, Any]]) -> None:
    """What is ASCII and stands in no record is a sentence that somebody wrote into Python, a template or a script."""
    answers = in_pseudo[1]
    records = json.dumps([answer["body"] for where, answer in answers.items() if where.startswith("/app/api/chart")])
    # Words of value sets, as records write them, and titles of documents are of no language of ours.
    found = {
        (where.partition(" ")[0], run)
        for where, answer in answers.items()
        if where not in (*_ENGLISH, "/rules/value-sets", "/rules/sources", "/app/api/orders")
        for text in said(answer)
        for run in _RUN.findall(text)
        if run not in records
    }
    assert sorted(found) == []


@pytest.mark.parametrize(
    ("where", "own", "english"),
    [
        ("/cds-services", "Vitamin B12 - Akte", "Vitamin B12 - order selected"),
        ("/rules", "Regeln und Belege", "Switched on by default"),
        ("/app/", "Entscheidungshilfe", "This page needs JavaScript"),
        ("/report", "Gebrauch der Regeln", "How to read this"),
    ],
)
def test_a_partial_language_is_served_with_english_for_what_it_lacks(
    in_german: dict[str, Any], where: str, own: str, english: str
) -> None:
    text = json.dumps(in_german[where]["body"], ensure_ascii=False)
    assert in_german[where]["status"] == 200
    assert own in text
    assert english in text


def test_german_cards_say_what_there_is_in_german_and_the_rest_in_english(in_german: dict[str, Any]) -> None:
    replies = [reply for where, reply in in_german.items() if where.startswith("/cds-services/")]
    assert {reply["status"] for reply in replies} == {200, 412}
    cards = [card for reply in replies for card in reply["body"].get("cards", [])]
    assert cards
    assert all(card["source"]["label"].startswith("Entscheidungshilfe zu Vitamin B12 und K: ") for card in cards)
    assert any("*Sources: " in card["detail"] for card in cards)


def test_a_complete_language_that_lacks_one_text_does_not_start(tmp_path: Path) -> None:
    copied = Copied(tmp_path)
    copied.add_row(PSEUDO)
    copied.translate("qps", lambda text: None if text == "About this rule" else pseudo(text))
    checked = copied.run("-m", "cds_service", "check")
    assert checked.returncode == 1
    assert re.search(r"cds_service/texts/cards\.yaml:\d+: error: read has no text in qps", checked.stdout)
    started = copied.run("-m", "cds_service", "serve")
    assert started.returncode != 0
    assert "read has no text in qps" in started.stdout + started.stderr


def test_a_text_of_the_knowledge_that_a_complete_language_lacks_is_named(tmp_path: Path) -> None:
    copied = Copied(tmp_path)
    copied.add_row(PSEUDO)
    copied.translate("qps", lambda text: None if text == CHART_REVIEW else pseudo(text))
    checked = copied.run("-m", "cds_service", "check")
    assert checked.returncode == 1
    assert re.search(r"services\.yaml:\d+: error: .*qps: Field required", checked.stdout)


def test_only_the_table_of_languages_names_another_one_than_english() -> None:
    package = ROOT / "cds_service"
    named = re.compile("|".join(rf'"{code}"' for code in LANGUAGES if code != FALLBACK))
    found = [path.name for path in package.rglob("*.py") if named.search(path.read_text(encoding="utf-8"))]
    assert found == ["languages.py"]
