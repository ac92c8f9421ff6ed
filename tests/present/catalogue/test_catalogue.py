"""The catalogue: everything in the knowledge has its place on a page, in both languages, and every link leads there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache, lru_cache
from typing import get_args

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cds_service.artifacts.evidence import DatedValue, Source, Statement
from cds_service.artifacts.load import knowledge_dir
from cds_service.artifacts.schema import Medicine, Rule
from cds_service.artifacts.text import Hook, Indicator
from cds_service.artifacts.vocabulary import FactDefinition
from cds_service.artifacts.walk import lines_of
from cds_service.facts.registry import COMPUTED
from cds_service.languages import LANGUAGES, Language
from cds_service.present.catalogue.catalogue import Catalogue
from cds_service.present.catalogue.markdown import files
from cds_service.present.catalogue.page import HERE, Page, PageLink, Row, Span, Spans, Table
from cds_service.present.catalogue.phrases import Phrases
from cds_service.present.catalogue.usage_index import facts_of
from cds_service.present.texts import has_words
from cds_service.record import Route
from tests.support.kb import condition, knowledge, knowledge_with, rule
from tests.support.paths import ROOT

DOCS = ROOT / "docs" / "rules"


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    return Catalogue(knowledge(), knowledge_dir())


@cache
def page(name: str, language: Language = "en") -> Page:
    return catalogue().page(name, language)


@lru_cache(maxsize=1)
def markdown() -> dict[str, str]:
    return files(catalogue(), DOCS)


def all_pages() -> Iterator[Page]:
    for language in LANGUAGES:
        yield from (page(name, language) for name in catalogue().names)


def said(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def text_of(shown: Page) -> str:
    return "\n".join(span.text for span in shown.spans())


def rows(shown: Page) -> dict[str, Row]:
    """The rows of a page's tables that have an anchor."""
    tables = [block for block in shown.blocks if isinstance(block, Table)]
    return {row.anchor: row for table in tables for row in table.rows if row.anchor}


# --- everything has its place --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_leads_to_every_rule_and_register(language: Language) -> None:
    led = {span.to.page for span in page("", language).spans() if isinstance(span.to, PageLink)}
    assert led == {*knowledge().rules, "thresholds", "sources", "statements", "value-sets", "sign-off"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sheet_to_sign_asks_for_a_decision_on_every_rule_and_says_which_version(language: Language) -> None:
    listed = rows(page("sign-off", language))
    assert listed.keys() == knowledge().rules.keys()
    for one in knowledge().rules.values():
        cells = [said(cell) for cell in listed[one.id].cells]
        assert cells[0] == f"{one.title.in_language(language)} {one.id} {one.version}"
        assert one.card is None or cells[1] == one.card.summary.in_language(language)
        assert cells[5].count("☐") == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_page_says_title_purpose_and_error_in_its_language(language: Language) -> None:
    for one in knowledge().rules.values():
        shown = page(one.id, language)
        assert shown.title == one.title.in_language(language)
        for text in (one.why, one.known_wrong):
            assert text.in_language(language) in text_of(shown), one.id


def test_a_rule_page_says_every_line_of_every_card_in_both_languages() -> None:
    for one in knowledge().rules.values():
        everything = said(tuple(page(one.id).spans()))
        summaries = [one.card.summary] if one.card else []
        for summary in (*summaries, *(v.summary for v in one.variants if v.summary)):
            assert summary.en in everything, one.id
            assert summary.in_language("zh") in everything, one.id
        for line in lines_of(one):
            for words in (line.en, line.in_language("zh")):
                for fixed in words.replace("**", "").replace("}", "{").split("{")[::2]:
                    assert fixed in everything, (one.id, words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_page_explains_every_fact_that_it_names(language: Language) -> None:
    for one in knowledge().rules.values():
        explained = {anchor for anchor in page(one.id, language).anchors() if anchor.startswith("fact-")}
        assert explained == {f"fact-{name}" for name in facts_of(knowledge(), one)}, one.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_rule_page_shows_its_suggestions_reasons_and_worked_patients(language: Language) -> None:
    for one in knowledge().rules.values():
        everything = text_of(page(one.id, language))
        worked = catalogue().worked(one.id)
        assert worked, one.id
        for patient in worked:
            assert patient.id in everything
            assert patient.name.in_language(language) in everything
        if one.card:
            for use in one.card.suggestions:
                assert knowledge().orders[use.order].label.in_language(language) in everything
            for reason in one.card.override_reasons:
                assert knowledge().override_reasons[reason].text.in_language(language) in everything


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_statement_stands_in_the_register_in_both_languages(language: Language) -> None:
    register = rows(page("statements", language))
    assert register.keys() == knowledge().statements.keys()
    for statement in knowledge().statements.values():
        _, english, chinese, *_ = register[statement.id].cells
        assert (said(english), said(chinese)) == (statement.text.en, statement.text.in_language("zh"))
        if statement.because:
            assert statement.because.in_language(language) in said(register[statement.id].cells[4])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_limit_stands_in_its_register_with_all_its_values(language: Language) -> None:
    register = rows(page("thresholds", language))
    assert register.keys() == knowledge().thresholds.keys()
    for name, threshold in knowledge().thresholds.items():
        assert threshold.label.in_language(language) in said(register[name].cells[0])
        for value in Phrases(knowledge(), language).values(threshold):
            assert value in said(register[name].cells[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_set_stands_in_its_register(language: Language) -> None:
    register = rows(page("value-sets", language))
    assert register.keys() == knowledge().value_sets.keys()
    for value_set in knowledge().value_sets.values():
        words = "".join(said(cell) for cell in register[value_set.id].cells)
        assert value_set.includes.in_language(language) in words
        for synonym in value_set.text:
            assert synonym in words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_source_stands_in_its_register_with_its_defects(language: Language) -> None:
    shown = page("sources", language)
    assert set(shown.anchors()) == set(knowledge().sources)
    for source in knowledge().sources.values():
        for defect in source.defects:
            assert defect.in_language(language) in text_of(shown)


# --- links ---------------------------------------------------------------------------------------------------------


def test_every_link_leads_to_a_page_and_a_place_on_it() -> None:
    for shown in all_pages():
        for span in shown.spans():
            if isinstance(span.to, PageLink):
                target = shown.name if span.to.page == HERE else span.to.page
                assert target in catalogue().names, (shown.name, span)
                places = {"", *page(target, shown.language).anchors()}
                assert span.to.anchor in places, (shown.name, span)


def test_no_page_has_two_places_of_one_name() -> None:
    for shown in all_pages():
        anchors = list(shown.anchors())
        assert len(anchors) == len(set(anchors)), shown.name


def test_a_statement_leads_to_each_line_that_cites_it_and_back() -> None:
    register = rows(page("statements"))
    for one in knowledge().rules.values():
        for number, line in enumerate(one.card.detail if one.card else (), start=1):
            sources = rows(page(one.id))[f"line-{number}"].cells[4]
            back = {span.to.anchor for span in sources if isinstance(span.to, PageLink)}
            assert back == set(line.cites)
            for cite in line.cites:
                if cite in register:
                    there = [span.to for span in register[cite].cells[5]]
                    assert PageLink(one.id, f"line-{number}") in there


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_rule_says_what_of_an_added_source_was_read(language: Language) -> None:
    for one in knowledge().rules.values():
        everything = text_of(page(one.id, language))
        for note in (source.note for cite in one.source if (source := knowledge().sources.get(cite))):
            assert note is None or note.in_language(language) in everything, one.id


def test_a_statement_that_nothing_cites_is_said_to_be_unused() -> None:
    unused = [s.id for s in knowledge().statements.values() if s.disposition == ["rejected"]]
    assert unused
    for cite in unused:
        assert said(rows(page("statements"))[cite].cells[5]) == "not used"


def test_a_limit_leads_to_the_rules_that_compare_with_it() -> None:
    used = [span.to for span in rows(page("thresholds"))["b12_low"].cells[4]]
    assert PageLink("b12-low") in used
    assert PageLink("vka-menatetrenone") not in used


def test_a_limit_of_the_scope_is_used_by_every_rule_that_has_no_scope_of_its_own() -> None:
    used = said(rows(page("thresholds"))["adult_age"].cells[4])
    rules = [rule for rule in knowledge().rules.values() if rule.kind == "rule"]
    assert len([rule for rule in rules if rule.applies]) == 1
    assert [rule.id for rule in rules if rule.title.en not in used] == [rule.id for rule in rules if rule.applies]


# --- words ---------------------------------------------------------------------------------------------------------


def test_no_placeholder_is_left_raw() -> None:
    for shown in all_pages():
        for span in shown.spans():
            assert "{" not in span.text, (shown.name, span.text)
            assert "\0" not in span.text


def test_an_english_page_marks_its_chinese_words_and_the_other_way_round() -> None:
    for shown in all_pages():
        for span in shown.spans():
            chinese = any("\u4e00" <= letter <= "\u9fff" for letter in span.text)
            if shown.language == "en" and shown.name != "value-sets":
                assert not chinese or span.language == "zh", (shown.name, span.text)
            if shown.language == "zh" and span.language == "en":
                assert not chinese, (shown.name, span.text)


@pytest.mark.parametrize(
    ("words", "english", "chinese"),
    [
        ({"below": "b12_low"}, "below 200 pg/mL", "低于200 pg/mL"),
        ({"at_most": "b12_low"}, "at most 200 pg/mL", "不高于200 pg/mL"),
        ({"above": "b12_low"}, "above 200 pg/mL", "高于200 pg/mL"),
        ({"at_least": "b12_low"}, "at least 200 pg/mL", "不低于200 pg/mL"),
        ({"known": True}, "recorded and usable", "有记录且可用"),
        ({"known": False}, "not recorded, or not usable", "无记录或不可用"),
    ],
)
def test_a_test_is_said_in_words(words: dict[str, object], english: str, chinese: str) -> None:
    asked = condition({"fact": "latest_serum_b12", **words})
    assert said(Phrases(knowledge(), "en").inline(asked)) == f"Serum vitamin B12: {english}"
    assert said(Phrases(knowledge(), "zh").inline(asked)) == f"血清维生素B12：{chinese}"


def test_a_limit_in_a_tree_says_since_when_and_on_what_it_rests() -> None:
    item = Phrases(knowledge(), "en").tree(condition({"fact": "latest_serum_b12", "below": "b12_low"}))
    assert said(item.spans).startswith("Serum vitamin B12: below 200 pg/mL (limit: Low serum B12, 200 pg/mL since ")
    assert said(item.spans).endswith(" S0-25)")


def test_parts_of_a_condition_in_one_line_keep_their_brackets() -> None:
    either = {"any": [{"fact": "takes_vka", "is": True}, {"fact": "takes_doac", "is": False}]}
    nested = {"all": [{"fact": "pregnant", "is": True}, either]}
    told = said(Phrases(knowledge(), "en").inline(condition({"not": nested})))
    assert told == "not (Pregnant: yes and (Vitamin K antagonist: yes or Direct oral anticoagulant: no))"


def test_a_tree_stands_below_the_word_that_joins_it() -> None:
    two = [{"fact": "pregnant", "is": True}, {"fact": "takes_vka", "is": False}]
    for word, english in (("all", "all of these hold: "), ("any", "at least one of these holds: ")):
        item = Phrases(knowledge(), "en").tree(condition({word: two}))
        assert said(item.spans) == english
        assert [said(child.spans) for child in item.children] == ["Pregnant: yes", "Vitamin K antagonist: no"]


def test_a_site_sees_its_own_value_beside_the_shipped_one() -> None:
    shipped = knowledge().thresholds["b12_low"]
    own = DatedValue(since=date(2026, 11, 20), value=210, decided="Ward 3")
    changed = knowledge_with(thresholds={"b12_low": shipped.model_copy(update={"values": [*shipped.values, own]})})
    values = Phrases(changed, "en").values(changed.thresholds["b12_low"])
    assert values == ["210 pg/mL since 20 Nov 2026, Ward 3", "200 pg/mL since 20 Nov 2025"]


@pytest.mark.parametrize(
    ("mode", "said_so"),
    [
        ({}, "yes"),
        ({"enabled": False}, "no"),
        ({"silent": True}, "judged and counted, never shown"),
        ({"enabled": False, "silent": True}, "no"),
    ],
)
def test_a_rule_page_says_whether_the_rule_is_on(mode: dict[str, bool], said_so: str) -> None:
    asked = rule("some-rule", {"fact": "pregnant", "is": True}, **mode)
    shown = Catalogue(knowledge_with(asked), knowledge_dir()).page("some-rule", "en")
    (glance,) = [block for block in shown.blocks if isinstance(block, Table) and block.caption == "At a glance"]
    assert ("Switched on by default", said_so) in [tuple(said(cell) for cell in row.cells) for row in glance.rows]


def test_every_limit_that_a_computed_fact_reads_is_told_where_it_decides() -> None:
    read = {limit for declared in COMPUTED.values() for limit in declared.thresholds}
    told = {limit for text in knowledge().computed.values() if text.detail for limit in text.detail.placeholders}
    assert told == read


def test_vitamin_k_for_reversal_is_explained_with_its_limits() -> None:
    item = Phrases(knowledge(), "en").fact("takes_reversal_course")
    given, begun = (said(child.spans) for child in item.children[-2:])
    assert "an INR of at least 4.5 in the 72 hours before" in given
    assert "not longer than 3 days and no daily dose without an end" in given
    assert begun == "What is already on the list must have begun in the last 7 days."


def test_a_limit_inside_a_program_leads_to_the_rules_that_rest_on_it() -> None:
    used = [span.to for span in rows(page("thresholds"))["reversal_inr"].cells[4]]
    assert PageLink("vka-vitk-reversal-context") in used
    assert PageLink("b12-low") not in used


def options(annotation: object) -> Iterator[str]:
    """The words that a member of the knowledge may hold."""
    for inner in get_args(annotation):
        yield from [inner] if isinstance(inner, str) else options(inner)


def test_there_are_words_for_everything_that_knowledge_may_say() -> None:
    """A value that no rule uses yet must not leave a gap on the page of the first one that does."""
    fact, rule_, source, statement = (one.model_fields for one in (FactDefinition, Rule, Source, Statement))
    keys = [*options(Hook), *options(Indicator), *options(Route), *options(Medicine.model_fields["route"].annotation)]
    keys += [f"dose_{word}" for word in options(fact["dose"].annotation)]
    keys += [*options(source["kind"].annotation), *options(source["seen"].annotation)]
    keys += [f"kind_{word}" for word in options(statement["kind"].annotation)]
    keys += [f"disposed_{word}" for word in options(statement["disposition"].annotation)]
    keys += [word if word != "active" else "active_status" for word in options(rule_["status"].annotation)]
    keys += [f"uses_{word}" for topic in knowledge().topics.values() for word in topic.attributes.uses]
    assert len(keys) > 55
    assert [key for key in keys if not has_words(key)] == []


# --- Markdown ------------------------------------------------------------------------------------------------------


def test_the_committed_pages_are_those_of_this_knowledge() -> None:
    there = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    stale = sorted(name for name in there.keys() | markdown().keys() if there.get(name) != markdown().get(name))
    assert stale == [], "run `make catalogue` and commit docs/rules"


def tokens(text: str) -> Iterator[Token]:
    for block in MarkdownIt("commonmark").enable("table").parse(text):
        yield block
        yield from block.children or ()


def test_every_link_in_markdown_leads_to_a_file_and_a_place_in_it() -> None:
    for name, text in markdown().items():
        for token in tokens(text):
            target = str(token.attrs.get("href", ""))
            if token.type != "link_open" or target.startswith("https://"):
                continue
            path, _, anchor = target.partition("#")
            there = (DOCS / name).parent / path if path else DOCS / name
            if there.suffix == ".csv":
                assert there.is_file(), (name, target)
                continue
            found = markdown().get(there.resolve().relative_to(DOCS).as_posix())
            assert found is not None, (name, target)
            assert not anchor or f'<a id="{anchor}"></a>' in found, (name, target)


def test_words_reach_the_reader_of_markdown_as_they_are() -> None:
    """What stands on a page stands in the rendered Markdown: nothing is eaten as markup."""
    shown = page("b12-low")
    kinds = ("text", "code_inline", "text_special")
    rendered = "".join(token.content for token in tokens(markdown()["b12-low.md"]) if token.type in kinds)
    for span in shown.spans():
        assert span.text.strip() in rendered, span


def test_every_table_of_markdown_is_read_as_a_table() -> None:
    for shown in (page("thresholds"), page("statements", "zh"), page("vka-menatetrenone")):
        name = ("zh/" if shown.language == "zh" else "") + f"{shown.name}.md"
        read = sum(token.type == "tr_open" for token in tokens(markdown()[name]))
        assert read == sum(len(block.rows) + 1 for block in shown.blocks if isinstance(block, Table))


def test_a_span_without_words_is_never_written() -> None:
    assert [span for shown in all_pages() for span in shown.spans() if span == Span("")] == []
