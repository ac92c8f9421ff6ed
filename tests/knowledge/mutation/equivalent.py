"""Mutants that no worked patient notices: those that say the same as the knowledge, with the reason, and the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def equivalents() -> dict[str, str]:
    """Mutant id to the reason, in words, why no patient could notice it."""
    groups = _read("equivalent.yaml")
    return {mutant: group["because"] for group in groups for mutant in group["mutants"]}


def unnoticed() -> frozenset[str]:
    """Ids of mutants that a patient could notice and none does yet. Each is a worked patient that is wanted."""
    return frozenset(_read("unnoticed.yaml"))


def _read(name: str) -> Any:
    return yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
