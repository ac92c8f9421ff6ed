"""What the process logged, line by line."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import msgspec


class LogFile(BytesIO):
    """What the process logged."""

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        lines = [msgspec.json.decode(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if event is None or line["event"] == event]
