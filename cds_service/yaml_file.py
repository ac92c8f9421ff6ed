"""Reads a YAML file into plain data with the line of every member; repeated keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cds_service.errors import KnowledgeError

M = TypeVar("M", bound=BaseModel)
Path_ = tuple[str | int, ...]

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: equal results, slower
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


class YamlFile:
    """The data of one file and the line of each part.

    Attributes:
        name: path below the knowledge folder, for messages.
        data: dicts, lists, strings, numbers, booleans and None; dates stay strings.

    Args:
        manual: the document that describes the file, for messages.
    """

    def __init__(self, path: Path, root: Path, manual: str = "knowledge/README.md") -> None:
        self.name = path.relative_to(root).as_posix()
        self._manual = manual
        self._lines: dict[Path_, int] = {}
        self._scalars: list[tuple[int, str]] = []
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise KnowledgeError(
                f"{self.name}:{line}", f"is not YAML: {error.problem}.", "Correct the syntax."
            ) from error
        except yaml.YAMLError as error:
            raise KnowledgeError(
                f"{self.name}:1", "is not YAML: it holds a control character.", "Remove the character."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise KnowledgeError(f"{self.name}:1", "cannot be read as UTF-8 text.", "Save it as UTF-8.") from error
        self.data: Any = self._plain(node, ()) if node is not None else None

    def line(self, path: Path_) -> int:
        """The line of a member, or of the nearest member above it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def where(self, *path: str | int) -> str:
        """`file:line` of a member."""
        return f"{self.name}:{self.line(path)}"

    def line_of(self, words: tuple[str, ...], start: int) -> int:
        """The first line from `start` on where these values follow each other; a text may contain a `{name}`."""
        scalars = [(line, text) for line, text in self._scalars if line >= start]
        for place in range(len(scalars) - len(words) + 1):
            run = scalars[place : place + len(words)]
            if all(
                text == word or (word[0] == "{" and word in text) for (_, text), word in zip(run, words, strict=True)
            ):
                return run[0][0]
        return start

    def parse(self, model: type[M], data: Any, path: Path_ = ()) -> M:
        """The data as a model of the schema.

        Raises:
            KnowledgeError: naming file, line and member of the first fault.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            at = tuple(part for part in fault["loc"] if not (isinstance(part, str) and part.startswith("function-")))
            member = ".".join(str(part) for part in (*path, *at)) or "the file"
            message = fault["msg"].removeprefix("Value error, ")
            raise KnowledgeError(
                f"{self.name}:{self.line((*path, *at))}", f"{member}: {message}.", _advice(fault["type"], self._manual)
            ) from error

    def listed(self, model: type[M], what: str) -> tuple[M, ...]:
        """The file as a list of entries, each with an `id` of its own.

        Args:
            what: what the entries are, in the plural, for messages.
        Raises:
            KnowledgeError: it is not a list, an entry is invalid, or two have the same id.
        """
        if not isinstance(self.data, list):
            raise KnowledgeError(self.where(), f"the file is not a list of {what}.", "Begin each with `- id:`.")
        found: dict[str, M] = {}
        for index, data in enumerate(self.data):
            entry = self.parse(model, data, (index,))
            name: str = entry.id  # type: ignore[attr-defined]
            if name in found:
                raise KnowledgeError(self.where(index), f"there are two {what} {name}.", "Give each its own id.")
            found[name] = entry
        return tuple(found.values())

    def _plain(self, node: yaml.Node, path: Path_) -> Any:
        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                line = key_node.start_mark.line + 1
                self._scalars.append((line, key))
                if key in found:
                    raise KnowledgeError(
                        f"{self.name}:{line}", f'the member "{key}" is repeated.', "Keep one of the two."
                    )
                found[key] = self._plain(value_node, (*path, key))
                self._lines[(*path, key)] = line
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        self._scalars.append((node.start_mark.line + 1, str(node.value)))
        try:
            return _scalar(node)
        except ValueError as error:
            raise KnowledgeError(
                f"{self.name}:{node.start_mark.line + 1}",
                f"{node.value} is not a number that YAML reads alike everywhere.",
                "Quote it, or write it in plain decimals.",
            ) from error


def _scalar(node: yaml.Node) -> Any:
    match node.tag:
        case "tag:yaml.org,2002:int":
            return int(node.value)
        case "tag:yaml.org,2002:float":
            return float(node.value)
        case "tag:yaml.org,2002:bool":
            # YAML 1.1 reads yes, no, on, off as booleans; here only true and false are.
            return node.value.lower() == "true" if node.value.lower() in ("true", "false") else node.value
        case "tag:yaml.org,2002:null":
            return None
    return node.value


def _advice(kind: str, manual: str) -> str:
    match kind:
        case "missing":
            return "Add it."
        case "extra_forbidden":
            return f"Remove it, or check its spelling; {manual} lists what is allowed."
    return f"See {manual} for what this file may hold."
