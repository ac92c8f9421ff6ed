"""Numbers to stacked bars: where every piece of a picture stands, before the template draws it as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 720
_ROW = 46
_BAR = 18
_LABEL = 18
# Room for the number behind the longest bar.
_PLOT = WIDTH - 90


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a bar; `kind` decides its colour and its pattern."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a picture.

    Attributes:
        y: of the label's baseline; the bar itself begins at `top`.
        title: the whole row in words, for those who point at it.
        end: where its number stands.
    """

    label: str
    title: str
    y: float
    top: float
    pieces: tuple[Piece, ...]
    number: str
    end: float


@dataclass(frozen=True, slots=True)
class Bars:
    """One picture."""

    width: int
    height: int
    thickness: int
    rows: tuple[Bar, ...]


def bars(rows: Iterable[tuple[str, str, Sequence[tuple[str, int]]]]) -> Bars:
    """A picture of rows on one scale that begins at nought.

    Args:
        rows: label, words for the whole row, and the parts of its bar in their order.
    """
    given = list(rows)
    longest = max((sum(number for _, number in parts) for _, _, parts in given), default=0) or 1
    placed = tuple(
        _bar(place * _ROW, label, title, parts, longest) for place, (label, title, parts) in enumerate(given)
    )
    return Bars(WIDTH, len(given) * _ROW, _BAR, placed)


def _bar(above: float, label: str, title: str, parts: Sequence[tuple[str, int]], longest: int) -> Bar:
    x = 0.0
    pieces = []
    for kind, number in parts:
        width = _PLOT * number / longest
        if number:
            pieces.append(Piece(kind, round(x, 2), round(width, 2)))
        x += width
    total = sum(number for _, number in parts)
    return Bar(label, title, above + _LABEL - 4, above + _LABEL, tuple(pieces), f"{total:,}", round(x + 6, 2))
