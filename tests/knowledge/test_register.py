"""The evidence register: complete, bilingual, in step with the defects of its sources, and free of lost numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.artifacts.evidence import Source, Statement
from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.text import Plain
from cds_service.errors import KnowledgeError
from cds_service.yaml_file import YamlFile

COUNTS = {"S0": 67, "S1": 44, "S2": 54, "S3": 64, "S4": 38}
ADDITIONS = {f"G{number:02d}" for number in range(1, 67)}
DEFECTS = {f"T-{number:02d}" for number in range(1, 40)}
MONTH_NUMBERS = {"April": "4", "June": "6", "November": "11", "December": "12"}
TERM_MEMBERS = {"id", "en", "zh", "definition"}
UNWANTED = re.compile(
    r"https?:|www\.|\.(com|org)\b|(avoid|limit|cut out) (vegetables|greens)|忌食|避免蔬菜|少吃蔬菜", re.IGNORECASE
)
HAN = re.compile(r"[\u4e00-\u9fff]")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def _root() -> Path:
    return knowledge_dir()


def _sources() -> dict[str, Source]:
    files = [YamlFile(path, _root()) for path in sorted((_root() / "sources").glob("*.yaml"))]
    return {source.id: source for source in (file.parse(Source, file.data) for file in files)}


def _statements_of(source: str) -> list[Statement]:
    file = YamlFile(_root() / "statements" / f"{source}.yaml", _root())
    return [file.parse(Statement, data, (index,)) for index, data in enumerate(file.data)]


def _statements() -> list[Statement]:
    return [statement for source in COUNTS for statement in _statements_of(source)]


def _glossary() -> list[dict[str, Any]]:
    data = YamlFile(_root() / "glossary.yaml", _root()).data
    assert isinstance(data, list)
    return data


def _texts() -> Iterator[tuple[str, Plain]]:
    """Every bilingual text of the register and the glossary, with a name for messages."""
    for statement in _statements():
        yield statement.id, statement.text
        if statement.because:
            yield f"{statement.id} because", statement.because
    for source in _sources().values():
        yield f"{source.id} title", source.title
        yield f"{source.id} short", source.short
        if source.note:
            yield f"{source.id} note", source.note
        for defect in source.defects:
            yield f"{source.id} {defect.en[:4]}", defect
    for term in _glossary():
        yield f"{term['id']} term", Plain.model_validate({"en": term["en"], "zh": term["zh"]})
        yield f"{term['id']} definition", Plain.model_validate(term["definition"])


def _numbers(text: str) -> set[str]:
    """The numbers of a text. Chinese writes months as numbers; a space may part the thousands."""
    for month, number in MONTH_NUMBERS.items():
        text = re.sub(rf"\b{month}\b", number, text)
    return set(NUMBER.findall(re.sub(r"(?<=\d)[ ,](?=000(?!\d))", "", text)))


def _defect_numbers(text: str) -> list[str]:
    return re.findall(r"\bT-\d{2}", text)


@pytest.mark.parametrize("source", COUNTS)
def test_every_statement_of_a_source_is_registered_once_and_in_order(source: str) -> None:
    ids = [statement.id for statement in _statements_of(source)]
    assert ids == [f"{source}-{number:02d}" for number in range(1, COUNTS[source] + 1)]


def test_the_register_holds_no_other_files() -> None:
    assert {path.stem for path in (_root() / "statements").iterdir()} == set(COUNTS)


def test_no_two_statements_say_the_same() -> None:
    for language in ("en", "zh"):
        counted = Counter(statement.text.in_language(language) for statement in _statements())
        assert [text for text, times in counted.items() if times > 1] == []


def test_every_seed_and_every_addition_is_a_source() -> None:
    kinds = {source.id: source.kind for source in _sources().values()}
    assert {id_ for id_, kind in kinds.items() if kind == "seed"} == set(COUNTS)
    assert {id_ for id_, kind in kinds.items() if kind == "addition"} >= ADDITIONS


def test_every_defect_is_recorded_on_a_seed() -> None:
    recorded = {n for source in COUNTS for defect in _sources()[source].defects for n in _defect_numbers(defect.en)}
    assert recorded == DEFECTS


def test_a_defect_bears_its_number_in_front_in_both_languages() -> None:
    for source in _sources().values():
        for defect in source.defects:
            assert re.match(r"T-\d{2}: ", defect.en), f"{source.id}: {defect.en}"
            assert defect.in_language("zh").startswith(f"{defect.en[:4]}："), f"{source.id}: {defect.in_language('zh')}"


def test_a_source_records_each_defect_once() -> None:
    for source in _sources().values():
        numbers = [defect.en[:4] for defect in source.defects]
        assert len(numbers) == len(set(numbers)), source.id


def test_a_defect_named_by_a_statement_is_recorded_on_its_source() -> None:
    sources = _sources()
    for statement in _statements():
        recorded = {defect.en[:4] for defect in sources[statement.id[:2]].defects}
        for number in _defect_numbers(statement.because.en if statement.because else ""):
            assert number in recorded, f"{statement.id} names {number}"


def test_every_rejected_statement_has_a_reason() -> None:
    rejected = [statement for statement in _statements() if "rejected" in statement.disposition]
    assert rejected
    assert [statement.id for statement in rejected if statement.because is None] == []


def test_a_rejected_statement_without_a_reason_does_not_load() -> None:
    file = YamlFile(_root() / "statements" / "S0.yaml", _root())
    position = next(index for index, data in enumerate(file.data) if data["disposition"] == ["rejected"])
    unexplained = {member: value for member, value in file.data[position].items() if member != "because"}
    with pytest.raises(KnowledgeError, match="says why in `because`"):
        file.parse(Statement, unexplained, (position,))


def test_every_text_is_in_both_languages() -> None:
    for name, text in _texts():
        assert not HAN.search(text.en), f"{name}: Chinese in the English text"
        # A name such as NICE NG239 or a term such as Shiraki, 2000 may stand alone in a short name.
        if not name.endswith(" short"):
            assert HAN.search(text.in_language("zh")), f"{name}: no Chinese in the Chinese text"


def test_english_and_chinese_state_the_same_numbers() -> None:
    for name, text in _texts():
        assert _numbers(text.en) == _numbers(text.in_language("zh")), name


def test_no_statement_holds_an_address_or_tells_anyone_to_avoid_vegetables() -> None:
    for statement in _statements():
        said = [statement.text, *([statement.because] if statement.because else [])]
        for text in said:
            assert not UNWANTED.search(text.en + text.in_language("zh")), statement.id


def test_the_damaged_sentence_states_no_b12_limit() -> None:
    damaged = next(statement for statement in _statements() if statement.id == "S1-24")
    assert damaged.disposition == ["rejected"]
    assert damaged.because is not None
    assert "T-02" in damaged.because.en
    for text in (damaged.text, damaged.because):
        for language in ("en", "zh"):
            # What may stand: the vitamin's name, the defect's number, and the figure read as homocysteine.
            rest = re.sub(r"B12(?!\d)|T-02|15 µmol/L", "", text.in_language(language))
            assert not re.search(r"\d", rest), rest


def test_trust_follows_the_order_in_which_conflicts_are_settled() -> None:
    tier = {id_: source.tier for id_, source in _sources().items()}
    assert tier["S4"] < tier["S0"] == tier["S3"] < tier["S2"] == tier["S1"]
    assert {id_ for id_, source in _sources().items() if source.tier == 4} == {"S1", "S2"}


def test_a_source_is_named_for_a_reader_and_not_by_a_file() -> None:
    for source in _sources().values():
        for text in (source.short.en, source.short.in_language("zh")):
            assert not re.search(r"\.(txt|pdf|html?)\b|\bseed\b|[0-9a-f]{16}", text), source.id
            assert len(text) <= 60, source.id


def test_a_source_not_read_in_the_original_says_so_in_its_note() -> None:
    for source in _sources().values():
        if source.seen != "read":
            assert source.note is not None, source.id
            assert re.search(r"secondary|memory|not checked", source.note.en), source.id


def test_every_term_stands_once_in_the_glossary() -> None:
    for member in ("id", "en", "zh"):
        counted = Counter(term[member] for term in _glossary())
        assert [value for value, times in counted.items() if times > 1] == []


def test_a_term_has_an_id_both_names_and_a_definition() -> None:
    for term in _glossary():
        assert set(term) == TERM_MEMBERS, term
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", term["id"]), term["id"]
        assert set(term["definition"]) == {"en", "zh"}, term["id"]
