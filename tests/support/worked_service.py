"""Worked patients through the whole service, from FHIR resources to cards, and what came of each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from functools import lru_cache, wraps
from typing import Any

import msgspec
import pytest

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.worked_patients import Expected, WorkedPatient, read_worked
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import CallContext, HookRequest, parse_request
from cds_service.rules.withheld import Reason
from cds_service.sandbox.patients import WorkedResources, hook_request, patient_resources, prefetch_of
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from tests.support.labels import plain_label

Json = dict[str, Any]
Answer = Callable[[str, HookRequest, CallContext], Json]
# Rule, variant, severity and what is offered.
Signature = tuple[str, str, str, tuple[str, ...]]
Test = Callable[..., None]

# The patients beside each rule, by the rule's id.
BESIDE: Mapping[str, tuple[WorkedPatient, ...]] = {
    path.name.removesuffix(".examples.yaml"): read_worked(path, knowledge_dir())
    for path in sorted(knowledge_dir().glob("*/*.examples.yaml"))
}
WORKED: tuple[WorkedPatient, ...] = tuple(worked for patients in BESIDE.values() for worked in patients)


def over_files(fits: Callable[[WorkedPatient], bool] = lambda _: True) -> Callable[[Test], Test]:
    """One test item per file of worked patients, called by its rule: the test is called for each `worked` that fits.

    All are checked, also after a failure; every failure is shown, with its patient's id.
    """
    fitting = {rule: [worked for worked in patients if fits(worked)] for rule, patients in BESIDE.items()}
    some = {rule: patients for rule, patients in fitting.items() if patients}

    def marked(test: Test) -> Test:
        @wraps(test)
        def over(worked: Sequence[WorkedPatient], **others: object) -> None:
            failures: list[Exception] = []
            for one in worked:
                try:
                    test(worked=one, **others)
                except Exception as failure:
                    failure.add_note(f"worked patient: {one.id}")
                    failures.append(failure)
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(worked)} worked patients", failures)

        mark = pytest.mark.parametrize("worked", some.values(), ids=some.keys())
        return mark(over)

    return marked


def each_patient(patients: Sequence[WorkedPatient]) -> pytest.MarkDecorator:
    """One test item per worked patient, called by its id."""
    return pytest.mark.parametrize("worked", patients, ids=lambda worked: worked.id)


each_worked_patient = each_patient(WORKED)


@dataclass(frozen=True)
class Outcome:
    """All services of one hook for one patient.

    Attributes:
        responses: by service id, as JSON data.
        trace: the clauses of each rule, by rule id; None where it was not asked for, since it takes most of the time.
        withheld: why rules have no card although they fire, or may fire, by rule id.
    """

    responses: dict[str, Json]
    trace: dict[str, Json] | None = None
    withheld: dict[str, Reason] = field(default_factory=dict)

    @property
    def explained(self) -> dict[str, Json]:
        assert self.trace is not None, "ask with trace=True"
        return self.trace

    @property
    def cards(self) -> list[Json]:
        return [card for response in self.responses.values() for card in response["cards"]]

    @property
    def by_rule(self) -> dict[str, Json]:
        """The cards by rule id; a rule speaks once in all services of a hook."""
        named = [(rule_id(card), card) for card in self.cards]
        assert len(named) == len(dict(named))
        return dict(named)

    def came_to(self, rule: str) -> str:
        """What became of a rule; "not asked" if no service of the hook holds it."""
        return str(self.explained[rule]["outcome"]) if rule in self.explained else "not asked"


def rule_id(card: Json) -> str:
    return str(card["extension"].get("cds-service.rule", {}).get("id", card["summary"]))


class WorkedService:
    """The service with the repository's own knowledge, made once."""

    def __init__(self) -> None:
        self.knowledge: KnowledgeBase = load_knowledge()
        self._answers: dict[frozenset[str], Answer] = {}
        self._as_written: dict[str, set[Signature]] = {}

    def resources(self, worked: WorkedPatient) -> WorkedResources:
        return patient_resources(worked, self.knowledge.terminology, noon(worked))

    def ask(self, worked: WorkedPatient, *, language: str = "en", trace: bool = False) -> Outcome:
        """Calls every service of the patient's hook with full prefetch, at noon of the day of judgement."""
        request = self.request(worked, self.resources(worked))
        return self.ask_with(worked, request, noon(worked), language=language, trace=trace)

    def as_written(self, worked: WorkedPatient) -> set[Signature]:
        """What the cards say for one of the WORKED, as it is written; asked once."""
        if worked.id not in self._as_written:
            self._as_written[worked.id] = signature(self, self.ask(worked))
        return self._as_written[worked.id]

    def request(self, worked: WorkedPatient, resources: WorkedResources) -> Json:
        return hook_request(worked, resources, prefetch=prefetch_of(resources))

    def ask_with(
        self,
        worked: WorkedPatient,
        request: Json,
        now: datetime,
        *,
        language: str = "en",
        trace: bool = False,
        topic: str = "",
    ) -> Outcome:
        """Calls every service of the patient's hook (of one topic, if it is given) with a request of one's own."""
        outcome, hook, answer = Outcome({}, {} if trace else None), worked.hook, self._answer(frozenset(worked.enable))
        profile = ClientProfile(name="tests", explain=trace)
        for service in self.knowledge.services.values():
            if service.hook != hook or not service.id.startswith(topic):
                continue
            parsed = parse_request(msgspec.json.encode(request), hook, profile)
            call = CallContext(profile, "zh" if language == "zh" else "en", now, {"notes": {}})
            response = msgspec.json.decode(msgspec.json.encode(answer(service.id, parsed, call)))
            if trace:
                explained = response["extension"].pop("cds-service.explain")
                outcome.explained.update({node["rule"]: node for node in explained})
            outcome.responses[service.id] = response
            outcome.withheld.update({each.rule: each.reason for each in call.outcome.withheld})
        return outcome

    def _answer(self, enabled: frozenset[str]) -> Answer:
        """The answering function of a site that has switched on these rules, which are off by default."""
        if enabled not in self._answers:
            rules = {
                name: rule.model_copy(update={"enabled": True}) if name in enabled else rule
                for name, rule in self.knowledge.rules.items()
            }
            self._answers[enabled] = make_answer(replace(self.knowledge, rules=rules), Settings())
        return self._answers[enabled]

    def offered(self, card: Json, language: str = "en") -> list[str]:
        """The catalogue keys of a card's suggestions, known by their labels."""
        return [self._key(suggestion, language) for suggestion in card.get("suggestions", [])]

    def recommended(self, card: Json) -> list[str]:
        """The catalogue keys of the suggestions that a card recommends."""
        return [self._key(one, "en") for one in card.get("suggestions", []) if one.get("isRecommended")]

    def _key(self, suggestion: Json, language: str) -> str:
        labels = {order.label.in_language(language): key for key, order in self.knowledge.orders.items()}
        fitting = [label for label in labels if plain_label(suggestion["label"]).startswith(label)]
        assert fitting, suggestion["label"]
        return labels[max(fitting, key=len)]


@lru_cache(maxsize=1)
def _service() -> WorkedService:
    return WorkedService()


@pytest.fixture(scope="session")
def service() -> WorkedService:
    """The service over the repository's own knowledge, made once per session."""
    return _service()


def noon(worked: WorkedPatient) -> datetime:
    """The moment of judgement: hours in worked patients count from noon, UTC."""
    return datetime.combine(worked.as_of, time(12), UTC)


def reasons(node: Any) -> Iterator[str]:
    """Every `because` in a tree of clauses."""
    if isinstance(node, dict):
        if "because" in node:
            yield node["because"]
        for child in node.values():
            yield from reasons(child)
    elif isinstance(node, list):
        for child in node:
            yield from reasons(child)


def complaints(service: WorkedService, outcome: Outcome, worked: WorkedPatient) -> Iterator[str]:
    """What is otherwise than the worked patient states; nothing if all is as it must be."""
    cards = outcome.by_rule
    severities = {rule: card["indicator"] for rule, card in cards.items()}
    stated = {rule: expected.severity for rule, expected in worked.expect.items()}
    if severities != stated:
        yield f"the cards are {severities}, not {stated}"
    for rule, expected in worked.expect.items():
        if rule in cards:
            yield from (f"{rule}: {fault}" for fault in _complaints_of_card(service, cards[rule], expected))
    for rule in worked.silent:
        if outcome.came_to(rule) not in ("silent", "silenced", "unknown", "not applicable", "not asked"):
            yield f"{rule} is not silent, but {outcome.came_to(rule)}"
    # `undecided` says what is missing: the rule could not tell, and this is among its reasons.
    for rule, reason in worked.undecided.items():
        if outcome.came_to(rule) not in ("unknown", "undecided"):
            yield f"{rule} is not undecided, but {outcome.came_to(rule)}"
        elif not any(reason in found for found in reasons(outcome.explained[rule])):
            yield f'{rule} is undecided, but not because of "{reason}"'


def _complaints_of_card(service: WorkedService, card: Json, expected: Expected) -> Iterator[str]:
    offered, recommended = service.offered(card), service.recommended(card)
    variant = card["extension"]["cds-service.rule"].get("variant")
    if "variant" in expected.model_fields_set and variant != expected.variant:
        yield f"the variant is {variant}, not {expected.variant}"
    if lacking := [key for key in expected.suggest if key not in offered]:
        yield f"does not offer {', '.join(lacking)}"
    if wrong := [key for key in expected.forbid if key in offered]:
        yield f"offers {', '.join(wrong)}"
    actions = [suggestion["actions"] for suggestion in card.get("suggestions", [])]
    if any(action in actions[:index] for index, action in enumerate(actions)):
        yield "offers one action twice"
    if expected.recommend is not None and recommended != expected.recommend:
        yield f"recommends {recommended}, not {expected.recommend}"


def complaints_of_silence(
    service: WorkedService, outcome: Outcome, worked: WorkedPatient, beside: str
) -> Iterator[str]:
    """Beside a silence, `silent` names a rule that it explains; where that rule speaks, the silence does not hold."""
    silence = service.knowledge.rules[beside]
    holds = outcome.came_to(beside) == "speaks"
    if silence.kind != "silence":
        return
    if set(silence.explains) & set(worked.silent):
        if not holds:
            yield f"{beside} does not hold"
    elif holds and worked.expect.keys() & set(silence.explains):
        yield f"{beside} holds beside a card that it would keep quiet"


def signature(service: WorkedService, outcome: Outcome) -> set[Signature]:
    """What the cards say, apart from wording, order and ids."""
    return {
        (
            rule_id(card),
            card["extension"].get("cds-service.rule", {}).get("variant", ""),
            card["indicator"],
            tuple(sorted(service.offered(card))),
        )
        for card in outcome.cards
    }
