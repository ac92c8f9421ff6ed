"""What holds for every answer as a whole: JSON, nothing empty, nothing invented, nothing done behind anybody's back."""

from __future__ import annotations

import json
import re
from collections import Counter
from uuid import RFC_4122, UUID

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_service.hooks.response_models import HookResponse
from tests.wire.conformance.answers import actions, all_answers, cards, strict, suggestions, walk

MAY_BE_EMPTY = {"$.cards"}
REQUIRED = {
    "$.cards[].summary",
    "$.cards[].source.label",
    "$.cards[].suggestions[].label",
    "$.cards[].suggestions[].actions[].description",
    "$.cards[].links[].label",
    "$.cards[].links[].url",
    "$.cards[].overrideReasons[].display",
}


@pytest.mark.row("GEN-03", "GEN-05", "TOY-13")
def test_no_member_of_any_answer_is_null() -> None:
    for answered in all_answers():
        assert [path for path, value in walk(answered.told) if value is None] == [], answered.patient


@pytest.mark.row("GEN-04", "GEN-05", "CRD-07", "CRD-11", "CRD-12", "TOY-13")
def test_nothing_in_any_answer_is_empty_but_the_list_of_cards() -> None:
    for answered in all_answers():
        empty = {path for path, value in walk(answered.told) if value in ("", [], {})}
        assert empty <= MAY_BE_EMPTY, answered.patient


@pytest.mark.row("GEN-06", "SRC-01", "SUG-01", "LNK-01", "OVR-02")
def test_every_text_that_people_read_holds_a_letter() -> None:
    seen: Counter[str] = Counter()
    for answered in all_answers():
        for path, value in walk(answered.told):
            if path in REQUIRED:
                seen[path] += 1
                assert re.search(r"\w", value), (answered.patient, path)
    assert set(seen) == REQUIRED


@pytest.mark.row("GEN-07")
@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"a": [1,]}', b'{"a": 1} // why'])
def test_the_strict_reading_of_answers_refuses_what_is_no_json(body: bytes) -> None:
    """All answers here were read that way; so it must be able to fail."""
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        strict(body)


@pytest.mark.row("RSP-01", "EXT-01", "EXT-02", "CRD-06")
def test_every_answer_has_only_members_that_the_text_knows() -> None:
    for answered in all_answers():
        HookResponse.model_validate(answered.told)


@pytest.mark.row("EXT-03")
def test_every_name_in_an_extension_tells_whose_it_is() -> None:
    extensions = [
        value for answered in all_answers() for path, value in walk(answered.told) if path.endswith("].extension")
    ]
    names = {name for extension in extensions if isinstance(extension, dict) for name in extension}
    assert names
    assert all(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name) for name in names), names


@pytest.mark.row("RSP-03", "SYS-01", "SYS-03", "SUG-05")
def test_no_answer_does_anything_without_a_human() -> None:
    for answered in all_answers():
        members = {path.rpartition(".")[2] for path, _ in walk(answered.told)}
        assert not members & {"systemActions", "actionSelectionBehavior"}


@pytest.mark.row("RSP-08", "S-4")
def test_no_rule_speaks_twice_to_one_patient_at_one_moment() -> None:
    """A client may call every service of a hook."""
    spoken = Counter(
        (answered.patient, answered.language, card["source"]["topic"]["code"])
        for answered in all_answers()
        for card in answered.told["cards"]
        if "topic" in card["source"] and card["source"]["topic"]["code"] != "data-incomplete"
    )
    assert spoken
    assert max(spoken.values()) == 1


@pytest.mark.row("CRD-01", "SUG-02", "CRD-13", "TOY-15")
def test_every_id_in_all_answers_is_a_uuid_of_its_own() -> None:
    ids = [UUID(item["uuid"]) for item in (*cards(), *suggestions())]
    assert {(one.version, one.variant) for one in ids} == {(4, RFC_4122)}
    assert len(set(ids)) == len(ids) > 1000


@pytest.mark.row("GEN-08", "ACT-03", "ACT-04", "TOY-18")
def test_every_resource_in_an_answer_is_valid_fhir_with_numbers_as_numbers() -> None:
    numbers = 0
    resources = {json.dumps(action["resource"], sort_keys=True) for action in actions() if "resource" in action}
    for written in resources:
        resource = json.loads(written)
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        for path, value in walk(resource):
            if re.search(r"\.(value|count|frequency|period)$", path):
                assert type(value) in (int, float), path
                numbers += 1
    assert numbers > 100
