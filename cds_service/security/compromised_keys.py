"""Signing keys that anybody may hold, because their private part has been published (compromised_keys.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

_FILE = Path(__file__).resolve().parent / "compromised_keys.yaml"


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """By what such a key can be known; the thumbprint alone (RFC 7638) cannot be changed by who uses it."""

    issuers: frozenset[str]
    jku: frozenset[str]
    kids: frozenset[str]
    thumbprints: frozenset[str]


@lru_cache(maxsize=1)
def published_keys() -> PublishedKeys:
    entries = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return PublishedKeys(
        *(frozenset(value for entry in entries for value in entry[name]) for name in PublishedKeys.__slots__)
    )
