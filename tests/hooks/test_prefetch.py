"""Discovery: which data each service asks for, in templates every client can fill in, and no more than it needs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import pytest

from cds_service.artifacts.knowledge_base import Service
from cds_service.hooks.call import make_answer
from cds_service.hooks.discovery import discovery
from cds_service.hooks.prefetch import PrefetchKey, prefetch_for
from cds_service.hooks.response_models import Discovery, HookResponse
from cds_service.settings import Settings
from tests.support.fhir_parts import call, patient, request, searchset
from tests.support.kb import knowledge

TOKEN = re.compile(r"\{\{(.*?)\}\}")
# FHIR search prefixes for dates, and anything that looks like a day.
DATE = re.compile(r"\b(eq|gt|lt|ge|le)?\d{4}-\d{2}(-\d{2})?\b")
LISTS = {
    "labs": "Observation",
    "medicationRequests": "MedicationRequest",
    "medicationStatements": "MedicationStatement",
    "conditions": "Condition",
    "procedures": "Procedure",
    "serviceRequests": "ServiceRequest",
    "goals": "Goal",
    "familyHistory": "FamilyMemberHistory",
    "allergies": "AllergyIntolerance",
}


def services() -> list[Service]:
    return list(knowledge().services.values())


def needs() -> list[PrefetchKey]:
    """Every prefetch key of every service."""
    return [need for service in services() for need in prefetch_for(knowledge(), service)]


def searches() -> list[PrefetchKey]:
    return [need for need in needs() if need.sources]


def keys(service: Service) -> list[str]:
    return [need.key for need in prefetch_for(knowledge(), service)]


@pytest.mark.row("PRT-08")
def test_a_template_is_a_read_or_a_search_of_one_type_below_the_base() -> None:
    for need in needs():
        assert re.fullmatch(r"[A-Z][A-Za-z]+(/\{\{[a-zA-Z.]+\}\}|\?[^\s]+)", need.template)


@pytest.mark.row("PRT-03", "PRT-04", "PRT-05", "PRT-06")
def test_a_template_holds_only_the_patient_of_the_context() -> None:
    for need in needs():
        assert TOKEN.findall(need.template) == ["context.patientId"]
        assert "{" not in TOKEN.sub("", need.template)


@pytest.mark.row("PRT-09")
def test_a_search_uses_only_parameters_that_every_server_has() -> None:
    for need in searches():
        names = [name for name, _ in parse_qsl(need.template.partition("?")[2], strict_parsing=True)]
        assert set(names) <= {"patient", "code", "_sort", "_count"}
        assert len(names) == len(set(names))
        assert names[0] == "patient"


@pytest.mark.row("TOY-19")
def test_a_template_holds_no_date_for_it_would_stand_still() -> None:
    for need in needs():
        assert not DATE.search(re.sub(r"code=[^&]*", "", need.template))


def test_results_come_newest_first_and_lists_in_large_pages() -> None:
    assert all("&_sort=-date" in need.template for need in searches() if need.key == "labs")
    assert all("&_count=" in need.template for need in searches())


def test_a_key_asks_for_the_type_its_name_promises() -> None:
    for need in needs():
        wanted = LISTS.get(need.key, "Patient")
        assert need.type == wanted
        assert re.match(rf"{wanted}[/?]", need.template)
        assert need.query("p1") == need.template.replace("{{context.patientId}}", "p1")


def test_codes_are_searched_with_their_system() -> None:
    found = [codes for need in searches() for codes in re.findall(r"code=([^&]*)", need.template)]
    assert found
    assert all(code.startswith("http://loinc.org|") for codes in found for code in codes.split(","))


def test_the_patient_is_asked_for_first_and_every_key_once() -> None:
    for service in services():
        asked = keys(service)
        assert asked[0] == "patient"
        assert len(asked) == len(set(asked))
        assert set(asked) <= {"patient", *LISTS}


@pytest.mark.row("PRT-01")
def test_what_a_service_asks_for_is_what_its_discovery_announces() -> None:
    announced = {service["id"]: service["prefetch"] for service in discovery(knowledge(), "en")["services"]}
    for service in services():
        assert announced[service.id] == {need.key: need.template for need in prefetch_for(knowledge(), service)}


def test_goals_family_history_and_allergies_are_the_only_lists_that_a_service_can_do_without() -> None:
    charts = {topic: knowledge().services[f"{topic}-patient-view"] for topic in ("vitamin-b12", "vitamin-k")}
    optional = {
        topic: [need.key for need in prefetch_for(knowledge(), chart) if need.optional]
        for topic, chart in charts.items()
    }
    assert optional == {"vitamin-b12": ["goals", "familyHistory", "allergies"], "vitamin-k": ["goals"]}


def small_service(*rules: str) -> Service:
    """A service with just these rules, to see what they need."""
    given = knowledge().services["vitamin-b12-patient-view"]
    topic = knowledge().topic_of[rules[0]]
    return Service("small", given.hook, topic, given.title, given.description, rules)


@pytest.mark.row("TOK-01")
def test_a_rule_about_two_products_asks_for_no_goals_and_no_other_results() -> None:
    asked = {need.key: need for need in prefetch_for(knowledge(), small_service("doac-vitk-silent"))}
    assert "goals" not in asked
    assert "serviceRequests" not in asked
    assert "2132-9" not in asked.get("labs", PrefetchKey("")).template


def test_a_rule_that_offers_a_test_asks_for_what_is_already_ordered() -> None:
    asked = {need.key: need for need in prefetch_for(knowledge(), small_service("b12-low"))}
    assert {"labs", "serviceRequests"} <= asked.keys()
    assert all(code in asked["labs"].template for code in ("2132-9", "13964-2", "13965-9"))


def test_a_key_speaks_for_one_list_of_the_record() -> None:
    found = [source for need in prefetch_for(knowledge(), services()[0]) for source in need.sources]
    assert len(found) == len(set(found))


# --- the discovery document --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_discovery_is_as_the_specification_has_it(language: str) -> None:
    document = discovery(knowledge(), language)
    Discovery.model_validate(document)
    assert [service["id"] for service in document["services"]] == [service.id for service in services()]


def test_discovery_speaks_chinese_where_it_is_asked_to() -> None:
    english, chinese = (discovery(knowledge(), language)["services"] for language in ("en", "zh"))
    for one, other in zip(english, chinese, strict=True):
        assert (one["id"], one["hook"], one["prefetch"]) == (other["id"], other["hook"], other["prefetch"])
        for member in ("title", "description", "usageRequirements"):
            assert re.search(r"[\u4e00-\u9fff]", other[member])
            assert not re.search(r"[\u4e00-\u9fff]", one[member])


@pytest.mark.row("DIS-09", "X-15")
def test_usage_requirements_name_every_key_and_which_are_optional() -> None:
    for service in discovery(knowledge(), "en")["services"]:
        usage = service["usageRequirements"]
        assert all(key in usage for key in service["prefetch"])
        optional = ", ".join(key for key in ("goals", "familyHistory", "allergies") if key in service["prefetch"])
        assert ("optional" in usage) == bool(optional)
        assert optional in usage
        assert "412" in usage


def test_every_service_in_discovery_answers_a_call_with_nothing_on_record() -> None:
    answer = make_answer(knowledge(), Settings())
    for service in services():
        prefetch: dict[str, Any] = dict.fromkeys(keys(service)) | {"patient": patient()}
        drafts = searchset() if service.hook.startswith("order-") else None
        reply = answer(service.id, request(prefetch, hook=service.hook, drafts=drafts), call())
        HookResponse.model_validate(reply)
        assert reply["cards"] == []


def test_a_service_that_is_published_has_a_rule_that_can_show_a_card() -> None:
    for service in services():
        assert any(knowledge().rules[rule].kind == "rule" for rule in service.rules)
        assert all(service.hook in knowledge().rules[rule].hooks for rule in service.rules)
