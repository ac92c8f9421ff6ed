"""Calls of the sample patients, and what fuzzers do to them: hypothesis strategies for broken and hostile FHIR."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from cds_service.artifacts.load import knowledge_dir, load_knowledge
from cds_service.artifacts.worked_patients import WorkedPatient, read_worked
from cds_service.sandbox.patients import hook_request, patient_resources, prefetch_of

Json = dict[str, Any]
Place = tuple[Any, Any]  # a list or an object, and the index or the name in it

# Stands in whatever a fuzzer puts in, and so must never come back in an error.
CANARY = "Zq7Canary"

NUMBERS = [0, -1, 1e-300, 1e300, 10**400, 2**63, -(2**64), 0.1 + 0.2, 1e16, True]
DATES = ["0000-00-00", "2026-02-30", "9999-12-31T23:59:60Z", "2026", "2026-13", "20261120", "2026-11-20T10:00", "-1"]
DATES += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-20T10:00:00+99:99", "１９９９-０１-０１"]
UNITS = ["", " ", "pg", "pg/mL/mL", "%", "1", "[arb'U]", "{INR}", "10*999", "m" * 90, "/", "pg/ml ", "мкг", "mol/L/0"]
TEXTS = ["", " ", "\u0000", "\ufeff", "\u202e", "\u200b" * 9, "钾\U0001f9ea", "'; DROP TABLE x; --", "../../etc/passwd"]
TEXTS += ["${jndi:ldap://x}", "{{7*7}}", "%s%n", "\r\nSet-Cookie: a=b", "a" * 5_000, "Patient/", "#", "urn:uuid:", "//"]
OTHERS = ["Patient/somebody-else", "https://other.example/fhir/Patient/somebody-else", "somebody-else", "#contained"]
TYPES = ["Patient", "Observation", "Bundle", "Binary", "OperationOutcome", "", "observation", "Parameters", "Group"]

_values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], [{}], [None], {"": None}]),
    st.sampled_from(NUMBERS),
    st.sampled_from([*DATES, *UNITS, *TEXTS, *OTHERS, *TYPES, CANARY]),
    st.text(max_size=8).map(lambda text: f"{CANARY} {text}"),
    st.dictionaries(st.sampled_from(["coding", "value", "reference", "unit", "code", CANARY]), st.text(max_size=3)),
)


def sample_patients() -> tuple[WorkedPatient, ...]:
    """The invented patients that the service is shipped with."""
    root = knowledge_dir()
    return read_worked(root / "sandbox" / "patients.yaml", root)


def calls(patients: tuple[WorkedPatient, ...]) -> list[Json]:
    """A call with full prefetch for each of them, at the moment of the sample's hook, dated from today."""
    terminology, now = load_knowledge().terminology, datetime.now(UTC)
    made = []
    for worked in patients:
        resources = patient_resources(worked, terminology, now)
        made.append(hook_request(worked, resources, prefetch=prefetch_of(resources)))
    return made


def places(node: Any) -> Iterator[Place]:
    """Every place in a tree of JSON that can be changed, outermost first."""
    items = list(enumerate(node)) if isinstance(node, list) else list(node.items()) if isinstance(node, dict) else []
    for key, child in items:
        yield node, key
        yield from places(child)


@st.composite
def broken(draw: st.DrawFn, whole: list[Json]) -> Json:
    """One of the calls with one to five things changed in its resources or its context."""
    body = deepcopy(whole[draw(st.integers(0, len(whole) - 1))])
    for _ in range(draw(st.integers(1, 5))):
        parts = {name: body[name] for name in ("prefetch", "context") if isinstance(body.get(name), dict)}
        found = list(places(parts))[len(parts) :]
        if not found:
            break
        container, key = found[draw(st.integers(0, len(found) - 1))]
        _change(draw, container, key, found)
    return body


def _change(draw: st.DrawFn, container: Any, key: Any, found: list[Place]) -> None:
    how = draw(st.sampled_from(["value", "remove", "list", "object", "deep", "twice", "swap", "rename", "stringify"]))
    value = container[key]
    match how:
        case "remove":
            del container[key]
        case "list":
            container[key] = [value]
        case "object":
            container[key] = {"value": value}
        case "deep":
            for _ in range(draw(st.sampled_from([5, 60, 300]))):
                value = [value]
            container[key] = value
        case "twice" if isinstance(container, list):
            container += [deepcopy(value)] * draw(st.sampled_from([1, 40]))
        case "swap":
            other, name = found[draw(st.integers(0, len(found) - 1))]
            # A copy: what is put into a part of itself would have no end.
            container[key] = deepcopy(other[name])
        case "rename" if isinstance(container, dict):
            container[draw(st.sampled_from([CANARY, "resourceType", "value", "extension", "_" + str(key)]))] = value
        case "stringify":
            container[key] = str(value)
        case _:
            # A copy: the values to choose from must stay as they are.
            container[key] = deepcopy(draw(_values))
