"""The catalogue on the web: readable by everybody, safe in a browser, and with nothing to load from elsewhere."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir
from cds_service.hooks.call import make_answer
from cds_service.present.catalogue.catalogue import Catalogue
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.context import Served
from tests.support.databases import sqlite_url
from tests.support.fhir_parts import MK7, WARFARIN, call, lists_of, patient, request, statement
from tests.support.html_page import Read
from tests.support.kb import knowledge, knowledge_with, rule
from tests.support.known_clients import one_client
from tests.support.recorder import Recorder, discovery

_REGISTERS = ["", "/thresholds", "/sources", "/statements", "/value-sets", "/sign-off", "/b12-low", "/doac-vitk-silent"]
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def app_of(folder: Path, served: KnowledgeBase | None = None, **settings: Any) -> Flask:
    values: dict[str, Any] = {"open": True, "database_url": sqlite_url(folder), **settings}
    return create_app(Settings(**values), served=Served(served or knowledge(), Recorder(), discovery))


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = app_of(tmp_path_factory.mktemp("reader"))
    yield app.test_client()
    app.extensions["database"].close()


def read(reader: FlaskClient, path: str) -> Read:
    reply = reader.get(path)
    assert reply.status_code == 200, path
    return Read(reply.text)


# --- what is served ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_served_and_every_link_leads_to_a_page_and_a_place(reader: FlaskClient, language: str) -> None:
    names = Catalogue(knowledge(), knowledge_dir()).names
    paths = [f"/rules/{name}".rstrip("/") for name in names]
    places = {path: read(reader, f"{path}?lang={language}") for path in paths}
    codes = set()
    for path, shown in places.items():
        for link in shown.all("a"):
            target, _, anchor = link["href"].partition("#")
            if target.startswith("https://"):
                continue
            there, _, query = target.partition("?")
            if there.endswith(".csv"):
                codes.add(there)
                continue
            assert query in ("", f"lang={language}") or link.get("hreflang"), link
            assert not anchor or anchor in places[there or path].ids, (path, link)
    assert len(codes) > 50
    for path in codes:
        reply = reader.get(path)
        assert reply.status_code == 200
        assert reply.content_type == "text/csv; charset=utf-8"
        assert reply.text.startswith("system,code,match,display,")


def test_no_page_has_one_id_twice(reader: FlaskClient) -> None:
    for name in _REGISTERS:
        ids = read(reader, f"/rules{name}").ids
        assert len(ids) == len(set(ids)), name


def test_the_index_of_the_service_names_the_rules(reader: FlaskClient) -> None:
    index = reader.get("/").get_json()
    assert index["rules"] == "/rules"


def test_a_page_shows_what_the_catalogue_says(reader: FlaskClient) -> None:
    shown = read(reader, "/rules/b12-low?lang=en")
    for span in Catalogue(knowledge(), knowledge_dir()).page("b12-low", "en").spans():
        assert span.text in shown.words


@pytest.mark.parametrize(
    "path", ["/rules/no-such-rule", "/rules/", "/rules/value-sets/no-such.csv", "/rules/value-sets/..%2finr.csv"]
)
def test_what_is_not_there_is_not_found(reader: FlaskClient, path: str) -> None:
    reply = reader.get(path)
    assert reply.status_code == 404
    assert reply.get_json()["resourceType"] == "OperationOutcome"


def test_pages_can_only_be_read(reader: FlaskClient) -> None:
    assert reader.post("/rules", json={}).status_code == 405


def test_a_page_needs_no_token(tmp_path: Path) -> None:
    app = app_of(tmp_path, open=False, public_url="https://cds.example", clients=one_client(tmp_path))
    assert app.test_client().get("/cds-services").status_code == 401
    assert app.test_client().get("/rules/b12-low").status_code == 200
    app.extensions["database"].close()


def test_a_service_without_shipped_knowledge_has_no_catalogue(client: FlaskClient) -> None:
    assert client.get("/rules").status_code == 404


def test_a_page_that_the_browser_has_is_not_sent_again(reader: FlaskClient) -> None:
    for path in ("/rules/b12-low", "/rules/catalogue.css", "/rules/icon.png", "/rules/value-sets/inr.csv"):
        first = reader.get(path)
        again = reader.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (first.status_code, again.status_code, again.data) == (200, 304, b"")


@pytest.mark.row("LNK-02")
@pytest.mark.parametrize(
    ("public_url", "sandbox", "begins"),
    [
        ("https://cds.example/b12", False, "https://cds.example/b12/rules/"),
        ("http://cds.example", False, None),
        ("http://127.0.0.1:8080", True, "http://127.0.0.1:8080/rules/"),
        (None, True, None),
    ],
)
def test_a_card_links_to_a_page_that_is_served_by_https_or_in_the_sandbox(
    reader: FlaskClient, public_url: str | None, sandbox: bool, begins: str | None
) -> None:
    answer = make_answer(knowledge(), Settings(public_url=public_url, sandbox=sandbox))
    both = (patient(), statement("warfarin", WARFARIN), statement("mk7", MK7))
    body = request(lists_of(both, "vitamin-k-patient-view"))
    cards = answer("vitamin-k-patient-view", body, call())["cards"]
    assert cards
    for card in cards:
        links = [link["url"] for link in card.get("links", ())]
        assert len(links) == (0 if begins is None else 1)
        for link in links:
            assert link.startswith(begins)
            assert reader.get("/rules/" + link.removeprefix(begins)).status_code == 200
        assert card["source"].get("icon") == (None if begins is None else f"{begins}icon.png")


# --- safety --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _REGISTERS)
def test_a_page_allows_the_browser_nothing_but_its_own_style(reader: FlaskClient, name: str) -> None:
    headers = reader.get(f"/rules{name}").headers
    assert headers["Content-Security-Policy"] == _POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("name", _REGISTERS)
def test_a_page_loads_one_stylesheet_and_nothing_else(reader: FlaskClient, name: str) -> None:
    shown = read(reader, f"/rules{name}")
    assert [link["href"] for link in shown.all("link")] == ["/rules/catalogue.css"]
    loads = {"script", "img", "iframe", "object", "embed", "form", "style", "video", "audio", "base", "source"}
    assert {tag for tag, _ in shown.elements} & loads == set()
    told = {a for _, attributes in shown.elements for a in attributes}
    assert not [a for a in told if a.startswith("on") or a in ("style", "src", "srcset")]


def test_the_stylesheet_loads_nothing(reader: FlaskClient) -> None:
    reply = reader.get("/rules/catalogue.css")
    assert reply.content_type == "text/css; charset=utf-8"
    assert not re.search(r"url\(|@import|@font-face", reply.text)


@pytest.mark.row("SRC-03")
def test_the_icon_is_a_picture_of_100_by_100_pixels_without_transparency(reader: FlaskClient) -> None:
    reply = reader.get("/rules/icon.png")
    assert (reply.status_code, reply.content_type) == (200, "image/png")
    signature, header = reply.data[:8], reply.data[12:29]
    assert signature == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">4xIIBB3x", header)
    # Colour type 2: red, green, blue, no alpha.
    assert (width, height, depth, colour) == (100, 100, 8, 2)
    assert b"tRNS" not in reply.data


def test_markup_in_the_knowledge_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    text = {"en": '<script>alert(1)</script> & "quoted"', "zh": "<b>甲</b>"}
    odd = rule("odd-rule", {"fact": "pregnant", "is": True}, title=text, why=text)
    app = app_of(tmp_path, knowledge_with(odd))
    shown = read(app.test_client(), "/rules/odd-rule?lang=en")
    assert shown.all("script") == []
    assert text["en"] in shown.words
    app.extensions["database"].close()


# --- languages and access ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "wanted", "language"),
    [
        ("", None, "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.1", "zh-Hans"),
        ("", "fr", "en"),
        ("?lang=en", "zh-CN", "en"),
        ("?lang=zh", "en", "zh-Hans"),
        ("?lang=fr", "zh", "zh-Hans"),
    ],
)
def test_the_address_decides_the_language_and_then_the_browser(
    reader: FlaskClient, query: str, wanted: str | None, language: str
) -> None:
    reply = reader.get(f"/rules/b12-low{query}", headers={"Accept-Language": wanted} if wanted else {})
    assert Read(reply.text).all("html") == [{"lang": language}]
    assert reply.headers["Content-Language"] == language
    assert "Accept-Language" in reply.headers["Vary"]


def test_a_service_in_chinese_shows_chinese_pages(tmp_path: Path) -> None:
    app = app_of(tmp_path, language="zh")
    assert read(app.test_client(), "/rules").all("html") == [{"lang": "zh-Hans"}]
    app.extensions["database"].close()


def test_a_page_leads_to_itself_in_the_other_language(reader: FlaskClient) -> None:
    (other,) = [link for link in read(reader, "/rules/b12-low?lang=zh").all("a") if link.get("hreflang")]
    assert other == {"href": "/rules/b12-low?lang=en", "lang": "en", "hreflang": "en"}


@pytest.mark.parametrize("name", _REGISTERS)
def test_a_page_can_be_used_without_sight_or_mouse(reader: FlaskClient, name: str) -> None:
    shown = read(reader, f"/rules{name}")
    assert shown.all("a")[0]["href"] == "#content"
    assert "content" in shown.ids
    assert len(shown.all("h1")) == 1
    assert {head["scope"] for head in shown.all("th")} <= {"row", "col"}
    assert len(shown.all("caption")) == len(shown.all("table"))
    assert all(nav["aria-label"] for nav in shown.all("nav"))


def test_a_page_behind_a_prefix_links_below_it(tmp_path: Path) -> None:
    app = app_of(tmp_path, public_url="https://cds.example/b12")
    shown = read(app.test_client(), "/b12/rules")
    assert shown.all("link")[0]["href"] == "/b12/rules/catalogue.css"
    inside = [link["href"] for link in shown.all("a") if not link["href"].startswith("#")]
    assert all(href.startswith("/b12/rules") for href in inside)
    app.extensions["database"].close()
