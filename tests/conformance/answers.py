"""Every worked patient to every answer of the shipped service, in both languages: what the rows look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from worked_service import WORKED, noon

from cds_service.artifacts.load import load_knowledge
from cds_service.hooks.call import make_answer
from cds_service.hooks.messages import Call, parse_request
from cds_service.sandbox.patients import hook_request, patient_resources, prefetch_of
from cds_service.settings import Settings
from cds_service.trust.clients import ClientProfile

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
def all_answers() -> tuple[Answered, ...]:
    """The answers of a service that is reached by https, so that cards have their links and icons."""
    knowledge = load_knowledge()
    answer = make_answer(knowledge, Settings(public_url="https://cds.example"))
    found = []
    for worked in WORKED:
        resources = patient_resources(worked, knowledge.terminology, noon(worked))
        request = hook_request(worked, resources, prefetch=prefetch_of(resources))
        parsed = parse_request(msgspec.json.encode(request), worked.hook, ANYBODY)
        for service in knowledge.services.values():
            for language in ("en", "zh") if service.hook == worked.hook else ():
                told = answer(service.id, parsed, Call(ANYBODY, language, noon(worked), {"notes": {}}))
                found.append(Answered(worked.id, service.id, language, request, strict(msgspec.json.encode(told))))
    return tuple(found)


@lru_cache(maxsize=1)
def kinds_of_answers() -> tuple[Answered, ...]:
    """Of the answers that say the same by the same rules, one each: for what is slow to look at."""
    return tuple({_kind(answered): answered for answered in all_answers()}.values())


def _kind(answered: Answered) -> tuple[Any, ...]:
    return answered.service, answered.language, tuple(
        (
            card["extension"].get("cds-service.rule", {}).get("id"),
            card["indicator"],
            tuple(action["type"] for suggestion in card.get("suggestions", ()) for action in suggestion["actions"]),
        )
        for card in answered.told["cards"]
    )


def cards() -> Iterator[Json]:
    """Every card of every answer."""
    for answered in all_answers():
        yield from answered.told["cards"]


def suggestions() -> Iterator[Json]:
    for card in cards():
        yield from card.get("suggestions", ())


def actions() -> Iterator[Json]:
    for suggestion in suggestions():
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
