"""Failures: the page describes each in words, offers to try again, and never shows an all-clear."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.browser.reader import INR, LOCALES, MENATETRENONE, Language, Reader
from tests.browser.service_process import served
from tests.browser.visit import NO_ANSWER, Visit
from tests.support.fault_server import FaultServer, fault_server
from tests.support.ports import free_port

pytestmark = pytest.mark.browser

Read = Callable[..., Reader]
Visits = Callable[..., Visit]
PATIENT = "b12-and-warfarin"
EVIL = "<img src=x onerror=alert(1)> **x** [go](javascript:alert(1))"


def all_clear(reader: Reader) -> Locator:
    """Every text of the advice that says that nothing is wrong."""
    calming = [
        reader.words("nothing"),
        reader.words("nothing_of").partition("{count}")[0],
        reader.words("all_answered"),
    ]
    return reader.page.locator("#advice").get_by_text(re.compile("|".join(re.escape(words) for words in calming)))


def answers(code: int, body: str, kind: str = "application/json") -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=code, body=body, content_type=kind)


def outcome(words: str) -> str:
    return json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": words}]})


@dataclass(frozen=True)
class Elsewhere:
    """A service that shows two more servers: `ward` finds patients only, and nobody listens at `gone`."""

    base: str
    ward: FaultServer


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    gone = f"http://127.0.0.1:{free_port()}/fhir"
    with fault_server() as ward:
        patient = {"resourceType": "Patient", "id": PATIENT, "birthDate": "1950-01-01", "name": [{"text": EVIL}]}
        ward.routes[f"Patient/{PATIENT}"] = lambda handler: _send(handler, patient)
        settings: dict[str, Any] = {
            "page_servers": f"ward={ward.base},gone={gone}",
            "fhir_allow": f"{ward.base},{gone}",
        }
        with served(tmp_path_factory.mktemp("elsewhere"), **settings) as base:
            yield Elsewhere(base, ward)


def _send(handler: Any, content: Any) -> None:
    body = json.dumps(content).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_record_that_cannot_be_read_is_no_all_clear(visits: Visits, elsewhere: Elsewhere, language: Language) -> None:
    reader = Reader(visits(elsewhere.base, refusals=(412, 502), locale=LOCALES[language]), language)

    reader.visit.open(f"/app/?server=ward&patient={PATIENT}")

    notice = reader.page.locator(".notice").first
    expect(notice).to_contain_text(re.compile("412|" + re.escape(reader.words("fault_412"))))
    expect(all_clear(reader)).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (answers(412, outcome("Observation could not be read.")), 412, "fault_412"),
        (answers(429, outcome("Too many.")), 429, "fault_too_many"),
        (answers(500, outcome("Our fault.")), 500, "fault_server"),
        (answers(502, "<h1>Bad gateway</h1>", "text/html"), 502, "fault_server"),
        (answers(403, outcome("Not agreed on.")), 403, "fault_not_allowed"),
        (answers(200, "<h1>Please log in</h1>", "text/html"), None, "fault_not_understood"),
        (answers(200, "{}"), None, "fault_not_understood"),
        (lambda route: route.abort("connectionreset"), NO_ANSWER, "fault_network"),
    ],
    ids=["412", "429", "500", "a proxy's 502", "403", "a page instead of JSON", "JSON without cards", "no answer"],
)
def test_a_service_that_fails_is_told_in_words_and_is_no_all_clear(
    read: Read, language: Language, answer: Callable[[Route], None], code: int | None, words: str
) -> None:
    reader = read(language, "mouse", refusals=() if code is None else (code,))
    reader.page.route("**/cds-services/*-patient-view", answer)

    reader.visit.open("/app/?server=sandbox&patient=healthy-adult")

    notices = reader.panel("patient-view").locator(".notice")
    expect(notices).to_have_count(2)
    expect(notices.first).to_contain_text(reader.words(words, status=code or 200))
    expect(notices.first).to_contain_text(reader.words("no_all_clear"))
    expect(reader.panel("patient-view")).to_contain_text(reader.words("none_answered"))
    expect(all_clear(reader)).to_have_count(0)


def test_one_service_that_fails_does_not_hide_the_cards_of_the_other(read: Read) -> None:
    reader = read("en", "mouse", refusals=(500,))
    reader.page.route("**/cds-services/vitamin-b12-patient-view", answers(500, outcome("Our fault.")))

    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")

    expect(reader.panel("patient-view").locator("article.card")).to_have_count(1)
    expect(reader.panel("patient-view").locator(".advice-status")).to_contain_text(reader.words("some_silent", count=1))


def test_a_call_that_failed_can_be_made_again(read: Read) -> None:
    reader = read("en", "keyboard", refusals=(500,))
    reader.page.route("**/cds-services/*-patient-view", answers(500, outcome("Our fault.")))
    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")
    expect(reader.panel("patient-view").locator(".notice")).to_have_count(2)
    reader.page.unroute("**/cds-services/*-patient-view")

    reader.press(reader.panel("patient-view").locator(".notice").first.get_by_role("button"))

    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)
    expect(reader.panel("patient-view").locator(".notice")).to_have_count(0)


def test_orders_are_not_signed_of_themselves_when_nobody_could_check_them(read: Read) -> None:
    reader = read("en", "keyboard", "healthy-adult", refusals=(500,))
    reader.draft(INR)
    reader.page.route("**/cds-services/*-order-sign", answers(500, outcome("Our fault.")))

    reader.press(reader.button("sign"))

    expect(reader.page.locator("#sign-state")).to_have_text(reader.words("sign_faults"))
    expect(reader.drafts).to_have_count(1)
    expect(reader.button("sign_unchecked")).to_be_visible()


def test_an_override_that_was_not_recorded_is_said_and_can_be_sent_again(read: Read) -> None:
    reader = read("en", "mouse", PATIENT, refusals=(503,))
    there = reader.card("patient-view", "K2")
    reader.page.route("**/feedback", answers(503, outcome("The database is away.")))

    there.get_by_role("button", name=reader.words("override")).click()
    there.get_by_role("radio").first.check()
    send = there.get_by_role("button", name=reader.words("override_send"), exact=True)
    send.click()
    expect(there.get_by_role("alert")).to_be_visible()
    expect(there).to_have_attribute("data-state", "open")
    reader.page.unroute("**/feedback")
    send.click()

    expect(there).to_have_attribute("data-state", "overridden")


def test_a_service_that_went_away_is_said_at_the_next_step(visits: Visits, tmp_path: Path) -> None:
    with served(tmp_path) as own:
        reader = Reader(visits(own, refusals=(NO_ANSWER,)))
        reader.visit.open("/app/?server=sandbox&patient=vka-menatetrenone-draft")
        expect(reader.page.locator("#medicines tbody tr")).to_have_count(1)

    reader.draft(MENATETRENONE)

    expect(reader.panel("order-select").locator(".notice").first).to_contain_text(reader.words("fault_network"))
    expect(reader.panel("order-select")).to_contain_text(reader.words("none_answered"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_fhir_server_that_is_down_is_named_with_a_way_to_try_again(
    visits: Visits, elsewhere: Elsewhere, language: Language
) -> None:
    reader = Reader(visits(elsewhere.base, refusals=(502,), locale=LOCALES[language]), language)

    reader.visit.open(f"/app/?server=gone&patient={PATIENT}")

    notice = reader.page.locator("#chart-fault .notice")
    expect(notice).to_contain_text(reader.words("chart_lost"))
    expect(notice.get_by_role("button", name=reader.words("again"))).to_be_visible()
    expect(all_clear(reader)).to_have_count(0)
    assert not [path for path in reader.visit.sent if path.startswith("POST /cds-services")]
    reader.page.locator("#patient-pick-input").click()
    expect(reader.page.locator("#server-fault .notice")).to_contain_text(reader.words("patients_lost"))


def test_a_chart_that_is_no_json_is_a_fault_and_no_empty_chart(read: Read) -> None:
    reader = read("en", "mouse")
    reader.page.route("**/api/chart/**", answers(200, "<h1>Please log in</h1>", "text/html"))

    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")

    notice = reader.page.locator("#chart-fault .notice")
    expect(notice).to_contain_text(reader.words("chart_lost"))
    expect(notice).to_contain_text(reader.words("fault_not_understood"))
    expect(reader.page.locator("#chart")).to_be_hidden()


def test_an_entry_without_an_id_is_shown_like_any_other(read: Read) -> None:
    def without_ids(route: Route) -> None:
        chart = route.fetch().json()
        for part in ("problems", "medicines", "results", "pending"):
            chart[part] = [entry | {"ref": None} for entry in chart[part]]
        route.fulfill(json=chart)

    reader = read("en", "mouse")
    reader.page.route("**/api/chart/**", without_ids)

    reader.visit.open(f"/app/?server=sandbox&patient={PATIENT}")

    expect(reader.page.locator("#results tbody tr")).to_have_count(2)
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)


def test_an_address_with_an_unknown_patient_says_that_there_is_no_chart(read: Read) -> None:
    reader = read("en", "mouse", "nobody-of-this-name", refusals=(404,))

    expect(reader.page.locator("#chart-fault .notice")).to_contain_text(reader.words("chart_lost"))
    expect(reader.page.locator("#patient-name")).to_have_text(reader.words("chart_none"))


def test_nothing_of_one_patient_is_left_beside_the_next(read: Read) -> None:
    reader = read("en", "mouse", PATIENT)
    reader.draft(INR)
    expect(reader.panel("patient-view").locator("article.card")).to_have_count(2)

    reader.choose(reader.page.locator("#patient-pick-input"), "sue", "Sue Example")

    expect(reader.page.get_by_role("heading", name="Sue Example")).to_be_visible()
    expect(reader.panel("patient-view").locator(".advice-status")).to_contain_text("rules read")
    expect(reader.page.locator("article.card")).to_have_count(0)
    expect(reader.drafts).to_have_count(0)
    expect(reader.page.locator("#chart")).not_to_contain_text("warfarin")


def test_an_answer_that_comes_late_is_not_shown_with_another_patient(read: Read) -> None:
    reader = read("en", "mouse")
    held: list[Route] = []

    def hold_back(route: Route) -> None:
        if PATIENT in (route.request.post_data or ""):
            held.append(route)
        else:
            route.fallback()

    reader.page.route("**/cds-services/*-patient-view", hold_back)
    reader.choose(reader.page.locator("#patient-pick-input"), "roy", "Roy Example")
    expect(reader.panel("patient-view")).to_have_attribute("aria-busy", "true")

    reader.choose(reader.page.locator("#patient-pick-input"), "sue", "Sue Example")
    expect(reader.panel("patient-view").locator(".advice-status")).to_contain_text("rules read")
    assert len(held) == 2
    for route in held:
        with reader.page.expect_request_finished():
            route.continue_()

    expect(reader.page.locator("article.card")).to_have_count(0)


def test_text_of_a_record_is_never_markup(visits: Visits, elsewhere: Elsewhere) -> None:
    reader = Reader(visits(elsewhere.base, refusals=(412, 502)))

    reader.visit.open(f"/app/?server=ward&patient={PATIENT}")

    expect(reader.page.locator("#patient-name")).to_have_text(EVIL)
    assert reader.page.locator("#main img").count() == 0
