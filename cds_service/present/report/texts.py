"""The fixed words of a report, in English and Chinese, and how it writes numbers, shares, times and days."""

from __future__ import annotations

from datetime import date

from cds_service.languages import Language
from cds_service.store.report_figures import Figures
from cds_service.store.report_query import Selection

OTHER_ORDER = "other_order"

_WORDS: dict[str, tuple[str, str]] = {
    "title": ("Use of the rules: {}", "规则使用报告：{}"),
    "comma": (", ", "，"),
    "figure": ("{}: {}", "{}：{}"),
    "figures": ("{}: {}; {}", "{}：{}；{}"),
    "of_kind": ("{} ({})", "{}（{}）"),
    "period": ("{} to {}", "{}至{}"),
    "beginning": ("the beginning", "起始"),
    "today": ("today", "今日"),
    "days_of": ("days and months in {}", "日期与月份按{}计"),
    "this_machine": ("the time of this machine", "本机时间"),
    "made": ("made on {}", "生成于{}"),
    "knowledge": ("knowledge {}", "知识库{}"),
    "only": ("only {}: {}", "仅限{}：{}"),
    "nothing": ("No call is on record for this selection.", "该范围内没有调用记录。"),
    # Key figures.
    "calls": ("Calls", "调用"),
    "with_cards": ("with cards", "有卡片"),
    "refused": ("refused", "被拒"),
    "undecided": ("with rules that could not be decided", "有规则无法判断"),
    "cards": ("Cards", "卡片"),
    "unmatched": (
        "Feedback on cards that are not on record here: {} cards. It is not counted above.",
        "收到对本库未记录卡片的反馈：{}张，未计入上文。",
    ),
    # Columns.
    "service": ("service", "服务"),
    "rule": ("rule", "规则"),
    "variant": ("variant", "情形"),
    "indicator": ("severity", "级别"),
    "site": ("site", "机构"),
    "month": ("month", "月份"),
    "shown": ("shown", "已显示"),
    "silent": ("not shown", "未显示"),
    "answered": ("answered", "已答复"),
    "accepted": ("accepted", "已采纳"),
    "overridden": ("overridden", "已拒绝"),
    "unanswered": ("unanswered", "未答复"),
    "rate": ("override rate", "拒绝率"),
    "time": ("median time", "中位用时"),
    "patients": ("patients", "患者数"),
    "reason": ("reason", "原因"),
    "number": ("number", "次数"),
    "order": ("suggestion", "建议"),
    "offered": ("offered", "已提供"),
    "unknown": ("unknown", "不详"),
    "info": ("info", "提示"),
    "warning": ("warning", "警告"),
    "critical": ("critical", "严重"),
    # The page.
    "from": ("from", "自"),
    "to": ("to", "至"),
    "all": ("all", "全部"),
    "show": ("Show", "显示"),
    "picture_rules": ("What became of the cards, rule by rule", "各规则卡片的处理结果"),
    "picture_months": ("What became of the cards, month by month", "各月卡片的处理结果"),
    # Sections.
    "review": ("To be reviewed", "待复审"),
    "review_none": ("No rule is beyond a limit.", "没有规则超出限值。"),
    "crossed": (
        "{}: {} of {} answered cards were overridden ({}); {} shown.",
        "{0}：{2}张已答复卡片中{1}张被拒绝（{3}），共显示{4}张。",
    ),
    "limit": (
        "Limit: more than {} of the answered cards, from {} shown on.",
        "限值：拒绝占已答复卡片超过{}，且显示不少于{}张。",
    ),
    "limit_of": (
        "Limit: more than {} of the answered {} cards, from {} shown on.",
        "限值：拒绝占已答复{1}级卡片超过{0}，且显示不少于{2}张。",
    ),
    "by_rule": ("Rule by rule", "按规则"),
    "by_month": ("Month by month", "按月份"),
    "details": ("By rule, variant, site and month", "按规则、情形、机构与月份"),
    "reasons": ("Why cards were overridden", "拒绝原因"),
    "suggestions": ("Suggestions", "建议采纳情况"),
    "comments": ("Comments of users", "用户意见"),
    "reason_none": ("no reason given", "未说明原因"),
    "reason_other": ("a reason without a readable code", "原因无可读代码"),
    OTHER_ORDER: ("change or removal of a draft", "修改或移除草稿"),
    "incomplete": ("Data could not be read", "数据无法读取"),
    # How to read it.
    "reading": ("How to read this", "说明"),
    "read_once": (
        "A card counts once, in the month of its call, by its last answer: accepted first and overridden later is"
        " overridden.",
        "每张卡片只计一次，按其调用月份与最后一次答复归类：先采纳后拒绝的计为拒绝。",
    ),
    "read_unanswered": (
        "Unanswered is not the same as ignored or refused: many clients report only what was clicked. The override rate"
        " is the share of the answered cards.",
        "未答复不等于被忽略或拒绝：许多系统只上报点击操作。拒绝率为已答复卡片中的占比。",
    ),
    "read_few": (
        "* fewer than {} answers: the share says little.",
        "* 答复少于{}次，比例参考意义有限。",
    ),
    "read_silent": (
        "Not shown: the rule is in silent mode, or the site snoozed the card for this patient.",
        "未显示：规则处于静默模式，或机构设置为对该患者暂不提示。",
    ),
    "read_patients": (
        "Patients are counted by a keyed hash. Where calls came without one (CDS_HASH_KEY not set), their number is"
        " unknown.",
        "患者按加密散列计数；未设置CDS_HASH_KEY时人数不详。",
    ),
    "read_time": (
        "Median time: how long the answers took, from the call to the moment that the client reports. Answers that are"
        " older than their card come from a wrong clock and are left out.",
        "中位用时：自调用起至系统上报答复时刻的中位数；早于卡片的答复属时钟错误，不计入。",
    ),
}


def say(key: str, language: Language, *parts: object) -> str:
    """A text of the report with its parts filled in."""
    return _WORDS[key][language == "zh"].format(*parts)


def share(part: int, whole: int) -> str:
    """A share in whole per cent, with what it is a share of.

    >>> share(3, 4), share(0, 0)
    ('75 % (3/4)', '-')
    """
    return f"{percent(part, whole)} ({part:,}/{whole:,})" if whole else "-"


def percent(part: int, whole: int) -> str:
    """A share in per cent; never 0 or 100 of something that is neither none nor all.

    >>> percent(1, 3), percent(1, 1000), percent(999, 1000), percent(5, 5)
    ('33 %', '<1 %', '>99 %', '100 %')
    """
    if 0 < 100 * part < whole:
        return "<1 %"
    if 99 * whole < 100 * part < 100 * whole:
        return ">99 %"
    return f"{100 * part / whole:.0f} %"


_UNITS = (
    (60, 1, {"en": "{} s", "zh": "{}秒"}),
    (3600, 60, {"en": "{} min", "zh": "{}分钟"}),
    (172_800, 3600, {"en": "{} h", "zh": "{}小时"}),
    (float("inf"), 86_400, {"en": "{} d", "zh": "{}天"}),
)


def duration(figures: Figures, language: Language) -> str:
    """The median time to answer, in a unit that fits it; a dash if there is none."""
    seconds = figures.seconds
    if seconds is None:
        return "-"
    for below, unit, text in _UNITS:
        if seconds < below:
            return text[language].format(f"{seconds / unit:.3g}")
    raise ValueError(seconds)


def rate(figures: Figures, few: int) -> str:
    """The override rate with its denominator, marked where that is small."""
    return share(figures.overridden, figures.answered) + ("*" if 0 < figures.answered < few else "")


def patients(figures: Figures, language: Language) -> str:
    return say("unknown", language) if figures.patients is None else f"{figures.patients:,}"


def period(selection: Selection, language: Language) -> str:
    """The days of a selection, in words."""
    first, last = selection.first, selection.last
    return say(
        "period",
        language,
        say("beginning", language) if first is None else day(first, language),
        say("today", language) if last is None else day(last, language),
    )


def day(moment: date, language: Language) -> str:
    return f"{moment.year}年{moment.month}月{moment.day}日" if language == "zh" else moment.isoformat()


def chosen(selection: Selection, language: Language) -> list[str]:
    """What the selection is limited to besides its days."""
    parts = (("service", selection.service), ("rule", selection.rule), ("site", selection.site))
    return [say("only", language, say(name, language), value) for name, value in parts if value is not None]
