"""Clients that a closed service of the tests knows, what they send, and why they are refused.

`ehr` signs with ES384 or RS384 and has handed over its keys, the others show one switch each.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from tests.support.feedback import OVERRIDDEN
from tests.support.recorder import VIEW
from tests.support.signing import Signer, key_set

BASE = "https://cds.example/hospital"
DISCOVERY = "/cds-services"
FEEDBACK = f"{VIEW}/feedback"
REPORT = {"feedback": [OVERRIDDEN]}
JKU = "https://ehr.example/keys"
EHR = Signer("https://ehr.example/fhir", kid="es")
EHR_RSA = Signer(EHR.issuer, "RS384", kid="rs+/=", jku=JKU)
STRANGER = Signer(EHR.issuer, kid="es")
RS256 = Signer("https://rs256.example", "RS256", kid="a")
TENANTS = Signer("https://tenants.example", kid="a")
NARROW = Signer("https://narrow.example", kid="a")
LENIENT = Signer("https://lenient.example", kid="a")
SIGNERS = [EHR, EHR_RSA, RS256, TENANTS, NARROW, LENIENT]
OTHER_KEY = Signer("x", kid="other")
MEMBERS: dict[str, dict[str, Any]] = {
    EHR.issuer: {"name": "ehr", "jku": [JKU]},
    RS256.issuer: {"name": "rs256", "algorithms": ["RS256"]},
    TENANTS.issuer: {"name": "tenants", "tenants": ["north", "south"]},
    NARROW.issuer: {"name": "narrow", "services": ["vitamin-b12"], "cors_origins": ["https://app.example"]},
    LENIENT.issuer: {"name": "lenient", "audiences": ["sand_man"], "max_token_age": 7_200},
}


def client_file(folder: Path, members: dict[str, dict[str, Any]] = MEMBERS, *more: Any) -> Path:
    """A client file for the signers, with their keys beside it."""
    clients = []
    for issuer, profile in members.items():
        keys = key_set(*[signer for signer in SIGNERS if signer.issuer == issuer])
        (folder / f"{profile['name']}.json").write_text(json.dumps({"keys": [*keys["keys"], *more]}))
        clients.append({"issuers": [issuer], "keys": f"{profile['name']}.json", **profile})
    path = folder / "clients.yaml"
    path.write_text(yaml.safe_dump({"clients": clients}))
    return path


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def said(**claims: Any) -> dict[str, str]:
    return EHR.bearer(BASE + VIEW, **claims)


def headed(**header: Any) -> dict[str, str]:
    return bearer(EHR.token(BASE + VIEW, header=header))


def at(seconds: int) -> int:
    return int(time.time()) + seconds


# Why a token is refused, as the log tells it.
NOT_BEARER = "The Authorization header is not Bearer with a token."
NO_JWT = "The token is not a JWT."
NO_TYP = "The token's header has no typ JWT."
NO_KID = "The token's header has no kid."
SYMMETRIC = "The token is not signed with an asymmetric algorithm."
NOT_AGREED = "The token's algorithm is not one agreed on (algorithms)."
NO_KEY = "The client has no key of the token's kid for the token's algorithm."
SIGNATURE = "The token's signature is wrong."
NO_ISS = "The token has no iss."
UNKNOWN = "No client has the token's iss."
AUDIENCE = "The token's aud is not the URL called, as CDS_PUBLIC_URL makes it, nor one agreed on."
TIMES = "The token has no iat and exp that are numbers."
EXPIRED = "The token has expired."
FUTURE = "The token was issued in the future. Compare the clocks."
TOO_LONG = "The token is valid for longer than agreed (max_token_age), or ends before it begins."
NOT_YET = "The token is not valid yet (nbf)."
NO_JTI = "The token has no jti."
TENANT_TEXT = "The token's tenant is not text."
BAD_JKU = "The token's jku is not one agreed on (jku)."
PUBLISHED = "The private part of the token's key has been published; only a sandbox (CDS_SANDBOX=1) accepts it."


def one_client(folder: Path) -> Path:
    """A client file with which an app can be closed; nobody holds that client's keys."""
    path = folder / "one-client.yaml"
    path.write_text("clients: [{name: ehr, issuers: [https://ehr.example], jku: [https://ehr.example/keys]}]\n")
    return path
