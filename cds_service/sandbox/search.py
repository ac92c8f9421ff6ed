"""FHIR searches over resources in memory, with the R4 parameters that a decision service uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cds_service.errors import BadRequest
from cds_service.json_types import Json
from cds_service.record_lists import by_type

# Parameters that affect the form of the answer, not the selection.
_RESULT = frozenset({"_count", "_sort", "_offset", "_format", "_pretty", "_total"})
Token = tuple[str, str]
DEFAULT_COUNT = 50
MOST = 500


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search.

    Attributes:
        page: the resources of this page.
        total: how many there are on all pages.
        used: the parameters that were applied, as (name, value), for the self link.
        next_offset: where the next page begins; None on the last one.
    """

    page: list[Json]
    total: int
    used: list[tuple[str, str]]
    next_offset: int | None


def search(
    kind: str, resources: Iterable[Json], parameters: Sequence[tuple[str, str]], *, strict: bool = False
) -> Found:
    """Searches resources of one type.

    Args:
        kind: the FHIR type, e.g. "Observation".
        parameters: (name, value) in the order of the request; a repeated name narrows, a comma in a value widens.
        strict: refuse unsupported parameters instead of ignoring them (`Prefer: handling=strict`).
    Raises:
        BadRequest: a modifier or value is not understood, or, if strict, a parameter is unknown.
    """
    used: list[tuple[str, str]] = []
    matches = list(resources)
    for name, value in parameters:
        if name in _RESULT:
            continue
        test = _filter(kind, name, value)
        if test is None:
            if strict:
                raise BadRequest("A search parameter is not supported here; see metadata for those that are.")
            continue
        used.append((name, value))
        matches = [resource for resource in matches if test(resource)]
    last = dict(parameters)
    if "_sort" in last and _sort(kind, matches, last["_sort"], strict):
        used.append(("_sort", last["_sort"]))
    count = min(_number("_count", last.get("_count", str(DEFAULT_COUNT))), MOST)
    offset = _number("_offset", last.get("_offset", "0"))
    used.append(("_count", str(count)))
    end = offset + count
    more = count > 0 and end < len(matches)
    return Found(matches[offset:end], len(matches), used, end if more else None)


def search_parameters(kind: str) -> list[tuple[str, str]]:
    """The (name, type) of the parameters that select or sort resources of a type, for the CapabilityStatement."""
    names = [("_id", "token")]
    if kind != "Patient":
        names += [("patient", "reference"), ("subject", "reference")]
    names += [(name, "token") for name in _tokens(kind)]
    return names + [(name, "date") for name in _dates(kind)]


def _filter(kind: str, written: str, value: str) -> Callable[[Json], bool] | None:
    """The filter for a parameter; None if the parameter is unknown."""
    name, _, modifier = written.partition(":")
    options = [option.replace("\\,", ",") for option in re.split(r"(?<!\\),", value) if option]
    if name == "_id":
        _no(modifier)
        return lambda resource: resource["id"] in options
    if name in ("patient", "subject") and kind != "Patient":
        _no(modifier.removeprefix("Patient"))
        ids = {_patient_id(option) for option in options}
        return lambda resource: _subject(resource).removeprefix("Patient/") in ids
    members = _dates(kind).get(name)
    if members is not None:
        _no(modifier)
        ranges = [_range(option) for option in options]
        return lambda resource: any(_in(_key(resource, members), prefix, day) for prefix, day in ranges)
    member = _tokens(kind).get(name)
    if member is None:
        return None
    _no(modifier)
    return lambda resource: any(_is(option, token) for option in options for token in _found(resource, member))


def _range(option: str) -> tuple[str, str]:
    """Comparison and day of a date parameter such as "ge2025-01-31"; without letters it means "eq"."""
    match = re.fullmatch(r"(eq|ge|gt|le|lt)?(\d{4}(?:-\d{2}(?:-\d{2})?)?)(?:T.*)?", option)
    if match is None:
        raise BadRequest("A date is written like ge2025-01-31, with one of eq, ge, gt, le, lt before it or none.")
    return match[1] or "eq", match[2]


def _in(written: str, prefix: str, day: str) -> bool:
    """Whether a resource's date matches, compared at the precision (year, month, day) of the parameter."""
    date = written[: len(day)]
    if not date:
        return False
    match prefix:
        case "ge":
            return date >= day
        case "gt":
            return date > day
        case "le":
            return date <= day
        case "lt":
            return date < day
    return date == day


def _no(modifier: str) -> None:
    # R4 3.1.1.5: a server must refuse an unsupported modifier; ignoring `:not` would invert the meaning.
    if modifier:
        raise BadRequest("A search modifier is not supported here. Leave out what follows the colon.")


def _subject(resource: Json) -> str:
    """The reference to the patient, under the name that the type has for it."""
    return str((resource.get("subject") or resource["patient"])["reference"])


def _patient_id(reference: str) -> str:
    """The id in "123", "Patient/123" or "https://ehr.example/fhir/Patient/123"."""
    kind, slash, patient_id = reference.rpartition("/")
    if slash and kind.rpartition("/")[2] != "Patient":
        raise BadRequest("A patient reference names another type. Write Patient/ and the id.")
    return patient_id


def _tokens(kind: str) -> Mapping[str, str]:
    """Token parameters of a type, each with the member that it searches."""
    row = by_type().get(kind)
    return row.tokens if row is not None else {}


def _dates(kind: str) -> Mapping[str, tuple[str, ...]]:
    """Date parameters of a type, each with the members of which the first that is there counts."""
    row = by_type().get(kind)
    return row.dates if row is not None else {}


def _found(resource: Json, member: str) -> list[Token]:
    """The (system, code) pairs of a code or CodeableConcept; "medication" may stand in a contained resource."""
    if member == "medication":
        contained = resource.get("contained", [])
        value = contained[0]["code"] if contained else resource.get("medicationCodeableConcept")
    else:
        value = resource.get(member)
    if isinstance(value, str):
        return [("", value)]
    return [(coding.get("system", ""), coding.get("code", "")) for coding in (value or {}).get("coding", [])]


def _is(option: str, coding: Token) -> bool:
    """R4 3.1.1.4.10: `code` of any system, `system|code`, `|code` of no system, `system|` any code of a system."""
    system, bar, code = option.rpartition("|")
    if not bar:
        return coding[1] == option
    return coding[0] == system and code in ("", coding[1])


def _sort(kind: str, matches: list[Json], order: str, strict: bool) -> bool:
    """Sorts in place by the known keys; returns whether there was one. Undated resources come last."""
    known = False
    for written in reversed(order.split(",")):
        name = written.removeprefix("-")
        members = ("id",) if name == "_id" else _dates(kind).get(name)
        if members is None:
            if strict:
                raise BadRequest("A sort key is not supported here; see metadata for those that are.")
            continue
        known = True
        keyed = [(resource, _key(resource, members)) for resource in matches]
        dated = sorted((k for k in keyed if k[1]), key=lambda k: k[1], reverse=written.startswith("-"))
        matches[:] = [resource for resource, _ in (*dated, *(k for k in keyed if not k[1]))]
    return known


def _key(resource: Json, members: Sequence[str]) -> str:
    value = next((resource[member] for member in members if member in resource), "")
    return str(value.get("start", "")) if isinstance(value, dict) else str(value)


def _number(name: str, written: str) -> int:
    if not (written.isascii() and written.isdigit() and len(written) <= 9):
        raise BadRequest(f"{name} is not a whole number. Write 0 or more.")
    return int(written)
