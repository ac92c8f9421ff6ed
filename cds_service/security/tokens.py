"""Parses and checks a client's token (JWT).

PyJWT verifies the signature. The claims are checked here, because PyJWT reads the clock itself and accepts times that
are written as text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
from jwt.utils import base64url_decode

from cds_service.errors import Unauthorized
from cds_service.security.clients import ASYMMETRIC, ClientProfile
from cds_service.security.keys import Key

# Tolerated difference between two clocks; CDS Hooks does not state one.
LEEWAY = 60
_LONGEST = 16_000
_LONGEST_ID = 500
_END_OF_TIME = 1e11  # in seconds; below the limit of datetime
# Restricted to asymmetric algorithms, so it can accept neither `none` nor shared secrets.
_jws = jwt.PyJWS(algorithms=ASYMMETRIC)


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a token. Untrusted until `check_signature` has passed.

    Attributes:
        text: the token itself.
        claims: its payload.
    """

    text: str = field(repr=False)
    algorithm: str
    kid: str
    jku: str | None
    issuer: str
    claims: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenUse:
    """What the replay check needs of an otherwise valid token, and its tenant."""

    issuer: str
    jti: str
    expires: float
    tenant: str | None


def read_token(authorization: str | None) -> Token:
    """The token of an Authorization header.

    Raises:
        Unauthorized: there is none, or it is not a JWT with the members that CDS Hooks requires.
    """
    if not authorization:
        raise Unauthorized("There is no Authorization header.")
    scheme, _, text = authorization.partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text or not text.isascii() or len(text) > _LONGEST:
        raise Unauthorized("The Authorization header is not Bearer with a token.")
    try:
        parts = _jws.decode_complete(text, options={"verify_signature": False})
        for part in (base64url_decode(text.partition(".")[0]), parts["payload"]):
            json.loads(part, object_pairs_hook=_refuse_duplicates)
        claims = msgspec.json.decode(parts["payload"])
    except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unauthorized("The token is not a JWT.") from error
    header = parts["header"]
    kind, algorithm, kid, jku = (header.get(name) for name in ("typ", "alg", "kid", "jku"))
    # RFC 7519, 5.1: JWT in capitals is recommended, not required.
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise Unauthorized("The token's header has no typ JWT.")
    if not isinstance(algorithm, str) or algorithm not in ASYMMETRIC:
        raise Unauthorized("The token is not signed with an asymmetric algorithm.")
    if not isinstance(kid, str) or not kid:
        raise Unauthorized("The token's header has no kid.")
    if jku is not None and not isinstance(jku, str):
        raise Unauthorized("The token's jku is not text.")
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    if not isinstance(issuer, str):
        raise Unauthorized("The token has no iss.")
    return Token(text, algorithm, kid, jku, issuer, claims)


def check_claims(token: Token, profile: ClientProfile, endpoints: Collection[str], now: float) -> TokenUse:
    """Checks the claims of a token for a call of one of these endpoints now.

    Args:
        endpoints: allowed values of `aud`, besides those agreed on with the client.
        now: seconds since 1970.
    Raises:
        Unauthorized: a claim is missing or wrong.
    """
    claims = token.claims
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if issued is None or expires is None:
        raise Unauthorized("The token has no iat and exp that are numbers.")
    if expires <= now - LEEWAY:
        raise Unauthorized("The token has expired.")
    if issued > now + LEEWAY:
        raise Unauthorized("The token was issued in the future. Compare the clocks.")
    if not 0 < expires - issued <= profile.max_token_age:
        raise Unauthorized("The token is valid for longer than agreed (max_token_age), or ends before it begins.")
    if "nbf" in claims:
        begins = _time(claims, "nbf")
        if begins is None or begins > now + LEEWAY:
            raise Unauthorized("The token is not valid yet (nbf).")
    if not _is_for(claims.get("aud"), endpoints, profile.audiences):
        raise Unauthorized("The token's aud is not the URL called, as CDS_PUBLIC_URL makes it, nor one agreed on.")
    jti, tenant = claims.get("jti"), claims.get("tenant")
    if not isinstance(jti, str) or not jti.strip() or len(jti) > _LONGEST_ID:
        raise Unauthorized("The token has no jti.")
    if tenant is not None and not isinstance(tenant, str):
        raise Unauthorized("The token's tenant is not text.")
    return TokenUse(token.issuer, jti, expires, tenant)


def check_signature(token: Token, keys: Iterable[Key]) -> None:
    """Raises Unauthorized unless one of these keys verifies the signature with the token's algorithm."""
    usable = [key for key in keys if token.algorithm in key.algorithms]
    if not usable:
        raise Unauthorized("The client has no key of the token's kid for the token's algorithm.")
    for key in usable:
        try:
            _jws.decode_complete(token.text, key.public, [token.algorithm])
        except jwt.PyJWTError:
            continue
        return
    raise Unauthorized("The token's signature is wrong.")


def _refuse_duplicates(members: list[tuple[str, Any]]) -> None:
    """Raises ValueError for a repeated name (RFC 7515, 4; RFC 7519, 4): two parsers could read different tokens."""
    if len({name for name, _ in members}) != len(members):
        raise ValueError("a member twice")


def _time(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    # Neither text nor NaN, nor an integer beyond the range of dates.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _END_OF_TIME:
        return None
    return value


def _is_for(audience: Any, endpoints: Collection[str], agreed: Collection[str]) -> bool:
    named = audience if isinstance(audience, list) else [audience]
    return any(isinstance(url, str) and (url in agreed or _plain(url) in endpoints) for url in named)


def _plain(url: str) -> str:
    """A URL without the extra slashes that our routes tolerate."""
    return url.removesuffix("/").replace("/cds-services//", "/cds-services/", 1)
