"""The fixed words of the catalogue, in English and Chinese."""

from __future__ import annotations

from cds_service.artifacts.text import Text
from cds_service.languages import LANGUAGES, Language
from cds_service.present.catalogue.page import Span, Spans

_WORDS: dict[str, tuple[str, str]] = {
    # What separates and joins.
    "colon": (": ", "："),
    "comma": (", ", "，"),
    "listing": (", ", "、"),
    "semicolon": ("; ", "；"),
    "open": (" (", "（"),
    "close": (")", "）"),
    "none": ("none", "无"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    # Conditions.
    "all": ("all of these hold", "以下全部成立"),
    "any": ("at least one of these holds", "以下至少一项成立"),
    "not": ("this does not hold", "以下不成立"),
    "and": (" and ", "且"),
    "or": (" or ", "或"),
    "inline_not": ("not", "非"),
    "below": ("below {}", "低于{}"),
    "at_most": ("at most {}", "不高于{}"),
    "above": ("above {}", "高于{}"),
    "at_least": ("at least {}", "不低于{}"),
    "known": ("recorded and usable", "有记录且可用"),
    "unknown": ("not recorded, or not usable", "无记录或不可用"),
    "threshold": ("limit", "界值"),
    "valid": ("{} since {}", "{0}，自{1}起"),
    # Facts.
    "change_before": ("in the {} before the day of: {}", "在该日之前{}内：{}"),
    "within": ("in the last {}", "近{}内"),
    "opens_after": ("from {} days after the day of: {}", "自该日之后{}天起：{}"),
    "opens_on": ("from the day of: {1}", "自该日起：{1}"),
    "opens_before": ("from {} days before the day of: {}", "自该日之前{}天起：{}"),
    "closes_after": ("until {} days after it", "至其后{}天"),
    "closes_before": ("until {} days before it", "至其前{}天"),
    "route": ("by route: {}", "途径：{}"),
    "dose_known": ("with a known daily dose", "日剂量已知"),
    "dose_unknown": ("without a known daily dose", "日剂量未知"),
    "except": ("not counting {}", "不计{}"),
    "only": ("only {}", "仅计{}"),
    "condition_or_procedure": ("a current condition or completed procedure: {}", "现有病情或已完成的操作：{}"),
    "lifelong": ("also when marked inactive", "标为非活动时亦算"),
    "count": ("how many of these hold", "以下成立的项数"),
    "oral": ("by mouth", "口服"),
    "sublingual": ("under the tongue", "舌下"),
    "nasal": ("into the nose", "鼻用"),
    "im": ("into a muscle", "肌内注射"),
    "sc": ("under the skin", "皮下注射"),
    "iv": ("into a vein", "静脉"),
    "parenteral": ("by injection, no closer told", "注射，具体不详"),
    "topical": ("products for the skin", "外用制剂"),
    # Rules.
    "rule": ("Rule", "规则"),
    "silence": ("Silence", "静默"),
    "silence_note": (
        "This entry shows no card. It names a situation in which the service deliberately says nothing.",
        "本条不显示卡片，而是指明本服务有意不作提示的情形。",
    ),
    "at_a_glance": ("At a glance", "概览"),
    "attribute": ("What", "项目"),
    "content": ("Content", "内容"),
    "topic": ("Topic", "主题"),
    "why": ("What it is for", "目的"),
    "hooks": ("Asked at", "触发时机"),
    "priority": ("Priority (1 comes first)", "优先级（1最先）"),
    "priority_short": ("Priority", "优先级"),
    "severity": ("Severity", "级别"),
    "default": ("Switched on by default", "默认开启"),
    "silent_mode": ("judged and counted, never shown", "仅判断与计数，不显示"),
    "silenced_by": ("Silenced by", "被以下规则静默"),
    "silences": ("Silences", "静默以下规则"),
    "explains": ("Keeps quiet", "解释以下规则的静默"),
    "explained_by": ("Kept quiet by the silence", "由以下静默解释"),
    "version": ("Version", "版本"),
    "status": ("Status", "状态"),
    "draft": ("draft", "草案"),
    "active_status": ("active", "生效"),
    "retired": ("retired", "停用"),
    "info": ("information", "信息提示"),
    "warning": ("warning", "警告"),
    "critical": ("critical", "危急"),
    "patient-view": ("chart opened", "打开病历"),
    "order-select": ("order selected", "选择医嘱"),
    "order-sign": ("before signing", "签署前"),
    "encounter-start": ("start of encounter", "就诊开始"),
    "encounter-discharge": ("discharge", "出院"),
    "when": ("When it speaks", "何时提示"),
    "when_silent": ("When it keeps silent", "何时静默"),
    "first": ("First, the topic must apply", "首先，主题须适用"),
    "then": ("It speaks if", "满足以下条件时提示"),
    "then_silent": ("It applies if", "满足以下条件时适用"),
    "unless": ("Unless", "除非"),
    "unknown_note": (
        "What is unknown is never taken for normal: while a needed fact is unknown, the rule stays silent. If a list "
        "that could matter was not read, the answer says so.",
        "未知绝不视为正常：所需事实未知时，规则保持静默。可能影响判断的列表未能读取时，应答会予以说明。",
    ),
    "no_info_when": ("Information cards of this topic are left out if", "以下成立时本主题的信息提示级卡片不显示"),
    "applies_if": ("applies if", "适用条件"),
    "variants": ("Variants", "变体"),
    "variants_note": (
        "The first variant whose condition holds applies; what it does not change is as on the card.",
        "采用首个条件成立的变体；未改动之处与卡片相同。",
    ),
    "card": ("What the card says", "卡片内容"),
    "card_note": (
        "‹…› is filled in from the record with value, unit and date.",
        "‹…›处以病历中的数值、单位与日期填入。",
    ),
    "card_of_variant": ("Card of the variant {}", "变体{}的卡片"),
    "suggestions_of_variant": ("Suggestions of the variant {}", "变体{}的建议操作"),
    "part": ("Part", "部分"),
    "summary": ("Summary", "摘要"),
    "line": ("Line {}", "第{}行"),
    "language_en": ("English", "英文"),
    "language_zh": ("Chinese", "中文"),
    "shown_if": ("Shown only if", "仅在以下情况显示"),
    "always": ("always", "始终"),
    "sources": ("Sources", "来源"),
    "suggestions": ("Suggestions", "建议操作"),
    "suggestions_note": (
        "Every suggestion is a draft; a clinician signs it or leaves it.",
        "每项建议均为草稿，由临床医师决定签署与否。",
    ),
    "no_suggestions": ("No suggestions.", "无建议操作。"),
    "recommended": ("recommended", "推荐"),
    "recommended_if": ("Recommended if", "以下成立时推荐"),
    "offered_if": ("Offered only if", "仅在以下成立时提供"),
    "withheld_if": ("Withheld if this holds or is unknown", "以下成立或未知时不提供"),
    "drafts_test": ("Drafts a laboratory test: {}", "草拟检验：{}"),
    "fresh": (
        "Left out while there is a result of the last {}, or the test was ordered in the last {} or is in progress",
        "若有近{}内的结果，或近{}内已开具、进行中，则不提供",
    ),
    "fresh_pending": (
        "Left out while the test was ordered in the last {} or is in progress",
        "近{}内已开具或进行中则不提供",
    ),
    "drafts_medicine": ("Drafts a medicine: {}", "草拟用药：{}"),
    "dose": ("Dose {}, {}", "剂量{}，{}"),
    "choice_if": ("This product if", "以下成立时用此产品"),
    "otherwise": ("Otherwise", "否则"),
    "remove": ("Removes the draft of the product found by: {}", "移除由此找到的产品草稿：{}"),
    "hold": ("Puts the draft on hold, found by: {}", "暂缓由此找到的草稿：{}"),
    "correct_unit": (
        "Corrects the unit of the drafted dose and leaves the number open, found by: {}",
        "更正草稿剂量的单位，数值留待填写，由此找到：{}",
    ),
    "stop_order": ("Proposes to stop the product on the list, found by: {}", "建议停用清单中由此找到的产品：{}"),
    "replace": ("Puts {} into the draft, dosage unchanged, found by: {}", "将草稿改为{}，用法不变，由此找到：{}"),
    "override_reasons": ("Reasons offered for not following the card", "可选的不采纳理由"),
    "known_wrong": ("When it is wrong", "何时有误"),
    "basis": ("What it rests on", "依据"),
    "statement": ("Statement", "陈述"),
    "tier": ("Tier", "证据等级"),
    "disposition": ("What was done with it", "处置"),
    "facts": ("The terms of this rule", "本规则的术语"),
    "facts_note": (
        "Each term above, and what it is taken from. A list that was read and holds no such product gives dose 0 and "
        "duration 0.",
        "上述各术语及其取值。已读取而无该产品时，剂量与时间均为0。",
    ),
    "worked": ("Worked patients", "示例患者"),
    "worked_note": ("All invented. The tests ask the service about each.", "均为虚构，测试逐一验证。"),
    "patient": ("Patient", "患者"),
    "expected": ("What must happen", "应有结果"),
    "no_card": ("no card at all", "无任何卡片"),
    "stays_silent": ("stays silent: {}", "保持静默：{}"),
    "cannot_tell": ("cannot tell: {}", "无法判断：{}"),
    "suggests": ("suggests {}", "建议{}"),
    "not_suggests": ("must not suggest {}", "不得建议{}"),
    "with_enabled": ("switched on for this patient: {}", "为此患者开启：{}"),
    "responsible": ("Who answers for it", "责任"),
    "author": ("Author", "作者"),
    "checked_by": ("Checked by", "审核人"),
    "not_checked": ("nobody yet", "尚无人审核"),
    "reviewed": ("Reviewed on", "审核日期"),
    "next_review": ("Next review", "下次审核"),
    "owner": ("Owner of the topic", "主题负责人"),
    "scope": ("Scope", "适用范围"),
    "site_change": ("Changed by the site", "本机构的更改"),
    "hti_note": (
        "Source attributes of evidence-based decision support, 45 CFR 170.315(b)(11)",
        "循证决策支持的来源属性，45 CFR 170.315(b)(11)",
    ),
    "citation": ("Bibliographic citation", "文献"),
    "developer": ("Developer", "开发者"),
    "funding": ("Funding", "资助"),
    "data_used": ("Patient data used", "所用患者数据"),
    # Registers.
    "catalogue": ("Rules and evidence", "规则与依据"),
    "catalogue_note": (
        "Everything this service may say, when it says it, and where that comes from. "
        "Decisions remain with the clinician.",
        "本服务可能给出的全部提示、提示时机及其依据。决定权属于临床医师。",
    ),
    "counts": (
        "{} rules, {} silences, {} limits, {} value sets, {} sources, {} statements; knowledge {}.",
        "规则{}条，静默{}条，界值{}项，值集{}个，来源{}种，陈述{}条；知识库{}。",
    ),
    "registers": ("Registers", "登记表"),
    "rules_of": ("Rules: {}", "规则：{}"),
    "silences_title": ("Silences", "静默"),
    "thresholds": ("Limits", "界值"),
    "thresholds_note": (
        "Every number on which a decision rests. The newest value whose day has come applies.",
        "决策所依据的全部数值。采用已到生效日的最新值。",
    ),
    "limit": ("Limit", "界值"),
    "value": ("Value", "数值"),
    "note": ("Note", "说明"),
    "used_by": ("Used by", "用于"),
    "every_rule": ("every rule", "所有规则"),
    "concept": ("Concept", "概念"),
    "rule_version": ("version {}", "版本{}"),
    "by_code": ("reading of results, doses and courses", "结果、剂量与疗程的读取"),
    "value-sets": ("Value sets", "值集"),
    "value_sets_note": (
        "Which codes and words of a record mean what. A verified code was seen in a published code list.",
        "病历中的代码与用词如何归类。已核实的代码见于公开发布的代码表。",
    ),
    "kind": ("Kind", "类别"),
    "observation": ("test", "检验"),
    "medication": ("medicine", "药物"),
    "problem": ("condition or procedure", "病情或操作"),
    "includes": ("Includes", "范围"),
    "codes": ("Codes", "代码"),
    "verified": ("Verified", "已核实"),
    "of": ("{} of {}", "{}/{}"),
    "by_system": ("{}: {}", "{}：{}"),
    "excluded": ("{} of them never belong here", "其中{}个明确排除"),
    "csv": ("table of codes (CSV)", "代码表（CSV）"),
    "no_codes": ("no codes; found by words only", "无代码，仅凭用词识别"),
    "synonyms": ("Words", "用词"),
    "not_synonyms": ("not if it says {}", "含以下用词则不算：{}"),
    "measured": ("measured in {}", "单位{}"),
    "plausible": ("plausible {}", "合理范围{}"),
    "sources_note": (
        "Tier 1 is the most trusted. Where sources differ, the better tier is followed.",
        "等级1最可信。来源不一致时以等级较高者为准。",
    ),
    "author_not_stated": ("author not stated", "作者未注明"),
    "year": ("Year", "年份"),
    "seen": ("How it was seen", "查阅方式"),
    "read": ("read", "已读原文"),
    "secondary": ("as reported by another document", "经由其他文献"),
    "memory": ("from memory, to be confirmed", "凭记忆，待核实"),
    "seed": ("seed document", "基础文献"),
    "addition": ("addition", "补充"),
    "address": ("Address", "网址"),
    "defects": ("Defects found", "发现的缺陷"),
    "statements": ("Statements", "陈述"),
    "statements_note": (
        "Every statement of the seed documents in the words of this service, with what was done with it.",
        "基础文献的每条陈述（以本服务的措辞），以及对其的处置。",
    ),
    "disposed_rule": ("rule", "用于规则"),
    "disposed_parameter": ("parameter", "用作参数"),
    "disposed_card": ("card text", "用于卡片"),
    "disposed_context": ("context", "背景"),
    "disposed_rejected": ("rejected", "不采用"),
    "used_in_line": ("{}, line {}", "{}，第{}行"),
    "used_in_variant_line": ("{}, variant {}, line {}", "{}，变体{}，第{}行"),
    "used_in_threshold": ("limit: {}", "界值：{}"),
    "used_in_order": ("suggestion: {}", "建议操作：{}"),
    "not_used": ("not used", "未使用"),
    # Statement kinds.
    "kind_threshold": ("threshold", "界值"),
    "kind_population": ("population", "人群"),
    "kind_cause": ("cause", "病因"),
    "kind_drug effect": ("drug effect", "药物作用"),
    "kind_dose": ("dose", "剂量"),
    "kind_monitoring": ("monitoring", "监测"),
    "kind_interaction": ("interaction", "相互作用"),
    "kind_contraindication": ("contraindication", "禁忌"),
    "kind_evidence": ("evidence", "证据"),
    "kind_mechanism": ("mechanism", "机制"),
    "kind_caveat": ("caveat", "注意"),
    "kind_about the document": ("about the document", "文献本身"),
    # Patient data, as a topic names them.
    "uses_age": ("age", "年龄"),
    "uses_sex": ("sex", "性别"),
    "uses_laboratory results": ("laboratory results", "检验结果"),
    "uses_medicines": ("medicines", "用药"),
    "uses_conditions": ("conditions", "病情"),
    "uses_procedures": ("procedures", "操作"),
    "uses_pregnancy": ("pregnancy", "妊娠"),
    # The sheet to sign.
    "sign-off": ("Sign-off sheet", "审批表"),
    "sign_off_note": (
        "Print this page, decide on each rule, and sign. What a rule says and why stands on its own page; the version "
        "at the foot of the page in the service names exactly what is signed. What was decided goes into the rule's "
        "file.",
        "打印本页，逐条决定并签名。规则内容及依据见各规则页；服务内页脚的版本号标明所签内容。决定结果须写入规则文件。",
    ),
    "sign_off_whole": ("For all of it", "总体签署"),
    "it_says": ("It says", "提示内容"),
    "decision": ("Decision", "决定"),
    "decision_boxes": ("☐ use ☐ change ☐ leave off", "☐采用 ☐修改 ☐不用"),
    "signature": ("Signature", "签名"),
    "date": ("Date", "日期"),
    "name_and_role": ("Name and role", "姓名与职务"),
    # Around a page.
    "skip": ("Skip to the content", "跳到正文"),
    "knowledge_version": ("Knowledge {}", "知识库{}"),
    "navigation": ("Catalogue", "目录"),
    "generated": (
        "Generated from the knowledge folder by `make catalogue`; changes here are overwritten.",
        "由 `make catalogue` 从 knowledge 目录生成，此处改动会被覆盖。",
    ),
}


def say(key: str, language: Language, *parts: object) -> str:
    """The words for a key, with `{}` filled in.

    Raises:
        KeyError: there are no words for this key, so the page would have a gap.
    """
    words = _WORDS[key][language == "zh"]
    return words.format(*parts) if parts else words


def has_words(key: str) -> bool:
    return key in _WORDS


def plain(text: Text, language: Language) -> Span:
    """A text of the knowledge in the language of the page; marked, where English stands in for it."""
    return foreign(text.in_language(language), text.language_of(language), language)


def foreign(text: str, of: Language, language: Language) -> Span:
    """Words of one language on a page in perhaps another."""
    return Span(text, None if of == language else of)


def side_by_side(text: Text, language: Language) -> tuple[Spans, ...]:
    """A text of the knowledge in every language, for one cell each; empty where a partial language lacks it."""
    found = text.by_language
    return tuple((foreign(found[code], code, language),) if code in found else () for code in LANGUAGES)


def language_names(language: Language) -> tuple[str, ...]:
    """The heads of those cells."""
    return tuple(
        say(f"language_{code}", language) if has_words(f"language_{code}") else row.name
        for code, row in LANGUAGES.items()
    )


def words(key: str, language: Language, *parts: object) -> Span:
    """The words for a key as a span."""
    return Span(say(key, language, *parts))
