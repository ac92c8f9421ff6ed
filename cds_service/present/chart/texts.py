"""The words of the chart: routes, units, and why something has no value, in English and Chinese."""

from __future__ import annotations

from cds_service.languages import Language

_UNITS = {"ug": "µg", "umol/L": "µmol/L", "mL/min/{1.73_m2}": "mL/min/1.73 m²", "10*9/L": "10⁹/L", "1": ""}

WORDS: dict[str, tuple[str, str]] = {
    # How a dose is told.
    "daily": ("{} a day", "每日{}"),
    "once": ("{} once", "{}，单次"),
    "as written": ("as written: {}", "原文：{}"),
    "dose not stated": ("no dose is stated", "未注明剂量"),
    "dose not readable": (
        "the written dosage does not tell an amount a day without doubt",
        "所记用法无法确定每日用量",
    ),
    "topical": ("on the skin or into the eye", "外用"),
    # Why a result has no value that could be used; keys are the reasons of the reader.
    "no unit": ("no unit", "无单位"),
    "unit not convertible": ("the unit cannot be converted", "单位无法换算"),
    "unit code and unit text contradict each other": (
        "the unit's code and its text contradict each other",
        "单位编码与文字不一致",
    ),
    "unit never used for this analyte": ("a unit that is never used for this test", "该检验从不使用的单位"),
    "implausible": ("implausible value", "数值不合理"),
    "no date": ("no date", "无日期"),
    "no number": ("no number in the text", "文字中无数值"),
    "no value": ("no value", "无数值"),
    "data absent": ("the laboratory says that there is no value", "实验室注明无数值"),
    "comparator not understood": ("a comparator that is not understood", "无法识别的比较符"),
    "in the future": ("dated in the future", "日期在将来"),
    # What became of the lists of the record.
    "unread": ("{} could not be read: {}", "{}未能读取：{}"),
    "incomplete": ("{} are not complete: {}", "{}不完整：{}"),
    "unnamed": (
        "Entries of kinds that no rule asks about, not shown here: {}.",
        "与规则无关、此处未显示的记录：{}条。",
    ),
    "optional": ("{} could not be read; the rules use their defaults", "{}未能读取，规则采用默认值"),
    # The servers to choose from.
    "sample patients": ("Sample patients (invented)", "示例患者（虚构）"),
    # The bands behind a curve.
    "laboratory range": ("laboratory range", "实验室参考范围"),
    "own target": ("the patient's own target", "患者个体目标范围"),
    "usual target": ("usual target range", "常用目标范围"),
}


def chart_say(key: str, language: Language, *parts: object) -> str:
    """The words for a key, with `{}` filled in.

    Raises:
        KeyError: there are no words for this key.
    """
    text = WORDS[key][language == "zh"]
    return text.format(*parts) if parts else text


def unit_name(unit: str) -> str:
    """A UCUM code as people write it; "" for a pure number."""
    return _UNITS.get(unit, unit)
