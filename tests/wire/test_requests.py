"""What a service call must look like, and what is tolerated: rows REQ-*, CTX-* and FHA-* of the CDS Hooks text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.errors import BadRequest
from cds_service.hooks.messages import parse_request
from cds_service.security.clients import OPEN, ClientProfile
from tests.support.recorder import SELECT, SERVICES, SIGN, UUID_V1, VIEW, Recorder, encoded, request_body

LONG_ID = "e" + "Xy-7.Zq%" * 24 + "."
AUTHORIZATION = {
    "access_token": "canary-token",
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "Observation.Read (Labs) (R4)",
    "subject": "cds-service",
}


def refused(response: TestResponse, path: str) -> None:
    """The reply is a 400 that names the member."""
    assert response.status_code == 400, response.text
    issue = response.json["issue"][0]
    assert issue["expression"] == [path]
    assert path.rpartition(".")[2] in issue["diagnostics"]


# REQ: the members of a call


@pytest.mark.row("REQ-01", "RSP-01")
@pytest.mark.parametrize("service_id", SERVICES)
def test_a_complete_call_of_every_hook_is_answered(client: FlaskClient, service_id: str) -> None:
    response = client.post(f"/cds-services/{service_id}", json=request_body(SERVICES[service_id]))
    assert response.status_code == 200
    assert response.json["cards"][0]["summary"] == "A card of the test"


@pytest.mark.row("REQ-02")
@pytest.mark.parametrize("value", [..., None, "", "  ", 7, ["patient-view"]])
def test_a_call_without_a_hook_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(hook=value)), "hook")


@pytest.mark.row("REQ-03")
def test_the_hook_of_another_service_is_refused(client: FlaskClient, recorder: Recorder) -> None:
    refused(client.post(VIEW, json=request_body("order-sign")), "hook")
    assert recorder.calls == []


@pytest.mark.row("REQ-04")
@pytest.mark.parametrize("value", [..., None, "", "not-a-uuid", 12, UUID_V1[:-1], UUID_V1 + "0"])
def test_a_call_without_a_uuid_as_hook_instance_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(hookInstance=value)), "hookInstance")


@pytest.mark.row("REQ-05", "E-4", "TOY-23")
@pytest.mark.parametrize(
    "value",
    [
        UUID_V1,
        UUID_V1.upper(),
        f"urn:uuid:{UUID_V1}",
        "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "018f2b8a-0000-7000-8000-000000000000",
    ],
)
def test_a_uuid_of_any_version_and_case_is_a_hook_instance(client: FlaskClient, value: str) -> None:
    assert client.post(VIEW, json=request_body(hookInstance=value)).status_code == 200


@pytest.mark.row("REQ-06")
def test_one_hook_instance_twice_is_two_calls(client: FlaskClient, recorder: Recorder) -> None:
    client.post(VIEW, json=request_body())
    client.post(VIEW, json=request_body(context__patientId="pat-2"))
    assert [request.patient_id for _, request, _ in recorder.calls] == ["pat-1", "pat-2"]


@pytest.mark.row("REQ-08")
@pytest.mark.parametrize("value", [..., None, [], "context", 1])
def test_a_context_that_is_no_object_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(context=value)), "context")


@pytest.mark.row("REQ-09")
@pytest.mark.parametrize("value", [7, [], {"url": "https://ehr.example/fhir"}])
def test_a_fhir_server_that_is_no_string_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(fhirServer=value)), "fhirServer")


@pytest.mark.row("REQ-10")
@pytest.mark.parametrize(
    "value", ["", "ehr", "ftp://ehr.example/fhir", "file:///etc/passwd", "https://", "http://[bad"]
)
def test_a_fhir_server_that_is_no_web_address_is_left_out(client: FlaskClient, recorder: Recorder, value: str) -> None:
    """Advice from prefetch is not lost by it"""
    assert client.post(VIEW, json=request_body(fhirServer=value, fhirAuthorization=AUTHORIZATION)).status_code == 200
    assert recorder.request.fhir_server is None
    assert recorder.request.fhir_token is None
    assert "fhirServer is not an absolute URL" in recorder.request.notes


@pytest.mark.row("REQ-12")
@pytest.mark.parametrize("value", [..., None, {}])
def test_a_call_without_prefetch_has_no_keys(client: FlaskClient, recorder: Recorder, value: Any) -> None:
    body = request_body(prefetch={}) | ({"prefetch": value} if value is not ... else {})
    if value is ...:
        del body["prefetch"]
    assert client.post(VIEW, json=body).status_code == 200
    assert recorder.request.prefetch == {}


@pytest.mark.row("REQ-12")
@pytest.mark.parametrize("value", ["x", [], 1])
def test_a_prefetch_that_is_no_object_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(prefetch=value)), "prefetch")


@pytest.mark.row("PFD-04")
def test_prefetch_values_are_handed_on_byte_for_byte(client: FlaskClient, recorder: Recorder) -> None:
    """Null says that there is nothing, which is not the same as saying nothing"""
    text = b'"patient": {"resourceType": "Patient", "weight": 70.10}, "labs": null'
    body = encoded(request_body())[:-1] + b', "prefetch": {' + text + b"}}"
    assert client.post(VIEW, data=body, content_type="application/json").status_code == 200
    kept = {key: bytes(value) for key, value in recorder.request.prefetch.items()}
    assert kept == {"patient": b'{"resourceType": "Patient", "weight": 70.10}', "labs": b"null"}


@pytest.mark.row("E-2")
def test_a_client_s_own_prefetch_keys_are_translated(recorder: Recorder) -> None:
    """Clients that type prefetch into forms have key names of their own"""
    profile = ClientProfile(name="site", prefetch_aliases={"-labs": "labs", "-x": "meds"})
    body = encoded(request_body(prefetch={"-labs": {"a": 1}, "meds": {"b": 2}, "-x": {"c": 3}, "other": {}}))
    prefetch = parse_request(body, "patient-view", profile).prefetch
    assert {k: bytes(v) for k, v in prefetch.items()} == {
        "labs": b'{"a": 1}',
        "meds": b'{"b": 2}',  # a key of ours wins over a translated one
        "other": b"{}",
    }


@pytest.mark.row("REQ-13", "GEN-09", "EXT-04")
def test_members_that_we_do_not_know_change_nothing(client: FlaskClient, recorder: Recorder) -> None:
    client.post(VIEW, json=request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=AUTHORIZATION))
    plain = recorder.request
    body = request_body(
        fhirServer="https://ehr.example/r4",
        fhirAuthorization=AUTHORIZATION | {"tenant": "x"},
        extension={"com.epic.cdshooks.request.bpa-trigger-action": "60"},
        user="Practitioner/1",
        patient="1",
        applyCql=False,
        oauth=None,
        context__extra={"deep": [1]},
        context__selections=7,
    )
    assert client.post(VIEW, json=body).status_code == 200
    assert recorder.request == plain


@pytest.mark.row("REQ-14", "STA-400", "TOY-24")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"17",
        b"not json",
        encoded(request_body())[:-9],
        b"\xef\xbb\xbf" + encoded(request_body()),
        encoded(request_body()) + b"}",
        encoded(request_body(prefetch={"a": 1})).replace(b"1}", b"NaN}"),
        encoded(request_body(prefetch={"a": 1})).replace(b"1}", b"-Infinity}"),
        encoded(request_body(prefetch={"a": 1})).replace(b"1}", b"[1,]}"),
        encoded(request_body(prefetch={"a": "Z"})).replace(b"Z", b"\xff\xfe"),
        encoded(request_body(prefetch={"a": "Z"})).replace(b'"Z"', b"[" * 100_000 + b"]" * 100_000),
        encoded(request_body(context__userId="Z")).replace(b'"Z"', b"[" * 100_000 + b"]" * 100_000),
        encoded(request_body(context__userId="Z")).replace(b'"Z"', b'"\\ud800"'),
        encoded(request_body(context__userId="Z")).replace(b'"Z"', b"1e999"),
        b"[" * 100_000,
        encoded(request_body()).decode().encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]) + str(len(body)),
)
def test_what_is_not_a_json_object_is_refused(client: FlaskClient, recorder: Recorder, body: bytes) -> None:
    response = client.post(VIEW, data=body, content_type="application/json")
    assert response.status_code == 400, response.text
    assert response.json["resourceType"] == "OperationOutcome"
    assert recorder.calls == []


@pytest.mark.row("REQ-14")
def test_nesting_that_only_the_evaluation_finds_too_deep_is_the_caller_s_fault(
    client: FlaskClient, recorder: Recorder
) -> None:
    recorder.fails = RecursionError()
    assert client.post(VIEW, json=request_body()).status_code == 400


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"hook":"patient-view",' + encoded(request_body())[1:], None),
        (encoded(request_body())[:-1] + b' ,\n "prefetch" : {}, "prefetch":{"a":1}}', None),
        (encoded(request_body(context__patientId="Z")).replace(b'"Z"', b'"1", "patientId": "2"'), "context"),
        (encoded(request_body(prefetch={"a": None})).replace(b'"a": null', b'"a": {"x":1}, "a": null'), "prefetch"),
    ],
)
def test_a_member_that_is_given_twice_is_refused(client: FlaskClient, body: bytes, path: str | None) -> None:
    """A reader that takes the first and one that takes the last would see different patients"""
    response = client.post(VIEW, data=body, content_type="application/json")
    assert response.status_code == 400
    issue = response.json["issue"][0]
    assert "twice" in issue["diagnostics"]
    assert issue.get("expression") == ([path] if path else None)


@pytest.mark.row("REQ-14")
@pytest.mark.parametrize("layout", [{"indent": 4}, {"separators": (",", ":")}, {"indent": "\t", "ensure_ascii": False}])
def test_white_space_and_odd_names_are_no_reason_to_refuse(
    client: FlaskClient, recorder: Recorder, layout: dict[str, Any]
) -> None:
    """The check for members given twice goes by the text, so the text is varied here"""
    import json

    prefetch = {'a"b\\': {"x": '"}'}, "": {}, "钾{,": [1, 2], "c": None}
    body = json.dumps(request_body(prefetch=prefetch), **layout).encode()
    response = client.post(VIEW, data=b"\n " + body + b" \r\n", content_type="application/json")
    assert response.status_code == 200, response.text
    assert list(recorder.request.prefetch) == list(prefetch)


@pytest.mark.row("REQ-15")
@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=iso-8859-1",
        "application/fhir+json",
        "application/fhir+json; fhirVersion=4.0",
        "Application/JSON",
    ],
)
def test_json_by_any_of_its_media_types_is_read(client: FlaskClient, media_type: str) -> None:
    assert client.post(VIEW, data=encoded(request_body()), content_type=media_type).status_code == 200


@pytest.mark.row("REQ-15", "STA-415")
@pytest.mark.parametrize("media_type", [None, "", "text/plain", "application/xml", "multipart/form-data"])
def test_another_media_type_is_refused(client: FlaskClient, media_type: str | None) -> None:
    response = client.post(VIEW, data=encoded(request_body()), content_type=media_type)
    assert response.status_code == 415
    assert response.json["issue"][0]["code"] == "structure"


@pytest.mark.row("REQ-16", "CTX-08")
@pytest.mark.parametrize(
    "written",
    ["123", "Patient/123", "https://ehr.example/fhir/R4/Patient/123", "Patient/123/_history/2"],
)
def test_every_form_of_a_patient_reference_means_the_bare_id(
    client: FlaskClient, recorder: Recorder, written: str
) -> None:
    assert client.post(VIEW, json=request_body(context__patientId=written)).status_code == 200
    assert recorder.request.patient_id == "123"


@pytest.mark.row("REQ-16", "CTX-09")
@pytest.mark.parametrize(
    "server", ["https://other.example/fhir", "https://ehr.example/fhir", "http://ehr.example/fhir/R4"]
)
def test_a_patient_of_another_server_than_the_request_s_is_refused(
    client: FlaskClient, recorder: Recorder, server: str
) -> None:
    written = "https://ehr.example/fhir/R4/Patient/123"
    refused(client.post(VIEW, json=request_body(context__patientId=written, fhirServer=server)), "context.patientId")
    same = request_body(context__patientId=written, fhirServer="https://EHR.example:443/fhir/R4/")
    assert client.post(VIEW, json=same).status_code == 200
    assert len(recorder.calls) == 1


@pytest.mark.row("REQ-16")
@pytest.mark.parametrize(
    "written",
    ["Practitioner/123", "Patient/", "a b", "1/2", "../1", "1?x=2", "1#", "1\n", "x" * 257, "", "Patient/Patient/1"],
)
def test_what_cannot_be_a_patient_id_is_refused_and_not_repeated(client: FlaskClient, written: str) -> None:
    response = client.post(VIEW, json=request_body(context__patientId=written))
    refused(response, "context.patientId")
    assert len(written) < 5 or written not in response.text


@pytest.mark.row("REQ-17", "E-5", "TOY-23")
@pytest.mark.parametrize("written", ["x" * 256, LONG_ID, "a~b:c|d%e+f=g_h.i-j"])
def test_ids_longer_and_odder_than_fhir_allows_are_read(client: FlaskClient, recorder: Recorder, written: str) -> None:
    reference = f"MedicationRequest/{LONG_ID}"
    body = request_body("order-select", context__patientId=written, context__selections=[reference])
    assert client.post(SELECT, json=body).status_code == 200
    assert recorder.request.patient_id == written
    assert recorder.request.selections == (reference,)


# CTX: the members of the context, per hook

REQUIRED = {
    "patient-view": ["userId", "patientId"],
    "order-select": ["userId", "patientId", "selections", "draftOrders"],
    "order-sign": ["userId", "patientId", "draftOrders"],
    "encounter-start": ["userId", "patientId", "encounterId"],
    "encounter-discharge": ["userId", "patientId", "encounterId"],
}
ADDRESSES = {hook: f"/cds-services/{service}" for service, hook in SERVICES.items()}


@pytest.mark.row("CTX-01")
@pytest.mark.parametrize("how", ["left out", "null"])
@pytest.mark.parametrize(("hook", "name"), [(hook, name) for hook, names in REQUIRED.items() for name in names])
def test_a_required_member_of_the_context_that_is_missing_is_named(
    client: FlaskClient, hook: str, name: str, how: str
) -> None:
    """Null means absent"""
    body = request_body(hook, **{f"context__{name}": ... if how == "left out" else None})
    response = client.post(ADDRESSES[hook], json=body)
    refused(response, f"context.{name}")
    assert response.json["issue"][0]["code"] == "required"


@pytest.mark.row("CTX-01")
@pytest.mark.parametrize("value", [1, True, {"a": 1}, [1], 1.5])
@pytest.mark.parametrize(("hook", "name"), [(hook, name) for hook, names in REQUIRED.items() for name in names])
def test_a_member_of_the_context_of_the_wrong_type_is_named(
    client: FlaskClient, hook: str, name: str, value: Any
) -> None:
    response = client.post(ADDRESSES[hook], json=request_body(hook, **{f"context__{name}": value}))
    assert response.status_code == 400
    assert response.json["issue"][0]["expression"][0].startswith(f"context.{name}")


@pytest.mark.row("CTX-02", "HOOK-01", "HOOK-02", "HOOK-03", "S-1")
@pytest.mark.parametrize("hook", ["patient-view", "order-select", "order-sign"])
def test_the_encounter_may_be_missing(client: FlaskClient, recorder: Recorder, hook: str) -> None:
    assert client.post(ADDRESSES[hook], json=request_body(hook)).status_code == 200
    assert recorder.request.encounter_id is None
    body = request_body(hook, context__encounterId=None)
    assert client.post(ADDRESSES[hook], json=body).status_code == 200
    body = request_body(hook, context__encounterId="Encounter/7")
    assert client.post(ADDRESSES[hook], json=body).status_code == 200
    assert recorder.request.encounter_id == "7"


@pytest.mark.row("CTX-03", "E-11", "HOOK-02", "HOOK-03", "HOOK-05", "HOOK-06")
@pytest.mark.parametrize("hook", REQUIRED)
@pytest.mark.parametrize(
    "user", ["Practitioner/1", f"PractitionerRole/{LONG_ID}", "https://e.example/r4/Practitioner/1"]
)
def test_clinicians_may_be_the_user_of_every_hook(client: FlaskClient, hook: str, user: str) -> None:
    assert client.post(ADDRESSES[hook], json=request_body(hook, context__userId=user)).status_code == 200


@pytest.mark.row("CTX-03", "HOOK-01", "TOY-23")
@pytest.mark.parametrize("user", ["Patient/1", "RelatedPerson/1"])
def test_patients_and_relatives_may_view_but_not_order(client: FlaskClient, user: str) -> None:
    assert client.post(VIEW, json=request_body(context__userId=user)).status_code == 200
    refused(client.post(SIGN, json=request_body("order-sign", context__userId=user)), "context.userId")


@pytest.mark.row("CTX-03")
@pytest.mark.parametrize("user", ["Device/1", "Practitioner/", "/1", "a b", "Practitioner/1/2", "practitioner/1", ""])
def test_who_cannot_be_a_user_is_refused(client: FlaskClient, user: str) -> None:
    refused(client.post(VIEW, json=request_body(context__userId=user)), "context.userId")


@pytest.mark.row("CTX-03")
def test_a_user_without_a_type_is_taken_with_a_note(client: FlaskClient, recorder: Recorder) -> None:
    assert client.post(VIEW, json=request_body(context__userId="abc")).status_code == 200
    assert recorder.request.notes == ("userId without a resource type",)


@pytest.mark.row("CTX-03", "X-3")
def test_the_user_may_stand_where_it_stood_before_version_one(client: FlaskClient, recorder: Recorder) -> None:
    """HL7's PDDI-CDS examples have it beside the context"""
    body = request_body(context__userId=..., user="Practitioner/7")
    assert client.post(VIEW, json=body).status_code == 200
    assert recorder.request.user_id == "Practitioner/7"
    assert recorder.request.notes == ("userId taken from the member user",)
    for user in (7, None, "", ["Practitioner/7"], "Device/1"):
        refused(client.post(VIEW, json=body | {"user": user}), "context.userId")


@pytest.mark.row("CTX-04")
@pytest.mark.parametrize("selections", [[], [1], [""], [None], ["x" * 1025], "MedicationRequest/1"])
def test_selections_are_references(client: FlaskClient, selections: Any) -> None:
    response = client.post(SELECT, json=request_body("order-select", context__selections=selections))
    assert response.status_code == 400
    assert response.json["issue"][0]["expression"][0].startswith("context.selections")


@pytest.mark.row("CTX-04")
def test_a_selection_that_names_no_draft_is_handed_on(client: FlaskClient, recorder: Recorder) -> None:
    body = request_body("order-select", context__selections=["NutritionOrder/nowhere"])
    assert client.post(SELECT, json=body).status_code == 200
    assert recorder.request.selections == ("NutritionOrder/nowhere",)


@pytest.mark.row("CTX-01")
def test_only_order_select_has_selections_and_only_order_hooks_have_drafts(recorder: Recorder) -> None:
    extra = {"context__selections": ["X/1"], "context__draftOrders": {"resourceType": "Bundle", "entry": []}}
    view = parse_request(encoded(request_body(**extra)), "patient-view", OPEN)
    sign = parse_request(encoded(request_body("order-sign", **extra)), "order-sign", OPEN)
    assert (view.selections, view.draft_orders) == (None, None)
    assert sign.selections is None
    assert bytes(sign.draft_orders or b"") == b'{"resourceType": "Bundle", "entry": []}'


@pytest.mark.row("CTX-05", "CTX-06", "CTX-07")
@pytest.mark.parametrize(
    "drafts",
    [
        {"resourceType": "Bundle"},
        {"resourceType": "Bundle", "type": "collection", "entry": []},
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "MedicationRequest"}}]},
        {"entry": [{"resource": {"resourceType": "MedicationOrder", "x": None}}], "resourceType": "Bundle"},
    ],
)
def test_a_bundle_of_drafts_needs_no_type_and_its_orders_need_nothing(client: FlaskClient, drafts: Any) -> None:
    assert client.post(SIGN, json=request_body("order-sign", context__draftOrders=drafts)).status_code == 200


@pytest.mark.row("CTX-05")
@pytest.mark.parametrize("drafts", [{}, {"resourceType": "MedicationRequest"}, [], "x", {"entry": []}])
def test_drafts_that_are_no_bundle_are_refused(client: FlaskClient, drafts: Any) -> None:
    refused(client.post(SIGN, json=request_body("order-sign", context__draftOrders=drafts)), "context.draftOrders")


# FHA: the offer to fetch further data


@pytest.mark.row("FHA-03", "FHA-04", "FHA-06")
def test_a_complete_authorization_is_used(client: FlaskClient, recorder: Recorder) -> None:
    """Any scope text will do, and any case of Bearer"""
    authorization = AUTHORIZATION | {"token_type": "bearer"}
    client.post(VIEW, json=request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=authorization))
    assert recorder.request.fhir_server == "https://ehr.example/r4"
    assert recorder.request.fhir_token == "canary-token"
    assert recorder.request.notes == ()


@pytest.mark.row("FHA-01")
def test_a_server_without_authorization_gives_no_token(client: FlaskClient, recorder: Recorder) -> None:
    client.post(VIEW, json=request_body(fhirServer="https://ehr.example/r4"))
    assert (recorder.request.fhir_server, recorder.request.fhir_token) == ("https://ehr.example/r4", None)


@pytest.mark.row("FHA-05")
def test_a_token_that_has_expired_is_not_used(client: FlaskClient, recorder: Recorder) -> None:
    authorization = AUTHORIZATION | {"expires_in": 0}
    client.post(VIEW, json=request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=authorization))
    assert recorder.request.fhir_token is None


INCOMPLETE = [
    *({name: ...} for name in AUTHORIZATION),
    *({name: None} for name in AUTHORIZATION),
    *({name: " "} for name in AUTHORIZATION),
    {"token_type": "MAC"},
    {"expires_in": -1},
    {"expires_in": True},
    {"expires_in": "300"},
    {"expires_in": 1.5},
    {"access_token": "two words"},
    {"access_token": "line\r\nX-Injected: 1"},
    {"access_token": "é"},
]


@pytest.mark.row("FHA-15", "REQ-09", "FHA-07", "FHA-03", "FHA-04", "FHA-05", "FHA-06")
@pytest.mark.parametrize("change", INCOMPLETE, ids=str)
def test_an_incomplete_authorization_costs_nobody_the_advice(
    client: FlaskClient, recorder: Recorder, change: dict[str, Any]
) -> None:
    authorization = {k: v for k, v in (AUTHORIZATION | change).items() if v is not ...}
    body = request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=authorization)
    assert client.post(VIEW, json=body).status_code == 200
    assert recorder.request.fhir_token is None
    assert recorder.request.notes[0].startswith("fhirAuthorization not used: ")
    assert "canary-token" not in recorder.request.notes[0]


@pytest.mark.row("FHA-15")
@pytest.mark.parametrize("change", INCOMPLETE, ids=str)
def test_a_strict_client_is_told_of_an_incomplete_authorization(
    change: dict[str, Any], make_app: Any, tmp_path: Any
) -> None:
    authorization = {k: v for k, v in (AUTHORIZATION | change).items() if v is not ...}
    body = request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=authorization)
    refused(_strict(make_app, tmp_path).post(VIEW, json=body), "fhirAuthorization")


@pytest.mark.row("REQ-09", "CTX-03")
def test_a_strict_client_must_name_the_server_of_its_token(make_app: Callable[..., Flask], tmp_path: Any) -> None:
    client = _strict(make_app, tmp_path)
    refused(client.post(VIEW, json=request_body(fhirAuthorization=AUTHORIZATION)), "fhirAuthorization")
    refused(client.post(VIEW, json=request_body(fhirServer="ehr")), "fhirServer")
    refused(client.post(VIEW, json=request_body(context__userId="abc")), "context.userId")
    refused(client.post(VIEW, json=request_body(context__userId=..., user="Practitioner/7")), "context.userId")


@pytest.mark.row("REQ-11", "FHA-15")
@pytest.mark.parametrize("value", ["token", ["token"], 1, True])
def test_an_authorization_that_is_no_object_is_refused(client: FlaskClient, value: Any) -> None:
    refused(client.post(VIEW, json=request_body(fhirAuthorization=value)), "fhirAuthorization")


@pytest.mark.row("FHA-08")
def test_a_token_for_another_patient_is_refused(client: FlaskClient, recorder: Recorder) -> None:
    url = "https://ehr.example/r4"
    other = AUTHORIZATION | {"patient": "pat-2"}
    refused(client.post(VIEW, json=request_body(fhirServer=url, fhirAuthorization=other)), "fhirAuthorization.patient")
    for same in ("pat-1", "Patient/pat-1"):
        body = request_body(fhirServer=url, fhirAuthorization=AUTHORIZATION | {"patient": same})
        assert client.post(VIEW, json=body).status_code == 200
    assert recorder.request.fhir_token == "canary-token"


@pytest.mark.row("FHA-07")
def test_a_token_made_out_to_somebody_else_is_noted_or_refused_by_agreement() -> None:
    body = encoded(request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=AUTHORIZATION))
    for subject, strict, note in [
        (None, True, ()),
        ("cds-service", True, ()),
        ("cds-service-2", False, ("fhirAuthorization made out to another subject",)),
    ]:
        profile = ClientProfile(name="ehr", fhir_subject=subject, strict_request=strict)
        request = parse_request(body, "patient-view", profile)
        assert (request.fhir_token, request.notes) == ("canary-token", note)
    with pytest.raises(BadRequest, match=r"fhirAuthorization\.subject is not the one agreed on"):
        parse_request(body, "patient-view", ClientProfile(name="ehr", fhir_subject="other", strict_request=True))


@pytest.mark.row("FHA-10", "FHA-12")
def test_the_token_is_not_in_what_a_request_says_of_itself() -> None:
    body = encoded(request_body(fhirServer="https://ehr.example/r4", fhirAuthorization=AUTHORIZATION))
    request = parse_request(body, "patient-view", OPEN)
    assert request.fhir_token == "canary-token"
    assert "canary-token" not in repr(request)


def _strict(make_app: Callable[..., Flask], folder: Any) -> FlaskClient:
    path = folder / "clients.yaml"
    path.write_text("clients:\n- {name: open, strict_request: true}\n")
    return make_app(clients=path).test_client()
