"""Facts to words: value, unit and date as a clinician reads them, safe in Markdown."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache
from math import inf

from babel.dates import format_date
from babel.numbers import format_decimal

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.facts.fact import Evidence, Fact, FactTable
from cds_service.facts.patient import age_in_years
from cds_service.facts.use import DISPENSE
from cds_service.languages import LANGUAGES, Language
from cds_service.quantity import Interval
from cds_service.record import InrGoal, LabResult, MedicationUse, Patient, PendingTest, Problem
from cds_service.texts import Texts

_facts, _units = Texts("facts"), Texts("units")
# UCUM codes as people write them, in every language; `units.yaml` has those that are words.
_SIGNS = {"ug": "µg", "umol/L": "µmol/L", "mL/min/{1.73_m2}": "mL/min/1.73 m²", "10*9/L": "10⁹/L", "1": ""}
_LONGEST = 160
_MARKUP = re.compile(r"([\\`*_\[\]#|~!])")
# What makes a list or a heading of a paragraph that begins with it; one number with a dot before a blank does, too.
_AT_THE_START = re.compile(r"[-+=]|(?<=\d)[.)](?=\s|$)")
_BEGINS = re.compile(r"[-+=]|\d{1,9}[.)](?:\s|$)")
# What makes an address: a double slash, an at sign, a dot before a letter or in four numbers. The break stands where
# parsers look for plain signs: in a host name they (cmark-gfm, linkify-it) take a zero-width space for a letter.
_ADDRESS = re.compile(r"//|@|\.(?=[^\W\d_]|\d{1,3}\.\d)")
_BREAKS = {"//": "/\u200b/", "@": "\u200b@\u200b", ".": "\u200b.\u200b"}
# Control and format characters (of bidirectional text, zero-width ones), surrogates, private use.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co"))
# Unicode, Default_Ignorable_Code_Point: what else nobody sees, although it counts as a letter or a mark.
_IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def clean(text: str) -> str:
    """Text from a record as one plain line of what can be seen, of bounded length; a cut is marked with an ellipsis."""
    plain = " ".join(text.split())
    if not (plain.isascii() and plain.isprintable()):
        seen = "".join(c for c in plain if unicodedata.category(c) not in _UNSEEN)
        plain = " ".join(_IGNORABLE.sub("", seen).split())
    if len(plain) <= _LONGEST:
        return plain
    # At the end of a word, unless that is far away (Chinese has no blanks, and a name may be one long word).
    whole, _, _ = plain[:_LONGEST].rpartition(" ")
    return (whole if len(whole) > _LONGEST // 2 else plain[: _LONGEST - 1]) + "…"


@lru_cache(maxsize=4096)
def escaped(text: str) -> str:
    """Text from a record for use in a card's detail: shown as it is, never read as Markdown, HTML or a link."""
    return neutral(clean(text))


def neutral(plain: str) -> str:
    """One plain line for use in a card's detail, its signs kept from being read as Markdown, HTML or a link.

    GitHub Flavored Markdown also turns bare addresses into links; zero-width spaces between their signs stop that.
    """
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _MARKUP.sub(r"\\\1", plain)
    if _BEGINS.match(plain):
        plain = _AT_THE_START.sub(r"\\\g<0>", plain, count=1)
    return _ADDRESS.sub(lambda found: _BREAKS[found[0]], plain)


@lru_cache(maxsize=4096)
def day(when: date, language: Language) -> str:
    """A date as the language writes it: 10 Nov 2025, 2025年11月10日."""
    return str(format_date(when, "medium", LANGUAGES[language].locale))


@lru_cache(maxsize=4096)
def number(value: float, language: Language) -> str:
    """A number to at most four significant digits after conversion; whole numbers stay whole."""
    if abs(value) >= 1e12:
        # No quantity of medicine is that large; written as it stands, so that nobody mistakes it for a usual number.
        return f"{value:.4g}"
    shown = float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return str(format_decimal(shown, "#,##0.####", LANGUAGES[language].locale))


def unit_name(unit: str) -> str:
    """A UCUM code as people write it in every language; "" for a pure number."""
    return _SIGNS.get(unit, unit)


def quantity(value: Interval, unit: str, language: Language) -> str:
    """An interval with its unit: 182 pg/mL, <150 pg/mL, 50–100 µg, 45 mg."""
    if unit == "ug" and value.low >= 1000:
        value, unit = value.times(0.001), "mg"
    name = _units.get(unit, language) if _units.has(unit) else unit_name(unit)
    if value.is_point:
        text = number(value.low, language)
    elif value.high == inf:
        text = (">" if value.low_open else "≥") + number(value.low, language)
    elif value.low == 0 and value.high_open:
        text = "<" + number(value.high, language)
    else:
        text = f"{number(value.low, language)}–{number(value.high, language)}"
    return f"{text} {name}".rstrip()


class Wording:
    """Words for the facts of one call, in one language."""

    def __init__(self, knowledge: KnowledgeBase, language: Language, today: date) -> None:
        self._knowledge = knowledge
        self._today = today
        self._language = language

    def placeholder(self, name: str, table: FactTable) -> str:
        """What stands for `{name}`: a limit with its unit, or a fact with value, unit and date."""
        threshold = self._knowledge.thresholds.get(name)
        if threshold is not None and name not in self._knowledge.facts:
            text = quantity(Interval(table.limits[name], table.limits[name]), threshold.unit, self._language)
            # The documents behind a line do not state a number that a site has set.
            own = f"threshold:{name}" in self._knowledge.site_changes and threshold.in_force(self._today).decided
            return text + self._say("own limit", site=self._knowledge.site) if own else text
        return self.fact(name, table[name])

    def fact(self, name: str, fact: Fact) -> str:
        """A fact as words: its evidence if it has any, else its value, else why there is none."""
        definition = self._knowledge.facts[name]
        if fact.value is None:
            return self._say("unread" if fact.missing and fact.missing.unread else "missing")
        if fact.evidence:
            labelled = definition.origin != "observation"
            items = LANGUAGES[self._language].semicolon.join(
                dict.fromkeys(self.evidence(item, labelled=labelled) for item in fact.evidence)
            )
            if definition.take == "total_of_several" and isinstance(fact.value, Interval):
                return self._say("together", products=items, dose=quantity(fact.value, "ug", self._language))
            return items
        if isinstance(fact.value, bool):
            return self._say("yes" if fact.value else "no")
        if isinstance(fact.value, Interval):
            return quantity(fact.value, definition.unit or "1", self._language)
        return fact.value

    def evidence(self, item: Evidence, *, labelled: bool = True) -> str:
        """One result, product, condition or other item of the record."""
        match item:
            case LabResult():
                return self._lab(item, labelled)
            case MedicationUse():
                return escaped(item.product) + self._dose(item) + self._from_to(item)
            case Problem():
                return escaped(item.text) + self._since(item.since)
            case PendingTest():
                return self._say("ordered") + (
                    self._say("on", day=day(item.since, self._language)) if item.since else ""
                )
            case InrGoal():
                low, high = (number(end, self._language) for end in (item.low, item.high))
                return self._say("goal", low=low, high=high)
            case Patient():
                years = age_in_years(item.birth_date, self._today) or 0
                return self._say("age", years=number(years, self._language))
        raise TypeError(type(item))

    def _dose(self, use: MedicationUse) -> str:
        """The daily dose as a quantity, else the dosage as the record words it."""
        if use.daily_dose is not None and not use.single_dose:
            return self._say("daily", dose=quantity(use.daily_dose, "ug", self._language))
        return self._say("dose", dose=escaped(use.reported_dose)) if use.reported_dose else ""

    def _since(self, start: date | None) -> str:
        return self._say("since", day=day(start, self._language)) if start else ""

    def _from_to(self, use: MedicationUse) -> str:
        """First day, last day of a product that is no longer taken, and what keeps its entry from telling."""
        if use.resource == DISPENSE:
            return self._say("dispensed", day=day(use.start, self._language)) if use.start else ""
        text = self._since(use.start)
        if use.last_day is not None and use.last_day < self._today:
            text += self._say("until", day=day(use.last_day, self._language))
        return text + (self._say(use.doubt) if use.doubt else "")

    def _lab(self, result: LabResult, labelled: bool) -> str:
        value_set = self._knowledge.terminology.value_sets[result.concept]
        label = f"{value_set.title.get(self._language, result.concept)} " if labelled else ""
        analyte = value_set.analyte
        if analyte and analyte.ratio and result.value is not None:
            # A ratio has no unit worth showing, whatever the laboratory wrote behind it.
            text = label + quantity(result.value, "1", self._language)
        else:
            text = label + escaped(result.reported)
        if analyte and result.value is not None and not analyte.ratio and not _in_unit(result.reported, analyte.unit):
            text += self._say("equals", amount=quantity(result.value, analyte.unit, self._language))
        if result.effective:
            text += self._say("on", day=day(result.effective, self._language))
        if result.flag:
            text += self._say("flag", flag=escaped(result.flag))
        if result.lab_range:
            text += self._say("range", range=escaped(result.lab_range))
        return text

    def _say(self, key: str, **values: object) -> str:
        return _facts.get(key, self._language, **values)


def _in_unit(reported: str, unit: str) -> bool:
    return reported.replace("µ", "u").replace("μ", "u").rstrip().lower().endswith(unit.lower())
