"""Languages are rows with a locale, a tag and punctuation; others are refused."""

from __future__ import annotations

import pytest
from babel import Locale
from pydantic import TypeAdapter, ValidationError

from cds_service.languages import FALLBACK, LANGUAGES, PUNCTUATION, Language


def test_english_is_complete_and_stands_in_for_the_others() -> None:
    assert FALLBACK == "en"
    assert not LANGUAGES[FALLBACK].partial


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_row_has_a_locale_of_babel_that_writes_in_its_direction(code: str) -> None:
    row = LANGUAGES[code]
    assert Locale.parse(row.locale).text_direction == row.direction
    assert row.tag.partition("-")[0] == code
    assert all(row.punctuation[name] for name in PUNCTUATION)


@pytest.mark.parametrize("wrong", ["de", "EN", "", "zh-Hans"])
def test_a_language_without_a_row_is_refused_with_those_that_exist(wrong: str) -> None:
    with pytest.raises(ValidationError, match="Input should be 'en' or 'zh'"):
        TypeAdapter(Language).validate_python(wrong)
