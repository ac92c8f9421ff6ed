"""The knowledge folder to a frozen KnowledgeBase; any fault stops here, with file and line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from cds_service.artifacts import schema
from cds_service.artifacts.evidence import Source, Statement, Threshold
from cds_service.artifacts.integrity import check_links
from cds_service.artifacts.knowledge_base import KnowledgeBase, Service
from cds_service.artifacts.overlay import with_overlay
from cds_service.artifacts.review_limits import FILE as REVIEW_LIMITS
from cds_service.artifacts.text import Strict
from cds_service.artifacts.value_set_schema import AnalyteDefinition, UnitSpelling, ValueSet
from cds_service.artifacts.vocabulary import ComputedText, FactDefinition
from cds_service.coding import SYSTEMS, Coding
from cds_service.errors import KnowledgeError
from cds_service.languages import LANGUAGES
from cds_service.terminology import Analyte, ConceptCodes, Terminology
from cds_service.yaml_file import Path_, YamlFile

M = TypeVar("M", bound=Strict)


def knowledge_dir() -> Path:
    """The knowledge folder: inside the installed package, or beside it in a checkout or an unpacked sdist."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "knowledge", package.parent / "knowledge"):
        if (candidate / "services.yaml").is_file():
            return candidate
    raise KnowledgeError(str(package), "has no knowledge folder.", "Install the service from its wheel or a checkout.")


def load_knowledge(root: Path | None = None, site: Path | None = None) -> KnowledgeBase:
    """Reads, checks and links the knowledge folder.

    Args:
        site: a site's overlay folder; what it changes is laid over the knowledge.
    Raises:
        KnowledgeError: on the first fault, worded as `file:line: what, do this`.
    """
    root = root or knowledge_dir()
    knowledge = _Reader(root).read()
    if site is not None:
        knowledge = with_overlay(knowledge, site)
    try:
        check_links(knowledge)
    except KnowledgeError as error:
        name, _, line = error.where.partition(":")
        if not (error.words and line):
            raise
        # Links are checked between artifacts, which know where they begin; the file knows the line of the fault.
        exact = YamlFile(root / name, root).line_of(error.words, int(line))
        raise KnowledgeError(f"{name}:{exact}", error.what, error.do) from error
    return knowledge


class _Reader:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.where: dict[str, str] = {}

    def read(self) -> KnowledgeBase:
        sources = {s.id: s for s in self._each("sources/*.yaml", Source)}
        statements = {s.id: s for s in self._lists("statements/*.yaml", Statement)}
        facts = self._named("fact", "facts/*.yaml", FactDefinition)
        computed = self._named("computed fact", "computed.yaml", ComputedText)
        thresholds = self._named("threshold", "*/thresholds.yaml", Threshold)
        orders = self._named("order", "orders.yaml", schema.Order)
        reasons = self._named("override reason", "override_reasons.yaml", schema.OverrideReason)
        topics, rules, topic_of = self._topics()
        value_sets, codes = self._value_sets()
        services = self._services(topics, rules, topic_of)
        return KnowledgeBase(
            version=self._version(),
            sources=_frozen(sources),
            statements=_frozen(statements),
            thresholds=_frozen(thresholds),
            facts=_frozen(facts),
            computed=_frozen(computed),
            rules=_frozen(rules),
            topics=_frozen(topics),
            topic_of=_frozen(topic_of),
            orders=_frozen(orders),
            override_reasons=_frozen(reasons),
            services=_frozen(services),
            value_sets=_frozen(value_sets),
            terminology=Terminology(codes),
            units=_frozen(self._units()),
            where=_frozen(self.where),
        )

    def _files(self, pattern: str) -> Iterator[YamlFile]:
        for path in sorted(self.root.glob(pattern)):
            yield YamlFile(path, self.root)

    def _each(self, pattern: str, model: type[M]) -> Iterator[M]:
        """One artifact a file."""
        for file in self._files(pattern):
            artifact = file.parse(model, file.data)
            self._keep(file, model.__name__.lower(), artifact.id, ())  # type: ignore[attr-defined]
            stem = file.name.rpartition("/")[2].removesuffix(".yaml")
            if stem != artifact.id:  # type: ignore[attr-defined]
                raise KnowledgeError(file.where("id"), f"the id is not the file's name, {stem}.", "Make the two equal.")
            yield artifact

    def _lists(self, pattern: str, model: type[M]) -> Iterator[M]:
        """A list of artifacts in each file."""
        for _, _, artifact in self._listed(pattern, model):
            yield artifact

    def _listed(self, pattern: str, model: type[M]) -> Iterator[tuple[YamlFile, Path_, M]]:
        """The same, with where each one stands."""
        for file in self._files(pattern):
            for index, data in enumerate(_expect(file, list, "a list")):
                artifact = file.parse(model, data, (index,))
                self._keep(file, model.__name__.lower(), artifact.id, (index,))  # type: ignore[attr-defined]
                yield file, (index,), artifact

    def _named(self, kind: str, pattern: str, model: type[M]) -> dict[str, M]:
        """A mapping of name to artifact in each file."""
        found: dict[str, M] = {}
        for file in self._files(pattern):
            for name, data in _expect(file, dict, "a mapping").items():
                found[name] = file.parse(model, data, (name,))
                self._keep(file, kind, name, (name,))
        return found

    def _keep(self, file: YamlFile, kind: str, name: str, path: Path_) -> None:
        key = f"{kind}:{name}"
        if key in self.where:
            raise KnowledgeError(
                file.where(*path), f"{kind} {name} stands already at {self.where[key]}.", "Rename one."
            )
        self.where[key] = file.where(*path)

    def _topics(self) -> tuple[dict[str, schema.Topic], dict[str, schema.Rule], dict[str, str]]:
        topics: dict[str, schema.Topic] = {}
        rules: list[schema.Rule] = []
        topic_of: dict[str, str] = {}
        for topic_file in self._files("*/topic.yaml"):
            topic = topic_file.parse(schema.Topic, topic_file.data)
            folder = topic_file.name.partition("/")[0]
            if topic.id != folder:
                raise KnowledgeError(
                    topic_file.where("id"), f"the id is not the folder's name, {folder}.", "Make the two equal."
                )
            topics[topic.id] = topic
            self._keep(topic_file, "topic", topic.id, ())
            for path in sorted((self.root / folder).glob("*.yaml")):
                if path.name in ("topic.yaml", "thresholds.yaml") or path.name.endswith(".examples.yaml"):
                    continue
                file = YamlFile(path, self.root)
                rule = file.parse(schema.Rule, file.data)
                if rule.id != path.stem:
                    raise KnowledgeError(
                        file.where("id"), f"the id is not the file's name, {path.stem}.", "Make the two equal."
                    )
                self._keep(file, "rule", rule.id, ())
                topic_of[rule.id] = topic.id
                rules.append(rule)
        rules.sort(key=lambda rule: (rule.priority or 10_000, rule.id))
        return topics, {rule.id: rule for rule in rules}, topic_of

    def _services(
        self, topics: Mapping[str, schema.Topic], rules: Mapping[str, schema.Rule], topic_of: Mapping[str, str]
    ) -> dict[str, Service]:
        services: dict[str, Service] = {}
        for file, path, declared in self._listed("services.yaml", schema.Service):
            if declared.topic not in topics:
                raise KnowledgeError(
                    file.where(*path, "topic"),
                    f"topic {declared.topic} does not exist.",
                    "Mend the id or add its folder.",
                )
            mine = tuple(
                rule.id
                for rule in rules.values()
                if topic_of[rule.id] == declared.topic and declared.hook in rule.hooks
            )
            if any(rules[rule].kind == "rule" for rule in mine):
                services[declared.id] = Service(
                    declared.id, declared.hook, declared.topic, declared.title, declared.description, mine
                )
        return services

    def _value_sets(self) -> tuple[dict[str, ValueSet], list[ConceptCodes]]:
        value_sets = {v.id: v for v in self._each("valuesets/*.yaml", ValueSet)}
        return value_sets, [self._codes(value_set) for value_set in value_sets.values()]

    def _codes(self, value_set: ValueSet) -> ConceptCodes:
        rows: dict[str, set[tuple[str, str]]] = {"exact": set(), "prefix": set(), "exclude": set()}
        displays: dict[tuple[str, str], str] = {}
        path = self.root / "valuesets" / f"{value_set.id}.csv"
        if path.is_file():
            with StringIO(self._text(path), newline="") as lines:
                for number, row in enumerate(csv.DictReader(lines), start=2):
                    system = SYSTEMS.get(row.get("system") or "")
                    if system is None or row.get("match") not in rows or not row.get("code"):
                        raise KnowledgeError(
                            f"valuesets/{value_set.id}.csv:{number}",
                            "a row needs a known system, a code, and match exact, prefix or exclude.",
                            "Mend the row.",
                        )
                    key = (system, row["code"])
                    rows[row["match"]].add(key)
                    displays.setdefault(key, row.get("display") or "")
        preferred = None
        if value_set.preferred is not None:
            key = (SYSTEMS.get(value_set.preferred["system"], ""), value_set.preferred["code"])
            if key not in displays:
                file = YamlFile(path.with_suffix(".yaml"), self.root)
                raise KnowledgeError(
                    file.where("preferred"),
                    "the preferred code is not in the CSV file.",
                    "Add its row or name another.",
                )
            preferred = Coding(*key, displays[key])
        return ConceptCodes(
            id=value_set.id,
            kind=value_set.kind,
            codes=frozenset(rows["exact"]),
            prefixes=frozenset(rows["prefix"]),
            excluded=frozenset(rows["exclude"]),
            texts=tuple(value_set.text),
            not_texts=tuple(value_set.not_text),
            lifelong=value_set.lifelong,
            part_of=value_set.part_of,
            instead_of=value_set.instead_of,
            analyte=_analyte(value_set.analyte),
            preferred=preferred,
            title={code: value_set.title.in_language(code) for code in LANGUAGES},
        )

    def _units(self) -> dict[str, str]:
        units: dict[str, str] = {}
        for file in self._files("units.yaml"):
            for index, data in enumerate(_expect(file, list, "a list")):
                unit = file.parse(UnitSpelling, data, (index,))
                for key in [f"{c}:{unit.spelling}" for c in unit.for_] if unit.for_ else [unit.spelling]:
                    if units.setdefault(key, unit.ucum) != unit.ucum:
                        raise KnowledgeError(
                            file.where(index), f"the spelling {unit.spelling} has two meanings.", "Keep one of the two."
                        )
        return units

    def _text(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            where = f"{path.relative_to(self.root).as_posix()}:1"
            raise KnowledgeError(where, "cannot be read as UTF-8 text.", "Save it as UTF-8.") from error

    def _version(self) -> str:
        """The semantic version of knowledge/VERSION and a hash of every file that can change an answer."""
        content = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if (
                path.suffix in (".yaml", ".csv")
                and not path.name.endswith(".examples.yaml")
                and "sandbox" not in path.parts
                and path.name != REVIEW_LIMITS
            ):
                content.update(path.relative_to(self.root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        number = self._text(self.root / "VERSION").strip()
        return f"{number}+{content.hexdigest()[:12]}"


def _analyte(declared: AnalyteDefinition | None) -> Analyte | None:
    if declared is None:
        return None
    low, high = declared.plausible or (None, None)
    return Analyte(
        unit=declared.unit or "1",
        molar_mass=declared.molar_mass,
        low=low,
        high=high,
        refused_units=frozenset(declared.refused_units),
        ratio=declared.ratio,
        least_range_top=declared.least_range_top,
    )


def _expect(file: YamlFile, kind: type, name: str) -> Any:
    if not isinstance(file.data, kind):
        raise KnowledgeError(file.where(), f"the file is not {name}.", "See knowledge/README.md for its shape.")
    return file.data


T = TypeVar("T")


def _frozen(mapping: dict[str, T]) -> Mapping[str, T]:
    return MappingProxyType(mapping)
