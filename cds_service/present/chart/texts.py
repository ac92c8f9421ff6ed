"""The words of the chart: routes, units, and why something has no value, in English and Chinese."""

from __future__ import annotations

import re

from cds_service.present.texts import Language

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

# Technical reasons that come with `unread`, as patterns, for readers of Chinese; what is not here is shown as it is.
_REASONS_ZH = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"page (\d+): (.*)", "第{0}页：{1}"),
        (r"(?:the server reported|OperationOutcome:) (.*)", "服务器报告{0}"),
        (r"HTTP (\d+) \(to be asked again in (\d+) s\)", "HTTP {0}（{1}秒后可再试）"),
        (r"more than (\d+) pages", "超过{0}页"),
        (r"a page of more than (\d+) entries", "一页超过{0}条记录"),
        (r"(\d+) of (\d+) entries came", "共{1}条，仅得{0}条"),
        (r"(\d+) entries could not be read", "{0}条记录无法读取"),
        (r"(\d+) × (\w+) could not be read", "{0}条{1}无法读取"),
        (r"(\d+) × (\w+) whose medicine could not be looked up", "{0}条{1}的药品无法查得"),
        (r"(\d+) × (\w+) without a status", "{0}条{1}无状态"),
        (r"all entries are of another patient", "全部记录属于其他患者"),
        (r"the server's pages lead in a circle", "服务器分页循环"),
        (r"timed out", "超时"),
        (r"no connection", "无法连接"),
        (r"no connection in time", "未能及时连接"),
        (r"its name was not resolved in time", "未能及时解析主机名"),
        (r"its name could not be resolved", "无法解析主机名"),
        (r"TLS failed", "TLS连接失败"),
        (r"answer broken off", "应答中断"),
        (r"answer too large", "应答过大"),
        (r"not FHIR JSON", "应答不是FHIR JSON"),
        (r"a Bundle that is no searchset", "应答不是检索结果"),
        (r"not asked, because its calls keep failing", "因连续失败暂不访问"),
        (r"connection closed without an answer", "连接关闭而无应答"),
    )
)


def chart_say(key: str, language: Language, *parts: object) -> str:
    """The words for a key, with `{}` filled in.

    Raises:
        KeyError: there are no words for this key.
    """
    text = WORDS[key][language == "zh"]
    return text.format(*parts) if parts else text


def reason_in(reason: str, language: Language) -> str:
    """Why a server gave nothing, or not all, for a reader: fixed words of ours and status codes, nothing of a server.

    >>> reason_in("fetching failed: page 2: HTTP 500", "zh")
    '第2页：HTTP 500'
    """
    parts = reason.removeprefix("fetching failed: ").split("; ")
    return ("；" if language == "zh" else "; ").join(_in_chinese(part) if language == "zh" else part for part in parts)


def _in_chinese(reason: str) -> str:
    for pattern, words in _REASONS_ZH:
        if match := pattern.fullmatch(reason):
            return words.format(*(_in_chinese(part) for part in match.groups()))
    return reason


def unit_name(unit: str) -> str:
    """A UCUM code as people write it; "" for a pure number."""
    return _UNITS.get(unit, unit)
