"""Every worked patient to every answer of the shipped service, in both languages: what the rows look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.load import load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import CallContext, HookRequest, parse_request
from cds_service.sandbox.patients import hook_request, patient_resources, prefetch_of
from cds_service.security.clients import ClientProfile
from cds_service.settings import Settings
from tests.support.worked_service import WORKED, noon

Json = dict[str, Any]
ANYBODY = ClientProfile(name="tests")


@dataclass(frozen=True)
class Answered:
    """One call and its answer.

    Attributes:
        told: the answer, as read from the bytes.
    """

    patient: str
    service: str
    language: str
    request: Json
    told: Json


@lru_cache(maxsize=1)
def knowledge() -> KnowledgeBase:
    return load_knowledge()


@lru_cache(maxsize=1)
def _answer() -> Callable[[str, HookRequest, CallContext], Json]:
    """As of a service that is reached by https, so that cards have their links and icons."""
    return make_answer(knowledge(), Settings(public_url="https://cds.example"))


def ask(worked: WorkedPatient, service: str, language: Literal["en", "zh"], request: Json) -> Answered:
    """What a service answers to a request about a worked patient, at noon of its day."""
    parsed = parse_request(msgspec.json.encode(request), worked.hook, ANYBODY)
    told = _answer()(service, parsed, CallContext(ANYBODY, language, noon(worked), {"notes": {}}))
    return Answered(worked.id, service, language, request, strict(msgspec.json.encode(told)))


def request_about(worked: WorkedPatient) -> Json:
    """The call that brings everything about a worked patient."""
    resources = patient_resources(worked, knowledge().terminology, noon(worked))
    return hook_request(worked, resources, prefetch=prefetch_of(resources))


@lru_cache(maxsize=1)
def all_answers() -> tuple[Answered, ...]:
    """Every worked patient to every service of its hook, in both languages."""
    return tuple(
        ask(worked, service.id, language, request)
        for worked, request in ((worked, request_about(worked)) for worked in WORKED)
        for service in knowledge().services.values()
        if service.hook == worked.hook
        for language in ("en", "zh")
    )


@lru_cache(maxsize=1)
def kinds_of_answers() -> tuple[Answered, ...]:
    """Of the answers that say the same by the same rules, one each: for what is slow to look at."""
    return tuple({_kind(answered): answered for answered in all_answers()}.values())


def _kind(answered: Answered) -> tuple[Any, ...]:
    return (
        answered.service,
        answered.language,
        tuple(
            (
                card["extension"].get("cds-service.rule", {}).get("id"),
                card["indicator"],
                tuple(action["type"] for suggestion in card.get("suggestions", ()) for action in suggestion["actions"]),
            )
            for card in answered.told["cards"]
        ),
    )


def cards() -> Iterator[Json]:
    """Every card of every answer."""
    for answered in all_answers():
        yield from answered.told["cards"]


def suggestions() -> Iterator[Json]:
    for card in cards():
        yield from card.get("suggestions", ())


def actions() -> Iterator[Json]:
    for answered in all_answers():
        yield from actions_of(answered)


def actions_of(answered: Answered) -> Iterator[Json]:
    """Every action that an answer proposes."""
    for card in answered.told["cards"]:
        for suggestion in card.get("suggestions", ()):
            yield from suggestion["actions"]


def strict(body: bytes) -> Json:
    """The body read as JSON is defined: nothing that is no number, and no member twice."""

    def once(pairs: list[tuple[str, Any]]) -> Json:
        members = dict(pairs)
        assert len(members) == len(pairs), "a member is given twice"
        return members

    def no_number(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    read: Json = json.loads(body, parse_constant=no_number, object_pairs_hook=once)
    return read


def walk(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Every value in a tree with its path; places in lists are written as []."""
    yield path, value
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from walk(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            yield from walk(member, f"{path}[]")
