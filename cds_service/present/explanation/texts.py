"""The words of a trace: what became of a rule, and why a fact is not known, in English and Chinese."""

from __future__ import annotations

from cds_service.hooks.missing_data_card import list_name
from cds_service.languages import Language
from cds_service.present.chart.texts import WORDS as CHART_WORDS

_WORDS: dict[str, tuple[str, str]] = {
    # What became of a rule; {} is the clause that decided it.
    "speaks": ("Speaks: all it asks for holds.", "提示：所需条件全部成立。"),
    "counted": (
        "Its conditions hold, but at this site it is judged and counted only, never shown.",
        "条件成立，但本机构仅判断与计数，不显示。",
    ),
    "silent": ("Silent because: {}.", "静默，原因：{}。"),
    "excepted": ("Silent because of an exception: {}.", "静默，属例外情形：{}。"),
    "silenced": ("Its conditions hold, but this rule takes precedence: {}.", "条件成立，但以下规则优先：{}。"),
    "unknown": ("Silent because it is not known: {}.", "静默，因有未知：{}。"),
    "undecided": ("Cannot be decided, because data could not be read: {}.", "因数据未能读取而无法判断：{}。"),
    "not applicable": ("Not meant for this patient: {}.", "不适用于此患者：{}。"),
    "off": ("Switched off.", "已关闭。"),
    "snoozed": (
        "Not shown until {}: its card was set aside on {} ({}).",
        "{}之前不显示：卡片已于{}搁置（{}）。",
    ),
    "silence": ("The service says nothing here on purpose: all it asks for holds.", "此处有意静默：所需条件全部成立。"),
    "no silence": ("This silence on purpose does not apply: {}.", "此有意静默不适用：{}。"),
    "limited": (
        "Speaks, but its card is not shown: a chart that opens shows three cards at most, the more severe first.",
        "条件成立，但不显示卡片：打开病历时最多显示三张，严重者优先。",
    ),
    "quiet": (
        "Speaks, but its card is not shown: information is left out for this patient ({}).",
        "条件成立，但不显示卡片：此患者不显示信息提示（{}）。",
    ),
    "others": ("; and {} more", "；另有{}项"),
    # A clause.
    "holds": ("{}, {}", "{}，{}"),
    "asked for": ("{} (asked for: {})", "{}（条件：{}）"),
    "unknown fact": ("unknown, {}", "未知，{}"),
    "on": ("{} on {}", "{}，{}"),
    "since": ("{} since {}", "{}，自{}起"),
    "site limit": ("{}, set by the site", "{}，由本机构设定"),
    # Evidence.
    "test": ("{} {}", "{} {}"),
    "flag": (", flagged {}", "，标记{}"),
    "not usable": (", not usable: {}", "，不可用：{}"),
    "from": (", since {}", "，自{}起"),
    "until": (", until {}", "，至{}"),
    "at": (", {}", "，{}"),
    "draft": (" (draft)", "（草稿）"),
    "order": ("{} ordered", "已开具{}"),
    "result in progress": ("{} in progress", "{}进行中"),
    "target": ("target {} to {}", "目标{}–{}"),
    "birth date": ("birth date of the patient", "患者出生日期"),
    # Why nothing can be said of a list; {} is its name.
    "unread": ("{} could not be read", "{}未能读取"),
    "incomplete": ("{} could be read only in part", "{}仅部分可读"),
}

# Why a fact is unknown, in the words of the rooms that derive facts.
_REASONS: dict[str, tuple[str, str]] = {
    "no usable result in the look-back": ("no usable result", "无可用结果"),
    "the result does not tell on which side of the target it lies": (
        "the result does not tell on which side of the target it lies",
        "结果无法确定在目标范围的哪一侧",
    ),
    "no usable birth date": ("no usable birth date", "无可用出生日期"),
    "no sex on record for which limits exist": ("no sex on record for which limits exist", "所记性别无对应界值"),
    "a fact in its definition is unknown": ("something it is made of is unknown", "其组成项中有未知"),
    "no such product": ("no such product", "无此类产品"),
    "no such result": ("no such result", "无此类结果"),
    "the dose is not stated": ("the dose is not stated", "剂量未注明"),
    "the start is not stated": ("the start is not stated", "开始日期未注明"),
    "a start, an end or a dose is not stated": (
        "a start, an end or a dose is not stated",
        "开始日期、结束日期或剂量未注明",
    ),
    "unusable": ("the result is not usable", "结果不可用"),
}


def why_say(key: str, language: Language, *parts: object) -> str:
    """The words for a key, with `{}` filled in.

    Raises:
        KeyError: there are no words for this key.
    """
    text = _WORDS[key][language == "zh"]
    return text.format(*parts) if parts else text


def reason_said(because: str, language: Language) -> str:
    """Why a fact is unknown, from the trace's `kind: about`.

    Raises:
        KeyError: there are no words for what it is about.
    """
    kind, _, about = because.partition(": ")
    if kind in ("unread", "incomplete") and about not in _REASONS:
        return why_say(kind, language, list_name(about, language))
    return unusable_said(about, language)


def unusable_said(reason: str, language: Language) -> str:
    """Why a value, or a result, cannot be used."""
    words = _REASONS.get(reason) or CHART_WORDS[reason]
    return words[language == "zh"]
