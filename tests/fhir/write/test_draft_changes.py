"""Drafts that are put on hold or get another product: whole, valid, and otherwise as the client wrote them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cds_service.artifacts.schema import Order, Product, SuggestionUse
from cds_service.fhir.write.draft_changes import clear_dose, put_on_hold, replace_product
from cds_service.fhir.write.orders import DraftContext
from cds_service.hooks.cards.suggestions import Suggestion, make_offer, suggest
from cds_service.record import DraftOrder
from cds_service.rules.conditions import compiled
from tests.support.kb import draft, facts, knowledge, med, record
from tests.support.small_terminology import read, request

PRODUCT = Product.model_validate(
    {
        "text": {"en": "Hydroxocobalamin", "zh": "羟钴胺"},
        "codings": [{"system": "rxnorm", "code": "5514", "display": "Hydroxocobalamin"}],
    }
)
# All that the service does not read itself must come back as well.
DRAFT: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "d1",
    "meta": {"versionId": "3", "profile": ["http://example.org/StructureDefinition/draft"]},
    "extension": [{"url": "http://example.org/order-set", "valueString": "anaemia"}],
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Cyanocobalamin 1 mg/mL", "coding": [{"code": "x1"}]},
    "subject": {"reference": "Patient/p1"},
    "note": [{"text": "早餐后"}],
    "dosageInstruction": [
        {"text": "1000 µg once", "doseAndRate": [{"doseQuantity": {"value": 1000.5, "unit": "ug"}}]},
    ],
    "dispenseRequest": {"numberOfRepeatsAllowed": 0},
}
OTHERS = {name: value for name, value in DRAFT.items() if name not in ("status", "medicationCodeableConcept")}


def written(**members: Any) -> bytes:
    return json.dumps({**DRAFT, **members}).encode()


def swapped(raw: bytes = written(), product: Product = PRODUCT, language: str = "en") -> dict[str, Any]:
    found = replace_product(raw, product, language)
    assert found is not None
    return found


def test_a_draft_on_hold_changes_nothing_but_the_status() -> None:
    assert put_on_hold(written()) == {**DRAFT, "status": "on-hold"}


def test_a_replaced_draft_changes_nothing_but_the_product() -> None:
    found = swapped()
    assert {name: value for name, value in found.items() if name in OTHERS} == OTHERS
    assert found["medicationCodeableConcept"]["text"] == "Hydroxocobalamin"
    assert found["medicationCodeableConcept"]["coding"][0]["code"] == "5514"
    assert found.keys() == DRAFT.keys()


@pytest.mark.parametrize(
    "changed", [put_on_hold(written()), replace_product(written(), PRODUCT, "zh")], ids=["held", "replaced"]
)
def test_a_changed_draft_is_valid(changed: dict[str, Any]) -> None:
    assert MedicationRequest.model_validate(changed).id == "d1"


def test_the_new_product_is_named_in_the_language_of_the_reader() -> None:
    assert swapped(language="zh")["medicationCodeableConcept"]["text"] == "羟钴胺"


def test_a_product_without_codes_is_named_in_words_alone() -> None:
    bare = PRODUCT.model_copy(update={"codings": []})
    assert swapped(product=bare)["medicationCodeableConcept"] == {"text": "Hydroxocobalamin"}


def test_the_narrative_goes_because_it_tells_the_old_state() -> None:
    narrative = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Cyanocobalamin</div>'}
    found = put_on_hold(written(text=narrative))
    assert found is not None
    assert "text" not in found
    assert "text" not in swapped(written(text=narrative))


def test_what_is_said_about_the_old_status_goes_with_it() -> None:
    assert put_on_hold(written(_status={"extension": [{"url": "http://example.org/x", "valueBoolean": True}]})) == {
        **DRAFT,
        "status": "on-hold",
    }


@pytest.mark.parametrize("number", [None, 7])
def test_a_draft_that_the_client_could_not_find_again_is_not_changed(number: int | None) -> None:
    raw = json.dumps(
        {name: value for name, value in DRAFT.items() if name != "id"} | ({"id": number} if number else {})
    )
    assert put_on_hold(raw.encode()) is None
    assert replace_product(raw.encode(), PRODUCT, "en") is None


def test_a_draft_that_cannot_be_read_to_its_end_is_not_changed() -> None:
    assert put_on_hold(b'{"id": "d1", "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}") is None


def referring(reference: str, *contained: str) -> bytes:
    others = {name: value for name, value in DRAFT.items() if name != "medicationCodeableConcept"}
    kept = [{"resourceType": "Medication", "id": one} for one in contained]
    return json.dumps({**others, "medicationReference": {"reference": reference}, "contained": kept}).encode()


def test_a_reference_to_the_old_product_goes() -> None:
    found = swapped(referring("Medication/7", "other"))
    assert "medicationReference" not in found
    assert [one["id"] for one in found["contained"]] == ["other"]


def test_a_contained_product_that_nothing_refers_to_any_more_goes() -> None:
    assert [one["id"] for one in swapped(referring("#old", "old", "other"))["contained"]] == ["other"]
    assert "contained" not in swapped(referring("#old", "old"))


def with_a_product(medication: str, **members: Any) -> bytes:
    """A draft whose contained Medication rests on another contained resource."""
    others = {name: value for name, value in DRAFT.items() if name != "medicationCodeableConcept"}
    contained = [
        {"resourceType": "Medication", "id": "old", "ingredient": [{"itemReference": {"reference": "#salt"}}]},
        {"resourceType": "Substance", "id": "salt"},
        {"resourceType": "Practitioner", "id": "nurse"},
    ]
    old = {"medicationReference": {"reference": medication}}
    return json.dumps({**others, **old, "contained": contained, **members}).encode()


def test_what_only_the_old_product_refers_to_goes_with_it() -> None:
    assert [one["id"] for one in swapped(with_a_product("#old"))["contained"]] == ["nurse"]


@pytest.mark.parametrize(
    ("referring", "kept"),
    [
        ({"reasonReference": [{"reference": "#old"}]}, ["old", "salt", "nurse"]),
        ({"extension": [{"url": "http://x.example", "valueReference": {"reference": "#salt"}}]}, ["salt", "nurse"]),
    ],
)
def test_a_contained_resource_that_something_else_refers_to_stays(referring: dict[str, Any], kept: list[str]) -> None:
    assert [one["id"] for one in swapped(with_a_product("#old", **referring))["contained"]] == kept


def test_contained_resources_that_refer_to_one_another_end_the_search() -> None:
    loop = {"contained": [{"id": "old", "ingredient": [{"itemReference": {"reference": "#old"}}]}]}
    assert "contained" not in swapped(with_a_product("#old", **loop))


@pytest.mark.parametrize(
    "number", ["1000.50", "1.0", "0.1000000000000000055511151231257827", "1E2", "12345678901234567890"]
)
def test_numbers_come_back_to_the_last_digit(number: str) -> None:
    raw = written(note=[{"extension": [{"url": "http://x.example", "valueDecimal": 0}]}]).replace(
        b'"valueDecimal": 0', b'"valueDecimal": ' + number.encode()
    )
    for changed in (put_on_hold(raw), replace_product(raw, PRODUCT, "en"), clear_dose(raw, "mg", "en")):
        assert f'"valueDecimal":{number}'.encode() in msgspec.json.encode(changed)


_NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3)
# Lone surrogates are no text; JSON that holds one is refused where it comes in.
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_JSON = st.recursive(
    st.none() | st.booleans() | _TEXTS | _NUMBERS.map(lambda number: msgspec.Raw(str(number).encode())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)
_CHANGED = {
    *("id", "resourceType", "text", "status", "_status", "dosageInstruction", "contained", "reference"),
    *("medication", "medicationReference", "medicationCodeableConcept"),
}


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(extra=st.dictionaries(_TEXTS.filter(lambda name: name not in _CHANGED), _JSON, max_size=6))
def test_members_that_nobody_has_heard_of_come_back_as_they_were(extra: dict[str, Any]) -> None:
    raw = msgspec.json.encode({**DRAFT, **extra})
    for changed in (put_on_hold(raw), replace_product(raw, PRODUCT, "en"), clear_dose(raw, "mg", "en")):
        assert changed is not None
        back = json.loads(msgspec.json.encode(changed), parse_float=str)
        before = json.loads(msgspec.json.encode(extra), parse_float=str)
        assert {name: back[name] for name in extra} == before


def test_ids_and_references_of_any_kind_come_back_as_they_were() -> None:
    odd = {
        "id": "e" * 194,
        "subject": {"reference": "https://ehr.example/fhir/Patient/p1", "display": "\u202eMüller <b>"},
        "basedOn": [{"reference": "urn:uuid:0f0a7a6e-3b3f-4a52-9c7a-3d1f4d0b8a11"}],
        "_authoredOn": {"extension": [{"url": "http://x.example", "valueCode": "unknown"}]},
        "unheardOf": {"a": [None, True, {}, []]},
    }
    for changed in (put_on_hold(written(**odd)), swapped(written(**odd))):
        assert changed is not None
        assert {name: changed[name] for name in odd} == odd


def test_an_order_of_dstu2_is_not_rewritten() -> None:
    old = written(resourceType="MedicationOrder")
    assert (put_on_hold(old), replace_product(old, PRODUCT, "en"), clear_dose(old, "mg", "en")) == (None, None, None)


def test_the_codeable_reference_of_r5_is_replaced_in_its_own_shape() -> None:
    others = {name: value for name, value in DRAFT.items() if name != "medicationCodeableConcept"}
    r5 = {**others, "medication": {"reference": {"reference": "#old"}}, "contained": [{"id": "old"}]}
    found = swapped(json.dumps(r5).encode())
    assert found["medication"]["concept"]["text"] == "Hydroxocobalamin"
    assert not found.keys() & {"contained", "medicationCodeableConcept"}


# --- as a suggestion ---------------------------------------------------------------------------------------------

SETTING = DraftContext("Patient/p1", "2026-11-20T12:00:00+00:00", "Because.")


def offered(order: str, fact: str, draft_order: DraftOrder, language: str = "en") -> list[Suggestion]:
    offer = make_offer(SuggestionUse(order=order, of=fact), knowledge().orders[order], compiled)
    return list(suggest(offer, facts(record(orders=(draft_order,))), SETTING, language))


@pytest.mark.parametrize(
    ("order", "fact", "concept", "member"),
    [
        ("hold-folate", "selects_folic_acid", "folic-acid", {"status": "on-hold"}),
        ("replace-hydroxocobalamin", "selects_cyanocobalamin", "cyanocobalamin", {"status": "draft"}),
    ],
)
def test_a_changed_draft_is_offered_as_an_update_of_the_whole(
    order: str, fact: str, concept: str, member: dict[str, str]
) -> None:
    (found,) = offered(order, fact, replace(draft(concept, name="d1"), written=written()))
    assert found.rivals
    assert found.action["type"] == "update"
    assert found.action["resource"].items() >= {"id": "d1", **member}.items()
    assert "resourceId" not in found.action


def test_a_draft_is_found_again_in_a_copy_of_the_record() -> None:
    order = replace(draft("folic-acid", name="d1"), written=written())
    table = facts(record(orders=(order,)))
    assert table["selects_folic_acid"].value is True
    copied = replace(order, use=msgspec.structs.replace(order.use or med("folic-acid")))
    table.record = record(orders=(copied,))
    offer = make_offer(
        SuggestionUse(order="hold-folate", of="selects_folic_acid"), knowledge().orders["hold-folate"], compiled
    )
    (found,) = suggest(offer, table, SETTING, "en")
    assert found.action["resource"]["id"] == "d1"


def test_no_change_is_offered_for_a_draft_that_was_not_kept() -> None:
    assert offered("hold-folate", "selects_folic_acid", draft("folic-acid")) == []


def test_no_change_is_offered_for_a_draft_without_an_id() -> None:
    bare = json.dumps({name: value for name, value in DRAFT.items() if name != "id"}).encode()
    assert offered("hold-folate", "selects_folic_acid", replace(draft("folic-acid"), written=bare)) == []


def test_nothing_on_the_list_is_held() -> None:
    offer = make_offer(
        SuggestionUse(order="hold-folate", of="takes_vitamin_k"), knowledge().orders["hold-folate"], compiled
    )
    assert list(suggest(offer, facts(record(medications=(med("menaquinone-7"),))), SETTING, "en")) == []


def test_a_draft_is_kept_as_it_was_written_and_stays_out_of_messages() -> None:
    orders = read(drafts=[request(status="draft", note=[{"text": "kept"}])]).orders
    assert orders is not None
    assert json.loads(orders[0].written)["note"] == [{"text": "kept"}]
    assert "kept" not in repr(orders[0])


def test_two_drafts_read_alike_are_equal_however_they_were_spaced() -> None:
    assert DraftOrder("MedicationRequest/d1", True, written=b"{}") == DraftOrder("MedicationRequest/d1", True)


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"hold": True, "remove": True},
        {"hold": True, "replace": {"text": {"en": "Other", "zh": "其他"}}},
        {"stop": True, "replace": {"text": {"en": "Other", "zh": "其他"}}},
    ],
)
def test_an_order_is_of_exactly_one_kind(kinds: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one of test, medicine"):
        Order.model_validate({"label": {"en": "An order", "zh": "医嘱"}, **kinds})
