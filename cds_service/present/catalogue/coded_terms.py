"""What the words of a fact mean where a program works it out: told in full, with the limits that it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.present.texts import Language

_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")

# By the words of a fact's definition (take, state, except, only, origin). {threshold} prints the limit.
_TERMS: dict[str, tuple[str, str]] = {
    "past_reversal": (
        "Given to reverse anticoagulation: vitamin K1 or vitamin K of no stated form, or menatetrenone as an injection "
        "or the capsule of {haemostatic_mk4_strength}, not on the skin, with no stated course longer than "
        "{reversal_course_max}; and active bleeding or an urgent procedure on record, such a reason or "
        "over-anticoagulation on the order, or an INR of at least {reversal_inr} in the {reversal_window} before.",
        "用于逆转抗凝：维生素K1或未注明形式的维生素K，或注射用四烯甲萘醌、{haemostatic_mk4_strength}胶囊，"
        "非外用，所注明的疗程不超过{reversal_course_max}；且有活动性出血或紧急手术的记录，"
        "或医嘱注明此类原因或抗凝过度，或此前{reversal_window}内INR不低于{reversal_inr}。",
    ),
    "reversal": (
        "What is already on the list must have begun in the last {reversal_start_max}.",
        "已在清单上者须在近{reversal_start_max}内开始。",
    ),
    "unchanged_renewal": (
        "Renewal: the same product at the same known daily dose is in use and unchanged for at least {renewal_min}.",
        "续方：同一产品以同一已知日剂量正在使用，且至少{renewal_min}未变。",
    ),
    "replacement": (
        "Sufficient: B12 alone by injection, or at least {b12_therapy_min_dose} a day, or of no stated dose; what is "
        "not injected must be in use now.",
        "足量：单一B12注射，或每日不少于{b12_therapy_min_dose}，或未注明剂量；非注射者须正在使用。",
    ),
    "prophylaxis": (
        "Preventive: enoxaparin up to {enoxaparin_prophylaxis_max} a day or fondaparinux up to "
        "{fondaparinux_prophylaxis_max} a day. Any other heparin, and any dose not stated, counts as treatment.",
        "预防：依诺肝素每日不超过{enoxaparin_prophylaxis_max}，或磺达肝癸钠每日不超过{fondaparinux_prophylaxis_max}。"
        "其他肝素及未注明的剂量均视为治疗。",
    ),
    "unit_slip": (
        "Slip of the unit: menatetrenone of exactly {mk4_dose_number} or {mk4_day_number} (its usual numbers are in "
        "mg), or MK-7 or vitamin D3 with K2 of at least {mk7_suspect}. Vitamin K2 of no stated form is never judged.",
        "单位误写：四烯甲萘醌恰为{mk4_dose_number}或{mk4_day_number}（其常用数值以mg计），"
        "或MK-7、D3+K2不低于{mk7_suspect}。未注明形式的维生素K2不作判断。",
    ),
    "longest_duration": (
        "Uses no further apart than {medication_gap} are continuous.",
        "间隔不超过{medication_gap}视为连续使用。",
    ),
    "replacement_course": (
        "Injections and sufficient doses no further apart than {medication_gap} are one course; a lower dose before "
        "it is no part of it.",
        "间隔不超过{medication_gap}的注射与足量用药为同一疗程，此前的较低剂量不计。",
    ),
    "longest_course": (
        "Products no further apart than {course_gap} are one course.",
        "间隔不超过{course_gap}的用药为同一疗程。",
    ),
    "raised": (
        "A product that follows the same one, at most {medication_gap} apart and at a dose as high, is no change. The "
        "day itself does not count.",
        "与同一产品间隔不超过{medication_gap}且剂量不增，则不视为变化。当日不计。",
    ),
    "lowered": (
        "A product that the same one follows, at most {medication_gap} apart and at a dose as high, is no change. A "
        "single dose never ends; the day itself does not count.",
        "间隔不超过{medication_gap}续用同一产品且剂量不减，则不视为变化。单次用药无停用之说；当日不计。",
    ),
    "against_inr_target": (
        "The usual range is {inr_target_low} to {inr_target_high}, both inclusive.",
        "常用范围为{inr_target_low}至{inr_target_high}，含两端。",
    ),
    "pending": (
        "A draft of this test counts, too. A preliminary result counts for {result_in_progress_max}.",
        "本次草拟的该检验亦算。初步结果在{result_in_progress_max}内有效。",
    ),
}


def coded_terms(fact: FactDefinition, language: Language) -> Iterator[str]:
    """The sentences that a fact needs to be understood, with {threshold} where a limit is to be printed."""
    words = [fact.take or "", fact.state or "", *fact.except_, fact.only or "", fact.origin]
    if "reversal" in words:
        words.insert(words.index("reversal"), "past_reversal")
    for word in dict.fromkeys(words):
        if word in _TERMS:
            yield _TERMS[word][language == "zh"]


def limits_of(fact: FactDefinition) -> set[str]:
    """The thresholds that those sentences name."""
    return {name for term in coded_terms(fact, "en") for name in _PLACEHOLDER.findall(term)}


def all_limits(language: Language) -> set[str]:
    """Every threshold that some sentence names."""
    return {name for words in _TERMS.values() for name in _PLACEHOLDER.findall(words[language == "zh"])}
