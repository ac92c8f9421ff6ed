"""Signing keys whose private part has been published (compromised_keys.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cds_service.yaml_file import YamlFile

_FILE = Path(__file__).resolve().parent / "compromised_keys.yaml"


@dataclass(frozen=True, slots=True)
class CompromisedKeys:
    """How compromised keys are recognised; only the thumbprint (RFC 7638) cannot be changed by the holder."""

    issuers: frozenset[str]
    jku: frozenset[str]
    kids: frozenset[str]
    thumbprints: frozenset[str]


@lru_cache(maxsize=1)
def compromised_keys() -> CompromisedKeys:
    entries = YamlFile(_FILE, _FILE.parent).data
    return CompromisedKeys(
        *(frozenset(value for entry in entries for value in entry[name]) for name in CompromisedKeys.__slots__)
    )
