"""Prefetch in all its states, with and without a FHIR server: what was read, what was not, and who was called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from cds_service.egress.egress import Egress
from cds_service.fhir.bundle import ListResult
from cds_service.fhir.read.gather import settled
from cds_service.gap_texts import gaps_text
from cds_service.hooks.complete_prefetch import RequestSource
from cds_service.hooks.prefetch import PrefetchKey
from cds_service.record_lists import by_source
from tests.support.fault_server import Answer, FaultServer, fault_server, hang, outcome, resource, status
from tests.support.fhir_parts import SUBJECT, Resource, patient, request, searchset

ABSENT = object()
REQUIRED = PrefetchKey("Condition?patient={{context.patientId}}", by_source()["conditions"])
OPTIONAL = PrefetchKey("Goal?patient={{context.patientId}}", by_source()["goals"])
PATIENT = PrefetchKey("Patient/{{context.patientId}}")

Access = Literal["none", "works", "refuses", "hangs"]
What = Literal["whole", "part", "unread"]


def item(name: str) -> Resource:
    return {"resourceType": "Condition", "id": name, "subject": SUBJECT}


INFORMED = {"resource": outcome("not-found", "information"), "search": {"mode": "outcome"}}
NEXT = [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]

# What a client sends for a list -> what that is worth by itself, and how many entries it holds.
SENT: dict[str, tuple[Any, What, int]] = {
    "absent": (ABSENT, "unread", 0),
    "null": (None, "whole", 0),
    "a Bundle without entry": ({"resourceType": "Bundle", "type": "searchset"}, "whole", 0),
    "a Bundle of total 0": ({"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []}, "whole", 0),
    "an informational outcome": (searchset() | {"total": 0, "entry": [INFORMED]}, "whole", 0),
    "a full Bundle": (searchset(item("a"), total=1), "whole", 1),
    "an OperationOutcome": (outcome("forbidden"), "unread", 0),
    "a Bundle of a failure": (searchset(outcome("exception")), "unread", 0),
    "another type": (patient(), "unread", 0),
    "another patient's": (searchset(item("a") | {"subject": {"reference": "Patient/p2"}}), "unread", 0),
    "no resource": ({"conditions": []}, "unread", 0),
    "page 1 of 2": (searchset(item("a"), link=NEXT), "part", 1),
    "a total above the entries": (searchset(item("a"), total=2), "part", 1),
    "an entry that cannot be read": (searchset() | {"entry": [{"resource": item("a")}, {"resource": 5}]}, "part", 1),
    "a failure beside an entry": (searchset(item("a"), outcome("timeout")), "part", 1),
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def get(server: FaultServer) -> Callable[..., ListResult]:
    """Obtains one need, sent in this state, beside a server in this mood."""

    def obtain(
        need: PrefetchKey, sent: Any, access: Access = "none", *, without_token: bool = False, **more: Any
    ) -> ListResult:
        moods: dict[Access, Answer] = {
            "works": resource(searchset(item("a"), item("b"))),
            "refuses": status(401),
            "hangs": hang,
        }
        if access != "none":
            server.routes[need.query("p1")] = moods[access]
            more = {"fhir_server": server.base, "fhir_token": "secret"} | more
        body = request({} if sent is ABSENT else {need.key: sent}, **more)
        wait = 0.15 if access == "hangs" else 5
        deadline = time.monotonic() + wait
        return RequestSource([need], body, Egress((server.base,)), without_token, deadline).lists()[0]

    return obtain


def worth(obtained: ListResult) -> What:
    return "unread" if obtained.unread else "part" if obtained.incomplete else "whole"


@pytest.mark.row("PFD-02", "PFD-03", "PFD-04", "PFD-05", "PFD-07", "PFD-08", "PFD-09", "TOY-07")
@pytest.mark.parametrize("access", ["none", "works", "refuses", "hangs"])
@pytest.mark.parametrize("sent", SENT)
def test_a_required_list_is_what_was_sent_or_what_the_server_has(
    sent: str, access: Access, server: FaultServer, get: Callable[..., ListResult]
) -> None:
    body, alone, entries = SENT[sent]
    obtained = get(REQUIRED, body, access)
    lacking = alone != "whole"
    assert len(server.seen) == (lacking and access != "none")
    if lacking and access == "works":
        assert (worth(obtained), len(obtained.entries)) == ("whole", 2)
    else:
        assert (worth(obtained), len(obtained.entries)) == (alone, entries)
    assert obtained.sources == ("conditions",)


@pytest.mark.row("PFD-03", "TOY-07")
@pytest.mark.parametrize("access", ["none", "works", "refuses", "hangs"])
@pytest.mark.parametrize("sent", SENT)
def test_an_optional_list_counts_as_read_whatever_came(
    sent: str, access: Access, server: FaultServer, get: Callable[..., ListResult]
) -> None:
    body, alone, entries = SENT[sent]
    assert worth(settled(get(OPTIONAL, body, access))) == "whole"
    # The entries are Conditions: no answer to a search for Goals.
    assert len(server.seen) == ((alone != "whole" or entries > 0) and access != "none")


@pytest.mark.parametrize(
    ("sent", "access", "reason"),
    [
        ("absent", "none", "not sent as prefetch; no fhirServer to fetch it from"),
        ("an OperationOutcome", "none", "the client could not fetch it (forbidden); no fhirServer to fetch it from"),
        ("another type", "none", "sent as a resource of another type; no fhirServer to fetch it from"),
        ("absent", "refuses", "fetching failed: HTTP 401"),
        ("absent", "hangs", "fetching failed: timed out"),
    ],
)
def test_an_unread_list_says_why(sent: str, access: Access, reason: str, get: Callable[..., ListResult]) -> None:
    assert gaps_text(get(REQUIRED, SENT[sent][0], access).unread, "en") == reason


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("page 1 of 2", "only the first page was sent; no fhirServer to fetch it from"),
        ("a total above the entries", "fewer entries than its total were sent; no fhirServer to fetch it from"),
        ("an entry that cannot be read", "1 entries could not be read; no fhirServer to fetch it from"),
        ("a failure beside an entry", "the server reported timeout; no fhirServer to fetch it from"),
    ],
)
def test_a_list_of_which_a_part_is_missing_says_why(sent: str, reason: str, get: Callable[..., ListResult]) -> None:
    assert gaps_text(get(REQUIRED, SENT[sent][0]).incomplete, "en") == reason


def test_without_a_token_the_server_is_not_called(server: FaultServer, get: Callable[..., ListResult]) -> None:
    obtained = get(REQUIRED, ABSENT, "works", fhir_token=None)
    assert gaps_text(obtained.unread, "en") == "not sent as prefetch; no fhirAuthorization to fetch it with"
    assert server.seen == []


def test_a_sandbox_is_called_without_a_token(server: FaultServer, get: Callable[..., ListResult]) -> None:
    obtained = get(REQUIRED, ABSENT, "works", fhir_token=None, without_token=True)
    assert (worth(obtained), server.seen) == ("whole", [("/fhir/Condition?patient=p1", None)])


@pytest.mark.row("FHA-02")
def test_the_token_goes_with_every_call(server: FaultServer, get: Callable[..., ListResult]) -> None:
    get(REQUIRED, ABSENT, "works")
    assert server.seen == [("/fhir/Condition?patient=p1", "Bearer secret")]


def test_a_server_that_may_not_be_called_is_not_called(server: FaultServer) -> None:
    body = request({}, fhir_server=server.base, fhir_token="secret")
    egress = Egress(("https://ehr.example/fhir",))
    obtained = RequestSource([REQUIRED], body, egress, False, time.monotonic() + 5).lists()[0]
    assert gaps_text(obtained.unread, "en").endswith("fhirServer is not on the list of servers that may be called")
    assert server.seen == []


def test_only_what_is_lacking_is_fetched(server: FaultServer) -> None:
    server.routes["Patient/p1"] = resource(patient())
    server.routes["Goal?patient=p1"] = resource(searchset())
    body = request({"conditions": searchset(item("a"))}, fhir_server=server.base, fhir_token="secret")
    needs = [PATIENT, REQUIRED, OPTIONAL]
    obtained = RequestSource(needs, body, Egress((server.base,)), False, time.monotonic() + 5).lists()
    assert sorted(path for path, _ in server.seen) == ["/fhir/Goal?patient=p1", "/fhir/Patient/p1"]
    assert [worth(settled(part)) for part in obtained] == ["whole"] * 3


def test_a_key_that_is_not_asked_for_is_not_read() -> None:
    body = request({"conditions": None, "allergies": searchset(item("a"))})
    assert len(RequestSource([REQUIRED], body, Egress(()), False, 0).lists()) == 1


@pytest.mark.row("PFD-04")
@pytest.mark.parametrize(("sent", "reason"), [(None, "sent as null"), (searchset(), "no Patient in the answer")])
def test_the_patient_cannot_be_nothing(sent: Any, reason: str, get: Callable[..., ListResult]) -> None:
    assert gaps_text(get(PATIENT, sent).unread, "en").startswith(reason)


def test_the_patient_may_come_in_a_bundle(get: Callable[..., ListResult]) -> None:
    assert worth(get(PATIENT, searchset(patient()))) == "whole"
