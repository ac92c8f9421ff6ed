"""Types of decoded JSON objects and of JSON values that are not decoded yet."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]

_NULL = b"null"


def is_null(raw: msgspec.Raw) -> bool:
    """Whether an undecoded value is JSON null; a large value is not copied."""
    return len(raw) == len(_NULL) and bytes(raw) == _NULL
