"""What no value set knows, told to those who run the service: counts per code system, and codes if they ask for them.

A code system of which nothing is ever matched is one that the site has still to map (docs/site-overlay.md). Texts never
leave the record, and what stands where a system or a code belongs is told only if it has the shape of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from threading import Lock

from cds_service.coding import SYSTEMS, Coding, system_uri
from cds_service.logs import get_log
from cds_service.record import PatientRecord, Unmatched
from cds_service.record_lists import by_type
from cds_service.terminology import Terminology, normalised

_SHORT = {uri: name for name, uri in SYSTEMS.items()}
# Plain addresses only. A long run of digits in one may be somebody's number, and a UUID names no code system.
_SYSTEM = re.compile(r"urn:oid:[0-9.]{3,80}|(?!urn:uuid:)(?!.*[0-9]{7})(https?://|urn:)[A-Za-z0-9./:_-]{3,100}")
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,29}")
_NO_CODE, _NO_SYSTEM, _OTHER = "no code", "no system", "other"
_MOST_SYSTEMS = 20
_MOST_CODES = 10_000
# Comparing a name with all of ours takes a fraction of a millisecond; no call may spend its time on it.
_MOST_ENTRIES = 200
_SHORTEST_NAME = 3
_ALIKE = 0.8


def unmatched_counts(record: PatientRecord) -> dict[str, dict[str, int]]:
    """How many entries no value set knows: by resource type, then by code system ("no code" for a text alone)."""
    counts: dict[str, dict[str, int]] = {}
    for entry in record.unmatched:
        found = counts.setdefault(entry.resource, {})
        for system in _systems(entry.codings):
            # One call cannot fill the log with invented systems.
            known = system in found or len(found) < _MOST_SYSTEMS
            name = system if known else _OTHER
            found[name] = found.get(name, 0) + entry.count
    return counts


@lru_cache(maxsize=4096)
def _systems(codings: tuple[Coding, ...]) -> frozenset[str]:
    """The code systems of an entry, each once."""
    return frozenset(_told(coding.system) for coding in codings if coding.code) or frozenset({_NO_CODE})


@lru_cache(maxsize=1024)
def _told(system: str) -> str:
    """A code system as the log may tell it: its short name, its address, or that it is neither."""
    uri = system_uri(system)
    return _SHORT.get(uri) or (uri if _SYSTEM.fullmatch(uri) else _OTHER if uri else _NO_SYSTEM)


class UnmatchedCodes:
    """Tells the log each unmatched code once: of medicines all, of results those whose name resembles a test of ours.

    One line a code and process, without the call that it came with, so that no line lists what one patient takes.
    """

    def __init__(self, terminology: Terminology) -> None:
        tests = {
            _squeezed(name)
            for value_set in terminology.value_sets.values()
            if value_set.kind == "observation"
            for name in value_set.texts
        }
        self._tests = tuple(sorted(name for name in tests if len(name) >= _SHORTEST_NAME))
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = Lock()
        self._log = get_log()
        self._resembles = lru_cache(maxsize=4096)(self._looks_alike)

    def tell(self, record: PatientRecord) -> None:
        """Logs the codes of this record that have not been logged yet."""
        for resource, system, code in {key for entry in record.unmatched[:_MOST_ENTRIES] for key in self._codes(entry)}:
            with self._lock:
                if (resource, system, code) in self._seen or len(self._seen) >= _MOST_CODES:
                    continue
                self._seen.add((resource, system, code))
            self._log.info("unmatched code", resource=resource, system=system, code=code)

    def _codes(self, entry: Unmatched) -> Iterator[tuple[str, str, str]]:
        concepts = by_type()[entry.resource].concepts
        if concepts == "observation":
            wanted = any(self._resembles(text) for text in (entry.text, *(c.display for c in entry.codings)) if text)
        else:
            wanted = concepts == "medication"
        if wanted:
            yield from ((entry.resource, _told(c.system), c.code) for c in entry.codings if _is_code(c))

    def _looks_alike(self, text: str) -> bool:
        """Whether a name of a test of ours is in the text, blanks and signs aside, or is nearly the text."""
        squeezed = _squeezed(text)[:80]
        if any(name in squeezed for name in self._tests):
            return True
        return bool(get_close_matches(squeezed, self._tests, n=1, cutoff=_ALIKE))


def _is_code(coding: Coding) -> bool:
    return _CODE.fullmatch(coding.code) is not None


def _squeezed(text: str) -> str:
    """Letters and digits alone: "Vitamin B-12 (serum)" is vitaminb12serum."""
    return "".join(sign for sign in normalised(text) if sign.isalnum())
