"""Suggestions: drafts that are valid FHIR, of the right patient, and only what is neither done, pending nor unsafe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from fhir.resources.R4B.task import Task
from msgspec.structs import replace

from cds_service.artifacts.schema import Order, SuggestionUse
from cds_service.fhir.write.draft_changes import clear_dose, put_on_hold, replace_product
from cds_service.fhir.write.orders import DraftContext, medication_request, service_request, stop_task
from cds_service.hooks.cards.suggestions import Suggestion, make_offer, suggest
from cds_service.record import Allergy, DraftOrder, LabResult, PatientRecord, PendingTest
from cds_service.rules.conditions import compiled
from tests.support.kb import ago, draft, facts, knowledge, lab, med, problem, record

SETTING = DraftContext(
    "Patient/p1",
    "2026-11-20T12:00:00+00:00",
    "Because.",
    "Encounter/e1",
    "Practitioner/7",
    ("Observation/o1", "MedicationStatement/m1", "Condition/c1", "Procedure/x1"),
)
MODELS: dict[str, Any] = {"ServiceRequest": ServiceRequest, "MedicationRequest": MedicationRequest, "Task": Task}
MMA = "methylmalonic-acid"
DRAFT = (
    b'{"resourceType": "MedicationRequest", "id": "example", "status": "draft", "intent": "order",'
    b' "medicationCodeableConcept": {"text": "product"}, "subject": {"reference": "Patient/p1"}}'
)


def offered(
    order: str, patient: PatientRecord, *, draft_context: DraftContext = SETTING, language: str = "en", **use: Any
) -> list[Suggestion]:
    """What an order of the shipped catalogue comes to for a patient."""
    offer = make_offer(SuggestionUse.model_validate({"order": order, **use}), knowledge().orders[order], compiled)
    return list(suggest(offer, facts(patient), draft_context, language))


def resource(suggestion: Suggestion) -> dict[str, Any]:
    found: dict[str, Any] = suggestion.action["resource"]
    return found


def members(value: Any) -> list[Any]:
    """Every value in a resource, at any depth."""
    if isinstance(value, Mapping):
        return [inner for member in value.values() for inner in members(member)] or [None]
    if isinstance(value, list | tuple):
        return [inner for member in value for inner in members(member)] or [None]
    return [value]


# --- valid drafts ------------------------------------------------------------------------------------------------

TAKES = record(medications=(med("menaquinone-7"), med("vitamin-k-antagonist")))
LHON = record(problems=(problem("leber-optic-neuropathy"),))
AUTHORS = ("Practitioner/7", "PractitionerRole/7", "Patient/p1", "RelatedPerson/7", None)


def every() -> list[tuple[str, dict[str, Any]]]:
    """Every order of the catalogue that drafts something, with what it is used with."""
    orders = knowledge().orders.items()
    return [(n, {"of": "takes_vitamin_k"} if o.stop else {}) for n, o in orders if o.test or o.medicine or o.stop]


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_draft_is_valid_fhir_for_every_kind_of_user(language: str, author: str | None) -> None:
    draft_context = DraftContext(SETTING.patient, SETTING.authored, SETTING.reason, None, author)
    for name, use in every():
        found = [
            s for p in (TAKES, LHON) for s in offered(name, p, draft_context=draft_context, language=language, **use)
        ]
        assert found, name
        for suggestion in found:
            drafted = resource(suggestion)
            MODELS[drafted["resourceType"]].model_validate(drafted)
            assert drafted.get("requester") == (author and {"reference": author})
            assert None not in members(drafted)
            assert "" not in members(drafted)


def test_every_draft_is_a_proposal_for_this_patient_and_encounter() -> None:
    for name, use in every():
        for suggestion in offered(name, TAKES, **use):
            found = resource(suggestion)
            assert suggestion.action["type"] == "create"
            assert (found["status"], found["intent"]) == ("draft", "proposal")
            assert (found.get("subject") or found["for"]) == {"reference": "Patient/p1"}
            assert found["encounter"] == {"reference": "Encounter/e1"}
            assert found["authoredOn"] == SETTING.authored
            assert "id" not in found


def drafts_of(order: Order, language: str) -> Iterator[dict[str, Any]]:
    """Whatever an order may draft or change: each choice of medicine, also in regimens that no site has chosen yet."""
    if order.test:
        yield service_request(order.test, language)(SETTING)
    regimens = (choice for regimen in order.regimens.values() for choice in regimen.medicine)
    for choice in (*(order.medicine or ()), *regimens):
        yield medication_request(choice.medicine, language)(SETTING)
    if order.hold:
        yield put_on_hold(DRAFT) or {}
    if order.replace:
        yield replace_product(DRAFT, order.replace, language) or {}
    if order.correct_unit:
        yield clear_dose(DRAFT, "mg", language) or {}
    if order.stop:
        yield stop_task("MedicationStatement/m1", "product", order.label.in_language(language), SETTING)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", [name for name, order in knowledge().orders.items() if not order.remove])
def test_whatever_an_order_of_the_catalogue_may_draft_is_valid_fhir(name: str, language: str) -> None:
    drafts = list(drafts_of(knowledge().orders[name], language))
    assert drafts
    for one in drafts:
        MODELS[one["resourceType"]].model_validate(one)


# --- tests -------------------------------------------------------------------------------------------------------


def test_a_test_is_drafted_with_its_code_note_and_reason() -> None:
    (suggestion,) = offered("order-hcy", record())
    order = knowledge().orders["order-hcy"].test
    assert order is not None
    assert order.note is not None
    found = resource(suggestion)
    assert found["code"]["coding"][0] == {
        "system": "http://loinc.org", "code": order.codings[0].code, "display": order.codings[0].display,
    }  # fmt: skip
    assert found["note"] == [{"text": order.note.en}]
    assert found["reasonCode"] == [{"text": "Because."}]
    assert suggestion.action["description"] == f"{suggestion.label}. {order.note.en}"


def test_results_and_conditions_are_the_reason_and_the_rest_supports_it() -> None:
    for order, supporting in (("order-hcy", "supportingInfo"), ("b12-oral-1000", "supportingInformation")):
        (suggestion,) = offered(order, record())
        found = resource(suggestion)
        assert found["reasonReference"] == [{"reference": "Observation/o1"}, {"reference": "Condition/c1"}]
        assert found[supporting] == [{"reference": "MedicationStatement/m1"}, {"reference": "Procedure/x1"}]


def test_a_draft_of_which_no_result_is_known_names_none() -> None:
    (suggestion,) = offered("order-hcy", record(), draft_context=replace(SETTING, supporting=()))
    assert not resource(suggestion).keys() & {"reasonReference", "supportingInfo"}


@pytest.mark.parametrize(("urgent", "priority"), [(True, "urgent"), (False, None)])
def test_only_what_a_critical_card_drafts_is_urgent(urgent: bool, priority: str | None) -> None:
    for name, use in every():
        for suggestion in offered(name, TAKES, draft_context=replace(SETTING, urgent=urgent), **use):
            assert resource(suggestion).get("priority") == priority


@pytest.mark.parametrize(("days", "again"), [(0, False), (90, False), (91, True)])
def test_a_test_is_not_offered_while_a_result_is_fresh(days: int, again: bool) -> None:
    assert bool(offered("order-mma", record(labs=[lab(MMA, 0.3, days)]))) is again


def test_a_result_that_cannot_be_used_is_not_fresh() -> None:
    assert offered("order-mma", record(labs=[lab(MMA, None, 5)]))


def test_a_result_of_a_test_that_answers_the_same_question_is_fresh_too() -> None:
    assert not offered("order-folate", record(labs=[lab("serum-folate", 5, 5)]))


def test_a_blood_count_is_fresh_for_30_days() -> None:
    assert [bool(offered("order-cbc", record(labs=[lab("mcv", 90, days)]))) for days in (30, 31)] == [
        False,
        True,
    ]


@pytest.mark.parametrize(("days", "again"), [(0, False), (1, True)])
def test_an_inr_of_today_is_not_ordered_again_now(days: int, again: bool) -> None:
    assert bool(offered("order-inr", record(labs=[lab("inr", 2.5, days)]))) is again


def test_a_repeat_of_an_inr_is_drafted_for_tomorrow() -> None:
    (found,) = offered("order-inr-repeat", record(labs=[lab("inr", 9.5, 0)]))
    assert resource(found)["occurrenceDateTime"] == "2026-11-21"


@pytest.mark.parametrize(
    ("kind", "days", "again"),
    [("order", 90, False), ("order", 91, True), ("result in progress", 14, False), ("result in progress", 15, True)],
)
def test_a_test_that_is_pending_is_not_offered(kind: Any, days: int, again: bool) -> None:
    pending = PendingTest(frozenset({MMA}), "ServiceRequest/s", ago(days), kind)
    assert bool(offered("order-mma", record(pending=(pending,)))) is again


def test_a_test_drafted_in_this_session_is_not_offered() -> None:
    assert not offered("order-mma", record(orders=(DraftOrder("ServiceRequest/d", False, tests=frozenset({MMA})),)))


def test_a_test_is_offered_although_results_could_not_be_read() -> None:
    assert offered("order-mma", record(unread=["observations", "service-requests"]))


# --- medicines ---------------------------------------------------------------------------------------------------


def test_a_medicine_is_drafted_with_its_whole_schedule() -> None:
    (suggestion,) = offered("b12-im-regimen", record())
    steps = resource(suggestion)["dosageInstruction"]
    assert [step["sequence"] for step in steps] == [1, 2, 3]
    assert [(s["timing"]["repeat"]["period"], s["timing"]["repeat"]["periodUnit"]) for s in steps] == [
        (1, "d"), (1, "wk"), (1, "mo"),
    ]  # fmt: skip
    assert steps[0]["timing"]["repeat"]["boundsRange"]["high"]["value"] == 14
    assert "boundsRange" not in steps[2]["timing"]["repeat"]
    assert {step["doseAndRate"][0]["doseQuantity"]["code"] for step in steps} == {"ug"}
    product = resource(suggestion)["medicationCodeableConcept"]["text"]
    assert all(words in suggestion.action["description"] for words in (product, *(step["text"] for step in steps)))


@pytest.mark.parametrize("order", ["b12-oral-1000", "b12-im-regimen"])
def test_no_medicine_is_drafted_for_somebody_of_unknown_age(order: str) -> None:
    assert offered(order, record())
    assert not offered(order, record(born=None))


ON_WARFARIN = (med("vitamin-k-antagonist"),)


@pytest.mark.parametrize(
    ("labs", "withheld"),
    [([], False), ([lab("inr", 3.0)], False), ([lab("inr", 3.1)], True), ([lab("inr", 4.0, 15)], False)],
)
def test_no_injection_is_drafted_while_the_inr_is_above_its_range(labs: list[LabResult], withheld: bool) -> None:
    patient = record(labs=labs, medications=ON_WARFARIN)
    assert (not offered("b12-im-regimen", patient)) is withheld
    assert offered("b12-oral-1000", patient)


def test_a_high_inr_withholds_the_injection_whatever_its_cause() -> None:
    assert not offered("b12-im-regimen", record(labs=[lab("inr", 4.0)]))


@pytest.mark.parametrize("unread", ["observations", "medication-statements"])
def test_an_injection_that_cannot_be_told_to_be_safe_is_offered_and_not_recommended(unread: Any) -> None:
    uses = ON_WARFARIN if unread == "observations" else ()
    patient = record(labs=[], medications=uses, unread=[unread])
    recommended = {"fact": "im_unsafe", "is": False}
    assert [one.recommended for one in offered("b12-im-regimen", patient, recommended=recommended)] == [False]


REACTION = Allergy(frozenset({"cyanocobalamin"}), "Cyanocobalamin", "AllergyIntolerance/1")
COBALT = replace(REACTION, concepts=frozenset({"cobalt"}), text="Cobalt")
B12_DRAFTS = [name for name, order in knowledge().orders.items() if order.reaction]


def test_every_order_of_a_b12_product_names_the_reaction_that_withholds_it() -> None:
    drafted = {
        name for name, order in knowledge().orders.items() for choice in order.medicine or () if "B12" in order.label.en
    }
    assert {*drafted, "replace-hydroxocobalamin"} == set(B12_DRAFTS)
    assert {knowledge().orders[name].reaction for name in B12_DRAFTS} == {"cobalamin_reaction"}


@pytest.mark.parametrize("allergy", [REACTION, replace(COBALT, severe=True)], ids=["B12", "severe cobalt"])
@pytest.mark.parametrize("order", [name for name in B12_DRAFTS if knowledge().orders[name].medicine])
def test_no_b12_product_is_drafted_for_somebody_with_a_reaction_to_one(order: str, allergy: Allergy) -> None:
    assert offered(order, record(allergies=(allergy,))) == []
    assert offered(order, record(allergies=(allergy,), unread=("allergies",))) == []


def test_a_draft_is_not_replaced_by_a_product_with_a_recorded_reaction() -> None:
    drafted = dataclasses.replace(draft("cyanocobalamin"), written=DRAFT)
    hers = replace(TAKES, orders=(drafted,), allergies=(REACTION,))
    assert offered("replace-hydroxocobalamin", hers, of="selects_cyanocobalamin") == []
    hers = replace(hers, allergies=())
    (replaced,) = offered("replace-hydroxocobalamin", hers, of="selects_cyanocobalamin")
    assert "Allergies" not in replaced.action["description"]


@pytest.mark.parametrize(("language", "said"), [("en", ". Allergies were not checked."), ("zh", "。未核对过敏。")])
@pytest.mark.parametrize("patient", [record(unread=("allergies",)), record(incomplete=("allergies",))])
def test_a_draft_says_that_allergies_were_not_checked_where_the_list_was_not_read(
    patient: PatientRecord, language: str, said: str
) -> None:
    (drafted,) = offered("b12-oral-1000", patient, language=language)
    assert drafted.action["description"].endswith(said)
    (drafted,) = offered("b12-oral-1000", record(), language=language)
    assert not drafted.action["description"].endswith(said)


def test_a_contact_allergy_to_cobalt_withholds_no_draft() -> None:
    (drafted,) = offered("b12-oral-1000", record(allergies=(COBALT,)))
    assert "Allergies" not in drafted.action["description"]
    table = facts(record(allergies=(COBALT,)))
    assert (table["cobalt_contact_allergy"].value, table["cobalamin_reaction"].value) == (True, False)


def test_the_first_medicine_that_fits_is_drafted() -> None:
    def text(patient: PatientRecord) -> str:
        (suggestion,) = offered("b12-oral-1000", patient)
        return str(resource(suggestion)["medicationCodeableConcept"]["text"])

    assert "Hydroxocobalamin" in text(LHON)
    assert "Cyanocobalamin" in text(record())


def test_an_offer_with_a_condition_is_made_only_if_it_surely_holds() -> None:
    when = {"fact": "pernicious_anaemia", "is": True}
    assert offered("order-mma", record(problems=(problem("pernicious-anaemia"),)), when=when)
    assert not offered("order-mma", record(), when=when)
    assert not offered("order-mma", record(unread=["conditions"]), when=when)


def test_a_recommendation_with_a_condition_is_given_only_if_it_surely_holds() -> None:
    recommended = {"fact": "pernicious_anaemia", "is": True}
    patients = [record(problems=(problem("pernicious-anaemia"),)), record(), record(unread=["conditions"])]
    found = [offered("order-mma", patient, recommended=recommended)[0].recommended for patient in patients]
    assert found == [True, False, False]


# --- products ----------------------------------------------------------------------------------------------------


def test_a_draft_is_removed_by_its_reference() -> None:
    patient = record(orders=(draft("menaquinone-7", name="d1"), draft("phytomenadione", name="d2", selected=False)))
    found = offered("remove-vitk", patient, of="selects_vitamin_k")
    assert [s.action for s in found] == [
        {"type": "delete", "description": f"{found[0].label}", "resourceId": "MedicationRequest/d1"}
    ]
    assert found[0].rivals == "MedicationRequest/d1"
    assert "menaquinone-7" in found[0].label


def test_every_product_that_is_taken_gets_a_proposal_to_stop_it() -> None:
    patient = record(medications=(med("menaquinone-7"), med("phytomenadione", start=400)))
    found = offered("stop-vitk", patient, of="takes_vitamin_k")
    focus = [resource(suggestion)["focus"] for suggestion in found]
    assert [f["display"] for f in focus] == ["menaquinone-7", "phytomenadione"]
    assert [f["reference"] for f in focus] == [use.reference for use in patient.medications]


def test_without_such_a_product_there_is_nothing_to_stop() -> None:
    assert offered("stop-vitk", record(), of="takes_vitamin_k") == []


def test_a_product_name_is_written_as_one_plain_line() -> None:
    odd = med("menaquinone-7", product="Vitamin\nK2\u202e\x07 MK-7")
    (suggestion,) = offered("stop-vitk", record(medications=(odd,)), of="takes_vitamin_k")
    assert suggestion.label.endswith("Vitamin K2 MK-7")


def test_in_a_resource_a_product_is_called_what_the_record_calls_it() -> None:
    odd = med("menaquinone-7", product="**K2** <b> & \u202eMK-7\x07")
    (suggestion,) = offered("stop-vitk", record(medications=(odd,)), of="takes_vitamin_k")
    # FHIR has no control characters in a string.
    assert resource(suggestion)["focus"]["display"] == "**K2** <b> & \u202eMK-7"
    Task.model_validate(resource(suggestion))


@pytest.mark.parametrize("product", ["", "\u200b\u2060", "\x07"])
def test_a_product_whose_name_nobody_can_read_is_not_named(product: str) -> None:
    nameless = med("menaquinone-7", product=product)
    (suggestion,) = offered("stop-vitk", record(medications=(nameless,)), of="takes_vitamin_k")
    assert suggestion.label == suggestion.action["description"] == "Propose to stop the vitamin K product"
    Task.model_validate(resource(suggestion))


def test_what_is_done_to_a_product_is_told_with_its_dose() -> None:
    dosed = med("menaquinone-7", product="MK-7", reported_dose="2 x 45 \u202eug\n daily")
    (stopped,) = offered("stop-vitk", record(medications=(dosed,)), of="takes_vitamin_k")
    assert stopped.action["description"] == f"{stopped.label}; 2 x 45 ug daily"
    drafted = draft("menaquinone-7", product="MK-7", reported_dose="90 ug daily")
    (removed,) = offered("remove-vitk", record(orders=(drafted,)), of="selects_vitamin_k")
    assert removed.action["description"] == f"{removed.label}; 90 ug daily"


def test_a_proposal_to_stop_names_what_speaks_against_the_product() -> None:
    use = med("menaquinone-7")
    supporting = (use.reference, "MedicationRequest/warfarin", "Observation/inr")
    (suggestion,) = offered(
        "stop-vitk",
        record(medications=(use,)),
        draft_context=replace(SETTING, supporting=supporting),
        of="takes_vitamin_k",
    )
    assert resource(suggestion)["focus"]["reference"] == use.reference
    assert resource(suggestion)["reasonReference"] == {"reference": "MedicationRequest/warfarin"}


@pytest.mark.parametrize(
    "reference",
    [
        *("MedicationRequest/#1", "MedicationRequest", "urn:uuid:0f0a7a6e-3b3f-4a52-9c7a-3d1f4d0b8a11"),
        "https://other.example/fhir/MedicationRequest/1",
    ],
)
def test_a_draft_that_the_client_could_not_find_is_not_removed(reference: str) -> None:
    nameless = draft("menaquinone-7", reference=reference)
    assert offered("remove-vitk", record(orders=(nameless,)), of="selects_vitamin_k") == []


@pytest.mark.parametrize("reference", ["MedicationStatement", "https://other.example/fhir/MedicationStatement/1"])
def test_a_product_without_an_address_is_named_by_its_words(reference: str) -> None:
    nameless = med("menaquinone-7", reference=reference)
    (suggestion,) = offered("stop-vitk", record(medications=(nameless,)), of="takes_vitamin_k")
    assert resource(suggestion)["focus"] == {"display": "menaquinone-7"}
    Task.model_validate(resource(suggestion))
