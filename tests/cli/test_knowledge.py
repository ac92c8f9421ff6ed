"""`cds check`, `cds evaluate`, `cds explain`: what they print, and what they say when a file is not what they need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.cli.main import main
from cds_service.hooks.response_models import HookResponse
from tests.support.fhir_parts import MK7, WARFARIN, Resource, order, patient, result, searchset, statement
from tests.support.kb import TODAY, knowledge
from tests.support.small_knowledge import FILES, write

LOW = (patient(), result("o1", "2132-9", 120, "pg/mL"))
ON_BOTH = (patient(), statement("warfarin", WARFARIN), statement("mk7", MK7))


def run(*words: str, given: str | bytes | None = None) -> Result:
    """The command as a user runs it; `given` is what stands on standard input."""
    return CliRunner().invoke(main, list(words), input=given)


def judged(command: str, *resources: Resource, words: tuple[str, ...] = ()) -> Result:
    bundle = json.dumps(searchset(*resources), ensure_ascii=False)
    return run(command, *words, "--as-of", TODAY.isoformat(), "-", given=bundle.encode())


# --- check -------------------------------------------------------------------------------------------------------


def test_the_shipped_knowledge_has_no_errors() -> None:
    done = run("check", "--quiet")
    assert done.exit_code == 0, done.output
    assert f"knowledge {knowledge().version}: " in done.output
    assert "; 0 errors, " in done.output


def test_quiet_leaves_out_the_warnings() -> None:
    loud, quiet = run("check").output, run("check", "--quiet").output
    assert ": warning: nobody has checked the rule." in loud
    assert ": warning: " not in quiet


def test_a_folder_with_a_fault_ends_with_1_and_its_place(tmp_path: Path) -> None:
    rule = write(tmp_path) / "b12/low.yaml"
    rule.write_text(FILES["b12/low.yaml"].replace("below: b12_low", "below: b12_lo"), encoding="utf-8")
    done = run("check", str(tmp_path))
    assert done.exit_code == 1
    assert "b12/low.yaml:10: error: threshold b12_lo does not exist. Define it or mend the name.\n" in done.output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("en: B12 is low.", "en: Avoid green vegetables.", "tells people to avoid vegetables"),
        ("zh: B12偏低。", "zh: 请限制绿叶蔬菜。", "tells people to avoid vegetables"),
        ("en: B12 is low.", "en: It prevents fractures.", "claims that fractures are prevented"),
        ("en: B12 is low.", "en: It has no side effects.", "claims that there are no side effects"),
        ("en: B12 is low.", "en: B12 below 148 µmol/L.", "a unit it is never reported in"),
        ("author: A", "author: A\nchecked_by: A", "the author has checked their own rule"),
        ("author: A", "author: A", "the rule has no worked patients"),
        ("author: A", "author: A", 'the line "Result: {serum_b12}." states only what is on the patient\'s record'),
    ],
)
def test_a_reviewers_error_ends_with_1(old: str, new: str, told: str, tmp_path: Path) -> None:
    rule = write(tmp_path) / "b12/low.yaml"
    rule.write_text(FILES["b12/low.yaml"].replace(old, new), encoding="utf-8")
    done = run("check", str(tmp_path), "--quiet")
    assert done.exit_code == 1
    assert any(line.startswith("b12/low.yaml:1: error: ") and told in line for line in done.output.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('next_review: "2030-01-01"', 'next_review: "2020-01-01"', "its review was due on 2020-01-01"),
        ("author: A", "author: A", "nobody has checked the rule"),
        ("en: B12 is low.", "en: B12 is below 77 pg/mL.", "`77 pg/mL` in the summary"),
    ],
)
def test_a_reviewers_warning_is_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    rule = write(tmp_path) / "b12/low.yaml"
    rule.write_text(FILES["b12/low.yaml"].replace(old, new), encoding="utf-8")
    assert f"b12/low.yaml:1: warning: {told}" in run("check", str(tmp_path)).output


def test_a_fact_that_no_rule_uses_is_told(tmp_path: Path) -> None:
    facts = write(tmp_path) / "facts/b12.yaml"
    more = "spare:\n  label: {en: Spare, zh: 备用}\n  condition: []\n"
    facts.write_text(FILES["facts/b12.yaml"] + more, encoding="utf-8")
    output = run("check", str(tmp_path)).output
    line = FILES["facts/b12.yaml"].count("\n") + 1
    assert f"facts/b12.yaml:{line}: warning: no rule uses the fact spare. Use it or remove it." in output
    assert "the fact untreated" not in output


# --- evaluate ----------------------------------------------------------------------------------------------------


def test_cards_are_printed_with_summary_suggestions_and_source() -> None:
    done = judged("evaluate", *LOW)
    assert done.exit_code == 0
    card = knowledge().rules["b12-low"].card
    assert card is not None
    assert f"[WARNING] {card.summary.en}" in done.output
    assert f"  - {knowledge().orders['order-mma'].label.en}" in done.output
    assert "    source: Vitamin B12 and K decision support" in done.output
    assert done.output.rstrip().endswith(f"knowledge {knowledge().version}; as of {TODAY}")


def test_cards_are_printed_in_chinese() -> None:
    card = knowledge().rules["b12-low"].card
    assert card is not None
    assert card.summary.in_language("zh") in judged("evaluate", *LOW, words=("--language", "zh")).output


def test_nobody_with_nothing_gets_a_card() -> None:
    assert judged("evaluate", patient()).output.startswith("0 cards; ")


def test_the_json_holds_the_cards_as_an_ehr_gets_them() -> None:
    cards = json.loads(judged("evaluate", *LOW, words=("--json",)).output)
    HookResponse.model_validate({"cards": cards})
    assert "b12-low" in [card["extension"]["cds-service.rule"]["id"] for card in cards]


def test_only_the_rules_that_are_named_are_judged() -> None:
    assert judged("evaluate", *LOW, *ON_BOTH[1:], words=("--rule", "b12-low")).output.count("[WARNING]") == 1


def test_with_an_order_hook_the_drafts_are_judged() -> None:
    resources = (*ON_BOTH[:2], order("d1", MK7))
    card = knowledge().rules["vka-vitk-started"].card
    assert card is not None
    assert card.summary.en in judged("evaluate", *resources, words=("--hook", "order-sign")).output
    assert card.summary.en not in judged("evaluate", *resources).output


def test_the_day_of_judgement_decides_which_results_count() -> None:
    bundle = json.dumps(searchset(*LOW)).encode()
    done = run("evaluate", "--rule", "b12-low", "--as-of", "2029-01-01", "-", given=bundle)
    assert done.output.startswith("0 cards; ")


def test_a_bundle_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(searchset(*LOW)), encoding="utf-8")
    assert "[WARNING]" in run("evaluate", "--as-of", TODAY.isoformat(), str(file)).output


# --- explain -----------------------------------------------------------------------------------------------------


def test_every_rule_of_the_hook_is_explained() -> None:
    lines = judged("explain", *LOW).output.splitlines()
    named = {line.partition(":")[0] for line in lines if not line.startswith(" ")}
    assert named == {rule.id for rule in knowledge().rules.values() if "patient-view" in rule.hooks and rule.enabled}
    compared = [line.strip() for line in lines if line.strip().startswith("latest_serum_b12  = 120 pg/mL  below")]
    assert compared
    assert all(line.endswith("Observation/o1") for line in compared)


def test_the_json_of_an_explanation_holds_every_outcome() -> None:
    nodes = json.loads(judged("explain", *ON_BOTH, words=("--json",)).output)
    outcomes = {node["rule"]: node["outcome"] for node in nodes}
    assert outcomes["vka-vitk-concurrent"] == "speaks"
    assert outcomes["b12-low"] == "unknown"


# --- files that are not what is needed ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["evaluate", "explain"])
@pytest.mark.parametrize(
    ("resources", "told"),
    [
        ((patient(), patient(id="p2")), "cds: The Bundle holds 2 Patients. It must hold exactly one."),
        ((), "cds: The Bundle holds 0 Patients. It must hold exactly one."),
    ],
)
def test_a_bundle_holds_one_patient(command: str, resources: tuple[Resource, ...], told: str) -> None:
    done = judged(command, *resources)
    assert (done.exit_code, done.stderr.strip()) == (1, told)


@pytest.mark.parametrize("command", ["evaluate", "explain"])
@pytest.mark.parametrize("content", [b"", b"not JSON", b"[1]", json.dumps(patient()).encode(), b"\xff\xfe"])
def test_a_file_that_is_no_bundle_is_told(command: str, content: bytes) -> None:
    done = run(command, "-", given=content)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("cds: The file is not a FHIR Bundle in JSON.")


def test_a_rule_that_does_not_exist_is_told() -> None:
    done = judged("evaluate", *LOW, words=("--rule", "no-such-rule"))
    assert done.exit_code == 1
    assert done.stderr.startswith("cds: There is no rule no-such-rule.")


def test_a_hook_that_does_not_exist_is_a_command_written_wrongly() -> None:
    assert judged("evaluate", *LOW, words=("--hook", "no-such-hook")).exit_code == 2


MEMBERS = ["id", "status", "code", "resourceType", "subject", "valueQuantity", "effectiveDateTime"]
odd: st.SearchStrategy[Any] = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just({}), st.just([]))


# Every run loads the knowledge, so each one holds many odd entries.
@settings(max_examples=8, derandomize=True, deadline=None, database=None)
@given(entries=st.lists(odd, min_size=5), changes=st.lists(st.tuples(st.sampled_from(MEMBERS), odd), min_size=20))
def test_odd_entries_never_end_in_a_traceback(entries: list[Any], changes: list[tuple[str, Any]]) -> None:
    changed = (result(f"o{n}", "2132-9", 100, "pg/mL") | dict([change]) for n, change in enumerate(changes, 2))
    bundle = searchset(*LOW, *changed)
    bundle["entry"] += entries
    done = run("evaluate", "--hook", "order-sign", "--as-of", TODAY.isoformat(), "-", given=json.dumps(bundle).encode())
    assert isinstance(done.exception, SystemExit | None)
    assert done.exit_code == 0, done.output
