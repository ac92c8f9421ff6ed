"""Intervals of numbers, three-valued comparison, and conversion of units by UCUM and molar mass."""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Any

import msgspec
from lark.exceptions import LarkError
from pint import Quantity
from pint.errors import PintError
from ucumvert import PintUcumRegistry
from ucumvert.parser import InvalidUcumError

# Binary noise of a conversion (0.9999999999999999 for 1) must not flip a comparison with a limit.
# Twelve significant digits are far beyond any laboratory's precision; nothing clinical is rounded.
_DIGITS = 12
# How laboratories write the unit of a dimensionless ratio (INR), in lower case.
_RATIO_UNITS = frozenset(("", "1", "{inr}", "{ratio}", "inr", "ratio"))


class Interval(msgspec.Struct, frozen=True):
    """A number known to lie between `low` and `high`.

    A plain result is a point; `<150` is [0, 150), `>=2000` is [2000, inf).
    A comparison is True or False only if it is so for the whole interval, else None (unknown).
    """

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    @property
    def is_point(self) -> bool:
        return self.low == self.high

    def below(self, limit: float) -> bool | None:
        if self.high < limit or (self.high == limit and self.high_open):
            return True
        return False if self.low >= limit else None

    def at_most(self, limit: float) -> bool | None:
        if self.high <= limit:
            return True
        return False if self.low > limit or (self.low == limit and self.low_open) else None

    def above(self, limit: float) -> bool | None:
        at_most = self.at_most(limit)
        return None if at_most is None else not at_most

    def at_least(self, limit: float) -> bool | None:
        below = self.below(limit)
        return None if below is None else not below

    def times(self, factor: float) -> Interval:
        """Both ends multiplied by a positive factor, without binary noise."""
        return Interval(tidy(self.low * factor), tidy(self.high * factor), self.low_open, self.high_open)

    def plus(self, other: Interval) -> Interval:
        return Interval(
            tidy(self.low + other.low),
            tidy(self.high + other.high),
            self.low_open or other.low_open,
            self.high_open or other.high_open,
        )

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        low, high = (
            min((self, other), key=lambda one: (one.low, one.low_open)),
            max((self, other), key=lambda one: (one.high, not one.high_open)),
        )
        return Interval(low.low, high.high, low.low_open, high.high_open)


def point(value: float) -> Interval:
    """The interval of exactly this value."""
    return Interval(value, value)


def tidy(value: float) -> float:
    """The value at twelve significant digits: removes binary noise, not information.

    >>> tidy(0.9999999999999999)
    1.0
    """
    return value if value in (inf, -inf) else float(f"{value:.{_DIGITS}g}")


# The comparators of a FHIR Quantity that bound the number.
# `ad` (R5: sufficient to achieve) and unknown comparators bound nothing.
def compared(comparator: str | None, value: float) -> Interval | None:
    """A value with a FHIR Quantity comparator as an interval; None if the comparator is not understood.

    >>> compared("<", 150)
    Interval(low=0.0, high=150, low_open=False, high_open=True)
    """
    match comparator:
        case None | "":
            return point(value)
        case "<":
            return Interval(0.0, value, high_open=True)
        case "<=":
            return Interval(0.0, value)
        case ">=":
            return Interval(value, inf)
        case ">":
            return Interval(value, inf, low_open=True)
    return None


def is_ratio_unit(unit: str | None) -> bool:
    """Whether a unit, or a missing one, may belong to a dimensionless ratio.

    >>> is_ratio_unit("{INR}"), is_ratio_unit("%")
    (True, False)
    """
    return (unit or "").strip().casefold() in _RATIO_UNITS


@lru_cache(maxsize=4096)
def factor(unit: str, canonical: str, molar_mass: float | None = None) -> float | None:
    """The factor that converts a value from `unit` to `canonical`; None if there is none.

    Args:
        unit, canonical: UCUM codes, e.g. "pmol/L" and "pg/mL".
        molar_mass: g/mol of the analyte, which links amount of substance to mass.
    Returns:
        The factor, or None if `unit` is not UCUM or has another dimension. Cached per pair: a call to the UCUM library
        takes milliseconds, a look-up in the cache a fraction of a microsecond.
    """
    if unit == canonical:
        return 1.0
    try:
        source, target = _size(unit), _size(canonical)
        if source.dimensionality != target.dimensionality and molar_mass is not None:
            # Amount of substance to mass or back, by the analyte's molar mass in g/mol.
            mass = _size("g/mol") * molar_mass
            source = source * mass if "[substance]" in source.dimensionality else source / mass
        return tidy(float(source.to(target).magnitude))
    except (InvalidUcumError, LarkError, PintError, ValueError, ArithmeticError):
        # LarkError: units of a scale of their own, such as [pH].
        return None


def _size(unit: str) -> Quantity[Any]:
    """The quantity 1 of this unit; InvalidUcumError for a bare annotation ("{INR}"), which the library accepts."""
    read = _registry().from_ucum(unit)
    if not isinstance(read, Quantity):
        raise InvalidUcumError("an annotation is not a unit")
    return read


@lru_cache(maxsize=1)
def _registry() -> PintUcumRegistry:
    """The UCUM registry; cached, because making it takes half a second."""
    return PintUcumRegistry()
