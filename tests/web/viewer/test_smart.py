"""The page opened from an EHR by SMART App Launch, against a stub that checks what a real server checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.worked_patients import read_worked
from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, SettingsError
from cds_service.hooks.response_models import HookResponse
from cds_service.sandbox.fhir_api import SamplePatients, samples_blueprint
from cds_service.sandbox.patients import patient_resources
from cds_service.security.client_file import load_profiles
from cds_service.security.cookies import SealedCookie
from cds_service.security.smart import Problem
from cds_service.settings import Settings
from cds_service.web.app import create_app
from cds_service.web.viewer.smart_texts import STATUSES, launch_say
from tests.servers.fixtures import store
from tests.support.databases import sqlite_url
from tests.support.kb import knowledge
from tests.support.log_file import LogFile
from tests.support.real_inputs import SAMPLES
from tests.support.smart_server import Ehr, smart_server

Json = dict[str, Any]
KEY = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://cds.example"
PATIENT = "b12-and-warfarin"


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


@pytest.fixture(scope="module")
def records() -> Flask:
    """The sample patients as an EHR's FHIR server."""
    worked = read_worked(knowledge_dir() / "sandbox" / "patients.yaml", knowledge_dir())
    app, clock = Flask("records"), _now
    app.register_blueprint(samples_blueprint(SamplePatients(worked, knowledge().terminology, clock), clock))
    return app


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, records: Flask) -> Iterator[tuple[Ehr, Flask]]:
    folder = tmp_path_factory.mktemp("smart")
    with smart_server(folder, records) as ehr:
        app = create_app(settings(folder, ehr))
        yield ehr, app
        app.extensions["database"].close()


@pytest.fixture
def ehr(running: tuple[Ehr, Flask]) -> Ehr:
    """The EHR, as it usually answers."""
    ehr, _ = running
    ehr.configuration, ehr.token, ehr.token_status, ehr.refuses = {}, {}, 200, None
    for seen in (ehr.seen, ehr.asked, ehr.exchanged):
        seen.clear()
    return ehr


@pytest.fixture
def browser(running: tuple[Ehr, Flask]) -> FlaskClient:
    """A browser that has opened nothing yet."""
    return running[1].test_client()


def settings(folder: Path, ehr: Ehr, *, profile: Json | None = None, **more: Any) -> Settings:
    """A closed service with one client, whose EHR it is."""
    client: Json = {"name": "hospital", "issuers": ["https://ehr.example"], "jku": ["https://ehr.example/keys"]}
    client |= {"fhir_servers": [ehr.base], "smart_client_id": ehr.client_id} | (profile or {})
    if ehr.secret is not None:
        (folder / "secret").write_text(f"{ehr.secret}\n")
        client["smart_client_secret"] = "secret"
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": [client]}))
    values: Json = {
        "database_url": sqlite_url(folder),
        "public_url": PUBLIC,
        "clients": folder / "clients.yaml",
        "ca_file": ehr.ca_file,
        "page": True,
        "session_key": KEY,
    }
    return Settings(**(values | more))


def begin(browser: FlaskClient, ehr: Ehr, patient: str = PATIENT, **more: str) -> TestResponse:
    query = {"iss": ehr.base, "launch": ehr.launch(patient)} | more
    return browser.get("/smart/launch", query_string=query, base_url=PUBLIC)


def come_back(browser: FlaskClient, ehr: Ehr, patient: str = PATIENT) -> str:
    """The address at which the browser comes back from the sign-in, as path and query."""
    back = ehr.authorize(begin(browser, ehr, patient).headers["Location"]).headers["Location"]
    parts = urlsplit(back)
    return f"{parts.path}?{parts.query}"


def sign_in(browser: FlaskClient, ehr: Ehr, patient: str = PATIENT) -> TestResponse:
    return browser.get(come_back(browser, ehr, patient), base_url=PUBLIC)


def servers(browser: FlaskClient) -> list[Json]:
    found: list[Json] = browser.get("/app/api/servers", base_url=PUBLIC).json["servers"]
    return found


def chart_of(browser: FlaskClient) -> Json:
    reply = browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC)
    assert reply.status_code == 200, reply.text
    chart: Json = reply.get_json()
    return chart


def page(response: TestResponse, problem: Problem) -> bool:
    """Whether this is the page that explains a problem, in plain words."""
    status = STATUSES[problem]
    return response.status_code == status and launch_say(problem, "en") in unescape(response.text)


# --- the way through --------------------------------------------------------------------------------------------------


def test_a_launch_sends_the_user_to_the_sign_in_of_the_ehr(browser: FlaskClient, ehr: Ehr) -> None:
    reply = begin(browser, ehr)
    assert reply.status_code == 302
    assert reply.headers["Location"].startswith(f"{ehr.host}/oauth/authorize?")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["Location"]).query).items()}
    assert asked["aud"] == ehr.base
    assert asked["redirect_uri"] == f"{PUBLIC}/smart/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 43
    assert "launch" in asked["scope"].split()
    assert "patient/Observation.rs" in asked["scope"].split()
    assert all(scope == "launch" or scope.endswith(".rs") for scope in asked["scope"].split())


def test_a_server_of_the_older_scopes_is_asked_in_its_words(browser: FlaskClient, ehr: Ehr) -> None:
    ehr.configuration["capabilities"] = ["launch-ehr", "permission-v1"]
    (scopes,) = parse_qs(urlsplit(begin(browser, ehr).headers["Location"]).query)["scope"]
    assert "patient/Observation.read" in scopes.split()


def test_after_the_sign_in_the_page_shows_the_one_patient(browser: FlaskClient, ehr: Ehr) -> None:
    reply = sign_in(browser, ehr)
    assert (reply.status_code, reply.headers["Location"]) == (302, "/app/?server=smart")
    (one,) = servers(browser)
    assert one == {"id": "smart", "name": "localhost", "base": ehr.base, "patient": PATIENT, "services": "cds-services"}
    chart = chart_of(browser)
    assert chart["patient"]["name"] == "Roy Example"
    assert chart["notes"] == ["Entries of kinds that no rule asks about, not shown here: 1."]
    assert [one["id"] for one in browser.get("/app/api/patients/smart", base_url=PUBLIC).json["patients"]] == [PATIENT]


def test_the_card_that_led_here_is_named_if_it_is_one_of_ours(browser: FlaskClient, ehr: Ehr) -> None:
    ehr.token["appContext"] = "b12-low"
    assert sign_in(browser, ehr).headers["Location"] == "/app/?server=smart&rule=b12-low"
    for other in ("no-such-rule", "../x", '{"a": 1}'):
        ehr.token["appContext"] = other
        assert sign_in(browser, ehr).headers["Location"] == "/app/?server=smart"


def test_the_token_goes_to_the_fhir_server_and_nowhere_else(tmp_path: Path, ehr: Ehr, log: LogFile) -> None:
    app = create_app(settings(tmp_path, ehr))
    browser = app.test_client()
    reply = sign_in(browser, ehr)
    chart = browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC)
    (token,) = {header.removeprefix("Bearer ") for _, header in ehr.seen if header}
    assert token in ehr.tokens
    for text in (*reply.headers.getlist("Set-Cookie"), reply.text, chart.text, log.getvalue().decode()):
        assert token not in text
        assert ehr.exchanged[0]["code"] not in text
        assert ehr.exchanged[0]["code_verifier"] not in text
    assert log.lines("smart.callback")
    app.extensions["database"].close()


def test_the_log_names_the_client_and_no_patient(tmp_path: Path, ehr: Ehr, log: LogFile) -> None:
    app = create_app(settings(tmp_path, ehr))
    browser = app.test_client()
    sign_in(browser, ehr)
    browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC)
    assert PATIENT not in log.getvalue().decode()
    assert [line["client"] for line in log.lines("smart.callback")] == ["hospital"]
    app.extensions["database"].close()


def test_a_public_client_names_itself_and_a_confidential_one_proves_itself(tmp_path: Path, records: Flask) -> None:
    with smart_server(tmp_path, records, client_id="page:1", secret="s%cret+/ä") as ehr:
        app = create_app(settings(tmp_path, ehr))
        assert sign_in(app.test_client(), ehr).headers["Location"] == "/app/?server=smart"
        assert "client_id" not in ehr.exchanged[0]
        app.extensions["database"].close()


def test_a_wrong_secret_brings_no_session(tmp_path: Path, records: Flask) -> None:
    with smart_server(tmp_path, records, secret="right") as ehr:
        app = create_app(settings(tmp_path, ehr))
        ehr.secret = "changed since"
        browser = app.test_client()
        assert page(sign_in(browser, ehr), "no-token")
        assert servers(browser) == []
        app.extensions["database"].close()


# --- cookies ----------------------------------------------------------------------------------------------------------


def cookies(response: TestResponse) -> list[Any]:
    found: SimpleCookie = SimpleCookie()
    for header in response.headers.getlist("Set-Cookie"):
        found.load(header)
    return list(found.values())


def test_cookies_are_out_of_reach_of_scripts_and_of_other_sites(browser: FlaskClient, ehr: Ehr) -> None:
    first, second = begin(browser, ehr), sign_in(browser, ehr)
    (launch,) = cookies(first)
    assert (launch["httponly"], launch["secure"], launch["samesite"]) == (True, True, "Lax")
    assert (launch["path"], launch["max-age"]) == ("/smart", "600")
    session = [one for one in cookies(second) if one.key.startswith("cds_session_") and one.value]
    assert {(one["httponly"], one["secure"], one["samesite"], one["path"]) for one in session} == {
        (True, True, "Strict", "/app")
    }
    assert 0 < int(session[0]["max-age"]) <= 600
    assert second.headers["Cache-Control"] == "no-store"
    assert second.headers["Referrer-Policy"] == "no-referrer"


def test_a_long_token_is_kept_in_several_cookies_that_a_browser_takes(browser: FlaskClient, ehr: Ehr) -> None:
    long = "t" * 5_000
    ehr.tokens.add(long)
    ehr.token["access_token"] = long
    pieces = [one for one in cookies(sign_in(browser, ehr)) if one.key.startswith("cds_session_") and one.value]
    assert len(pieces) > 1
    assert all(len(f"{one.key}={one.OutputString()}") < 4_096 for one in pieces)
    assert browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC).status_code == 200
    ehr.token = {}
    sign_in(browser, ehr)
    assert browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC).status_code == 200


def test_a_token_that_no_browser_could_keep_is_refused(browser: FlaskClient, ehr: Ehr) -> None:
    ehr.token["access_token"] = "t" * 8_001
    assert page(sign_in(browser, ehr), "no-token")


def test_signing_out_ends_the_session(browser: FlaskClient, ehr: Ehr) -> None:
    sign_in(browser, ehr)
    reply = browser.post("/smart/logout", base_url=PUBLIC)
    assert reply.status_code == 204
    assert all(one.value == "" and one["max-age"] == "0" for one in cookies(reply))
    assert servers(browser) == []
    assert browser.get("/smart/logout", base_url=PUBLIC).status_code == 405


def test_a_cookie_that_was_tampered_with_or_of_another_key_is_none(browser: FlaskClient, ehr: Ehr) -> None:
    sign_in(browser, ehr)
    good = browser.get_cookie("cds_session_0", domain="cds.example", path="/app")
    assert good is not None
    other = SealedCookie(KEY, "launch").seal({"client": "hospital", "iss": ehr.base}, 2e9)
    for value in (good.value[:-4] + "AAAA", "x", "é", "", other):
        browser.set_cookie("cds_session_0", value, domain="cds.example", path="/app")
        assert servers(browser) == []
    browser.set_cookie("cds_session_0", good.value, domain="cds.example", path="/app")
    assert len(servers(browser)) == 1


# --- what does not belong together ------------------------------------------------------------------------------------


def test_an_answer_in_another_browser_opens_nothing(browser: FlaskClient, ehr: Ehr, running: tuple[Ehr, Flask]) -> None:
    back, other = come_back(browser, ehr), running[1].test_client()
    assert page(other.get(back, base_url=PUBLIC), "not-yours")
    assert servers(other) == []
    assert ehr.exchanged == []


@pytest.mark.parametrize("change", [lambda s: s[:-1] + "x", lambda _: "", lambda s: s.upper()])
def test_an_answer_with_another_state_opens_nothing(
    browser: FlaskClient, ehr: Ehr, change: Callable[[str], str]
) -> None:
    back = come_back(browser, ehr)
    state = re.search(r"state=([^&]+)", back)
    assert state
    assert page(browser.get(back.replace(state[1], change(state[1])), base_url=PUBLIC), "not-yours")
    assert ehr.exchanged == []


def test_an_answer_counts_once_even_with_a_copy_of_the_cookie(browser: FlaskClient, ehr: Ehr) -> None:
    begun = begin(browser, ehr)
    (launch,) = cookies(begun)
    parts = urlsplit(ehr.authorize(begun.headers["Location"]).headers["Location"])
    back = f"{parts.path}?{parts.query}"
    assert browser.get(back, base_url=PUBLIC).status_code == 302
    assert page(browser.get(back, base_url=PUBLIC), "not-yours")
    browser.set_cookie(launch.key, launch.value, domain="cds.example", path="/smart")
    assert page(browser.get(back, base_url=PUBLIC), "not-yours")
    assert len(ehr.exchanged) == 1


def test_two_launches_in_two_tabs_do_not_disturb_each_other(browser: FlaskClient, ehr: Ehr) -> None:
    first, second = come_back(browser, ehr, "healthy-adult"), come_back(browser, ehr, PATIENT)
    assert browser.get(first, base_url=PUBLIC).status_code == 302
    assert servers(browser)[0]["patient"] == "healthy-adult"
    assert browser.get(second, base_url=PUBLIC).status_code == 302
    assert servers(browser)[0]["patient"] == PATIENT


def test_an_answer_of_another_issuer_opens_nothing(browser: FlaskClient, ehr: Ehr) -> None:
    back = come_back(browser, ehr)
    assert page(browser.get(f"{back}&iss=https://evil.example", base_url=PUBLIC), "not-yours")
    assert ehr.exchanged == []


def test_a_launch_that_took_too_long_opens_nothing(tmp_path: Path, ehr: Ehr) -> None:
    """The service's clock is turned on; real ones cannot be waited for."""
    app = create_app(settings(tmp_path, ehr))
    browser = app.test_client()
    back = come_back(browser, ehr)
    with turned_on(app, 601):
        assert page(browser.get(back, base_url=PUBLIC), "not-yours")
    app.extensions["database"].close()


def test_a_session_ends_with_its_token(tmp_path: Path, ehr: Ehr) -> None:
    app = create_app(settings(tmp_path, ehr))
    browser = app.test_client()
    sign_in(browser, ehr)
    with turned_on(app, 598):
        assert len(servers(browser)) == 1
    with turned_on(app, 602):
        assert servers(browser) == []
        assert browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC).status_code == 404
        assert browser.post("/app/cds-services/vitamin-k-patient-view", json={}, base_url=PUBLIC).status_code == 401
    app.extensions["database"].close()


class turned_on:  # noqa: N801  # reads as a sentence
    """The clock of the sessions so many seconds ahead."""

    def __init__(self, app: Flask, seconds: float) -> None:
        self.sessions = app.extensions["smart"]._sessions
        self.seconds = seconds

    def __enter__(self) -> None:
        self.now = self.sessions._now
        self.sessions._now = lambda: self.now() + self.seconds

    def __exit__(self, *_: object) -> None:
        self.sessions._now = self.now


# --- faults of the EHR ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", [{}, {"iss": ""}, {"iss": "https://localhost/fhir"}, {"launch": "x"}, {"iss": "", "launch": "x"}]
)
def test_an_address_opened_by_hand_is_explained(browser: FlaskClient, query: Json) -> None:
    assert page(browser.get("/smart/launch", query_string=query, base_url=PUBLIC), "incomplete")


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.example/fhir",
        "http://localhost:{port}/fhir",
        "https://localhost:{port}/fhir/other",
        "https://localhost:{port}",
        "https://user@localhost:{port}/fhir",
        "https://localhost:{port}/fhir?x=1",
        "https://localhost:{port}/fhir#x",
        "https://localhost:{port}/x/../fhir",
        "no url",
    ],
)
def test_a_foreign_iss_is_refused_before_anything_is_fetched(browser: FlaskClient, ehr: Ehr, iss: str) -> None:
    iss = iss.format(port=urlsplit(ehr.base).port)
    assert page(browser.get("/smart/launch", query_string={"iss": iss, "launch": "x"}, base_url=PUBLIC), "stranger")
    assert (ehr.seen, ehr.asked) == ([], [])


def test_a_slash_at_the_end_of_the_iss_does_no_harm(browser: FlaskClient, ehr: Ehr) -> None:
    reply = begin(browser, ehr, iss=f"{ehr.base}/")
    assert parse_qs(urlsplit(reply.headers["Location"]).query)["aud"] == [ehr.base]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"authorization_endpoint": None}, "not-smart"),
        ({"token_endpoint": None}, "not-smart"),
        ({"token_endpoint": 7}, "not-smart"),
        ({"code_challenge_methods_supported": ["plain"]}, "not-smart"),
        ({"authorization_endpoint": "https://evil.example/authorize"}, "other-host"),
        ({"token_endpoint": "https://evil.example/token"}, "other-host"),
        ({"token_endpoint": "http://localhost/token"}, "other-host"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "other-host"),
        ({"authorization_endpoint": "//evil.example"}, "other-host"),
    ],
)
def test_a_configuration_that_leads_elsewhere_is_not_followed(
    browser: FlaskClient, ehr: Ehr, change: Json, problem: Problem
) -> None:
    ehr.configuration.update(change)
    assert page(begin(browser, ehr), problem)
    assert ehr.asked == []


def test_an_authorization_server_on_another_host_must_be_listed(tmp_path: Path, ehr: Ehr, records: Flask) -> None:
    with smart_server(tmp_path, records) as login:
        ehr.configuration["authorization_endpoint"] = f"{login.host}/oauth/authorize"
        for listed, led in (((), False), ((f"{login.host}/oauth",), True), ((f"{login.host}/other",), False)):
            app = create_app(settings(tmp_path, ehr, profile={"smart_servers": [*listed]}))
            reply = begin(app.test_client(), ehr)
            assert reply.headers.get("Location", "").startswith(f"{login.host}/oauth/authorize") is led
            assert led or page(reply, "other-host")
            app.extensions["database"].close()


def test_a_server_without_a_configuration_is_explained(tmp_path: Path, records: Flask) -> None:
    with smart_server(tmp_path, records) as other:
        app = create_app(settings(tmp_path, other, profile={"fhir_servers": [f"{other.base}/nowhere"]}))
        assert page(begin(app.test_client(), other, iss=f"{other.base}/nowhere"), "not-smart")
        app.extensions["database"].close()
    assert other.seen != []


def test_an_ehr_that_is_down_is_explained(tmp_path: Path, records: Flask) -> None:
    with smart_server(tmp_path, records) as ehr:
        app = create_app(settings(tmp_path, ehr))
    assert page(begin(app.test_client(), ehr), "unreachable")
    app.extensions["database"].close()


def test_a_token_server_that_went_down_is_explained(tmp_path: Path, records: Flask) -> None:
    with smart_server(tmp_path, records) as ehr:
        app = create_app(settings(tmp_path, ehr))
        browser = app.test_client()
        back = come_back(browser, ehr)
    assert page(browser.get(back, base_url=PUBLIC), "unreachable")
    app.extensions["database"].close()


@pytest.mark.parametrize(
    ("error", "problem"),
    [("access_denied", "refused"), ("server_error", "no-token"), ("invalid_scope", "no-token"), ("x<y>", "no-token")],
)
def test_a_refusal_at_the_sign_in_is_explained_in_our_own_words(
    browser: FlaskClient, ehr: Ehr, error: str, problem: Problem
) -> None:
    ehr.refuses = error
    reply = sign_in(browser, ehr)
    assert page(reply, problem)
    assert error not in reply.text
    assert servers(browser) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"patient": None}, "no-patient"),
        ({"patient": "a b"}, "no-patient"),
        ({"patient": "x/../y"}, "no-patient"),
        ({"patient": 7}, "no-token"),
        ({"access_token": None}, "no-token"),
        ({"access_token": "a b"}, "no-token"),
        ({"token_type": "mac"}, "no-token"),
        ({"token_type": None}, "no-token"),
        ({"expires_in": 0}, "no-token"),
        ({"expires_in": -5}, "no-token"),
        ({"expires_in": "soon"}, "no-token"),
    ],
)
def test_a_token_response_that_cannot_be_right_opens_nothing(
    browser: FlaskClient, ehr: Ehr, change: Json, problem: Problem
) -> None:
    ehr.token.update(change)
    assert page(sign_in(browser, ehr), problem)
    assert servers(browser) == []


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_token_request_that_fails_opens_nothing(browser: FlaskClient, ehr: Ehr, status: int) -> None:
    ehr.token_status = status
    assert page(sign_in(browser, ehr), "no-token")
    assert servers(browser) == []


def test_a_code_that_was_used_elsewhere_opens_nothing(browser: FlaskClient, ehr: Ehr) -> None:
    back = come_back(browser, ehr)
    ehr.codes.clear()
    assert page(browser.get(back, base_url=PUBLIC), "no-token")


@pytest.mark.parametrize(("said", "kept"), [({"expires_in": None}, 300), ({"expires_in": 86_400}, 3_600)])
def test_a_session_is_never_long(browser: FlaskClient, ehr: Ehr, said: Json, kept: int) -> None:
    ehr.token.update(said)
    session = next(one for one in cookies(sign_in(browser, ehr)) if one.key == "cds_session_0")
    assert kept - 5 <= int(session["max-age"]) <= kept


# --- what a session may do --------------------------------------------------------------------------------------------


def test_a_session_is_good_for_its_patient_only(browser: FlaskClient, ehr: Ehr) -> None:
    """The token of this EHR would be good for all of them."""
    sign_in(browser, ehr)
    for path in (
        "/app/api/chart/smart/healthy-adult",
        "/app/fhir/smart/Patient/healthy-adult",
        "/app/fhir/smart/Observation/healthy-adult-lab-1",
        "/app/fhir/smart/Medication",
    ):
        assert browser.get(path, base_url=PUBLIC).status_code == 403, path
    assert browser.get(f"/app/fhir/smart/Observation/{PATIENT}-lab-1", base_url=PUBLIC).status_code == 200


@pytest.mark.parametrize(
    "query", ["", "?patient=healthy-adult", "?subject=Patient/healthy-adult", "?_id=healthy-adult-lab-1"]
)
def test_a_search_is_of_the_patient_whatever_is_asked(browser: FlaskClient, ehr: Ehr, query: str) -> None:
    sign_in(browser, ehr)
    found = browser.get(f"/app/fhir/smart/Observation{query}", base_url=PUBLIC).json
    assert {entry["resource"]["subject"]["reference"] for entry in found["entry"]} == {f"Patient/{PATIENT}"}


def call(patient: str, prefetch: Json) -> Json:
    context = {"userId": "Practitioner/example", "patientId": patient}
    return {"hook": "patient-view", "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}


def test_the_page_of_a_session_calls_the_services_and_sends_feedback_without_a_token(
    browser: FlaskClient, ehr: Ehr
) -> None:
    sign_in(browser, ehr)
    prefetch = chart_of(browser)["prefetch"]
    listed = browser.get("/app/cds-services", base_url=PUBLIC).json["services"]
    assert "vitamin-k-patient-view" in [one["id"] for one in listed]
    path, why = "/app/cds-services/vitamin-k-patient-view", {"X-CDS-Explain": "1"}
    reply = browser.post(path, json=call(PATIENT, prefetch), base_url=PUBLIC, headers=why).json
    (card,) = reply["cards"]
    assert reply["extension"]["cds-service.explain"]
    taken = [{"id": card["suggestions"][0]["uuid"]}]
    item: Json = {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": taken}
    item["outcomeTimestamp"] = "2026-11-20T08:31:00Z"
    stored = browser.post(f"{path}/feedback", json={"feedback": [item]}, base_url=PUBLIC)
    assert stored.json == {"received": 1}


def test_without_a_session_nothing_below_the_page_is_answered(browser: FlaskClient) -> None:
    assert servers(browser) == []
    assert browser.get("/app/cds-services", base_url=PUBLIC).status_code == 401
    assert browser.post("/app/cds-services/vitamin-k-patient-view", json={}, base_url=PUBLIC).status_code == 401
    assert browser.get(f"/app/api/chart/smart/{PATIENT}", base_url=PUBLIC).status_code == 404
    assert browser.get(f"/app/fhir/smart/Patient/{PATIENT}", base_url=PUBLIC).status_code == 404


def test_a_session_opens_no_route_that_asks_for_a_token(browser: FlaskClient, ehr: Ehr) -> None:
    sign_in(browser, ehr)
    assert browser.get("/cds-services", base_url=PUBLIC).status_code == 401


def test_the_routes_of_a_launch_are_described(browser: FlaskClient, ehr: Ehr) -> None:
    document = browser.get("/openapi.json", base_url=PUBLIC).get_json()
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    described = {
        path: set(entry["get" if "get" in entry else "post"]["responses"]) for path, entry in document["paths"].items()
    }
    for path, query in (("/smart/launch", {}), ("/smart/callback", {"state": "x"})):
        assert str(browser.get(path, query_string=query, base_url=PUBLIC).status_code) in described[path]
    assert str(begin(browser, ehr).status_code) in described["/smart/launch"]
    assert document["paths"]["/app/cds-services"]["get"]["security"] == [{"session": []}]


# --- the link on cards ------------------------------------------------------------------------------------------------


def test_cards_have_a_link_that_opens_the_page_for_clients_that_are_registered(tmp_path: Path, ehr: Ehr) -> None:
    for profile, expected in (({}, True), ({"links": False}, False)):
        app = create_app(settings(tmp_path, ehr, profile=profile))
        browser = app.test_client()
        sign_in(browser, ehr)
        prefetch = chart_of(browser)["prefetch"]
        path = "/app/cds-services/vitamin-k-patient-view"
        reply = browser.post(path, json=call(PATIENT, prefetch), base_url=PUBLIC).json
        HookResponse.model_validate(reply)
        links = [link for card in reply["cards"] for link in card.get("links", []) if link["type"] == "smart"]
        rules = [card["extension"]["cds-service.rule"]["id"] for card in reply["cards"]]
        assert [link["appContext"] for link in links] == (rules if expected else [])
        assert all(link["url"] == f"{PUBLIC}/smart/launch" for link in links)
        app.extensions["database"].close()


# --- settings and texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"session_key": None}, "CDS_SESSION_KEY"),
        ({"page": False}, "CDS_PAGE"),
        ({"public_url": "http://cds.example"}, "https"),
        ({"public_url": None, "open": True}, "CDS_PUBLIC_URL"),
    ],
)
def test_what_a_launch_needs_stops_the_start_if_it_is_missing(tmp_path: Path, ehr: Ehr, more: Json, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        create_app(settings(tmp_path, ehr, **more))


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"smart_client_id": None}, "smart_client_id"),
        ({"fhir_servers": []}, "fhir_servers"),
        ({"fhir_servers": ["http://ehr.example/fhir"]}, "fhir_servers"),
        ({"smart_servers": ["http://login.example"]}, "smart_servers"),
        ({"smart_servers": ["https://login.example/?x"]}, "smart_servers"),
        ({"smart_client_secret": "nowhere"}, "smart_client_secret"),
        ({"smart_client_secret": "two-lines"}, "smart_client_secret"),
        ({"smart_client_secret": "empty"}, "smart_client_secret"),
    ],
)
def test_a_registration_that_could_never_work_is_refused(tmp_path: Path, change: Json, member: str) -> None:
    client: Json = {"name": "a", "issuers": ["https://ehr.example"], "jku": ["https://ehr.example/keys"]}
    client |= {
        "fhir_servers": ["https://ehr.example/fhir"],
        "smart_client_id": "x",
        "smart_servers": ["https://l.example"],
    }
    (tmp_path / "two-lines").write_text("a\nb\n")
    (tmp_path / "empty").write_text("\n")
    members = {name: value for name, value in (client | change).items() if value is not None}
    (tmp_path / "clients.yaml").write_text(yaml.safe_dump({"clients": [members]}))
    with pytest.raises(SettingsError, match=f"client 1 \\(a\\): {member}"):
        load_profiles(tmp_path / "clients.yaml")


def test_two_clients_of_one_fhir_server_stop_the_start(tmp_path: Path, ehr: Ehr) -> None:
    made = settings(tmp_path, ehr)
    document = yaml.safe_load((tmp_path / "clients.yaml").read_text())
    document["clients"].append(document["clients"][0] | {"name": "second", "issuers": ["https://second.example"]})
    (tmp_path / "clients.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(SettingsError, match="two clients list the same FHIR server"):
        create_app(made)


def test_without_a_registration_there_is_no_launch(tmp_path: Path, ehr: Ehr) -> None:
    app = create_app(settings(tmp_path, ehr, profile={"smart_client_id": None}))
    assert app.test_client().get("/smart/launch", base_url=PUBLIC).status_code == 404
    assert app.test_client().get("/app/cds-services", base_url=PUBLIC).status_code == 404
    app.extensions["database"].close()


def test_every_problem_is_explained_in_both_languages() -> None:
    assert set(STATUSES) == set(get_args(Problem))
    for key in ("title", "again", *STATUSES):
        assert launch_say(key, "en").isascii()
        assert re.search(r"[\u4e00-\u9fff]", launch_say(key, "zh"))


def test_an_explanation_comes_in_the_language_of_the_reader_under_the_policy_of_the_page(browser: FlaskClient) -> None:
    reply = browser.get("/smart/launch", base_url=PUBLIC, headers={"Accept-Language": "zh"})
    assert launch_say("incomplete", "zh") in reply.text
    assert '<html lang="zh-Hans">' in reply.text
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Correlation-Id"] in reply.text


def test_a_form_is_sent_once_and_only_where_it_may_go(ehr: Ehr) -> None:
    way = Egress([ehr.host], ca_file=ehr.ca_file)
    with pytest.raises(EgressError, match="address not allowed"):
        way.post("https://evil.example/token", "a=b", headers={}, deadline=2e9, max_bytes=1000)
    assert way.post(f"{ehr.host}/oauth/token", "code=x", headers={}, deadline=2e9, max_bytes=1000).status == 401
    assert ehr.exchanged == [{"code": "x"}]


@pytest.mark.hapi
def test_a_patient_of_hapi_is_opened_by_a_launch(tmp_path: Path, hapi_url: str) -> None:
    worked = next(sample for sample in SAMPLES if sample.id == PATIENT)
    resources = patient_resources(worked, knowledge().terminology, _now())
    store(hapi_url, resources.all)
    with smart_server(tmp_path, hapi_url) as ehr:
        app = create_app(settings(tmp_path, ehr))
        browser = app.test_client()
        assert sign_in(browser, ehr).status_code == 302
        chart = chart_of(browser)
        assert {use["text"] for use in chart["medicines"]} == {"vitamin K2 (MK-7)", "warfarin sodium 5 MG Oral Tablet"}
        path = "/app/cds-services/vitamin-k-patient-view"
        reply = browser.post(path, json=call(PATIENT, chart["prefetch"]), base_url=PUBLIC).json
        assert [card["indicator"] for card in reply["cards"]] == ["warning"]
        app.extensions["database"].close()
