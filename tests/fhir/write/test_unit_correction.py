"""The correction of a dose's unit: the client's own draft, with the number left for somebody to fill in."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest
from fhir.resources.R4B.medicationrequest import MedicationRequest

from cds_service.fhir.write.draft_changes import clear_dose

DRAFT: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "d1",
    "meta": {"versionId": "3"},
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">100 mg</div>'},
    "status": "draft",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Vitamin K2 (MK-7)"},
    "subject": {"reference": "Patient/p1"},
    "note": [{"text": "with breakfast"}],
    "dosageInstruction": [
        {
            "text": "100 mg once daily",
            "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            "route": {"text": "by mouth"},
            "doseAndRate": [{"doseQuantity": {"value": 100, "unit": "mg"}}],
            "maxDosePerAdministration": {"value": 100, "unit": "mg"},
        }
    ],
}


def corrected(draft: dict[str, Any] = DRAFT, unit: Literal["mg", "ug"] = "ug", language: str = "en") -> dict[str, Any]:
    found = clear_dose(msgspec.json.encode(draft), unit, language)
    assert found is not None
    return found


def dosed(*dosages: Any) -> dict[str, Any]:
    return {**DRAFT, "dosageInstruction": list(dosages)}


@pytest.mark.parametrize(("unit", "shown"), [("ug", "µg"), ("mg", "mg")])
def test_the_unit_is_there_and_the_number_is_not(unit: Literal["mg", "ug"], shown: str) -> None:
    (dosage,) = corrected(unit=unit)["dosageInstruction"]
    quantity = {"unit": shown, "system": "http://unitsofmeasure.org", "code": unit}
    assert dosage["doseAndRate"] == [{"doseQuantity": quantity}]


def test_everything_else_stays_as_the_client_wrote_it() -> None:
    changed = corrected()
    kept = {key: one for key, one in DRAFT.items() if key not in ("text", "dosageInstruction")}
    assert {key: one for key, one in changed.items() if key != "dosageInstruction"} == kept
    (before,), (after,) = DRAFT["dosageInstruction"], changed["dosageInstruction"]
    assert (after["timing"], after["route"]) == (before["timing"], before["route"])


def test_no_limit_in_the_old_unit_is_left() -> None:
    (dosage,) = corrected()["dosageInstruction"]
    assert "maxDosePerAdministration" not in dosage


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Dose to be confirmed, in µg. As first written: 100 mg once daily"),
        ("zh", "剂量待确认，单位µg。原文：100 mg once daily"),
    ],
)
def test_the_words_ask_for_the_dose_and_keep_what_was_written(language: str, text: str) -> None:
    (dosage,) = corrected(language=language)["dosageInstruction"]
    assert dosage["text"] == text


def test_a_dosage_without_words_only_asks_for_the_dose() -> None:
    (dosage,) = corrected(dosed({"doseAndRate": [{"doseQuantity": {"value": 1, "unit": "mg"}}]}))["dosageInstruction"]
    assert dosage["text"] == "Dose to be confirmed, in µg."


@pytest.mark.parametrize("older", [{"doseQuantity": {"value": 1, "unit": "mg"}}, {"doseRange": {"low": {"value": 1}}}])
def test_an_older_draft_keeps_its_dose_in_the_dosage_itself(older: dict[str, Any]) -> None:
    (dosage,) = corrected(dosed(older))["dosageInstruction"]
    assert dosage["doseQuantity"]["code"] == "ug"
    assert dosage.keys() == {"text", "doseQuantity"}


def test_every_instruction_of_a_draft_is_to_be_confirmed() -> None:
    dosages = corrected(dosed({"sequence": 1, "text": "1 mg"}, {"sequence": 2, "text": "2 mg"}))["dosageInstruction"]
    assert [one["sequence"] for one in dosages] == [1, 2]
    assert all(one["text"].startswith("Dose to be confirmed") and "doseAndRate" in one for one in dosages)


@pytest.mark.parametrize("dosages", [{"text": "1 mg"}, [], ["1 mg"], None])
def test_a_dosage_of_an_odd_shape_is_written_anew(dosages: Any) -> None:
    (dosage,) = corrected({**DRAFT, "dosageInstruction": dosages})["dosageInstruction"]
    assert dosage.keys() == {"text", "doseAndRate"}


def test_a_draft_without_an_id_cannot_be_updated() -> None:
    draft = {key: one for key, one in DRAFT.items() if key != "id"}
    assert clear_dose(msgspec.json.encode(draft), "ug", "en") is None


def test_the_corrected_draft_is_valid_fhir() -> None:
    MedicationRequest.model_validate(corrected())
