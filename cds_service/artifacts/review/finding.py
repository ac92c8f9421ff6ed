"""What a review of a knowledge folder remarks, as `file:line: what, do this`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark. An error makes the knowledge unfit for use; a warning wants a look."""

    level: Literal["error", "warning"]
    where: str
    what: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: {self.level}: {self.what} {self.do}"
