"""What the service gets from FHIR servers: all of it, or a reason in words, always in time."""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.egress.egress import Egress
from cds_service.errors import EgressError, SettingsError
from cds_service.fhir.fetch.client import Fetched, fetch_all
from tests.support.fault_server import (
    FaultServer,
    bundle,
    drip_body,
    drip_headers,
    endless,
    fault_server,
    hang,
    hang_up,
    in_turn,
    outcome,
    resource,
    slow,
    status,
    text,
)
from tests.support.reasons import failure, shortfall

QUERY = "Observation?patient=p1"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def fetch(server: FaultServer, query: str = QUERY, *, seconds: float = 2.0, **limits: Any) -> Fetched:
    """One query; fails the test if the answer comes after the deadline."""
    began = time.monotonic()
    found = fetch_all(
        Egress([server.base]), server.base, "secret", {"labs": query}, deadline=began + seconds, **limits
    )["labs"]
    assert time.monotonic() - began < seconds + 0.3
    return found


def pages(found: Fetched) -> int:
    return len(found.pages)


def test_a_search_brings_its_bundle(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a", "b"], total=2))
    found = fetch(server)
    assert (pages(found), found.failure, found.incomplete) == (1, None, None)
    assert b'"id": "b"' in found.pages[0]


def test_a_read_brings_its_resource(server: FaultServer) -> None:
    server.routes["Patient/p1"] = resource({"resourceType": "Patient", "id": "p1"})
    assert fetch(server, "Patient/p1") == Fetched((b'{"resourceType": "Patient", "id": "p1"}',))


def test_an_empty_search_is_no_failure(server: FaultServer) -> None:
    server.routes[QUERY] = resource({"resourceType": "Bundle", "type": "searchset", "total": 0})
    found = fetch(server)
    assert (pages(found), found.failure, found.incomplete) == (1, None, None)


def test_an_informational_outcome_in_a_bundle_is_no_failure(server: FaultServer) -> None:
    server.routes[QUERY] = resource(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": outcome("not-found", "information")}]}
    )
    found = fetch(server)
    assert (pages(found), found.failure, found.incomplete) == (1, None, None)


@pytest.mark.row("PFD-09")
def test_every_page_is_fetched(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=f"{server.base}?_getpages=2", total=3))
    server.routes["/fhir?_getpages=2"] = resource(bundle(["b"], after="Observation?page=3"))
    server.routes["Observation?page=3"] = resource(bundle(["c"], total=3))
    found = fetch(server)
    assert (pages(found), found.incomplete) == (3, None)


@pytest.mark.row("FHA-02")
def test_the_token_goes_with_every_page(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=f"{server.base}/Observation?page=2"))
    server.routes["Observation?page=2"] = resource(bundle(["b"]))
    fetch(server)
    assert [token for _, token in server.seen] == ["Bearer secret", "Bearer secret"]


def test_without_a_token_no_authorization_is_sent(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/dev/null")
    server.routes[QUERY] = resource(bundle([]))
    fetch_all(Egress([server.base]), server.base, None, {"labs": QUERY}, deadline=time.monotonic() + 2)
    assert [token for _, token in server.seen] == [None]


def test_a_proxy_of_the_environment_is_not_used(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.routes[QUERY] = resource(bundle(["a"]))
    assert fetch(server).failure is None


@pytest.mark.row("FHA-10")
def test_a_cookie_of_one_call_does_not_travel_with_the_next(server: FaultServer) -> None:
    cookies: list[str | None] = []

    def set_cookie(handler: Any) -> None:
        cookies.append(handler.headers.get("Cookie"))
        status(404, Set_Cookie="session=other-patient")(handler)

    server.routes[QUERY] = set_cookie
    egress = Egress([server.base])
    for _ in range(2):
        fetch_all(egress, server.base, None, {"labs": QUERY}, deadline=time.monotonic() + 2)
    assert cookies == [None, None]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(401), "HTTP 401"),
        (status(404), "HTTP 404"),
        (status(410), "HTTP 410"),
        (status(500), "HTTP 500"),
        (status(302, Location="http://127.0.0.1:9/elsewhere"), "HTTP 302"),
        (resource(outcome("forbidden")), "OperationOutcome: forbidden"),
        (
            resource({"resourceType": "Bundle", "entry": [{"resource": outcome("timeout")}]}),
            "OperationOutcome: timeout",
        ),
        (text("<html>Please log in</html>"), "not FHIR JSON"),
        (text('{"resourceType": "Bundle", "entry": [{"resour'), "not FHIR JSON"),
        (text('{"a": 1}'), "not FHIR JSON"),
        (text(""), "not FHIR JSON"),
        (text('{"resourceType": "Bund', content_length=5000), "answer broken off"),
        (resource({"resourceType": "Patient", "id": "p1"}), "not a Bundle"),
        (hang_up, "connection closed without an answer"),
        (endless, "answer too large"),
    ],
)
def test_a_first_page_that_fails_is_a_failure_with_its_reason(server: FaultServer, answer: Any, reason: str) -> None:
    server.routes[QUERY] = answer
    found = fetch(server)
    assert (found.pages, failure(found)) == ((), reason)


@pytest.mark.row("PRF-02", "X-8")
@pytest.mark.parametrize("answer", [hang, drip_headers, drip_body, slow(3.0, resource(bundle(["a"])))])
def test_a_slow_answer_is_given_up_at_the_deadline(server: FaultServer, answer: Any) -> None:
    server.routes[QUERY] = answer
    found = fetch(server, seconds=0.4)
    assert (found.pages, failure(found)) == ((), "timed out")


def test_a_call_given_up_frees_its_thread(server: FaultServer) -> None:
    server.routes[QUERY] = drip_headers
    fetch(server, seconds=0.3)
    server.routes["Patient/p1"] = resource({"resourceType": "Patient"})
    # As many stuck calls as there are threads would leave none for this one.
    for _ in range(3):
        queries = {str(n): f"{QUERY}&n={n}" for n in range(40)}
        server.routes |= dict.fromkeys(queries.values(), drip_headers)
        fetch_all(Egress([server.base]), server.base, None, queries, deadline=time.monotonic() + 0.3)
    assert fetch(server, "Patient/p1").failure is None


def test_queries_run_at_the_same_time(server: FaultServer) -> None:
    queries = {str(n): f"Observation?patient=p{n}" for n in range(8)}
    server.routes |= {query: slow(0.3, resource(bundle([query]))) for query in queries.values()}
    began = time.monotonic()
    found = fetch_all(Egress([server.base]), server.base, None, queries, deadline=began + 3)
    assert time.monotonic() - began < 1.2
    assert all(f'"id": "{query}"'.encode() in found[key].pages[0] for key, query in queries.items())


def test_one_failing_query_does_not_cost_the_others(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"]))
    server.routes["Goal?patient=p1"] = hang
    found = fetch_all(
        Egress([server.base]),
        server.base,
        None,
        {"labs": QUERY, "goals": "Goal?patient=p1"},
        deadline=time.monotonic() + 0.5,
    )
    assert (pages(found["labs"]), failure(found["goals"])) == (1, "timed out")


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with fault_server() as gone:
        pass
    found = fetch(gone)
    assert (found.pages, failure(found)) == ((), "no connection")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (status(401), "page 2: HTTP 401"),
        (text('{"resourceType"'), "page 2: not FHIR JSON"),
        (endless, "page 2: answer too large"),
        (resource(outcome("throttled")), "page 2: OperationOutcome: throttled"),
    ],
)
def test_a_later_page_that_fails_leaves_the_list_incomplete(server: FaultServer, second: Any, reason: str) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=f"{server.base}/Observation?page=2"))
    server.routes["Observation?page=2"] = second
    found = fetch(server)
    assert (pages(found), failure(found), shortfall(found)) == (1, None, reason)


def test_a_later_page_that_hangs_leaves_the_list_incomplete(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=f"{server.base}/Observation?page=2"))
    server.routes["Observation?page=2"] = hang
    found = fetch(server, seconds=0.4)
    assert (pages(found), found.failure) == (1, None)
    assert shortfall(found) in ("timed out", "page 2: timed out")


def test_an_error_beside_entries_keeps_them_and_says_incomplete(server: FaultServer) -> None:
    page = bundle(["a"])
    page["entry"].append({"resource": outcome("incomplete")})
    server.routes[QUERY] = resource(page)
    found = fetch(server)
    assert (pages(found), shortfall(found)) == (1, "OperationOutcome: incomplete")


@pytest.mark.row("FHA-11", "PFD-09")
def test_a_next_page_at_another_host_is_not_fetched() -> None:
    with fault_server() as ours, fault_server() as other:
        other.routes["Observation?page=2"] = resource(bundle(["b"]))
        ours.routes[QUERY] = resource(bundle(["a"], after=f"{other.base}/Observation?page=2"))
        found = fetch(ours)
        assert (pages(found), other.seen) == (1, [])
        assert shortfall(found) == "page 2 is at an address outside the FHIR server of this request"


@pytest.mark.row("FHA-11")
def test_a_next_page_at_another_allowed_server_does_not_get_the_token() -> None:
    with fault_server() as ours, fault_server() as other:
        ours.routes[QUERY] = resource(bundle(["a"], after=f"{other.base}/Observation?page=2"))
        egress = Egress([ours.base, other.base])
        fetch_all(egress, ours.base, "secret", {"labs": QUERY}, deadline=time.monotonic() + 2)
        assert other.seen == []


def test_a_next_page_beside_the_fhir_base_is_not_fetched(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=server.base.removesuffix("/fhir") + "/admin"))
    assert shortfall(fetch(server)) == "page 2 is at an address outside the FHIR server of this request"
    assert len(server.seen) == 1


def test_pages_in_a_circle_are_incomplete(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"], after=f"{server.base}/Observation?page=2"))
    server.routes["Observation?page=2"] = resource(bundle(["b"], after=f"{server.base}/{QUERY}"))
    found = fetch(server)
    assert (pages(found), shortfall(found)) == (2, "the server's pages lead in a circle")


@pytest.mark.row("PFD-09", "TOY-24")
def test_pages_without_end_stop_at_the_cap(server: FaultServer) -> None:
    for n in range(6):
        server.routes[QUERY if n == 0 else f"Observation?page={n}"] = resource(
            bundle([str(n)], after=f"{server.base}/Observation?page={n + 1}")
        )
    found = fetch(server, max_pages=4)
    assert (pages(found), shortfall(found)) == (4, "more than 4 pages")


def test_fewer_entries_than_the_total_are_incomplete(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a", "b"], total=5))
    assert shortfall(fetch(server)) == "2 of 5 entries came"


def test_the_size_limit_counts_all_pages_together(server: FaultServer) -> None:
    server.routes[QUERY] = resource(bundle(["a"] * 20, after=f"{server.base}/Observation?page=2"))
    server.routes["Observation?page=2"] = resource(bundle(["b"] * 20))
    assert shortfall(fetch(server, max_bytes=2500)) == "page 2: answer too large"


@pytest.mark.row("FHA-13", "TOY-24")
def test_the_size_limit_counts_what_is_unpacked(server: FaultServer) -> None:
    packed = gzip.compress(b" " * 5_000_000)

    def bomb(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed)

    server.routes[QUERY] = bomb
    found = fetch(server, max_bytes=1_000_000)
    assert (found.pages, failure(found)) == ((), "answer too large")


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_that_asks_for_a_pause_is_asked_once_more(server: FaultServer, code: int) -> None:
    server.routes[QUERY] = in_turn(status(code, Retry_After="0"), resource(bundle(["a"])))
    assert fetch(server).failure is None


def test_a_server_is_not_asked_a_third_time(server: FaultServer) -> None:
    server.routes[QUERY] = status(429, Retry_After="0")
    assert failure(fetch(server)) == "HTTP 429"
    assert len(server.seen) == 2


@pytest.mark.parametrize("pause", [{"Retry_After": "60"}, {"Retry_After": "Fri, 31 Dec 2100 23:59:59 GMT"}, {}])
def test_a_pause_beyond_the_deadline_is_not_waited_for_but_told(server: FaultServer, pause: dict[str, str]) -> None:
    server.routes[QUERY] = status(503, **pause)
    reason = failure(fetch(server, seconds=0.5))
    assert reason is not None
    assert reason.startswith("HTTP 503 (to be asked again in " if pause else "HTTP 503")
    assert len(server.seen) == 1


def test_a_kept_connection_that_was_closed_is_opened_again(server: FaultServer) -> None:
    server.routes[QUERY] = in_turn(hang_up, resource(bundle(["a"])))
    assert fetch(server).failure is None


@pytest.mark.row("FHA-12", "TOY-10")
def test_neither_ids_nor_tokens_are_logged(server: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.routes[QUERY] = in_turn(status(429, Retry_After="0"), hang_up, status(500))
    fetch(server)
    assert "p1" not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.row("FHA-13", "TOY-04")
def test_a_base_that_is_not_allowed_is_never_called(server: FaultServer) -> None:
    with pytest.raises(EgressError, match="address not allowed"):
        fetch_all(Egress([]), server.base, "secret", {"labs": QUERY}, deadline=time.monotonic() + 1)
    assert server.seen == []


def test_a_query_that_climbs_out_of_the_base_is_never_sent(server: FaultServer) -> None:
    for query in ("../admin?x=1", "%2e%2e/admin?x=1", "Observation/..%2f..?x=1", "a?b#c"):
        assert fetch(server, query).failure is not None
    assert server.seen == []


def test_threads_are_shared_and_bounded(server: FaultServer) -> None:
    queries = {str(n): f"{QUERY}&n={n}" for n in range(100)}
    server.routes |= dict.fromkeys(queries.values(), resource(bundle(["a"])))
    found = fetch_all(Egress([server.base]), server.base, None, queries, deadline=time.monotonic() + 10)
    assert all(one.failure is None for one in found.values())
    assert sum(thread.name.startswith("fhir-fetch") for thread in threading.enumerate()) <= 64


ALLOWED = "https://ehr.example/fhir"


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example/fhir",
        "https://ehr.example/fhir/",
        "https://ehr.example:443/fhir/Patient/1",
        "HTTPS://EHR.example/fhir/Observation?code=http://loinc.org|2132-9",
        "https://ehr.example/fhir?_getpages=1",
    ],
)
def test_an_address_below_an_allowed_base_may_be_called(url: str) -> None:
    Egress([ALLOWED]).check(url)  # raises nothing


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/fhir",
        "https://ehr.example:8443/fhir",
        "https://ehr.example:0/fhir",
        "https://ehr.example:65536/fhir",
        "https://ehr.example/fhirx",
        "https://ehr.example/FHIR",
        "https://ehr.example/",
        "https://ehr.example.evil.example/fhir",
        "https://evil.example/https://ehr.example/fhir",
        "https://ehr.example@evil.example/fhir",
        "https://user:pass@ehr.example/fhir",
        "https://ehr.example\\@evil.example/fhir",
        "https://ehr.example/fhir/../admin",
        "https://ehr.example/fhir/./x",
        "https://ehr.example/fhir/%2E%2E/admin",
        "https://ehr.example/fhir/..%2Fadmin",
        "https://ehr.example/fhir/..;/admin",
        "https://ehr.example/fhir\n/x",
        " https://ehr.example/fhir",
        "https://ehr.example/fhir#x",
        "https://ehr.example./fhir",
        "https://еhr.example/fhir",  # the first letter is Cyrillic
        "//ehr.example/fhir",
        "file:///etc/passwd",
        "ftp://ehr.example/fhir",
        "https:///fhir",
        "",
    ],
)
def test_any_other_address_may_not_be_called(url: str) -> None:
    with pytest.raises(EgressError):
        Egress([ALLOWED]).check(url)


def test_an_allowed_http_base_allows_only_http() -> None:
    egress = Egress(["http://127.0.0.1:8080/fhir"])
    egress.check("http://127.0.0.1:8080/fhir/Patient/1")  # raises nothing
    with pytest.raises(EgressError):
        egress.check("https://127.0.0.1:8080/fhir/Patient/1")


@pytest.mark.parametrize("base", ["ehr.example/fhir", "https://u:p@ehr.example", "https://ehr.example/fhir?x=1", ""])
def test_a_base_that_is_no_plain_url_stops_the_start(base: str) -> None:
    with pytest.raises(SettingsError, match="CDS_FHIR_ALLOW"):
        Egress([base])
