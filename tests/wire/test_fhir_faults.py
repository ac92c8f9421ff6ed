"""A FHIR server that goes wrong, against the whole service: the documented answer, in time, and the token nowhere else.

| the list                                  | a rule requires it     | no rule requires it |
|-------------------------------------------|------------------------|---------------------|
| cannot be had (FAILED)                    | 412, with the reason   | 200, as without it  |
| comes in part (CUT_SHORT)                 | 200, and what is said to be missing | 200    |
| comes whole, in an odd way (HARMLESS)     | 200                    | 200                 |

The same for integrators, fault by fault: docs/faults.md.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.hooks.prefetch import PrefetchKey, prefetch_for
from cds_service.sandbox.patients import prefetch_of
from tests.support.fault_server import (
    Answer,
    FaultServer,
    drip_body,
    drip_headers,
    endless,
    fault_server,
    hang,
    hang_up,
    in_turn,
    outcome,
    packed,
    reset,
    resource,
    slow,
    status,
    text,
)
from tests.support.paths import ROOT
from tests.support.real_inputs import (
    SAMPLES,
    Json,
    call,
    knowledge,
    problem,
    resources_of,
    rules,
    sample_request,
    shipped_service,
)

SERVICE = "vitamin-b12-patient-view"
LOW_B12 = next(sample for sample in SAMPLES if sample.id == "b12-low-metformin")
NEEDS = {need.key: need for need in prefetch_for(knowledge(), knowledge().services[SERVICE])}
SENT = prefetch_of(resources_of(LOW_B12))
TOKEN = "canary-token"
REQUIRED, NOT_REQUIRED = "labs", "familyHistory"
EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}
SOMEBODY = {"reference": "Patient/somebody-else"}
BIG = json.dumps({"resourceType": "Bundle", "type": "searchset"})
# How long the queries of one call may take where a server is slow, and everywhere else.
SHORT, LONG = 0.6, 4.9


def path_of(need: PrefetchKey) -> str:
    """What a request for this list looks like at the server, below its base."""
    url = f"http://x/fhir/{need.query(LOW_B12.id)}"
    return str(requests.Request("GET", url).prepare().path_url).removeprefix("/fhir/")


class Hospital(NamedTuple):
    """The FHIR server of the call, and another machine that must hear of nothing."""

    ehr: FaultServer
    elsewhere: FaultServer

    def restore(self) -> None:
        """Everything the sample patient has, without a fault."""
        self.ehr.routes = {path_of(need): resource(SENT.get(key, EMPTY)) for key, need in NEEDS.items()}
        self.ehr.seen.clear()


@pytest.fixture(scope="module")
def running() -> Iterator[Hospital]:
    with fault_server() as ehr, fault_server() as elsewhere:
        yield Hospital(ehr, elsewhere)


@pytest.fixture
def hospital(running: Hospital) -> Iterator[Hospital]:
    running.restore()
    yield running
    assert running.elsewhere.seen == []
    assert {token for _, token in running.ehr.seen} <= {f"Bearer {TOKEN}"}
    assert all(path.startswith("/fhir") for path, _ in running.ehr.seen)


def request_to(hospital: Hospital, prefetch: Json | None = None) -> Json:
    request = sample_request(LOW_B12, fhir_server=hospital.ehr.base, prefetch=prefetch)
    request["fhirAuthorization"] = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "cds-service",
    }
    return request


@pytest.fixture(scope="module")
def service(running: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[float, FlaskClient]]:
    """Clients of the service, by its deadline."""
    with ExitStack() as stack:
        yield {
            deadline: stack.enter_context(
                shipped_service(
                    tmp_path_factory.mktemp("service"), fhir_allow=(running.ehr.base,), fhir_deadline=deadline
                )
            )
            for deadline in (SHORT, LONG)
        }


@pytest.fixture
def ask(hospital: Hospital, service: dict[float, FlaskClient]) -> Callable[..., TestResponse]:
    """One call of the service; it fails the test if the answer is late."""

    def once(*, is_slow: bool = False, prefetch: Json | None = None) -> TestResponse:
        deadline = SHORT if is_slow else LONG
        began = time.monotonic()
        reply = call(service[deadline], SERVICE, request_to(hospital, prefetch))
        assert time.monotonic() - began < deadline + 1
        assert TOKEN not in reply.get_data(as_text=True)
        return reply

    return once


def whole(hospital: Hospital) -> Answer:
    return resource(SENT[REQUIRED])


def somebody_elses(kind: str) -> Json:
    entry = {"resourceType": kind, "id": "x", "status": "final", "subject": SOMEBODY, "patient": SOMEBODY}
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": entry}]}


def of(bundle_type: str) -> Answer:
    return resource(SENT[REQUIRED] | {"type": bundle_type})


# What happens to the list -> the fault, and the reason that the answer gives.
FAILED: dict[str, tuple[Callable[[Hospital], Answer], str]] = {
    "400": (lambda _: status(400), "HTTP 400"),
    "401": (lambda _: status(401), "HTTP 401"),
    "403": (lambda _: status(403), "HTTP 403"),
    "404": (lambda _: status(404), "HTTP 404"),
    "410": (lambda _: status(410), "HTTP 410"),
    "429": (lambda _: status(429), "HTTP 429"),
    "429, again in 60 s": (lambda _: status(429, Retry_After="60"), "HTTP 429 (to be asked again in 60 s)"),
    "503, again next century": (
        lambda _: status(503, Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
        "HTTP 503 (to be asked again in ",
    ),
    "500": (lambda _: status(500), "HTTP 500"),
    "502": (lambda _: status(502), "HTTP 502"),
    "503": (lambda _: status(503), "HTTP 503"),
    "204": (lambda _: status(204), "HTTP 204"),
    "301 to another host": (lambda at: status(301, Location=at.elsewhere.base + "/Observation"), "HTTP 301"),
    "302 to another host": (lambda at: status(302, Location=at.elsewhere.base + "/Observation"), "HTTP 302"),
    "307 to another host": (lambda at: status(307, Location=at.elsewhere.base + "/Observation"), "HTTP 307"),
    "302 to itself": (lambda at: status(302, Location=f"{at.ehr.base}/{path_of(NEEDS[REQUIRED])}"), "HTTP 302"),
    "no first byte": (lambda _: hang, "timed out"),
    "headers byte by byte": (lambda _: drip_headers, "timed out"),
    "body byte by byte": (lambda _: drip_body, "timed out"),
    "whole, but too late": (lambda _: slow(SHORT + 1, resource(EMPTY)), "timed out"),
    "no answer": (lambda _: hang_up, "connection closed without an answer"),
    "connection reset": (lambda _: reset, "answer broken off"),
    "body broken off": (lambda _: text('{"resourceType": "Bund', content_length=5000), "answer broken off"),
    "JSON broken off": (lambda _: text('{"resourceType": "Bundle", "entry": [{"resour'), "not FHIR JSON"),
    "an empty body": (lambda _: text(""), "not FHIR JSON"),
    "HTML": (lambda _: text("<html>Please log in</html>"), "not FHIR JSON"),
    "JSON that is no FHIR": (lambda _: text('{"access": "denied"}'), "not FHIR JSON"),
    "a gzip bomb": (lambda _: packed(gzip.compress(b" " * 30_000_000)), "answer too large"),
    "compressed and broken": (lambda _: packed(b"no gzip at all"), "answer broken off"),
    "30 MB": (lambda _: text(" " * 30_000_000 + BIG), "answer too large"),
    "10 GB": (lambda _: endless, "answer too large"),
    "an OperationOutcome": (lambda _: resource(outcome("forbidden")), "OperationOutcome: forbidden"),
    "an OperationOutcome as entry": (
        lambda _: resource(EMPTY | {"entry": [{"resource": outcome("timeout")}]}),
        "OperationOutcome: timeout",
    ),
    "another patient's entries": (
        lambda _: in_turn(resource(somebody_elses("Observation"))),
        "all entries are of another patient",
    ),
    "a Bundle of another type": (lambda _: of("history"), "a Bundle that is no searchset"),
    "a Patient for a search": (lambda _: resource(SENT["patient"]), "not a Bundle"),
}
SLOW = {"no first byte", "headers byte by byte", "body byte by byte", "whole, but too late"}

# The first page comes, without entries, and a link to what never comes.
CUT_SHORT: dict[str, tuple[Callable[[Hospital], Answer], str]] = {
    "401 on the second page": (lambda _: status(401), "/fhir/Observation?page=2"),
    "500 on the second page": (lambda _: status(500), "/fhir/Observation?page=2"),
    "a second page that hangs": (lambda _: hang, "/fhir/Observation?page=2"),
    "a second page broken off": (lambda _: text("{", content_length=9), "/fhir/Observation?page=2"),
    "a second page of another type": (lambda _: of("history"), "/fhir/Observation?page=2"),
    "pages in a circle": (lambda at: after("/fhir/Observation?page=2"), "/fhir/Observation?page=2"),
    "pages without end": (lambda at: pages_without_end(at), "/fhir/Observation?page=2"),
    "a next page on another host": (lambda _: status(500), "{elsewhere}/Observation?page=2"),
    "a next page beside the base": (lambda _: status(500), "/admin?page=2"),
    "a next page by file": (lambda _: status(500), "file:///etc/passwd"),
}


def after(url: str, **more: Any) -> Answer:
    return resource(EMPTY | {"link": [{"relation": "next", "url": url}]} | more)


def pages_without_end(hospital: Hospital) -> Answer:
    for page in range(3, 30):
        hospital.ehr.routes[f"Observation?page={page}"] = after(f"/fhir/Observation?page={page + 1}")
    return after("/fhir/Observation?page=3")


HARMLESS: dict[str, Callable[[Hospital], Answer]] = {
    "429, again in a moment": lambda at: in_turn(status(429, Retry_After="0"), whole(at)),
    "503, again in a moment": lambda at: in_turn(status(503, Retry_After="0"), whole(at)),
    "a kept connection closed": lambda at: in_turn(hang_up, whole(at)),
    "12 MB": lambda _: text(" " * 12_000_000 + json.dumps(SENT[REQUIRED])),
    "compressed": lambda _: packed(gzip.compress(json.dumps(SENT[REQUIRED]).encode())),
    "in two pages": lambda at: paged(at),
    "a Bundle without type": lambda _: resource({k: v for k, v in SENT[REQUIRED].items() if k != "type"}),
    "a remark beside the entries": lambda _: resource(
        SENT[REQUIRED] | {"entry": [*SENT[REQUIRED]["entry"], {"resource": outcome("informational", "information")}]}
    ),
    "another patient's entry among them": lambda _: resource(
        SENT[REQUIRED] | {"entry": [*somebody_elses("Observation")["entry"], *SENT[REQUIRED]["entry"]], "total": None}
    ),
    "called HTML and JSON all the same": lambda _: called("text/html"),
}


def paged(hospital: Hospital) -> Answer:
    hospital.ehr.routes["Observation?page=2"] = whole(hospital)
    return after(f"{hospital.ehr.base}/Observation?page=2", total=None)


def called(media_type: str) -> Answer:
    def answer(handler: Any) -> None:
        body = json.dumps(SENT[REQUIRED]).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", media_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def break_list(hospital: Hospital, key: str, answer: Answer) -> None:
    hospital.ehr.routes[path_of(NEEDS[key])] = answer


def test_without_a_fault_the_sample_gets_its_card(ask: Callable[..., TestResponse]) -> None:
    assert rules(ask()) == ["b12-low"]


@pytest.mark.row("PFD-11", "FHA-11", "FHA-13", "TOY-01", "TOY-04", "PRF-02")
@pytest.mark.parametrize("fault", FAILED)
def test_a_required_list_that_fails_is_412_with_the_reason(
    fault: str, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    make, reason = FAILED[fault]
    break_list(hospital, REQUIRED, make(hospital))
    code, issue, words = problem(ask(is_slow=fault in SLOW))
    assert (code, issue) == (412, "incomplete")
    assert f"{REQUIRED} (fetching failed: {reason}" in words


@pytest.mark.row("PFD-03", "TOY-01")
@pytest.mark.parametrize("fault", FAILED)
def test_a_list_that_no_rule_requires_costs_no_advice(
    fault: str, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    break_list(hospital, NOT_REQUIRED, FAILED[fault][0](hospital))
    assert rules(ask(is_slow=fault in SLOW)) == ["b12-low"]


@pytest.mark.parametrize("fault", [fault for fault in FAILED if "Patient for a search" not in fault])
def test_a_patient_that_fails_is_412_with_the_reason(
    fault: str, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    make, reason = FAILED[fault]
    break_list(hospital, "patient", make(hospital))
    code, issue, words = problem(ask(is_slow=fault in SLOW))
    assert (code, issue) == (412, "incomplete")
    assert words.startswith("The Patient could not be read: fetching failed: ")
    if not any(word in fault for word in ("entries", "Bundle", "entry")):
        assert reason in words


@pytest.mark.parametrize(
    "answer",
    [
        resource(SENT["patient"] | {"id": "somebody-else"}),
        resource({"resourceType": "Observation", "id": LOW_B12.id}),
        resource(EMPTY),
        resource({"resourceType": "Patient"}),
    ],
    ids=["another Patient", "another type", "a searchset", "a Patient without id"],
)
def test_a_read_that_brings_something_else_is_412(
    answer: Answer, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    break_list(hospital, "patient", answer)
    assert problem(ask())[:2] == (412, "incomplete")


@pytest.mark.row("PFD-09", "TOY-01", "FHA-11")
@pytest.mark.parametrize("fault", CUT_SHORT)
def test_a_required_list_that_comes_in_part_is_said_to_be_incomplete(
    fault: str, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    make, link = CUT_SHORT[fault]
    hospital.ehr.routes["Observation?page=2"] = make(hospital)
    break_list(hospital, REQUIRED, after(link.format(elsewhere=hospital.elsewhere.base)))
    assert rules(ask(is_slow="hangs" in fault)) == ["data-incomplete"]


@pytest.mark.parametrize("fault", CUT_SHORT)
def test_what_came_before_the_fault_is_judged(fault: str, hospital: Hospital, ask: Callable[..., TestResponse]) -> None:
    make, link = CUT_SHORT[fault]
    hospital.ehr.routes["Observation?page=2"] = make(hospital)
    url = link.format(elsewhere=hospital.elsewhere.base)
    break_list(hospital, REQUIRED, resource(SENT[REQUIRED] | {"link": [{"relation": "next", "url": url}]}))
    assert "b12-low" in rules(ask(is_slow="hangs" in fault))


@pytest.mark.parametrize("fault", CUT_SHORT)
def test_a_list_that_no_rule_requires_may_come_in_part(
    fault: str, hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    make, link = CUT_SHORT[fault]
    hospital.ehr.routes["Observation?page=2"] = make(hospital)
    break_list(hospital, NOT_REQUIRED, after(link.format(elsewhere=hospital.elsewhere.base)))
    assert rules(ask(is_slow="hangs" in fault)) == ["b12-low"]


@pytest.mark.parametrize("oddity", HARMLESS)
def test_what_is_odd_and_whole_is_judged(oddity: str, hospital: Hospital, ask: Callable[..., TestResponse]) -> None:
    break_list(hospital, REQUIRED, HARMLESS[oddity](hospital))
    assert rules(ask()) == ["b12-low"]


@pytest.mark.row("PFD-08")
def test_no_results_told_by_an_informational_outcome_are_no_fault(
    hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    """Epic's empty search"""
    break_list(hospital, REQUIRED, resource(EMPTY))
    plainly = rules(ask())
    said = {"resource": outcome("not-found", "warning"), "search": {"mode": "outcome"}}
    break_list(hospital, REQUIRED, resource(EMPTY | {"entry": [said]}))
    assert rules(ask()) == plainly
    assert "data-incomplete" not in plainly


# Who is called, and when


@pytest.mark.row("TOY-20")
def test_a_complete_prefetch_calls_nobody(hospital: Hospital, ask: Callable[..., TestResponse]) -> None:
    assert rules(ask(prefetch=SENT)) == ["b12-low"]
    assert hospital.ehr.seen == []


@pytest.mark.row("PFD-02", "TOY-20")
@pytest.mark.parametrize("missing", [["labs"], ["patient"], ["conditions", "goals"], list(NEEDS)])
def test_exactly_what_is_missing_is_asked_for(
    missing: list[str], hospital: Hospital, ask: Callable[..., TestResponse]
) -> None:
    prefetch = {key: SENT.get(key, EMPTY) for key in NEEDS if key not in missing}
    assert rules(ask(prefetch=prefetch)) == ["b12-low"]
    assert sorted(path for path, _ in hospital.ehr.seen) == sorted(f"/fhir/{path_of(NEEDS[key])}" for key in missing)


@pytest.mark.row("FHA-10")
@pytest.mark.parametrize("answer", ["pages", "pause"])
def test_nobody_is_called_after_the_answer(answer: str, hospital: Hospital, ask: Callable[..., TestResponse]) -> None:
    """The client may take the token back as soon as it has the answer"""
    if answer == "pages":
        for page in range(2, 30):
            hospital.ehr.routes[f"Observation?page={page}"] = slow(0.15, after(f"/fhir/Observation?page={page + 1}"))
        break_list(hospital, REQUIRED, after("/fhir/Observation?page=2"))
    else:
        break_list(hospital, REQUIRED, in_turn(slow(SHORT - 0.1, status(503, Retry_After="0")), hang))
    ask(is_slow=True)
    asked = len(hospital.ehr.seen)
    assert not hospital.ehr.over.wait(0.7)
    assert len(hospital.ehr.seen) == asked


# A server that is gone


def test_a_server_that_is_gone_is_soon_left_alone(tmp_path: Path) -> None:
    with fault_server() as gone:
        pass
    with shipped_service(tmp_path, fhir_allow=(gone.base,)) as client:
        request = request_to(Hospital(gone, gone))
        words = [problem(call(client, SERVICE, request))[2] for _ in range(4)]
    assert "fetching failed: no connection" in words[0]
    assert "fetching failed: not asked, because its calls keep failing" in words[-1]


def test_every_fault_is_in_the_document_for_integrators() -> None:
    document = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    told = {line.split("|")[1].strip() for line in document.splitlines() if line.startswith("| ")}
    assert {*FAILED, *CUT_SHORT, *HARMLESS} <= told
