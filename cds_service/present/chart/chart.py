"""A patient's record to the chart of the page: what the rules may look at, in words, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.facts.fact import FactTable
from cds_service.facts.intake import daily_dose
from cds_service.facts.observations import is_future
from cds_service.facts.patient import age_in_years
from cds_service.facts.use import is_active
from cds_service.gap_texts import gaps_text
from cds_service.gaps import GapKind, Gaps
from cds_service.hooks.cards.missing_data_card import list_name
from cds_service.hooks.cards.texts import clean, quantity, unit_name
from cds_service.json_types import Json
from cds_service.languages import LANGUAGES, Language
from cds_service.present.chart.series import TRENDS, as_written, flag_of, own_range, trends
from cds_service.present.chart.texts import chart_say, reason_say
from cds_service.present.texts import has_words, say
from cds_service.record import LabResult, MedicationUse, PatientRecord, Problem

# What is drawn below the curves, by value sets of products.
EXPOSURES: Mapping[str, frozenset[str]] = {
    "metformin": frozenset({"metformin"}),
    "acid suppressant": frozenset({"proton-pump-inhibitor", "h2-receptor-antagonist"}),
    "b12": frozenset(
        {
            "cyanocobalamin",
            "hydroxocobalamin",
            "mecobalamin",
            "adenosylcobalamin",
            "vitamin-b12-unspecified",
            "b12-combination",
        }
    ),
    "vitamin K": frozenset(
        {
            "phytomenadione",
            "menadione-derivative",
            "vitamin-k-unspecified",
            "menatetrenone",
            "menaquinone-7",
            "vitamin-d3-k2",
            "vitamin-k2-unspecified",
            "multivitamin-with-vitamin-k",
            "parenteral-multivitamin-with-vitamin-k",
        }
    ),
    "vka": frozenset({"vitamin-k-antagonist"}),
}
_NAMES = {concept: name for name, (concept, _) in TRENDS.items()}
_LOCAL = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class ChartExtras:
    """What the chart shows and the record does not keep.

    Attributes:
        name: the patient's name.
        ended: reference of a Condition -> the day on which it ended.
        failures: prefetch key or list -> why nothing of it could be had.
        optional: lists that could not be read and that no rule waits for.
    """

    name: str = ""
    ended: Mapping[str, date] = field(default_factory=dict)
    optional: tuple[str, ...] = ()


def chart(knowledge: KnowledgeBase, facts: FactTable, beside: ChartExtras, language: Language) -> Json:
    """The chart as JSON data; texts of the record are plain text in it, to be shown as such.

    Args:
        facts: the facts of the record at the moment of viewing.
    """
    record = facts.record
    results = sorted(
        ((concept, result) for concept, found in record.labs.items() for result in found),
        key=lambda pair: (pair[1].effective or date.min, pair[0]),
        reverse=True,
    )
    return {
        "patient": _patient(record, beside, facts.today),
        "problems": [
            *(_problem(problem, beside, "current" if problem.current else "past") for problem in record.problems),
            *(_problem(problem, beside, "family") for problem in record.family),
        ],
        "medicines": [_medicine(use, facts, language) for use in _by_start(record.medications)],
        "results": [_result(concept, result, knowledge, facts, language) for concept, result in results],
        "series": trends(knowledge, facts, language),
        "exposures": [
            _exposure(group, use, facts, language)
            for group, concepts in EXPOSURES.items()
            for use in reversed(_by_start(record.medications))
            if not concepts.isdisjoint(use.concepts)
        ],
        "pending": [
            {
                "ref": _ref(test.reference),
                "text": _titles(knowledge, test.concepts, language),
                "since": _iso(test.since),
                "kind": test.kind,
            }
            for test in record.pending
        ],
        "notes": _notes(record, beside, language),
    }


def _patient(record: PatientRecord, beside: ChartExtras, today: date) -> Json:
    patient = record.patient
    return {
        "id": patient.id,
        "name": clean(beside.name),
        "birthDate": _iso(patient.birth_date),
        "age": age_in_years(patient.birth_date, today),
        "sex": patient.sex,
        "deceased": patient.deceased,
    }


def _problem(problem: Problem, beside: ChartExtras, status: str) -> Json:
    return {
        "ref": _ref(problem.reference),
        "text": clean(problem.text),
        "since": _iso(problem.since),
        "until": _iso(beside.ended.get(problem.reference)),
        "status": status,
        "concepts": sorted(problem.concepts),
    }


def _medicine(use: MedicationUse, facts: FactTable, language: Language) -> Json:
    dose = _dose(use, language)
    return {
        "ref": _ref(use.reference),
        "text": clean(use.product),
        "concepts": sorted(use.concepts),
        "kind": "order" if use.resource in ("MedicationRequest", "MedicationOrder") else "list",
        "start": _iso(use.start),
        "end": _iso(use.last_day),
        "ongoing": is_active(facts, use),
        "state": _state(use, facts),
        "dose": dose,
        "doseUnknown": None if dose is not None else _why_unknown(use, language),
        "reported": clean(use.reported_dose) or None,
        "route": _route(use, language),
    }


def _state(use: MedicationUse, facts: FactTable) -> str:
    """What the list says of the use today; an entry without a readable status is not said to have ended."""
    if is_active(facts, use):
        return "ongoing"
    if use.last_day is not None and use.last_day < facts.today:
        return "ended"
    return {"held": "held", "unclear": "unclear"}.get(use.status, "ended")


def _exposure(group: str, use: MedicationUse, facts: FactTable, language: Language) -> Json:
    return {
        "group": group,
        "text": clean(use.product),
        "concepts": sorted(use.concepts & EXPOSURES[group]),
        "start": _iso(use.start),
        "end": _iso(use.end),
        "ongoing": is_active(facts, use),
        "dose": _dose(use, language),
        "route": _route(use, language),
        "ref": _ref(use.reference),
    }


def _dose(use: MedicationUse, language: Language) -> str | None:
    dose = daily_dose(use)
    if dose is None:
        return None
    return chart_say("once" if use.single_dose else "daily", language, dose=quantity(dose, "ug", language))


def _why_unknown(use: MedicationUse, language: Language) -> str:
    if not use.reported_dose:
        return chart_say("dose not stated", language)
    written = chart_say("as written", language, text=clean(use.reported_dose))
    return chart_say("dose not readable", language) + LANGUAGES[language].semicolon + written


def _route(use: MedicationUse, language: Language) -> str | None:
    if use.route is None:
        return None
    return say(use.route, language) if has_words(use.route) else chart_say(use.route, language)


def _result(concept: str, result: LabResult, knowledge: KnowledgeBase, facts: FactTable, language: Language) -> Json:
    sign, number, unit = as_written(result)
    low, high = own_range(result, knowledge)
    unusable = result.unusable or ("in the future" if is_future(facts, result) else None)
    value_set = knowledge.terminology.value_sets[concept]
    analyte = value_set.analyte
    is_ratio = analyte is not None and analyte.ratio
    row: Json = {
        "ref": _ref(result.reference),
        "analyte": _NAMES.get(concept, concept),
        "text": value_set.title.get(language, concept),
        "date": _iso(result.effective),
        "value": number,
        "comparator": sign,
        "unit": "" if is_ratio else unit,
        # A ratio has no unit worth showing, whatever the laboratory wrote behind it.
        "reported": f"{sign or ''}{number:g}" if is_ratio and number is not None else clean(result.reported),
        "low": low,
        "high": high,
        "range": clean(result.lab_range or "") or None,
        "flag": None if unusable else flag_of(result),
        "unusable": reason_say(unusable, language) if unusable else None,
    }
    # The same value as the rules compare it, if the laboratory wrote it in another unit.
    if result.value is not None and analyte and not is_ratio and unit != unit_name(analyte.unit):
        row["converted"] = quantity(result.value, analyte.unit, language)
    return row


def _notes(record: PatientRecord, beside: ChartExtras, language: Language) -> list[str]:
    notes = [
        chart_say("unread", language, list=list_name(source, language), reason=_reasons(gaps, language))
        for source, gaps in record.unread.items()
    ]
    notes += [
        chart_say("incomplete", language, list=list_name(source, language), reason=_reasons(gaps, language))
        for source, gaps in record.incomplete.items()
    ]
    notes += [chart_say("optional", language, list=list_name(source, language)) for source in beside.optional]
    if unnamed := sum(entry.count for entry in record.unmatched):
        notes.append(chart_say("unnamed", language, number=unnamed))
    return notes


def _reasons(gaps: Gaps, language: Language) -> str:
    """Why a list is missing; what the note says already, that fetching it failed, is not said again."""
    return gaps_text((gap.cause or gap if gap.kind is GapKind.FETCH_FAILED else gap for gap in gaps), language)


def _titles(knowledge: KnowledgeBase, concepts: frozenset[str], language: Language) -> str:
    titles = (knowledge.terminology.value_sets[each].title.get(language, each) for each in sorted(concepts))
    return LANGUAGES[language].listing.join(titles)


def _by_start(uses: tuple[MedicationUse, ...]) -> list[MedicationUse]:
    """Newest first; those without a start come last."""
    return sorted(uses, key=lambda use: use.start or date.min, reverse=True)


def _ref(reference: str) -> str | None:
    """`Type/id`, by which the page finds the row; None for an entry without an id."""
    return reference if _LOCAL.fullmatch(reference) else None


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
