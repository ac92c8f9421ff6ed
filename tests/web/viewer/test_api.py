"""What the page is served: itself, servers, patients, charts, draft orders, and resources of servers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fhir.resources.R4B import get_fhir_model_class
from flask import Flask
from flask.testing import FlaskClient
from requests.utils import requote_uri

from cds_service.artifacts.load import knowledge_dir
from cds_service.errors import KnowledgeError, SettingsError
from cds_service.hooks.prefetch import needs_of_all, prefetch_for
from cds_service.sandbox.orders import SampleOrder, read_orders
from cds_service.sandbox.patients import patient_resources
from cds_service.settings import Settings, load_settings
from cds_service.web.app import create_app
from cds_service.web.responses import PAGE_POLICY
from cds_service.web.viewer.charts import READABLE, _name
from tests.servers.fixtures import store
from tests.support.databases import sqlite_url
from tests.support.fault_server import FaultServer, bundle, fault_server, hang_up, outcome, resource, status, text
from tests.support.kb import knowledge
from tests.support.real_inputs import SAMPLES

Json = dict[str, Any]
ORDERS = read_orders(knowledge_dir() / "sandbox" / "orders.yaml", knowledge_dir())


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    made = create_app(settings(tmp_path_factory.mktemp("page"), sandbox=True))
    yield made
    made.extensions["database"].close()


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, FaultServer]]:
    with fault_server() as server:
        more = {"fhir_allow": (server.base,), "page": True, "page_servers": (f"far={server.base}",)}
        made = create_app(settings(tmp_path_factory.mktemp("far"), **more))
        yield made, server
        made.extensions["database"].close()


@pytest.fixture
def elsewhere(linked: tuple[Flask, FaultServer]) -> tuple[FlaskClient, FaultServer]:
    """A page that shows a server elsewhere, and that server, whose answers a test chooses."""
    app, server = linked
    server.routes.clear()
    server.seen.clear()
    return app.test_client(), server


def settings(folder: Path, **more: Any) -> Settings:
    members: dict[str, Any] = {"open": True, "database_url": sqlite_url(folder)}
    return Settings(**members | more)


def queries(patient: str) -> dict[str, str]:
    """As they arrive at a server: the way out writes a bar as %7C."""
    return {need.key: requote_uri(need.query(patient)) for need in needs_of_all(knowledge())}


def empty(server: FaultServer, patient: str = "p1") -> None:
    """The server has the patient and nothing else."""
    for key, query in queries(patient).items():
        server.routes[query] = resource(
            {"resourceType": "Patient", "id": patient}
            if key == "patient"
            else {"resourceType": "Bundle", "type": "searchset"}
        )


# --- the page itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "tag"), [("zh-CN", "zh-Hans"), ("en", "en"), ("fr", "en")])
def test_the_page_comes_in_the_language_of_the_reader(page: FlaskClient, asked: str, tag: str) -> None:
    reply = page.get("/app/", headers={"Accept-Language": asked})
    assert reply.status_code == 200
    assert f'<html lang="{tag}"' in reply.text
    assert reply.headers["Content-Language"] == tag


def test_the_page_may_load_nothing_from_elsewhere_and_stands_in_no_frame(page: FlaskClient) -> None:
    headers = page.get("/app/").headers
    assert headers["Content-Security-Policy"] == PAGE_POLICY
    assert "default-src 'none'" in PAGE_POLICY
    assert "frame-ancestors 'none'" in PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_no_script_style_or_address_of_its_own_making(page: FlaskClient) -> None:
    html = page.get("/app/").text
    assert " style=" not in html
    assert "onload=" not in html
    assert "://" not in html.replace("http://www.w3.org/", "")
    assert "<script>" not in html


def test_browsers_that_open_the_service_are_led_to_the_page_and_programs_are_not(page: FlaskClient) -> None:
    browser = page.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["Location"]) == (302, "/app/")
    assert page.get("/", headers={"Accept": "*/*"}).json["service"] == "cds-service"
    assert page.get("/app").headers["Location"] == "/app/"


def test_behind_a_prefix_browsers_are_led_below_it(tmp_path: Path) -> None:
    app = create_app(settings(tmp_path, sandbox=True, public_url="https://cds.example/b12"))
    reply = app.test_client().get("/b12/", headers={"Accept": "text/html"})
    assert reply.headers["Location"] == "/b12/app/"
    assert app.test_client().get("/b12/app/").status_code == 200
    app.extensions["database"].close()


def test_the_page_is_there_with_the_sandbox_or_when_it_is_switched_on(tmp_path: Path) -> None:
    for more, expected in (({}, 404), ({"page": True}, 200), ({"sandbox": True, "page": False}, 404)):
        app = create_app(settings(tmp_path, **more))
        assert app.test_client().get("/app/").status_code == expected
        assert app.test_client().get("/", headers={"Accept": "text/html"}).status_code == (
            302 if expected == 200 else 200
        )
        app.extensions["database"].close()


@pytest.mark.parametrize("name", ["../page.py", "..%2fpage.py", "%2e%2e/catalogue.css", "nowhere.js", ""])
def test_nothing_beside_the_pages_own_files_is_served(page: FlaskClient, name: str) -> None:
    assert page.get(f"/app/static/{name}").status_code == 404


# --- servers and patients ---------------------------------------------------------------------------------------------


def test_the_sandbox_is_listed_under_the_address_that_its_clients_use(page: FlaskClient) -> None:
    (one,) = page.get("/app/api/servers", base_url="http://127.0.0.1:8123").json["servers"]
    assert one == {"id": "sandbox", "name": "Sample patients (invented)", "base": "http://127.0.0.1:8123/sandbox/fhir"}
    assert "虚构" in page.get("/app/api/servers?lang=zh").json["servers"][0]["name"]


def test_all_sample_patients_are_listed_and_found_by_a_part_of_the_name(page: FlaskClient) -> None:
    everybody = page.get("/app/api/patients/sandbox").json["patients"]
    assert {"id", "name", "birthDate", "sex", "about"} == everybody[0].keys()
    assert len(everybody) == len(page.get("/sandbox/fhir/Patient?_count=500").json["entry"])
    assert [one["id"] for one in page.get("/app/api/patients/sandbox?name=roy").json["patients"]] == [
        "b12-and-warfarin"
    ]
    assert page.get("/app/api/patients/sandbox?name=测试").json["patients"] != []


def test_a_sample_patient_is_found_by_what_it_shows_in_the_language_of_the_reader(page: FlaskClient) -> None:
    english = page.get("/app/api/patients/sandbox?name=apixaban").json["patients"]
    chinese = page.get("/app/api/patients/sandbox?name=阿哌沙班&lang=zh").json["patients"]
    assert [one["id"] for one in english] == [one["id"] for one in chinese] == ["doac-d3k2"]
    assert english[0]["about"] != chinese[0]["about"]
    assert page.get("/app/api/patients/sandbox?name=阿哌沙班").json["patients"] == []


def test_patients_are_private_and_kept_nowhere(page: FlaskClient) -> None:
    for path in ("/app/api/patients/sandbox", "/app/api/chart/sandbox/b12-and-warfarin", "/app/fhir/sandbox/Patient"):
        assert page.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/app/api/patients/nowhere", 404),
        ("/app/api/patients/sandbox?name=" + "x" * 101, 400),
        ("/app/api/chart/nowhere/p1", 404),
        ("/app/api/chart/sandbox/nobody", 404),
        ("/app/api/chart/sandbox/a_b", 400),
        ("/app/api/chart/sandbox/..%2fmetadata", 404),
        ("/app/fhir/sandbox/metadata", 404),
        ("/app/fhir/sandbox/Practitioner", 404),
        ("/app/fhir/sandbox/Patient/nobody", 404),
        ("/app/fhir/sandbox/Patient/a%20b", 400),
        ("/app/fhir/sandbox/Observation?date=xx2020", 400),
    ],
)
def test_what_cannot_be_had_is_an_outcome_in_json(page: FlaskClient, path: str, status: int) -> None:
    reply = page.get(path)
    assert reply.status_code == status
    assert reply.json["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ([{"use": "usual", "given": ["Ada"], "family": "Example"}], "Ada Example"),
        ([{"use": "maiden", "text": "Old"}, {"use": "official", "text": "New"}], "New"),
        ([{"given": ["甲"], "family": "测试"}], "测试甲"),
        ([{"family": "Only"}], "Only"),
        ([{"given": [None, 3]}, "x"], ""),
        ({"family": "no list"}, ""),
        (None, ""),
    ],
)
def test_a_name_is_written_as_people_write_it(name: Any, expected: str) -> None:
    assert _name({"name": name}) == expected


# --- charts -----------------------------------------------------------------------------------------------------------


def test_a_chart_has_what_the_rules_look_at_and_the_prefetch_of_an_ehr(page: FlaskClient) -> None:
    chart = page.get("/app/api/chart/sandbox/b12-and-warfarin").json
    assert chart["patient"]["name"] == "Roy Example"
    assert {use["text"] for use in chart["medicines"]} == {"vitamin K2 (MK-7)", "warfarin sodium 5 MG Oral Tablet"}
    assert [one["analyte"] for one in chart["series"]] == ["b12", "inr"]
    assert chart["prefetch"].keys() == queries("x").keys()


def test_every_sample_patient_has_a_chart_in_both_languages(page: FlaskClient) -> None:
    for patient in page.get("/app/api/patients/sandbox").json["patients"]:
        english, chinese = (page.get(f"/app/api/chart/sandbox/{patient['id']}?lang={one}").json for one in ("en", "zh"))
        assert english["patient"] == chinese["patient"]
        assert english["prefetch"] == chinese["prefetch"]
        assert not [note for note in english["notes"] if "could not be read" in note]


def test_a_reference_of_the_chart_leads_to_its_resource(page: FlaskClient) -> None:
    chart = page.get("/app/api/chart/sandbox/b12-and-warfarin").json
    for row in (*chart["results"], *chart["medicines"]):
        found = page.get(f"/app/fhir/sandbox/{row['ref']}").json
        assert f"{found['resourceType']}/{found['id']}" == row["ref"]


@pytest.mark.parametrize("service", knowledge().services.values(), ids=lambda service: service.id)
def test_a_call_with_the_charts_prefetch_needs_no_server(page: FlaskClient, service: Any) -> None:
    """The page filters the prefetch by the keys of the service, as an EHR does."""
    chart = page.get("/app/api/chart/sandbox/b12-and-warfarin").json
    keys = [need.key for need in prefetch_for(knowledge(), service)]
    reply = page.post(
        f"/cds-services/{service.id}", json=call(service.hook, {key: chart["prefetch"][key] for key in keys})
    )
    assert reply.status_code == 200
    assert all(card["source"]["topic"]["code"] != "data-incomplete" for card in reply.json["cards"])


def call(hook: str, prefetch: Json) -> Json:
    context: Json = {"userId": "Practitioner/example", "patientId": "b12-and-warfarin", "encounterId": "e1"}
    if hook.startswith("order-"):
        draft = {"resourceType": "ServiceRequest", "id": "draft-1", "status": "draft", "intent": "order"}
        drafts = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": draft}]}
        context |= {"draftOrders": drafts, "selections": ["ServiceRequest/draft-1"]}
    return {"hook": hook, "hookInstance": str(uuid4()), "context": context, "prefetch": prefetch}


def test_an_open_service_says_why_when_it_is_asked_to(page: FlaskClient) -> None:
    chart = page.get("/app/api/chart/sandbox/b12-and-warfarin").json
    path, body = "/cds-services/vitamin-k-patient-view", call("patient-view", chart["prefetch"])
    assert "cds-service.explain" not in page.post(path, json=body).json["extension"]
    explained = page.post(path, json=body, headers={"X-CDS-Explain": "1"}).json["extension"]["cds-service.explain"]
    assert {"rule", "outcome", "when"} <= next(node for node in explained if node["outcome"] == "speaks").keys()


# --- draft orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_order_is_a_valid_draft_without_id_and_subject(page: FlaskClient, language: str) -> None:
    orders = page.get(f"/app/api/orders?lang={language}").json["orders"]
    assert [one["id"] for one in orders] == [order.id for order in ORDERS]
    for one in orders:
        draft = one["resource"]
        assert draft["status"] == "draft"
        assert not {"id", "subject"} & draft.keys()
        whole = draft | {"id": "draft-1", "subject": {"reference": "Patient/p1"}}
        get_fhir_model_class(draft["resourceType"]).model_validate(whole)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.id)
def test_an_order_is_read_as_the_product_that_it_is_meant_to_be(order: SampleOrder, language: str) -> None:
    terminology, draft = knowledge().terminology, order.written(language)
    wanted = draft.test or draft.drug
    found = terminology.concepts("observation" if draft.test else "medication", (), order.text.in_language(language))
    assert wanted in found or not found  # an unrecognised text goes out with the code of its value set


def test_a_vitamin_k_order_for_somebody_on_warfarin_gets_a_card(page: FlaskClient) -> None:
    chart = page.get("/app/api/chart/sandbox/b12-and-warfarin").json
    (order,) = [one for one in page.get("/app/api/orders").json["orders"] if one["id"] == "menatetrenone-45"]
    draft = order["resource"] | {"id": "draft-1", "subject": {"reference": "Patient/b12-and-warfarin"}}
    body = call("order-select", chart["prefetch"])
    body["context"] |= {
        "selections": ["MedicationRequest/draft-1"],
        "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": draft}]},
    }
    cards = page.post("/cds-services/vitamin-k-order-select", json=body).json["cards"]
    assert "critical" in [card["indicator"] for card in cards]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("{}", "not a list"),
        ("- {id: a, kind: test, text: {en: a, zh: b}, draft: {}}", "draft"),
        ("- {id: a, kind: test, text: {en: a, zh: b}, draft: {test: inr, text: c}}", "beside it"),
        ("- {id: a, kind: test, text: {en: a, zh: b}, draft: {nothing: inr}}", "a.yaml:1"),
        ("- &one {id: a, kind: test, text: {en: a, zh: b}, draft: {test: inr}}\n- *one", "two orders a"),
    ],
)
def test_a_fault_in_the_list_of_orders_is_told_with_its_line(tmp_path: Path, written: str, fault: str) -> None:
    (tmp_path / "a.yaml").write_text(written)
    with pytest.raises(KnowledgeError, match=fault):
        read_orders(tmp_path / "a.yaml", tmp_path)


# --- a server elsewhere -----------------------------------------------------------------------------------------------


def test_patients_elsewhere_are_searched_by_name(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    found = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Far"}]}
    server.routes["Patient?_count=50&name=Fa+r"] = resource(
        {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": found}]}
    )
    assert page.get("/app/api/patients/far?name=Fa r").json["patients"][0]["name"] == "Far"


def test_a_chart_is_read_from_a_server_elsewhere_without_a_token(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    chart = page.get("/app/api/chart/far/p1").json
    assert chart["notes"] == []
    assert chart["prefetch"]["labs"] == {"resourceType": "Bundle", "type": "searchset", "total": 0}
    assert {token for _, token in server.seen} == {None}


@pytest.mark.parametrize(
    ("answer", "status_"),
    [(status(404), 404), (status(410), 404), (status(401), 502), (status(500), 502), (hang_up, 502), (text("x"), 502)],
)
def test_without_the_patient_there_is_no_chart(
    elsewhere: tuple[FlaskClient, FaultServer], answer: Any, status_: int
) -> None:
    page, server = elsewhere
    empty(server)
    server.routes["Patient/p1"] = answer
    reply = page.get("/app/api/chart/far/p1")
    assert reply.status_code == status_
    assert reply.json["resourceType"] == "OperationOutcome"
    assert server.base not in reply.text


def test_another_patient_than_the_one_asked_for_is_no_chart(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    server.routes["Patient/p1"] = resource({"resourceType": "Patient", "id": "p2"})
    assert page.get("/app/api/chart/far/p1").status_code == 502


def test_a_list_that_fails_is_told_and_not_sent(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    server.routes[queries("p1")["conditions"]] = status(403)
    server.routes[queries("p1")["goals"]] = status(403)
    chart = page.get("/app/api/chart/far/p1").json
    assert chart["notes"] == [
        "Problems and diagnoses could not be read: HTTP 403",
        "Goals could not be read; the rules use their defaults",
    ]
    assert not {"conditions", "goals"} & chart["prefetch"].keys()


def test_a_list_of_which_a_page_fails_is_sent_as_a_part(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    server.routes[queries("p1")["labs"]] = resource(bundle(["o1"], after=f"{server.base}/page2"))
    server.routes["page2"] = status(500)
    chart = page.get("/app/api/chart/far/p1").json
    assert chart["notes"][0].startswith("Laboratory results are not complete: page 2: HTTP 500")
    assert chart["prefetch"]["labs"]["link"] == [{"relation": "next", "url": f"{server.base}/page2"}]


def test_a_part_that_could_pass_for_the_whole_is_not_sent(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    with_error = bundle(["c1"])
    with_error["entry"].append({"resource": outcome("exception")})
    server.routes[queries("p1")["labs"]] = resource(with_error)
    chart = page.get("/app/api/chart/far/p1?lang=zh").json
    assert chart["notes"][0] == "检验结果不完整：服务器报告exception"
    assert "labs" not in chart["prefetch"]


def test_an_entry_that_cannot_be_read_is_told(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    server.routes[queries("p1")["labs"]] = resource(bundle([]) | {"entry": [{"resource": {"status": "final"}}]})
    assert page.get("/app/api/chart/far/p1").json["notes"] == [
        "Laboratory results are not complete: 1 entries could not be read"
    ]


def test_what_a_careless_server_gives_of_others_is_not_passed_on(elsewhere: tuple[FlaskClient, FaultServer]) -> None:
    page, server = elsewhere
    empty(server)
    mine, other = (
        {"resourceType": "Condition", "id": who, "subject": {"reference": f"Patient/{who}"}} for who in ("p1", "p2")
    )
    entries = {"entry": [{"resource": mine}, {"resource": other}]}
    server.routes[queries("p1")["conditions"]] = resource(bundle([]) | entries)
    chart = page.get("/app/api/chart/far/p1").json
    assert [entry["resource"]["id"] for entry in chart["prefetch"]["conditions"]["entry"]] == ["p1"]
    server.routes[queries("p1")["conditions"]] = resource(bundle([]) | {"entry": [{"resource": other}]})
    chart = page.get("/app/api/chart/far/p1").json
    assert "conditions" not in chart["prefetch"]
    assert chart["notes"] == ["Problems and diagnoses could not be read: all entries are of another patient"]


@pytest.mark.parametrize("answer", [resource(outcome("exception")), text("nothing"), status(503)])
def test_a_search_for_patients_that_fails_is_told(elsewhere: tuple[FlaskClient, FaultServer], answer: Any) -> None:
    page, server = elsewhere
    server.routes["Patient?_count=50"] = answer
    assert page.get("/app/api/patients/far").status_code == 502


def test_the_page_passes_on_reads_and_no_parameters_but_the_known_ones(
    elsewhere: tuple[FlaskClient, FaultServer],
) -> None:
    page, server = elsewhere
    server.routes["Condition?patient=p1"] = resource(bundle([]))
    assert page.get("/app/fhir/far/Condition?patient=p1&_include=*&_format=xml").status_code == 200
    assert server.seen == [("/fhir/Condition?patient=p1", None)]


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_the_page_writes_nothing(page: FlaskClient, method: str) -> None:
    assert getattr(page, method)("/app/fhir/sandbox/Patient/healthy-adult").status_code == 405


def test_the_page_reads_the_types_that_the_service_reads() -> None:
    types = {need.type for need in needs_of_all(knowledge())}
    assert types | {"Medication"} == READABLE


@pytest.mark.hapi
def test_a_patient_of_hapi_is_found_and_charted(tmp_path: Path, hapi_url: str) -> None:
    sample = next(one for one in SAMPLES if one.id == "course-inr-vitamin-k")
    store(hapi_url, patient_resources(sample, knowledge().terminology, datetime.now(UTC)).all)
    more = {"fhir_allow": (hapi_url,), "page": True, "page_servers": (f"hapi={hapi_url}",)}
    app = create_app(settings(tmp_path, **more))
    page = app.test_client()
    assert sample.id in [one["id"] for one in page.get("/app/api/patients/hapi?name=Tess").json["patients"]]
    chart = page.get(f"/app/api/chart/hapi/{sample.id}").json
    assert [one["analyte"] for one in chart["series"]] == ["haemoglobin", "mcv", "inr"]
    assert len(chart["series"][2]["points"]) == 11
    assert len(chart["prefetch"]["labs"]["entry"]) == 13
    app.extensions["database"].close()


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    ["https://fhir.example", "Big=https://fhir.example", "sandbox=https://fhir.example", "a=ftp://fhir.example"],
)
def test_an_entry_that_names_no_server_stops_the_start(entry: str) -> None:
    with pytest.raises(SettingsError, match="CDS_PAGE_SERVERS"):
        load_settings(open=True, page_servers=entry)


def test_a_closed_service_shows_no_server_to_everybody(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(SettingsError, match="only an open service"):
        load_settings(page_servers="far=https://fhir.example")


def test_a_server_that_may_not_be_called_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CDS_FHIR_ALLOW"):
        create_app(settings(tmp_path, page=True, page_servers=("far=https://fhir.example/r4",)))


def test_a_closed_service_says_why_to_nobody_who_merely_asks(make_app: Callable[..., Flask]) -> None:
    reply = (
        make_app(open=False)
        .test_client()
        .post("/cds-services/vitamin-b12-patient-view", json={}, headers={"X-CDS-Explain": "1"})
    )
    assert reply.status_code == 401
