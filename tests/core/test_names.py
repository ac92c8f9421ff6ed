"""Names: retired ones do not come back, and an exported one is unique in the package."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cds_service"
DOCS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("knowledge/*.md")]

# Names of CDS Hooks, FHIR or the knowledge that two rooms model, each for its own side of a boundary.
SHARED = {
    "Allergy",
    "Coding",
    "Entry",
    "Line",
    "OverrideReason",
    "Problem",
    "Product",
    "Reason",
    "Service",
    "Source",
    "Span",
    "Suggestion",
    "day",
    "escaped",
    "evidence",
    "filled",
    "selected",
}


def retired() -> dict[str, str]:
    lines = (ROOT / "tests" / "names.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def words(text: str) -> set[str]:
    """The words of a text, and the module paths in it with dots, also where slashes separate them."""
    modules = {f"cds_service.{room}" for room in re.findall(r"\bcds_service[./](\w+)", text)}
    return modules | set(re.findall(r"\w+", text))


def identifiers(path: Path) -> set[str]:
    """The identifiers and imported rooms of a Python file; texts and comments are left out."""
    source = path.read_text(encoding="utf-8")
    names = {t.string for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type == tokenize.NAME}
    imports = "\n".join(line for line in source.splitlines() if line.lstrip().startswith(("from ", "import ")))
    return names | words(imports)


def test_no_retired_name_is_an_identifier() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in ("cds_service", "tests", "bench")
        for path in (ROOT / folder).rglob("*.py")
        for name in identifiers(path) & retired().keys()
    }
    assert not found


def test_no_retired_name_is_in_code_spans_of_the_documents_or_texts_of_the_command_line() -> None:
    spans = {
        path: re.findall(r"`[^`\n]+`", path.read_text(encoding="utf-8")) for path in DOCS if path.stem != "CHANGELOG"
    }
    strings = {
        path: [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for path in (PACKAGE / "cli").glob("*.py")
    }
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, texts in (spans | strings).items()
        for name in words("\n".join(texts)) & retired().keys()
    }
    assert not found


def test_an_exported_class_or_function_has_a_name_of_its_own_in_the_package() -> None:
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        if "versions" in path.parts:  # migrations: Alembic names their functions
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                places[node.name].add(str(path.relative_to(ROOT)))
    repeated = {name: sorted(found) for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in repeated.items() if name not in SHARED} == {}
    assert repeated.keys() == SHARED  # a name that is unique again leaves the list
