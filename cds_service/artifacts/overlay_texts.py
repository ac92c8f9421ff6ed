"""A rule with a site's words in place of its own: same conditions, same severity, same evidence on the card."""

from __future__ import annotations

from typing import Any

from cds_service.artifacts.forbidden_claims import forbidden, words_of
from cds_service.artifacts.overlay_schema import Reworded, RuleChange
from cds_service.artifacts.schema import CardText, Line, Rule
from cds_service.errors import KnowledgeError
from cds_service.languages import LANGUAGES
from cds_service.yaml_file import YamlFile


def reworded(rule: Rule, change: RuleChange, site: str, file: YamlFile, path: tuple[str, ...]) -> Rule:
    """The rule as the site words it.

    Args:
        site: its name; lines that it adds end with it, as others end with the documents behind them.
        file, path: where the change stands, for messages.
    Raises:
        KnowledgeError: a change fits nothing in the rule, drops evidence from a line, or claims what no card may.
    """
    if not change.rewords:
        return rule
    card = rule.card
    if card is None:
        raise KnowledgeError(file.where(*path), f"{rule.id} is a silence; it has no card.", "Only its mode can be set.")
    details = [card.detail, *(variant.detail for variant in rule.variants if variant.detail is not None)]
    lines = [line for detail in details for line in detail]
    others = {_meant(lines, one, file, (*path, "lines", index)): one for index, one in enumerate(change.lines)}
    added = [
        Line.model_validate(
            {"part": "mind"} | {code: f"{words} *({site})*" for code, words in text.by_language.items()}
        )
        for text in change.add_lines
    ]

    def worded(detail: list[Line]) -> list[Line]:
        return [_worded(line, others) for line in detail]

    for name in change.variants:
        if name not in {variant.id for variant in rule.variants}:
            raise KnowledgeError(
                file.where(*path, "variants", name), f"{rule.id} has no variant {name}.", "See the rule's file."
            )
    variants = []
    for variant in rule.variants:
        update: dict[str, Any] = {}
        if variant.detail is not None:
            # Without lines of that part it shows those of the card, and with them what was added there.
            has_own = any(line.part == "mind" for line in variant.detail)
            update["detail"] = [*worded(variant.detail), *(added if has_own else ())]
        if variant.id in change.variants:
            update["summary"] = change.variants[variant.id].summary
        variants.append(variant.model_copy(update=update))
    made = rule.model_copy(update={"card": _card(card, change, [*worded(card.detail), *added]), "variants": variants})
    if fault := next(forbidden(words_of(made)), None):
        raise KnowledgeError(file.where(*path), f"the text {fault}.", "Reword it.")
    return made


def _card(card: CardText, change: RuleChange, detail: list[Line]) -> CardText:
    reasons = list(dict.fromkeys((*card.override_reasons, *change.override_reasons)))
    return card.model_copy(
        update={"summary": change.summary or card.summary, "detail": detail, "override_reasons": reasons}
    )


def _meant(lines: list[Line], one: Reworded, file: YamlFile, path: tuple[str | int, ...]) -> str:
    """The English line that gets other words."""
    found = list(dict.fromkeys(line.en for line in lines if line.en.startswith(one.begins)))
    if len(found) != 1:
        what = "no line of the rule begins so" if not found else "two lines of the rule begin so"
        raise KnowledgeError(
            file.where(*path), f"{what}.", "Copy the beginning of the English line from the rule's file."
        )
    old = next(line for line in lines if line.en == found[0])
    if old.placeholders != one.placeholders:
        wanted = ", ".join(f"{{{name}}}" for name in sorted(old.placeholders)) or "none"
        raise KnowledgeError(
            file.where(*path), "the line shows other evidence than before.", f"Use the same placeholders: {wanted}."
        )
    return found[0]


def _worded(line: Line, others: dict[str, Reworded]) -> Line:
    other = others.get(line.en)
    return line if other is None else line.model_copy(update={code: getattr(other, code) for code in LANGUAGES})
