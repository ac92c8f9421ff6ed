"""review_limits.yaml to the limits beyond which the use of a rule calls for somebody to look at it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from cds_service.artifacts.text import Id, Indicator, Plain, Strict
from cds_service.yaml_file import YamlFile

FILE = "review_limits.yaml"


class ReviewLimit(Strict):
    """One limit.

    indicator: only cards of this severity count; without it, all cards of the rule.
    overridden_above: per cent of the answered cards.
    shown_at_least: a rule that was shown less often is not judged by this limit.
    """

    id: Id
    indicator: Indicator | None = None
    overridden_above: Annotated[float, Field(ge=0, lt=100)]
    shown_at_least: Annotated[int, Field(ge=1)]
    action: Plain
    source: Plain

    def crossed(self, shown: int, accepted: int, overridden: int) -> bool:
        """Whether these cards, all of one rule and of this limit's severity, are beyond it."""
        answered = accepted + overridden
        return shown >= self.shown_at_least and 100 * overridden > self.overridden_above * answered


class ReviewLimits(Strict):
    """The file. few_answers: a share of fewer is told as such."""

    few_answers: Annotated[int, Field(ge=1)]
    limits: list[ReviewLimit]

    @field_validator("limits")
    @classmethod
    def _each_once(cls, value: list[ReviewLimit]) -> list[ReviewLimit]:
        if len({limit.id for limit in value}) < len(value):
            raise ValueError("two limits have one id")
        return value


def read_review_limits(root: Path) -> ReviewLimits:
    """The limits of a knowledge folder.

    Raises:
        KnowledgeError: the file is wrong or is not there, worded as `file:line: what, do this`.
    """
    file = YamlFile(root / FILE, root)
    return file.parse(ReviewLimits, file.data)
