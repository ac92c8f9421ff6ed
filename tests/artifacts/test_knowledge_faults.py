"""Knowledge with one fault: the start stops and says file, line, what is wrong and what to do."""

# ruff: noqa: E501  # a table of faults, one on a line

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest

from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.review.check import check
from cds_service.errors import KnowledgeError
from tests.support.small_knowledge import FILES, write


class Fault(NamedTuple):
    """`old` becomes `new` in `file`; the message is about the first line that holds `at`, and says `says`."""

    file: str
    old: str
    new: str
    at: str
    says: str


RULE, FACTS, LIMITS, ORDERS = "b12/low.yaml", "facts/b12.yaml", "b12/thresholds.yaml", "orders.yaml"
COMPUTED = "computed.yaml"
LONG = "x" * 140

FAULTS = {
    # the text of a file
    "not YAML": Fault(RULE, "hooks: [patient-view]", "hooks: [patient-view", "priority: 1", "is not YAML"),
    "a control character": Fault(RULE, "It matters.", "It \x01 matters.", "id: low", "is not YAML"),
    "a key twice": Fault(RULE, "priority: 1", "priority: 1\npriority: 2", "priority: 2", "is repeated"),
    "a fact twice": Fault(FACTS, "untreated:", "alive:", "alive:\n  label: {en: Untreated", "is repeated"),
    "a list where a mapping belongs": Fault("override_reasons.yaml", "disagree:", "- disagree:", "disagree", "is not a mapping"),
    "a number YAML reads oddly": Fault(RULE, "priority: 1", "priority: 1:30", "priority: 1:30", "1:30"),
    # the members of an artifact
    "an unknown member": Fault(RULE, "author: A", "author: A\nauthr: B", "authr: B", "Extra inputs"),
    "a missing member": Fault(RULE, "author: A\n", "", "id: low", "author: Field required"),
    "no Chinese": Fault(RULE, "title: {en: Low, zh: 低}", "title: {en: Low}", "title:", "zh: Field required"),
    "empty Chinese": Fault(RULE, "    zh: B12偏低。", '    zh: ""', 'zh: ""', "at least 1 character"),
    "a summary too long": Fault(RULE, "en: B12 is low.", f"en: {LONG}", "summary:", "140 characters; a summary has at most 139"),
    "a summary on two lines": Fault(RULE, "en: B12 is low.", 'en: "a\\nb"', "summary:", "line break"),
    "a placeholder in a summary": Fault(RULE, "B12偏低。", "B12偏低{x}。", "summary:", "same {placeholders}"),
    "a placeholder in one language": Fault(RULE, "结果：{serum_b12}。", "结果。", "part: found", "same {placeholders}"),
    "a word of its own": Fault(RULE, "below: adult_age", "under: adult_age", "unless:", "Extra inputs"),
    "two tests in one condition": Fault(RULE, "is: false}\nunless", "is: false, known: true}\nunless", "takes_b12, is", "exactly one"),
    "two variants of one id": Fault(RULE, "- id: second", "- id: first", "id: low", "two variants have one id"),
    "an indicator that does not exist": Fault(RULE, "indicator: warning", "indicator: hard-stop", "hard-stop", "Input should be"),
    "a rule without a card": Fault("b12/other.yaml", "priority: 2\n", "", "id: other", "a card and a priority"),
    "a day that does not exist": Fault(LIMITS, "2025-01-01", "2025-02-30", "2025-02-30", "day"),
    "a review on a day that does not exist": Fault(RULE, "2030-01-01", "2030-13-01", "2030-13-01", "month"),
    "a rejection without a reason": Fault("statements/S0.yaml", "  because: {en: It is wrong., zh: 有误。}\n", "", "id: S0-02", "says why"),
    "a fact of two origins": Fault(FACTS, "  patient: alive", "  patient: alive\n  condition: [b12]", "alive:", "exactly one of"),
    "a quantity without a unit": Fault(FACTS, "  patient: age\n  unit: a", "  patient: age", "age:", "names its unit"),
    "a window for who the patient is": Fault(FACTS, "  patient: alive", "  patient: alive\n  within: b12_max_age", "alive:", "means nothing"),
    "an order of two kinds": Fault(ORDERS, "  stop: true", "  stop: true\n  remove: true", "stop-b12:", "exactly one of"),
    "an order in an unknown code system": Fault(ORDERS, "system: atc", "system: act", "system: act", "no code system is called act"),
    "a regimen in an unknown code system": Fault(ORDERS, "system: rxnorm", "system: x", "system: x", "no code system is called x"),
    "an order's code that begins with a space": Fault(ORDERS, "code: B03BA01", 'code: " B03BA01"', '" B03BA01"', "should match pattern"),
    "a dose that is no number": Fault(ORDERS, "value: 1000", "value: much", "value: much", "valid number"),
    "a dose of nothing": Fault(ORDERS, "value: 1000", "value: 0", "value: 0", "greater than 0"),
    "a dose without a unit": Fault(ORDERS, "1000, unit: ug", '1000, unit: ""', 'unit: ""', "should match pattern"),
    "one plausible limit": Fault("valuesets/b12.yaml", "[20, 60000]", "[20]", "plausible", "at least 2"),
    # names that lead nowhere
    "an id that is not the file's name": Fault(RULE, "id: low\n", "id: lower\n", "id: lower", "not the file's name, low"),
    "a topic that is not its folder": Fault("b12/topic.yaml", "id: b12", "id: b13", "id: b13", "not the folder's name, b12"),
    "a service of no topic": Fault("services.yaml", "topic: b12", "topic: b13", "topic: b13", "topic b13 does not exist"),
    "a fact that does not exist": Fault(RULE, "fact: age,", "fact: agee,", "agee", "fact agee does not exist"),
    "a fact behind a fact": Fault(FACTS, "fact: takes_b12, is", "fact: takes_b13, is", "takes_b13", "fact takes_b13 does not exist"),
    "a threshold that does not exist": Fault(RULE, "below: b12_low", "below: b12_lo", "b12_lo}", "threshold b12_lo does not exist"),
    "an order that does not exist": Fault(RULE, "order: order-mma", "order: order-mmm", "order-mmm", "order order-mmm does not exist"),
    "a statement that does not exist": Fault(RULE, "cites: [S0-01]", "cites: [S0-09]", "S0-09", "cites S0-09, which does not exist"),
    "a rejected statement": Fault(RULE, "cites: [S0-01]", "cites: [S0-02]", "S0-02", "cites S0-02, which was rejected"),
    "a statement of no source": Fault("statements/S0.yaml", "- id: S0-02", "- id: S1-02", "S1-02", "source S1 does not exist"),
    "a rule that does not exist": Fault("b12/other.yaml", "[low]", "[lowest]", "lowest", "rule lowest does not exist"),
    "a reason that does not exist": Fault(RULE, "reasons: [disagree]", "reasons: [agree]", "agree]", "override reason agree does not exist"),
    "a topic's reason that does not exist": Fault("b12/topic.yaml", "[disagree]", "[agree]", "[agree]", "override reason agree does not"),
    "a value set that does not exist": Fault(FACTS, "observation: b12", "observation: b13", "b13", "b13 is no observation value set"),
    "a value set of another kind": Fault(FACTS, "[b12-product]", "[b12]", "[b12]", "b12 is no medication value set"),
    "an order's value set": Fault(ORDERS, "observation: mma", "observation: mmm", "mmm", "value set mmm does not exist"),
    "a placeholder for nothing": Fault(RULE, '"Result: {serum_b12}."\n      zh: "结果：{serum_b12}。"', '"{b13}"\n      zh: "{b13}"', 'en: "{b13}', "neither a fact nor"),
    "a window that does not exist": Fault(FACTS, "within: b12_max_age", "within: b12_min_age", "b12_min_age", "no threshold in d or h"),
    "a window in years": Fault(FACTS, "within: b12_max_age", "within: adult_age", "adult_age", "no threshold in d or h"),
    "a threshold that a computed fact reads": Fault(FACTS, "take: exists", "take: longest_course\n  unit: d", "take: longest_course", "threshold course_gap is missing; longest_course reads it"),
    "a value set that a computed fact reads": Fault(FACTS, "take: exists", "take: exists\n  only: unit_slip", "only: unit_slip", "is missing; unit_slip reads it"),
    "a threshold that orders of tests read": Fault(LIMITS, "pending_max:", "pending_min:", "", "threshold pending_max does not exist"),
    "a computed fact without an entry": Fault(COMPUTED, "topical:", "tropical:", "", "the computed fact topical is not explained"),
    "a computed fact without a language": Fault(COMPUTED, "en: products for the skin, zh", "en: products for the skin, fr", "products for the skin", "phrase.zh: Field required"),
    "an entry of no computed fact": Fault(COMPUTED, "topical:", "tropical:\n  phrase: {en: a, zh: b}\ntopical:", "tropical:", "no computed fact is called tropical"),
    "a threshold that a computed fact does not read": Fault(COMPUTED, 'than {course_gap} are one course."\n    zh: "间隔不超过{course_gap}', 'than {renewal_min} are one course."\n    zh: "间隔不超过{renewal_min}', "than {renewal_min} are", "longest_course does not read the threshold renewal_min"),
    "a value that a computed fact never has": Fault(COMPUTED, "in_range:", "inside:", "against_inr_target:", "the values of against_inr_target are below, in_range, above"),
    "a unit that a computed fact does not have": Fault(FACTS, "take: exists", "take: highest_dose\n  unit: mg", "takes_b12:", "highest_dose is in ug"),
    # things that do not fit
    "units that differ": Fault(RULE, "fact: age, below: adult_age", "fact: age, below: b12_low", "fact: age", "age is in a and b12_low in pg/mL"),
    "a unit that is not the value set's": Fault(FACTS, "unit: pg/mL", "unit: ng/L", "serum_b12:", "its unit is not that of b12"),
    "a comparison of a yes or no": Fault(RULE, "fact: takes_b12, is: false", "fact: takes_b12, below: b12_low", "takes_b12, below", "is no quantity"),
    "is on a quantity": Fault(RULE, "fact: age, below: adult_age", "fact: age, is: true", "fact: age", "`is` does not fit age, a quantity"),
    "a word for a yes or no": Fault(RULE, "fact: untreated, is: true", "fact: untreated, is: yes", "untreated, is: yes", "does not fit untreated"),
    "a stop of nothing": Fault(RULE, "stop-b12, of: takes_b12", "stop-b12", "stop-b12", "`of` goes with orders that remove or stop"),
    "a stop of a result": Fault(RULE, "of: takes_b12", "of: serum_b12", "of: serum_b12", "no fact about medication"),
    "a circle of silences": Fault(RULE, "variants:", "silenced_by: [other]\nvariants:", "id: low", "silences itself through"),
    "a circle of facts": Fault(FACTS, "fact: takes_b12, is", "fact: untreated, is", "untreated:", "is defined by itself"),
    "a circle of windows": Fault(FACTS, "within: b12_max_age", "since: {fact: serum_b12, days: 1}", "serum_b12:", "is defined by itself"),
    # codes
    "a part of no value set": Fault("valuesets/b12-product.yaml", "title:", "part_of: b13-product\ntitle:", "part_of: b13-product", "b13-product is no medication value set"),
    "a name of a part that the whole lacks": Fault("valuesets/mma.yaml", "title:", "part_of: b12\ntext: [B12, MMA]\ntitle:", "text: [B12, MMA]", "b12 lacks the name MMA"),
    "a row of an unknown system": Fault("valuesets/b12.csv", "loinc,14685-2", "loink,14685-2", "loink", "a row needs a known system"),
    "a row without a code": Fault("valuesets/b12.csv", "loinc,14685-2", "loinc,", "loinc,,", "a row needs"),
    "a preferred code without a row": Fault("valuesets/b12.yaml", "code: 2132-9", "code: 2132-8", "2132-8", "not in the CSV file"),
    "a unit spelling of two meanings": Fault("units.yaml", "\n", '\n- {spelling: "pg/mL", ucum: "ng/mL"}\n', "ng/mL", "two meanings"),
}  # fmt: skip


def broken(root: Path, fault: Fault) -> KnowledgeError:
    """The error that the folder with this fault gives."""
    text = FILES[fault.file]
    assert fault.old in text
    (write(root) / fault.file).write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
    with pytest.raises(KnowledgeError) as caught:
        load_knowledge(root)
    return caught.value


def test_the_folder_without_a_fault_loads(tmp_path: Path) -> None:
    knowledge = load_knowledge(write(tmp_path))
    assert list(knowledge.rules) == ["low", "other"]
    assert knowledge.version.startswith("1.0.0+")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_file_and_line(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    error = broken(tmp_path, fault)
    assert fault.says in error.what
    assert error.do.endswith(".")
    assert str(error) == f"{error.where}: {error.what} {error.do}"
    if fault.at:
        text = (tmp_path / fault.file).read_text(encoding="utf-8")
        line = text[: text.rindex(fault.at)].count("\n") + 1
        assert error.where == f"{fault.file}:{line}"


def test_a_name_used_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "facts/more.yaml").write_text("age:\n  label: {en: Age, zh: 年龄}\n  patient: age\n  unit: a\n")
    with pytest.raises(KnowledgeError, match=r"^facts/more.yaml:1: fact age stands already at facts/b12.yaml:7"):
        load_knowledge(tmp_path)


@pytest.mark.parametrize("name", [RULE, "valuesets/b12.csv"])
def test_a_file_that_is_not_utf_8_is_told(name: str, tmp_path: Path) -> None:
    (write(tmp_path) / name).write_bytes("é".encode("latin-1"))
    with pytest.raises(KnowledgeError, match=re.escape(f"{name}:1: cannot be read as UTF-8 text")):
        load_knowledge(tmp_path)


def test_a_folder_without_a_version_is_told(tmp_path: Path) -> None:
    (write(tmp_path) / "VERSION").unlink()
    with pytest.raises(KnowledgeError, match=r"^VERSION:1: "):
        load_knowledge(tmp_path)


def test_a_reversal_filter_needs_the_facts_it_asks_for(tmp_path: Path) -> None:
    fault = Fault(FACTS, "take: exists", "take: exists\n  except: [reversal]", "", "")
    assert "urgent_reversal_reason" in broken(tmp_path, fault).what


def test_the_reviewers_check_tells_the_same_fault(tmp_path: Path) -> None:
    error = broken(tmp_path, FAULTS["a fact that does not exist"])
    loaded, findings = check(tmp_path, date(2026, 11, 20))
    assert loaded is None
    assert [(f.level, f.where, f.what) for f in findings] == [("error", error.where, error.what)]


def test_the_version_changes_with_the_content_and_not_with_the_examples(tmp_path: Path) -> None:
    before = load_knowledge(write(tmp_path)).version
    (tmp_path / "b12/low.examples.yaml").write_text("[]\n")
    assert load_knowledge(tmp_path).version == before
    (tmp_path / LIMITS).write_text(FILES[LIMITS].replace("value: 200", "value: 201"))
    assert load_knowledge(tmp_path).version != before
