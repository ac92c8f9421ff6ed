"""The list of mutants that say the same as the knowledge, each with the reason."""

from __future__ import annotations

from pathlib import Path

import yaml


def equivalents() -> dict[str, str]:
    """Mutant id to the reason, in words, why no patient could notice it."""
    path = Path(__file__).with_name("equivalent.yaml")
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {mutant: group["because"] for group in groups for mutant in group["mutants"]}
