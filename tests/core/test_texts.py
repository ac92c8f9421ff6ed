"""Texts: each one that code asks for is there with the values it gets, none is dead, and a fault is named at once."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import cds_service
from cds_service.artifacts.text import Text
from cds_service.errors import KnowledgeError
from cds_service.gaps import GapKind
from cds_service.languages import LANGUAGES, PUNCTUATION
from cds_service.texts import FOLDER, Texts, check_texts

PACKAGE = Path(cds_service.__file__).parent
STORES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# What asks the store, by the name it has in the modules that use it.
ASKING = {
    "say": "catalogue",
    "words": "catalogue",
    "why_say": "explanation",
    "chart_say": "chart",
    "reason_say": "reasons",
    "launch_say": "viewer",
}
_METHODS = ("_say", "_word", "_words")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


@cache
def modules() -> dict[Path, ast.Module]:
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent != FOLDER]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def asking(path: Path, module: ast.Module) -> dict[str, str]:
    """Names of a module that ask a store, with the store: `say`, `self._say`, what is assigned from `Texts(…)`."""
    found = {**ASKING, **({"say": "report"} if "report" in path.parts else {})}
    for node in ast.walk(module):
        if isinstance(node, ast.Assign):
            targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else node.targets
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for target, value in zip(targets, values, strict=False):
                names = re.findall(r"Texts\('(\w+)'\)", ast.unparse(value))
                if names and isinstance(target, ast.Name):
                    found[target.id] = names[0]
    for node in ast.walk(module):
        # A method that passes its key on asks what it passes it to.
        if (
            isinstance(node, ast.FunctionDef)
            and node.name in ("_say", "_word", "_words")
            and node.args.args[0].arg == "self"
        ):
            inner = [call for call in ast.walk(node) if isinstance(call, ast.Call) and store_of(call, found)]
            if inner:
                found[node.name] = store_of(inner[0], found) or ""
    return found


def store_of(call: ast.Call, names: dict[str, str]) -> str | None:
    match call.func:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in _METHODS:
            return names.get(name)
        case ast.Attribute(value=ast.Name(id=name), attr="get"):
            return names.get(name)
        case ast.Attribute(value=ast.Call(func=ast.Name(id="Texts"), args=[ast.Constant(value=str(name))]), attr="get"):
            return name
    return None


def asked() -> list[tuple[str, str, set[str] | None, str]]:
    """Every call with a literal key: store, key, names of its values (None: only known when it runs), where."""
    found = []
    for path, module in modules().items():
        names = asking(path, module)
        for call in ast.walk(module):
            if not isinstance(call, ast.Call) or not call.args or (store := store_of(call, names)) is None:
                continue
            values = {keyword.arg for keyword in call.keywords}
            known = {name for name in values if name is not None} if None not in values else None
            keys = [call.args[0].body, call.args[0].orelse] if isinstance(call.args[0], ast.IfExp) else [call.args[0]]
            for key in keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    found.append((store, key.value, known, f"{path.name}:{call.lineno}"))
    return found


def test_every_text_that_code_asks_for_is_there_and_gets_its_values() -> None:
    wrong = []
    for store, key, values, where in asked():
        if key in PUNCTUATION:
            continue
        text = Texts(store).by_key().get(key)
        if text is None or (values is not None and not set(_PLACEHOLDER.findall(text["en"])) <= values):
            wrong.append(f"{where}: {store}.{key}")
    assert len(asked()) > 150
    assert wrong == []


@pytest.mark.parametrize("store", sorted(set(STORES) - {"page"}))
def test_no_text_is_dead(store: str) -> None:
    """A key is used if it stands somewhere as a literal, or begins as a literal with a value in it does."""
    literals, beginnings = set(), set()
    for module in modules().values():
        for node in ast.walk(module):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                beginnings.add(str(node.values[0].value))
    templates = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.html"))
    literals |= set(re.findall(r"\"([\w-]+)\"", templates)) | {kind.name.lower() for kind in GapKind}
    begun = tuple(beginning for beginning in beginnings if len(beginning) > 2)
    assert [key for key in Texts(store).by_key() if key not in literals and not key.startswith(begun)] == []


def test_every_kind_of_gap_has_a_text() -> None:
    assert {kind.name.lower() for kind in GapKind} == Texts("gaps").by_key().keys()


def test_the_texts_of_the_service_are_complete() -> None:
    check_texts()
    assert len(STORES) > 8


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("a: {en: A, zh: 甲}\nb: {en: B}\n", 2, "b has no text in zh. Add it."),
        ("a: {zh: 甲}\n", 1, "a has no text in en"),
        (
            "a:\n  en: 'A {b}'\n  zh: 甲\n",
            3,
            "a: zh has not the placeholders of en. Use these, and no other brace: {b}.",
        ),
        ("a:\n  en: 'A {}'\n  zh: '甲{}'\n", 2, "a brace is of no placeholder"),
        ("a: {en: A, zh: 甲, de: A}\n", 1, "a: de is no language"),
        ("a: {en: A, zh: ''}\n", 1, "a: zh is not text"),
        ("a: {en: A, zh: 甲}\na: {en: A, zh: 甲}\n", 2, "is repeated"),
        ("a: A\n", 1, "a is not a text by language"),
        ("comma: {en: ',', zh: '，'}\n", 1, "comma is punctuation"),
        ("- a\n", 1, "not a mapping"),
    ],
)
def test_a_faulty_text_is_refused_with_file_and_line(tmp_path: Path, text: str, line: int, fault: str) -> None:
    folder = tmp_path / "cds_service" / "texts"
    folder.mkdir(parents=True)
    (folder / "ours.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(KnowledgeError) as raised:
        check_texts(folder)
    assert raised.value.where == f"cds_service/texts/ours.yaml:{line}"
    assert fault in str(raised.value)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_text_can_be_asked_for_punctuation(code: str) -> None:
    assert Texts("cards").get("comma", code) == LANGUAGES[code].comma


def test_a_value_that_is_missing_is_an_error_and_not_a_gap_in_a_sentence() -> None:
    with pytest.raises(KeyError):
        Texts("cards").get("above", "en", other="x")


def test_knowledge_texts_have_every_language() -> None:
    text = Text.model_validate({"en": "A", "zh": "甲"})
    assert text.by_language == {"en": "A", "zh": "甲"}
    assert (text.in_language("zh"), text.language_of("zh")) == ("甲", "zh")
