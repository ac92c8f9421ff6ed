"""Keys, key sets and signed tokens, as a CDS client makes them.

ehr = Signer("https://ehr.example/fhir")
headers = ehr.bearer("https://cds.example/cds-services")
with key_server(ehr) as url: ...        # its JWK Set on loopback, for `jku`
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.fault_server import fault_server, resource

_CURVES: dict[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
Json = dict[str, Any]

# The key pair and the token that the text of CDS Hooks shows as an example (Trusting CDS Clients).
EXAMPLE_KEY = {
    "kty": "EC",
    "use": "sig",
    "crv": "P-384",
    "kid": "example-kid",
    "x": "46SDH7Znh821wblCBglA61sNE9ZrHYKKt3qRtRTmSXyOI_FIGBLWrWa0GPUkDCEk",
    "y": "XMcRuuoGW7CXjQdy-F5i3FeBE0x9hPLdeFdSoDd3ELmx404tLX0VRRcqzAsPhXcI",
    "alg": "ES384",
}
EXAMPLE_TOKEN = (
    "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUta2lkIiwiamt1IjoiaHR0cHM6Ly9maGlyLWVoci5leGFtcGxlLmNvbS9q"
    "d2tfdXJpIn0.eyJpc3MiOiJodHRwczovL2ZoaXItZWhyLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vY2RzLmV4YW1wbGUub3JnL2Nkcy1z"
    "ZXJ2aWNlcy9zb21lLXNlcnZpY2UiLCJleHAiOjE0MjI1Njg4NjAsImlhdCI6MTMxMTI4MDk3MCwianRpIjoiZWUyMmIwMjEtZTFiNy00NjExLWJh"
    "NWItOGVlYzZhMzNhYzFlIiwidGVuYW50IjoiMmRkZDZjM2EtOGU5YS00NGM2LWEzMDUtNTIxMTFhZDMwMmEyIn0.d1WfLjGRKlcWB94l9do4cM8R"
    "EXeYJLL6SGUBO8VHZhfM8mwKYP70EMxJ67War4TQblEpaQrp11wx5p7oPFm2ETYgCicS84vXWEIYTdjooZdooCSDf2L8-i4awdoUwiEb"
)


class Signer:
    """A client with one key pair.

    Args:
        issuer: what its tokens say as `iss`.
        algorithm: what it signs with; decides what kind of key it has.
        jku: what the header of its tokens says as `jku`; nothing if None.
        bits: size of an RSA key.
    """

    def __init__(
        self, issuer: str, algorithm: str = "ES384", *, kid: str = "key-1", jku: str | None = None, bits: int = 2048
    ) -> None:
        self.issuer, self.algorithm, self.kid, self.jku = issuer, algorithm, kid, jku
        self.key = (
            ec.generate_private_key(_CURVES[algorithm]())
            if algorithm in _CURVES
            else rsa.generate_private_key(public_exponent=65_537, key_size=bits)
        )

    def jwk(self, **changes: Any) -> Json:
        """Its public key; `...` takes a member out."""
        made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key(), as_dict=True)
        return _changed({**made, "kid": self.kid, "use": "sig", "alg": self.algorithm}, changes)

    def private_jwk(self) -> Json:
        made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key, as_dict=True)
        return {**made, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def claims(self, audience: str | list[str], **changes: Any) -> Json:
        """What a token says: five minutes long and never used before; `...` takes a claim out."""
        now = int(time.time())
        said = {"iss": self.issuer, "aud": audience, "iat": now, "exp": now + 300, "jti": str(uuid4())}
        return _changed(said, changes)

    def token(self, audience: str | list[str], *, header: Json | None = None, **claims: Any) -> str:
        """A signed token for a URL; `header` and `claims` replace what it says, `...` takes it out."""
        head = {"kid": self.kid} | ({"jku": self.jku} if self.jku else {})
        return self.sign(self.claims(audience, **claims), **(head | (header or {})))

    def sign(self, claims: Any, **header: Any) -> str:
        """Any claims under any header, signed with its own key and, unless the header says so, its own algorithm."""
        head = _changed({"typ": "JWT", "alg": self.algorithm}, header)
        return signed(self.algorithm, self.key, head, claims)

    def bearer(self, audience: str | list[str], **claims: Any) -> dict[str, str]:
        """The header of a call."""
        return {"Authorization": f"Bearer {self.token(audience, **claims)}"}


def signed(algorithm: str, key: Any, header: Json, claims: Any) -> str:
    """A token whose header may lie about how it was signed."""
    content = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    start = ".".join(jwt.utils.base64url_encode(part).decode() for part in (json.dumps(header).encode(), content))
    made = jwt.get_algorithm_by_name(algorithm)
    signature = made.sign(start.encode(), made.prepare_key(key))
    return f"{start}.{jwt.utils.base64url_encode(signature).decode()}"


def key_set(*signers: Signer) -> Json:
    """The JWK Set with their public keys."""
    return {"keys": [signer.jwk() for signer in signers]}


def write_key_set(path: Path, *signers: Signer) -> Path:
    path.write_text(json.dumps(key_set(*signers)), encoding="utf-8")
    return path


@contextmanager
def key_server(*signers: Signer) -> Iterator[str]:
    """Serves their key set on loopback while it runs; gives the address."""
    with fault_server() as server:
        server.routes["jwks.json"] = resource(key_set(*signers))
        yield f"{server.base}/jwks.json"


def _changed(members: Json, changes: Json) -> Json:
    return {name: value for name, value in (members | changes).items() if value is not ...}
