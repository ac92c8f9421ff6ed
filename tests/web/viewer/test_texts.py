"""The words of the page: both languages have them all, none is dead, and the scripts find what they look for."""

from __future__ import annotations

import re

import pytest

from cds_service.languages import LANGUAGES
from cds_service.texts import Texts
from tests.support.paths import ROOT

APP = ROOT / "cds_service" / "web" / "static" / "app"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(APP.glob("*.js"))}
TEMPLATE = (APP.parent.parent / "viewer" / "templates" / "app.html").read_text(encoding="utf-8")
TEXTS = Texts("page").by_key()

_CALLED = re.compile(r"\bt\(\s*[\"'`]([a-z0-9_]+)[\"'`]")
_IN_TEMPLATE = re.compile(r"data-(?:text|label)=\"([a-z0-9_]+)\"")
_LITERAL = re.compile(r"[\"'`]([a-z0-9_]+)[\"'`]")
_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[\u4e00-\u9fff]")


def test_every_text_that_is_asked_for_is_there() -> None:
    asked = set(_IN_TEMPLATE.findall(TEMPLATE)).union(*(_CALLED.findall(script) for script in SCRIPTS.values()))
    assert len(asked) > 100
    assert sorted(asked - TEXTS.keys()) == []


def test_no_text_is_dead() -> None:
    named = set(_IN_TEMPLATE.findall(TEMPLATE)).union(*(_LITERAL.findall(script) for script in SCRIPTS.values()))
    assert sorted(TEXTS.keys() - named) == []


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_is_there_in_both_languages_with_the_same_slots(key: str) -> None:
    both = TEXTS[key]
    assert list(both) == list(LANGUAGES)
    assert both["en"].strip()
    assert both["zh"].strip()
    assert sorted(_SLOT.findall(both["en"])) == sorted(_SLOT.findall(both["zh"]))
    assert not _HAN.search(both["en"])


def test_scripts_look_only_for_elements_that_the_template_has() -> None:
    ids = set(re.findall(r"\bid=\"([^\"]+)\"", TEMPLATE))
    wanted = {name for script in SCRIPTS.values() for name in re.findall(r"\bbyId\(\"([^\"]+)\"", script)}
    assert len(wanted) > 20
    assert sorted(wanted - ids) == []
