"""Parses a JWK Set (RFC 7517) into the public keys that may verify signatures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.utils import base64url_encode

from cds_service.errors import SettingsError

PublicKey = RSAPublicKey | EllipticCurvePublicKey

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
# RFC 7518, 3.4: each of these algorithms has one curve.
_BY_CURVE = {"P-256": frozenset({"ES256"}), "P-384": frozenset({"ES384"}), "P-521": frozenset({"ES512"})}
# RFC 7518, 3.3, requires at least 2048 bits; verifying with a key above the upper size would block a thread.
_RSA_BITS = range(2048, 8193)
_MADE_OF = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}
# RFC 7518, 6: private members; `k` is a shared secret.
_SECRET = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class Key:
    """A public key.

    Attributes:
        algorithms: algorithms it may verify; more than one if the set names none.
        thumbprint: RFC 7638, SHA-256.
    """

    kid: str
    algorithms: frozenset[str]
    public: PublicKey
    thumbprint: str


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a set, by `kid`. Keys of different kinds may share one.

    Attributes:
        secrets: the set also holds private or symmetric keys. They are not used.
    """

    keys: Mapping[str, tuple[Key, ...]]
    secrets: bool

    def __contains__(self, kid: str) -> bool:
        return kid in self.keys

    def __iter__(self) -> Iterator[Key]:
        return (key for keys in self.keys.values() for key in keys)

    def find(self, kid: str) -> tuple[Key, ...]:
        return self.keys.get(kid, ())


def parse_key_set(content: bytes) -> KeySet | None:
    """The keys of a JWK Set; None if the content is not one.

    RFC 7517, 5: keys that are not understood, incomplete or out of range are left out; so are keys without `kid`,
    for another use, or with private members.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return None
    keys: dict[str, tuple[Key, ...]] = {}
    for entry in listed:
        key = _key(entry) if isinstance(entry, dict) else None
        if key is not None:
            keys[key.kid] = (*keys.get(key.kid, ()), key)
    return KeySet(keys, any(isinstance(entry, dict) and _SECRET & entry.keys() for entry in listed))


def read_key_file(path: Path, where: str) -> KeySet:
    """The keys of a file that a client handed over.

    Args:
        where: beginning of error messages: the setting or file that names this file.
    Raises:
        SettingsError: it cannot be read, is not a JWK Set, holds a secret, or has no usable key.
    """
    try:
        found = parse_key_set(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{where}: {path} cannot be read. Give the client's JWK Set.") from error
    if found is None:
        raise SettingsError(f'{where}: {path} is not a JWK Set. Give a JSON file like {{"keys": [...]}}.')
    if found.secrets:
        raise SettingsError(
            f"{where}: {path} holds a private or symmetric key; every reader of the file could act as the client."
            " Have the client make a new key pair and hand over the public part only."
        )
    if not found.keys:
        raise SettingsError(
            f"{where}: {path} holds no usable key. Give a public key with a kid: EC (P-256, P-384, P-521), or RSA of"
            " 2048 bits or more, for use sig."
        )
    return found


def _key(jwk: dict[str, Any]) -> Key | None:
    kid, kind, curve, named = (jwk.get(name) for name in ("kid", "kty", "crv", "alg"))
    if not isinstance(kid, str) or not kid or _SECRET & jwk.keys() or not _verifies_signatures(jwk):
        return None
    algorithms = _RSA if kind == "RSA" else _BY_CURVE.get(str(curve)) if kind == "EC" else None
    if algorithms and named is not None:
        algorithms &= {str(named)}
    parts = {name: jwk.get(name) for name in _MADE_OF.get(str(kind), ())}
    if not algorithms or not all(isinstance(part, str) for part in parts.values()):
        return None
    try:
        public = jwt.PyJWK(parts, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, ValueError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size not in _RSA_BITS:
        return None
    return Key(kid, algorithms, public, thumbprint(public))


def _verifies_signatures(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops")
    return jwk.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def thumbprint(public: PublicKey) -> str:
    """The thumbprint of a key: RFC 7638, SHA-256 over its required members."""
    kind = "RS256" if isinstance(public, RSAPublicKey) else "ES256"
    made = jwt.get_algorithm_by_name(kind).to_jwk(public, as_dict=True)
    required = {name: made[name] for name in _MADE_OF[made["kty"]]}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":")).encode()).digest()
    return base64url_encode(digest).decode()
