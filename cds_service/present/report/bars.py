"""Numbers to stacked bars on one scale: where every piece stands, before the template draws it as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Of the longest bar, in the units of the picture; the page stretches it to the room there is.
WIDTH = 720


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a bar; `kind` decides its colour and its pattern."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar with what is written above and below it: of what it is, and its numbers in words."""

    label: str
    words: str
    pieces: tuple[Piece, ...]


def bars(rows: Iterable[tuple[str, str, Sequence[tuple[str, int]]]]) -> tuple[Bar, ...]:
    """Bars that begin at nought.

    Args:
        rows: label, words, and the parts of the bar (kind, number) in their order.
    """
    given = list(rows)
    longest = max((sum(number for _, number in parts) for _, _, parts in given), default=0)
    return tuple(Bar(label, words, tuple(_pieces(parts, longest))) for label, words, parts in given)


def _pieces(parts: Sequence[tuple[str, int]], longest: int) -> Iterable[Piece]:
    x = 0.0
    for kind, number in parts:
        if number:
            width = WIDTH * number / longest
            yield Piece(kind, round(x, 2), round(width, 2))
            x += width
