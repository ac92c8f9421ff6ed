"""The status map: every error is an OperationOutcome with the right status, and none says more than it should."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.errors import EgressError, Unprocessable
from cds_service.gaps import GapKind
from cds_service.hooks.response_models import HookResponse
from cds_service.store.database import Database
from tests.support.log_file import LogFile
from tests.support.outcome import outcome
from tests.support.recorder import VIEW, Recorder, card, encoded, request_body

CANARY = "Canary-Name-7781"


@pytest.mark.row("STA-404", "REQ-01", "FBK-01", "GEN-01")
@pytest.mark.parametrize(
    ("path", "method"),
    [("/nowhere", "GET"), ("/cds-services/none", "POST"), ("/cds-services/none/feedback", "POST"), ("/x/y/z", "PUT")],
)
def test_an_unknown_address_is_404(client: FlaskClient, path: str, method: str) -> None:
    outcome(client.open(path, method=method, json=request_body() if method == "POST" else None), 404, "not-found")


@pytest.mark.row("STA-405", "REQ-01")
@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        (VIEW, "GET", "OPTIONS, POST"),
        (VIEW, "DELETE", "OPTIONS, POST"),
        (VIEW + "/feedback", "GET", "OPTIONS, POST"),
        ("/cds-services", "POST", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_are_right(
    client: FlaskClient, path: str, method: str, allow: str
) -> None:
    response = client.open(path, method=method)
    outcome(response, 405, "not-supported")
    assert response.headers["Allow"] == allow


@pytest.mark.row("STA-412", "RSP-04")
def test_data_that_cannot_be_had_is_412(client: FlaskClient, recorder: Recorder) -> None:
    recorder.fails = Unprocessable("The list of medications could not be had.", expression="prefetch.medications")
    response = client.post(VIEW, json=request_body())
    assert outcome(response, 412, "incomplete") == "The list of medications could not be had."
    assert response.json["issue"][0]["expression"] == ["prefetch.medications"]


@pytest.mark.row("STA-413", "REQ-14", "PRF-03")
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", [VIEW, VIEW + "/feedback"])
def test_a_body_over_the_limit_is_413(
    make_app: Callable[..., Flask], recorder: Recorder, path: str, chunked: bool
) -> None:
    client = make_app(max_body=2000).test_client()
    source = CountingStream(encoded(request_body(prefetch={"x": "y" * 200_000})))
    response = _post_stream(client, path, source, None if chunked else source.size)
    outcome(response, 413, "too-long")
    # Without a length one must read to find out, but not much further than the limit.
    assert source.read_bytes <= (66_000 if chunked else 0)
    assert recorder.calls == []


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_just_at_the_limit_is_read(make_app: Callable[..., Flask], chunked: bool) -> None:
    empty = len(encoded(request_body(prefetch={"x": ""})))
    body = encoded(request_body(prefetch={"x": "y" * (2000 - empty)}))
    client = make_app(max_body=2000).test_client()
    assert _post_stream(client, VIEW, CountingStream(body), None if chunked else 2000).status_code == 200
    over = encoded(request_body(prefetch={"x": "y" * (2001 - empty)}))
    assert _post_stream(client, VIEW, CountingStream(over), None if chunked else 2001).status_code == 413


@pytest.mark.row("STA-500", "RSP-05", "RSP-06", "TOY-06")
def test_a_fault_of_ours_is_500_and_gives_nothing_away(client: FlaskClient, recorder: Recorder, log: LogFile) -> None:
    """Correlation id only"""
    recorder.fails = ValueError(f"{CANARY} has no potassium")
    response = client.post(VIEW, json=request_body(context__patientId=CANARY))
    text = outcome(response, 500, "exception")
    correlation = response.headers["X-Correlation-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", correlation)
    assert correlation in text
    assert CANARY not in response.text
    assert "Traceback" not in response.text
    (fault,) = log.lines("fault")
    assert (fault["error"], fault["correlation"]) == ("ValueError", correlation)
    assert fault["where"][-1].startswith("support/recorder.py:")
    assert log.lines("call")[0]["status"] == 500


def test_a_way_out_that_nobody_caught_is_a_fault_of_ours(client: FlaskClient, recorder: Recorder) -> None:
    recorder.fails = EgressError(GapKind.NO_CONNECTION)
    response = client.post(VIEW, json=request_body())
    outcome(response, 500, "exception")
    assert "internal.example" not in response.text


@pytest.mark.row("STA-503", "RSP-05")
def test_a_database_that_is_gone_is_503_for_feedback_and_nothing_for_cards(
    make_app: Callable[..., Flask], tmp_path: Any
) -> None:
    app = make_app()
    client = app.test_client()
    assert client.get("/health/ready").status_code == 200
    _break(app.extensions["database"])
    item = {"card": "1", "outcome": "overridden", "outcomeTimestamp": "2026-01-01T00:00:00Z"}
    response = client.post(VIEW + "/feedback", json={"feedback": [item]})
    outcome(response, 503, "transient")
    assert response.headers["Retry-After"] == "5"
    assert client.post(VIEW, json=request_body()).status_code == 200
    assert client.get("/health/live").status_code == 200


@pytest.mark.row("STA-401", "JWT-02", "JWT-17", "TOY-11", "TOY-02", "DIS-14")
@pytest.mark.parametrize(
    ("path", "method"),
    [("/cds-services", "GET"), (VIEW, "POST"), (VIEW + "/feedback", "POST"), ("/cds-services/none", "POST")],
)
@pytest.mark.parametrize("token", [None, "Bearer x.y.z", "Basic eDp5"])
def test_closed_refuses_everybody_alike_before_reading_anything(
    make_app: Callable[..., Flask], recorder: Recorder, path: str, method: str, token: str | None
) -> None:
    """The order is: who, then what"""
    client = make_app(open=False).test_client()
    headers = {"Authorization": token} if token else {}
    source = CountingStream(b"{ this is not JSON")
    response = client.open(path, method=method, headers=headers, environ_overrides=_stream(source, source.size))
    expected = "The caller could not be identified. Send a valid token as Authorization: Bearer."
    assert outcome(response, 401, "login") == expected
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (source.read_bytes, recorder.calls) == (0, [])


def test_closed_still_tells_that_it_is_alive(make_app: Callable[..., Flask], log: LogFile) -> None:
    client = make_app(open=False).test_client()
    assert client.get("/health/live").json == {"status": "live"}
    assert client.get("/health/ready").json["knowledge"] == "1.2.3+test"
    assert log.lines("open to known clients")[0]["clients"] == ["ehr"]


def test_open_says_so_in_the_log_at_the_start(make_app: Callable[..., Flask], log: LogFile) -> None:
    make_app(open=True)
    assert log.lines("open to everybody")[0]["level"] == "warning"


def test_every_reply_names_the_call_and_the_knowledge(client: FlaskClient) -> None:
    ids = set()
    for method, path in [("GET", "/"), ("GET", "/cds-services"), ("POST", VIEW), ("GET", "/nowhere"), ("PUT", VIEW)]:
        headers = client.open(path, method=method).headers
        assert headers["X-Knowledge-Version"] == "1.2.3+test"
        ids.add(headers["X-Correlation-Id"])
    assert len(ids) == 5


@pytest.mark.row("GEN-01", "RSP-01", "RSP-07")
def test_a_reply_to_a_call_meets_the_specification_and_its_own_encoding(client: FlaskClient) -> None:
    response = client.post(VIEW, json=request_body())
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert HookResponse.model_validate(response.json).cards[0].summary == "A card of the test"


@pytest.mark.row("RSP-02")
def test_nothing_to_say_is_200_with_no_cards(
    make_app: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "__call__", lambda *_: {"cards": []})
    response = make_app().test_client().post(VIEW, json=request_body())
    assert (response.status_code, response.data) == (200, b'{"cards":[]}')


@pytest.mark.row("FHA-12", "FBK-12", "TOY-10")
def test_one_line_per_call_and_nothing_of_the_patient_in_it(client: FlaskClient, log: LogFile) -> None:
    """Values, ids, tokens and comments stay out"""
    authorization = {"access_token": CANARY, "token_type": "Bearer", "expires_in": 9, "scope": "s", "subject": CANARY}
    body = request_body(
        context__patientId=CANARY,
        context__userId=f"Practitioner/{CANARY}",
        context__encounterId=CANARY,
        fhirServer=f"https://{CANARY}.example",
        fhirAuthorization=authorization,
        prefetch={CANARY: {"x": CANARY}},
    )
    assert client.post(VIEW, json=body).status_code == 200
    assert client.post(VIEW, json=body | {"hookInstance": CANARY}).status_code == 400
    assert client.post(VIEW, json=body | {"context": {CANARY: CANARY, "patientId": CANARY + "/"}}).status_code == 400
    item = {
        "card": CANARY,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-01-01T00:00:00Z",
        "overrideReason": {"userComment": CANARY, "reason": {"code": CANARY, "system": CANARY}},
    }
    assert client.post(VIEW + "/feedback", json={"feedback": [item]}).status_code == 200
    assert client.post(VIEW + "/feedback", json={"feedback": [item | {"outcome": CANARY}]}).status_code == 400
    assert client.get(f"/{CANARY}?{CANARY}").status_code == 404
    assert client.post(f"/cds-services/{CANARY}", json={}).status_code == 404
    assert CANARY.lower() not in log.getvalue().decode().lower()
    call = log.lines("call")[0]
    assert call["service"] == "vitamin-b12-patient-view"
    assert call["hook"] == "patient-view"
    assert call["cards"] == ["test-rule"]
    assert call["status"] == 200
    assert call["duration_ms"] > 0
    assert [line["status"] for line in log.lines()[1:]] == [200, 400, 400, 200, 400, 404, 404]


def test_the_evaluation_can_add_to_the_log_line_but_only_what_is_on_the_list(
    make_app: Any, recorder: Recorder, log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(self: Recorder, _: str, __: Any, call: Any) -> dict[str, Any]:
        call.log["cards"] = ["b12-low"]
        call.log["notes"]["entries not readable"] = 2
        call.log["patient"] = CANARY
        return {"cards": [card()]}

    monkeypatch.setattr(Recorder, "__call__", answer)
    make_app().test_client().post(VIEW, json=request_body(context__userId="bare"))
    (line,) = log.lines("call")
    assert line["cards"] == ["b12-low"]
    assert line["notes"] == {"userId without a resource type": 1, "entries not readable": 2}
    assert "patient" not in line


def test_health_probes_are_not_logged(client: FlaskClient, log: LogFile) -> None:
    before = len(log.lines())
    client.get("/health/live")
    client.get("/health/ready")
    assert len(log.lines()) == before


@pytest.mark.row("GEN-02")
def test_https_is_made_to_stick_where_the_service_is_reached_by_it(make_app: Callable[..., Flask]) -> None:
    assert "Strict-Transport-Security" not in make_app().test_client().get("/").headers
    secure = make_app(public_url="https://cds.example").test_client()
    assert secure.get("/").headers["Strict-Transport-Security"] == "max-age=31536000"


class CountingStream(io.RawIOBase):
    """A request body that knows how much of it was read."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)
        self.size = len(content)
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._inner.readinto(buffer)
        self.read_bytes += count
        return count


def _post_stream(client: FlaskClient, path: str, source: CountingStream, length: int | None) -> TestResponse:
    return client.post(path, environ_overrides={"CONTENT_TYPE": "application/json"} | _stream(source, length))


def _stream(source: CountingStream, length: int | None) -> dict[str, Any]:
    """What a server puts into the environment; without a length, it says that the stream ends by itself."""
    told = {"CONTENT_LENGTH": str(length)} if length is not None else {"HTTP_TRANSFER_ENCODING": "chunked"}
    return {"wsgi.input": source, "wsgi.input_terminated": True, **told}


def _break(database: Database) -> None:
    from sqlalchemy import text

    with database.transaction("") as connection:
        connection.execute(text("DROP TABLE feedback_event"))
