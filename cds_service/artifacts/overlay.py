"""A site's folder laid over the knowledge: a new KnowledgeBase with its own limits, switches, texts and codes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from cds_service.artifacts.evidence import DatedValue, Threshold
from cds_service.artifacts.knowledge_base import KnowledgeBase, SiteChange, Snooze
from cds_service.artifacts.local_codes import FILE as CODES
from cds_service.artifacts.local_codes import LocalCodes, read_local_codes
from cds_service.artifacts.overlay_schema import Overlay
from cds_service.artifacts.overlay_texts import reworded
from cds_service.artifacts.schema import Order, OverrideReason, Rule
from cds_service.coding import LOINC, SYSTEMS
from cds_service.errors import KnowledgeError
from cds_service.quantity import factor
from cds_service.terminology import ConceptCodes, Terminology, normalised
from cds_service.yaml_file import YamlFile

FILE = "overlay.yaml"
# What else may lie in the folder: the client profiles, which CDS_CLIENTS names.
_OTHERS = ("clients.yaml",)
_MANUAL = "docs/site-overlay.md"
_SHORTEST = 2

T = TypeVar("T")


def with_overlay(knowledge: KnowledgeBase, folder: Path) -> KnowledgeBase:
    """The knowledge with what the folder's overlay.yaml and local_codes.csv change; `knowledge` itself stays.

    Raises:
        KnowledgeError: on the first fault, worded as `file:line: what, do this`.
    """
    return _Laying(knowledge, folder.resolve()).result()


class _At(NamedTuple):
    """Where a change stands."""

    kind: str
    name: str
    path: tuple[str, ...]


class _Laying:
    """One overlay being laid over one knowledge."""

    def __init__(self, knowledge: KnowledgeBase, folder: Path) -> None:
        self._knowledge = knowledge
        self._folder = folder
        _check_names(folder)
        self._file = YamlFile(folder / FILE, folder.parent, _MANUAL)
        self._overlay = self._file.parse(Overlay, self._file.data)
        self._changes: dict[str, SiteChange] = {}

    def result(self) -> KnowledgeBase:
        knowledge, overlay = self._knowledge, self._overlay
        self._check_synonyms()
        local = self._local_codes()
        concepts = knowledge.terminology.value_sets
        reasons = self._reasons()
        return replace(
            knowledge,
            version=f"{knowledge.version}.{self._hash()}",
            thresholds=_merged(knowledge.thresholds, self._thresholds()),
            rules=_merged(knowledge.rules, self._rules(reasons)),
            orders=_merged(knowledge.orders, self._orders()),
            override_reasons=_merged(knowledge.override_reasons, reasons),
            terminology=self._terminology(local),
            units=_merged(knowledge.units, self._units()),
            site=overlay.site,
            site_changes=MappingProxyType(self._changes),
            canonicals=MappingProxyType(self._canonicals()),
            snooze=self._snooze(reasons),
            local_codes=frozenset(
                key
                for concept, codes in local.items()
                if concepts[concept].kind == "observation"
                for key in codes.exact
            ),
        )

    def _fault(self, path: tuple[str | int, ...], what: str, do: str) -> KnowledgeError:
        return KnowledgeError(self._file.where(*path), what, do)

    def _decided(self, decision: str, at: _At) -> str:
        """Who decided a change; keeps it for traces."""
        made = self._overlay.decisions.get(decision)
        if made is None:
            raise self._fault(
                (*at.path, "decision"),
                f"there is no decision {decision}.",
                "Tell under `decisions` who decided, when and why.",
            )
        words = f"{self._overlay.site}: {made.by}, {made.on}: {made.because}"
        self._changes[f"{at.kind}:{at.name}"] = SiteChange(self._file.where(*at.path), words)
        return words

    def _thresholds(self) -> dict[str, Threshold]:
        found: dict[str, Threshold] = {}
        for name, change in self._overlay.thresholds.items():
            path = ("thresholds", name)
            shipped = self._knowledge.thresholds.get(name)
            if shipped is None:
                raise self._fault(
                    path, f"there is no threshold {name}.", "See the thresholds.yaml files in knowledge/."
                )
            if change.unit != shipped.unit:
                raise self._fault(
                    (*path, "unit"),
                    f"{name} is in {shipped.unit}, not in {change.unit}; a comparison would mean nothing.",
                    f"Convert the value and write unit: {shipped.unit}.",
                )
            newest = max(dated.since for dated in shipped.values)
            if change.since <= newest:
                raise self._fault(
                    (*path, "since"),
                    f"the shipped value of {name} holds since {newest}, so this one would never apply.",
                    "Decide anew, and write a later day.",
                )
            decided = self._decided(change.decision, _At("threshold", name, path))
            own = DatedValue(since=change.since, value=change.value, decided=decided)
            found[name] = shipped.model_copy(update={"values": [*shipped.values, own]})
        return found

    def _rules(self, reasons: Mapping[str, OverrideReason]) -> dict[str, Rule]:
        found: dict[str, Rule] = {}
        offered = {r for topic in self._knowledge.topics.values() for r in topic.override_reasons}
        known = {*self._knowledge.override_reasons, *reasons}
        for name, change in self._overlay.rules.items():
            path = ("rules", name)
            rule = self._knowledge.rules.get(name)
            if rule is None:
                raise self._fault(path, f"there is no rule {name}.", "`cds explain` lists the rules.")
            if change.mode in ("on", "silent") and rule.status == "retired":
                raise self._fault((*path, "mode"), f"rule {name} is retired.", "Take it out of the overlay.")
            for reason in change.override_reasons:
                if reason not in known:
                    raise self._fault(
                        (*path, "override_reasons"),
                        f"override reason {reason} does not exist.",
                        "Define it under `override_reasons`.",
                    )
            self._decided(change.decision, _At("rule", name, path))
            rule = reworded(rule, change, self._overlay.site, self._file, path)
            if change.mode is not None:
                rule = rule.model_copy(update={"enabled": change.mode != "off", "silent": change.mode == "silent"})
            found[name] = rule
        for rule in (found.get(name, rule) for name, rule in self._knowledge.rules.items()):
            offered.update(rule.card.override_reasons if rule.card else ())
        for reason in reasons:
            if reason not in offered:
                raise self._fault(
                    ("override_reasons", reason),
                    f"no rule offers the reason {reason}.",
                    "Name it in a rule, or remove it.",
                )
        return found

    def _reasons(self) -> dict[str, OverrideReason]:
        return {name: OverrideReason(text=text) for name, text in self._overlay.override_reasons.items()}

    def _snooze(self, reasons: Mapping[str, OverrideReason]) -> Snooze | None:
        change = self._overlay.snooze
        if change is None:
            return None
        for reason in change.reasons:
            if reason not in reasons and reason not in self._knowledge.override_reasons:
                raise self._fault(
                    ("snooze", "reasons", reason),
                    f"override reason {reason} does not exist.",
                    "Define it under `override_reasons`, or name one of knowledge/override_reasons.yaml.",
                )
        self._decided(change.decision, _At("snooze", "overridden", ("snooze",)))
        days = {reason: MappingProxyType(each.by_severity()) for reason, each in change.reasons.items()}
        return Snooze(MappingProxyType(days), self._file.where("snooze"))

    def _orders(self) -> dict[str, Order]:
        found: dict[str, Order] = {}
        for name, change in self._overlay.regimens.items():
            path = ("regimens", name)
            order = self._knowledge.orders.get(name)
            if order is None or not order.regimens:
                raise self._fault(
                    path, f"there is no order {name} with a choice of regimens.", "See knowledge/orders.yaml."
                )
            chosen = order.regimens.get(change.use)
            if chosen is None and change.use != "seed":
                choice = " or ".join(["seed", *order.regimens])
                raise self._fault((*path, "use"), f"{name} has no regimen {change.use}.", f"Write {choice}.")
            self._decided(change.decision, _At("order", name, path))
            if chosen is not None:
                found[name] = order.model_copy(update={"medicine": chosen.medicine, "source": chosen.source})
        return found

    def _canonicals(self) -> dict[str, str]:
        for concept in self._overlay.terminology:
            if concept not in self._knowledge.value_sets:
                raise self._fault(
                    ("terminology", concept),
                    f"there is no concept {concept}.",
                    "Use the name of a file in knowledge/valuesets/.",
                )
        return self._overlay.terminology

    def _local_codes(self) -> dict[str, LocalCodes]:
        path = self._folder / CODES
        if not path.is_file():
            return {}
        return read_local_codes(path, f"{self._folder.name}/{CODES}", self._knowledge.terminology.value_sets)

    def _terminology(self, local: Mapping[str, LocalCodes]) -> Terminology:
        shipped, out = self._knowledge.terminology, self._left_out()
        if not (local or out or self._overlay.synonyms):
            # Preparing all synonyms takes a fifth of a second.
            return shipped
        return Terminology(self._concept(codes, local.get(codes.id), out) for codes in shipped.value_sets.values())

    def _concept(self, codes: ConceptCodes, local: LocalCodes | None, out: set[str]) -> ConceptCodes:
        """One value set with local codes and names, without the code systems that are left out."""
        own, names = local or LocalCodes(), self._overlay.synonyms.get(codes.id)
        return replace(
            codes,
            codes=frozenset(key for key in codes.codes if key[0] not in out) | own.exact,
            prefixes=frozenset(key for key in codes.prefixes if key[0] not in out) | own.prefix,
            excluded=codes.excluded | own.exclude,
            texts=(*codes.texts, *(names.text if names else ())),
            not_texts=(*codes.not_texts, *(names.not_text if names else ())),
            preferred=None if codes.preferred and codes.preferred.system in out else codes.preferred,
        )

    def _left_out(self) -> set[str]:
        for index, system in enumerate(self._overlay.leave_out):
            uri = SYSTEMS.get(system)
            if uri is None or uri == LOINC:
                what = "results are searched by LOINC" if uri else f"there is no code system {system}"
                choice = ", ".join(sorted(set(SYSTEMS) - {"loinc"}))
                raise self._fault(("leave_out", index), f"{what}.", f"One of {choice} can be left out.")
        return {SYSTEMS[system] for system in self._overlay.leave_out}

    def _check_synonyms(self) -> None:
        for concept, names in self._overlay.synonyms.items():
            if concept not in self._knowledge.value_sets:
                raise self._fault(
                    ("synonyms", concept),
                    f"there is no concept {concept}.",
                    "Use the name of a file in knowledge/valuesets/.",
                )
            if short := next((n for n in (*names.text, *names.not_text) if len(normalised(n)) < _SHORTEST), None):
                raise self._fault(
                    ("synonyms", concept),
                    f'the name "{short}" would be found in too many texts.',
                    "Write a longer one.",
                )

    def _units(self) -> dict[str, str]:
        found: dict[str, str] = {}
        analytes = {
            name: codes.analyte for name, codes in self._knowledge.terminology.value_sets.items() if codes.analyte
        }
        for index, unit in enumerate(self._overlay.units):
            path = ("units", index)
            for concept in unit.for_ or ():
                if concept not in analytes:
                    raise self._fault(path, f"{concept} is no laboratory test.", "Name a file in knowledge/valuesets/.")
            measured = [analytes[concept] for concept in unit.for_] if unit.for_ else list(analytes.values())
            fits = [factor(unit.ucum, one.unit, one.molar_mass) is not None for one in measured]
            if not (all(fits) if unit.for_ else any(fits)):
                raise self._fault(
                    path,
                    f"{unit.ucum} cannot be converted to the unit of the test.",
                    "Write a UCUM code, such as pmol/L.",
                )
            for key in [f"{c}:{unit.spelling}" for c in unit.for_] if unit.for_ else [unit.spelling]:
                known = {**self._knowledge.units, **found}.get(key, unit.ucum)
                if known != unit.ucum:
                    raise self._fault(
                        path,
                        f"the spelling {unit.spelling} means {known} already.",
                        "Keep that, or name the test in `for`.",
                    )
                found[key] = unit.ucum
        return found

    def _hash(self) -> str:
        content = hashlib.sha256()
        for path in (self._folder / FILE, self._folder / CODES):
            if path.is_file():
                content.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return content.hexdigest()[:12]


def _check_names(folder: Path) -> None:
    """A misspelt file would change nothing, and nobody would notice."""
    if not (folder / FILE).is_file():
        raise KnowledgeError(
            f"{folder.name}/{FILE}:1", "is not there.", f"Write it, with at least `site:`; see {_MANUAL}."
        )
    for path in sorted(folder.iterdir()):
        if path.suffix in (".yaml", ".yml", ".csv") and path.name not in (FILE, CODES, *_OTHERS):
            raise KnowledgeError(
                f"{folder.name}/{path.name}:1",
                "is not read.",
                f"Call it {FILE} or {CODES}, or take it out of the folder.",
            )


def _merged(shipped: Mapping[str, T], changed: Mapping[str, T]) -> Mapping[str, T]:
    """The same order, with changed values in their places and new ones at the end."""
    return MappingProxyType({**shipped, **changed})
