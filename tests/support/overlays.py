"""Overlays of a site over the shipped knowledge."""

from __future__ import annotations

from pathlib import Path

from cds_service.artifacts.knowledge_base import KnowledgeBase
from cds_service.artifacts.overlay import with_overlay
from tests.support.kb import knowledge

HEAD = """\
site: A clinic
decisions:
  us:
    by: The board
    "on": 2026-10-01
    because: Our reasons.
"""


def laid(folder: Path, overlay: str, codes: str | None = None) -> KnowledgeBase:
    """The shipped knowledge under this overlay."""
    (folder / "overlay.yaml").write_text(overlay, encoding="utf-8")
    if codes is not None:
        (folder / "local_codes.csv").write_text(codes, encoding="utf-8")
    return with_overlay(knowledge(), folder)


def mode(rule: str, word: str) -> str:
    return f'{HEAD}rules:\n  {rule}: {{decision: us, mode: "{word}"}}\n'
