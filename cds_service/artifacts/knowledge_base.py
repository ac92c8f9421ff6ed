"""KnowledgeBase: everything the clinical owners have written down, checked and linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cds_service.artifacts import schema
from cds_service.artifacts.evidence import Source, Statement, Threshold
from cds_service.artifacts.text import Text
from cds_service.artifacts.value_set_schema import ValueSet
from cds_service.artifacts.vocabulary import ComputedText, Condition, FactDefinition
from cds_service.terminology import Terminology


@dataclass(frozen=True)
class Service:
    """One CDS Hooks service as it is published."""

    id: str
    hook: str
    topic: str
    title: Text
    description: Text
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteChange:
    """What a site's overlay has changed: `file:line`, and who decided it, when and why."""

    where: str
    decided: str


@dataclass(frozen=True, slots=True)
class Snooze:
    """For how long a card that was overridden for a lasting reason is not shown again to the same patient's clinicians.

    Attributes:
        days: by override reason and severity of the card.
        where: `file:line` of the overlay that says so.
    """

    days: Mapping[str, Mapping[str, int]]
    where: str

    @property
    def longest(self) -> int:
        return max(days for by_severity in self.days.values() for days in by_severity.values())


@dataclass(frozen=True)
class KnowledgeBase:
    """Everything the clinical owners have written down, checked and linked.

    Attributes:
        version: semantic version and content hash, e.g. "1.0.0+3f2a9c01d4e5"; with an overlay a dot and its hash
            follow.
        computed: what the words of facts mean that are computed, by word.
        rules: by id, in order of priority; silences last.
        topic_of: rule id to topic id.
        where: "kind:name" to `file:line`, for messages and traces.
        site: name of the site whose overlay has been laid over it.
        site_changes: "kind:name" to what that overlay changed.
        canonicals: concept to the canonical URL of the value set that the site's terminology server has for it.
        local_codes: (system URI, code) pairs of the site's own laboratory tests, to be searched for.
        snooze: which overridden cards the site does not want to be shown again for a while; None: all are shown.
    """

    version: str
    sources: Mapping[str, Source]
    statements: Mapping[str, Statement]
    thresholds: Mapping[str, Threshold]
    facts: Mapping[str, FactDefinition]
    computed: Mapping[str, ComputedText]
    rules: Mapping[str, schema.Rule]
    topics: Mapping[str, schema.Topic]
    topic_of: Mapping[str, str]
    orders: Mapping[str, schema.Order]
    override_reasons: Mapping[str, schema.OverrideReason]
    services: Mapping[str, Service]
    value_sets: Mapping[str, ValueSet]
    terminology: Terminology
    units: Mapping[str, str]
    where: Mapping[str, str]
    site: str | None = None
    site_changes: Mapping[str, SiteChange] = field(default_factory=lambda: MappingProxyType({}))
    local_codes: frozenset[tuple[str, str]] = frozenset()
    canonicals: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    snooze: Snooze | None = None

    def scope_of(self, rule: str) -> Condition:
        """Whom a rule is for: its own scope, else that of its topic."""
        return self.rules[rule].applies or self.topics[self.topic_of[rule]].applies

    def source_of(self, statement: str) -> Source:
        """The document that a statement id belongs to; an addition (G01) is its own statement."""
        return self.sources[statement.partition("-")[0]]

    def value_of(self, fact: str, word: str) -> Text:
        """What a value of a fact that is a word is called."""
        return next(text.words[word] for one in self.facts[fact].computed if (text := self.computed[one.name]).words)
