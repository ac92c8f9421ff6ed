"""What holds for every card: what a client shows, sorts by, reports back and opens."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.support.worked_service import WORKED
from tests.wire.conformance.answers import actions, actions_of, all_answers, ask, cards, suggestions

# HTML is let through and addresses become links, as in the most careless of clients.
CARELESS = MarkdownIt("gfm-like", {"html": True, "linkify": True})


@pytest.mark.row("CRD-02")
def test_every_summary_is_one_line_of_plain_text_below_140_characters() -> None:
    for card in cards():
        assert 1 <= len(card["summary"]) <= 139
        assert not re.search(r"[\r\n*_`\[\]<>|#]", card["summary"]), card["summary"]


@pytest.mark.row("CRD-03", "CRD-04", "E-18", "S-11", "X-12")
def test_no_detail_holds_html_a_link_or_an_image() -> None:
    for detail in {card["detail"] for card in cards()}:
        tokens = [each for token in CARELESS.parse(detail) for each in (token, *(token.children or ()))]
        assert not {token.type for token in tokens} & {"html_block", "html_inline", "link_open", "image"}, detail


@pytest.mark.row("O-6")
def test_no_detail_needs_a_wide_screen() -> None:
    for detail in {card["detail"] for card in cards()}:
        assert not {token.type for token in CARELESS.parse(detail)} & {"table_open", "code_block", "fence"}
        assert max(map(len, re.split(r"\s", detail.replace("，", " ").replace("。", " ")))) < 60, detail


@pytest.mark.row("CRD-05")
def test_every_indicator_is_one_of_three() -> None:
    assert {card["indicator"] for card in cards()} == {"info", "warning", "critical"}


@pytest.mark.row("CRD-08", "CRD-09", "CRD-10", "TOY-14")
def test_selection_behaviour_goes_with_suggestions_and_is_one_of_two() -> None:
    for card in cards():
        assert ("selectionBehavior" in card) == ("suggestions" in card)
        assert card.get("selectionBehavior") in (None, "at-most-one", "any")


@pytest.mark.row("SUG-03", "E-16", "TOY-14")
def test_at_most_one_suggestion_is_recommended_where_one_can_be_taken() -> None:
    recommended = 0
    for card in cards():
        marks = [each["isRecommended"] for each in card.get("suggestions", ()) if "isRecommended" in each]
        assert set(marks) <= {True}
        assert len(marks) <= 1 or card["selectionBehavior"] == "any"
        recommended += len(marks)
    assert recommended


@pytest.mark.row("SUG-04", "E-15")
def test_every_suggestion_has_exactly_one_action() -> None:
    assert {len(suggestion["actions"]) for suggestion in suggestions()} == {1}


@pytest.mark.row("ACT-01", "ACT-02")
def test_every_action_says_what_kind_it_is_and_what_it_does() -> None:
    assert {action["type"] for action in actions()} <= {"create", "update", "delete"}
    assert all(action["description"].strip() for action in actions())


@pytest.mark.row("ACT-03", "TOY-18")
def test_everything_that_is_created_is_a_draft_for_the_patient_of_the_call() -> None:
    created = 0
    for answered in all_answers():
        for action in actions_of(answered):
            if action["type"] == "create":
                resource, created = action["resource"], created + 1
                subject = resource.get("for") or resource["subject"]
                assert subject["reference"] == f"Patient/{answered.request['context']['patientId']}"
                assert resource["status"] == "draft"
                assert "id" not in resource
    assert created > 1000


@pytest.mark.row("ACT-05", "ACT-06")
def test_every_deletion_and_change_names_a_draft_of_the_request() -> None:
    touched = 0
    for answered in all_answers():
        drafts = answered.request["context"].get("draftOrders", {}).get("entry", [])
        ids = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in drafts}
        for action in actions_of(answered):
            if action["type"] == "delete":
                assert "resource" not in action
                assert action["resourceId"] in ids
                touched += 1
            elif action["type"] == "update":
                assert f"{action['resource']['resourceType']}/{action['resource']['id']}" in ids
    assert touched


@pytest.mark.row("ACT-04", "ACT-07")
def test_a_changed_draft_keeps_its_version_and_all_that_the_change_does_not_mean() -> None:
    extension = [{"url": "https://example.org/x", "valueCode": "y"}]
    extra = {"meta": {"versionId": "7"}, "note": [{"text": "x"}], "extension": extension}
    changing = {
        answered.patient: answered
        for answered in all_answers()
        if any(action["type"] == "update" for action in actions_of(answered))
    }
    assert changing
    for answered in changing.values():
        request = copy.deepcopy(answered.request)
        drafts = {}
        for entry in request["context"]["draftOrders"]["entry"]:
            entry["resource"] |= extra
            drafts[entry["resource"]["id"]] = entry["resource"]
        [worked] = [one for one in WORKED if one.id == answered.patient]
        again = ask(worked, answered.service, "en", request)
        updates = [action for action in actions_of(again) if action["type"] == "update"]
        assert updates
        for update in updates:
            new = update["resource"]
            old = drafts[new["id"]]
            [changed] = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
            assert changed in ("status", "medicationCodeableConcept", "dosageInstruction")


@pytest.mark.row("SRC-02")
def test_every_address_of_a_source_is_absolute_and_the_same_for_everybody() -> None:
    by_label = defaultdict(set)
    for card in cards():
        if "url" in card["source"]:
            assert urlsplit(card["source"]["url"]).scheme == "https"
            assert urlsplit(card["source"]["url"]).hostname
            by_label[card["source"]["label"]].add(card["source"]["url"])
    assert by_label
    assert {len(urls) for urls in by_label.values()} == {1}


@pytest.mark.row("SRC-04", "OVR-03")
def test_a_rule_has_one_topic_in_every_language() -> None:
    topics = defaultdict(set)
    for card in cards():
        topic = card["source"]["topic"]
        topics[card["extension"]["cds-service.rule"]["id"]].add((topic["system"], topic["code"]))
        assert topic.get("display", "x").strip()
    assert {len(found) for found in topics.values()} == {1}
    assert len({one for found in topics.values() for one in found}) == len(topics)


@pytest.mark.row("CRD-11", "OVR-01", "OVR-02", "OVR-04", "E-23")
def test_the_reasons_of_a_rule_have_the_same_codes_whenever_it_speaks() -> None:
    codes = defaultdict(set)
    for card in cards():
        reasons = card.get("overrideReasons", ())
        for reason in reasons:
            assert all(reason[name].strip() for name in ("code", "system", "display"))
        rule = card["extension"]["cds-service.rule"]["id"]
        codes[rule].add(tuple((reason["system"], reason["code"]) for reason in reasons))
    assert any(found != {()} for found in codes.values())
    assert {len(found) for found in codes.values()} == {1}


@pytest.mark.row("LNK-02", "LNK-03", "LNK-04", "LNK-05", "TOK-02")
def test_every_link_is_to_a_page_of_ours_that_knows_no_patient() -> None:
    urls = set()
    for card in cards():
        for link in card.get("links", ()):
            assert set(link) == {"label", "url", "type"}
            assert link["type"] == "absolute"
            urls.add(link["url"])
    assert urls
    for url in urls:
        assert re.fullmatch(r"https://cds\.example/rules/[a-z0-9-]+", url), url


@pytest.mark.row("CRD-13", "X-12", "O-4")
def test_every_card_says_what_it_has_to_say_without_its_links() -> None:
    for card in cards():
        assert len(card["detail"]) > 40
        assert "http" not in card["detail"]
        assert all(link["url"].startswith("https://cds.example/rules/") for link in card.get("links", ()))
