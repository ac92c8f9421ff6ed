"""The catalogue: everything the service may say and why, as pages that a clinician can read and veto."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.worked_patients import WorkedPatient, read_worked
from cds_service.languages import Language
from cds_service.present.catalogue.page import Page
from cds_service.present.catalogue.registers import (
    REGISTERS,
    index_page,
    sources_page,
    statements_page,
    thresholds_page,
)
from cds_service.present.catalogue.rule_page import rule_page
from cds_service.present.catalogue.sign_off import sign_off_page
from cds_service.present.catalogue.usage_index import Uses, uses
from cds_service.present.catalogue.value_sets import code_table, value_sets_page


class Catalogue:
    """The pages of a knowledge base, made when they are asked for."""

    def __init__(self, knowledge: KnowledgeBase, root: Path) -> None:
        """
        Args:
            root: the knowledge folder, for worked patients and code tables.
        """
        self.knowledge = knowledge
        self.root = root

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all pages: the index (""), the registers, the rules."""
        return ("", *REGISTERS, *self.knowledge.rules)

    def page(self, name: str, language: Language) -> Page:
        """One page; `name` is one of `names`."""
        match name:
            case "":
                return index_page(self.knowledge, language)
            case "thresholds":
                return thresholds_page(self.knowledge, self._uses, language)
            case "sources":
                return sources_page(self.knowledge, self._uses, language)
            case "statements":
                return statements_page(self.knowledge, self._uses, language)
            case "value-sets":
                return value_sets_page(self.knowledge, self.root, self._uses, language)
            case "sign-off":
                return sign_off_page(self.knowledge, language)
        return rule_page(self.knowledge, self.knowledge.rules[name], self.worked(name), language)

    def worked(self, rule: str) -> tuple[WorkedPatient, ...]:
        """The worked patients beside a rule."""
        path = self.root / self.knowledge.topic_of[rule] / f"{rule}.examples.yaml"
        return read_worked(path, self.root) if path.is_file() else ()

    def codes(self, value_set: str) -> Path | None:
        """The code table of a value set, if it exists and has one."""
        path = code_table(self.root, value_set)
        return path if value_set in self.knowledge.value_sets and path.is_file() else None

    @cached_property
    def _uses(self) -> Uses:
        return uses(self.knowledge)
