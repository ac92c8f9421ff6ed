"""The files of the page: libraries as published, no markup made by scripts, nothing from another host."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.paths import ROOT

APP = ROOT / "cds_service" / "web" / "static" / "app"
VENDOR = APP / "vendor"
_ROW = re.compile(r"^\| `([\w.-]+)` \| ([\w.-]+) \| ([\d.]+) \| (\w+) .*?\(([\w.-]+)\)\) \| `([0-9a-f]{64})` \|", re.M)
LIBRARIES = {row[0]: row for row in _ROW.findall((VENDOR / "README.md").read_text(encoding="utf-8"))}
OURS = sorted([*APP.glob("*.js"), *APP.glob("*.css"), APP.parent.parent / "viewer" / "templates" / "app.html"])

# What would parse text as markup or as a program; cards and records hold text of others.
_MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|srcdoc")
# Name spaces are no requests.
_ELSEWHERE = re.compile(r"(?<![\w.])(?:https?:)?//(?!www\.w3\.org/)[\w-]+\.[\w.-]+", re.I)


def test_every_library_is_listed_with_its_licence() -> None:
    assert sorted(LIBRARIES) == sorted(path.name for path in VENDOR.glob("*.js"))
    for _, package, _, licence, text, _ in LIBRARIES.values():
        words = (VENDOR / text).read_text(encoding="utf-8")
        assert "Permission" in words, package
        assert "Copyright" in words, package
        assert licence in ("ISC", "MIT")


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_the_file_that_was_published(name: str) -> None:
    content = (VENDOR / name).read_bytes()
    assert sha256(content).hexdigest() == LIBRARIES[name][5]
    assert LIBRARIES[name][2].encode() in content[:300], "the version in the table is that of the file"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_file_of_the_page_makes_no_markup_and_asks_no_other_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert _MARKUP.findall(text) == []
    assert _ELSEWHERE.findall(text) == []


def test_the_template_has_neither_scripts_nor_styles_in_line() -> None:
    # The Content-Security-Policy would refuse them, and the page would be still.
    template = (APP.parent.parent / "viewer" / "templates" / "app.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)", template) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", template) == []


def test_stylesheets_load_nothing() -> None:
    for path in APP.glob("*.css"):
        assert not re.search(r"url\(|@import", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("path", sorted(APP.glob("*.js")), ids=lambda path: path.name)
def test_a_script_is_short_and_says_first_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(("/** ", "/* "))
    assert len(text.splitlines()) <= 300
