"""A copy of the service with one more language, made as a person would: one row, and lines in text files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

Translate = Callable[[str], str | None]
_PLACEHOLDER = re.compile(r"(\{[a-z0-9_]+\}|\d+\.?\d*)")
_WALK = Path(__file__).with_name("walk.py")


class Copied:
    """The package and its knowledge in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("cds_service", "knowledge"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))

    def add_row(self, row: str) -> None:
        path = self.folder / "cds_service" / "languages.py"
        text = path.read_text(encoding="utf-8")
        english = '    LanguageRow("en", "en", "English", "en_GB"),\n'
        assert english in text
        path.write_text(text.replace(english, f"{english}    {row}\n"), encoding="utf-8")

    def translate(self, code: str, words: Translate) -> int:
        """Writes a translation beside each English text for which there is one; returns how many."""
        return sum(_translated(path, code, words) for path in self._files())

    def _files(self) -> Iterator[Path]:
        yield from sorted((self.folder / "cds_service" / "texts").glob("*.yaml"))
        yield from sorted((self.folder / "knowledge").rglob("*.yaml"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
        settings = {"CDS_OPEN": "true", "CDS_DATABASE_URL": f"sqlite:///{self.folder}/cds.db"}
        settings["PYTHONPATH"] = str(self.folder)
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=environment | settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def walk(self, code: str, *patients: str) -> dict[str, Any]:
        """Everything that the service says in a language: where -> status and body. No patients: all of them."""
        done = self.run(str(_WALK), code, *patients)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads((self.folder / "answers.json").read_bytes())
        return found


def pseudo(text: str) -> str:
    """The text in letters that are not ASCII, its placeholders and numbers as they are, so that it stays readable."""
    return "".join(
        part if odd else "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalpha() else c for c in part)
        for odd, part in ((index % 2, part) for index, part in enumerate(_PLACEHOLDER.split(text)))
    )


def english_texts(root: Path) -> set[str]:
    """Every English text that has a translation beside it."""
    found: set[str] = set()
    for path in (*(root / "cds_service" / "texts").glob("*.yaml"), *(root / "knowledge").rglob("*.yaml")):
        found |= {str(value.value) for _, value in _texts(path)}
    return found


def _translated(path: Path, code: str, words: Translate) -> int:
    text, made, copied_to = path.read_text(encoding="utf-8"), [], 0
    count = 0
    for key, value in _texts(path):
        translation = words(str(value.value))
        if translation is None:
            continue
        start = key.start_mark
        quoted = json.dumps(translation, ensure_ascii=False)
        inside_braces = key.end_mark.line == start.line and _is_flow(text, key)
        after = ", " if inside_braces else "\n" + " " * start.column
        made += [text[copied_to : start.index], f"{code}: {quoted}{after}"]
        copied_to = start.index
        count += 1
    if count:
        path.write_text("".join([*made, text[copied_to:]]), encoding="utf-8")
    return count


def _is_flow(text: str, key: yaml.Node) -> bool:
    before = text[: key.start_mark.index].rstrip()
    return before.endswith(("{", ","))


def _texts(path: Path) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys and values `en` that stand beside a `zh`, in their order."""
    # By place: an alias leads to the same node again.
    found: dict[int, tuple[yaml.Node, yaml.Node]] = {}
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            members = {key.value: (key, value) for key, value in node.value}
            if "en" in members and "zh" in members:
                found[members["en"][0].start_mark.index] = members["en"]
            waiting += [value for _, value in node.value]
    return [found[place] for place in sorted(found)]
