"""What no card may say, whatever its source says: the claims that were rejected when the sources were read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cds_service.artifacts.schema import Rule
from cds_service.artifacts.walk import lines_of

# See the register's rejected statements.
_FORBIDDEN = [
    (
        re.compile(r"\b(avoid|limit|restrict)\b(?<!need to avoid)[^.]{0,40}vegetable", re.IGNORECASE),
        "tells people to avoid vegetables",
    ),
    (re.compile(r"限制[^。]{0,6}蔬菜|(?<!无需)忌食[^。]{0,6}蔬菜"), "tells people to avoid vegetables"),
    (re.compile(r"prevents? (hip |bone )?fractures|预防骨折", re.IGNORECASE), "claims that fractures are prevented"),
    (re.compile(r"no side effects|无副作用", re.IGNORECASE), "claims that there are no side effects"),
    (re.compile(r"B12[^.。]{0,12}[µμu]mol/L", re.IGNORECASE), "gives B12 in µmol/L, a unit it is never reported in"),
]


def forbidden(texts: Iterable[str]) -> Iterator[str]:
    """What is wrong with these texts, in words that complete "the text ..."."""
    for text in texts:
        yield from (fault for pattern, fault in _FORBIDDEN if pattern.search(text))


def words_of(rule: Rule) -> Iterator[str]:
    """Everything that a rule's card can say, in every language."""
    cards = [rule.card] if rule.card else []
    for summary in (*(card.summary for card in cards), *(v.summary for v in rule.variants if v.summary)):
        yield from summary.by_language.values()
    for line in lines_of(rule):
        yield from line.by_language.values()
