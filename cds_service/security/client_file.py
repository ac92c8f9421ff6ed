"""Reads the client file into checked profiles. It is YAML with one member `clients`, a list of profiles.

    clients:
      - name: city-hospital
        like: epic
        issuers: [https://ehr.city.example/api/FHIR/R4]
        jku: [https://ehr.city.example/api/epic/2019/Security/Open/PublicKeys/cds]

`like` names a file of the folder `ready`: the switches that suit a kind of client, without secrets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from cds_service.egress.bases import base_of
from cds_service.errors import KnowledgeError, SettingsError
from cds_service.security.clients import OPEN, ClientProfile
from cds_service.security.compromised_keys import compromised_keys
from cds_service.security.keys import read_key_file
from cds_service.yaml_file import YamlFile

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_ANYBODY = "this client's private key has been published, so anybody could use it. Only with CDS_SANDBOX=1"
READY = Path(__file__).resolve().parent / "ready"


def ready_names() -> list[str]:
    """The values that `like` may have."""
    return sorted(file.stem for file in READY.glob("*.yaml"))


def load_profiles(path: Path, *, sandbox: bool = False) -> tuple[ClientProfile, ...]:
    """The profiles in a client file.

    Args:
        sandbox: key sets may be fetched by plain http, and published test keys may be trusted.
    Raises:
        SettingsError: the file cannot be read, or a profile has an unknown, repeated or invalid member.
    """
    file = _read_yaml(path)
    document = file.data
    if not isinstance(document, dict) or list(document) != ["clients"] or not isinstance(document["clients"], list):
        raise _fault(path, "the file must have exactly one member, `clients`, and it must be a list. Correct it")
    profiles = tuple(_profile(path, file, index, sandbox) for index in range(len(document["clients"])))
    _each_once(path, "two clients have the same name", [profile.name for profile in profiles])
    _each_once(path, "two clients have the same issuer", [iss for profile in profiles for iss in profile.issuers])
    return profiles


def _profile(path: Path, file: YamlFile, index: int, sandbox: bool) -> ClientProfile:
    entry = file.data["clients"][index]

    def fault(what: str, *member: str | int) -> SettingsError:
        return _fault(f"{path}:{file.line(('clients', index, *member))}", what)

    if not isinstance(entry, dict):
        raise fault(f"client {index + 1} is not a list of members. Begin it with `name:`")
    named = f"client {index + 1}" + (f" ({entry['name']})" if isinstance(entry.get("name"), str) else "")
    like = entry.get("like")
    if like is not None and like not in ready_names():
        raise fault(f"{named}: like: there is no such ready profile. Write one of {', '.join(ready_names())}", "like")
    members = (_read_yaml(READY / f"{like}.yaml").data or {}) | entry if like is not None else entry
    try:
        profile = ClientProfile.model_validate(members)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        member = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise fault(f"{named}: {member}: {message}. Correct or remove it", *first["loc"]) from error
    files = {name: path.parent / given for name in ("keys", "smart_client_secret") if (given := getattr(profile, name))}
    if files:
        profile = profile.model_copy(update=files)
    for wrong in (_identity(profile), _address(profile, sandbox), _published(profile, sandbox), _smart(profile)):
        if wrong is not None:
            raise fault(f"{named}: {wrong}")
    if profile.keys is not None:
        held = read_key_file(
            profile.keys, f"CDS_CLIENTS: {path}:{file.line(('clients', index, 'keys'))}: {named}: keys"
        )
        if not sandbox and any(key.thumbprint in compromised_keys().thumbprints for key in held):
            raise fault(f"{named}: keys: {_ANYBODY}", "keys")
    return profile


def _identity(profile: ClientProfile) -> str | None:
    """Why no caller could be identified as this client, or every caller would be."""
    identified = bool(profile.issuers or profile.jku or profile.keys)
    if profile.name == OPEN.name:
        return "issuers: `open` is the profile of every caller in open mode. Rename this client" if identified else None
    if not profile.issuers:
        return "issuers: without one no token belongs to this client. Name the `iss` of its tokens"
    if not profile.jku and profile.keys is None:
        return "jku: without keys its tokens cannot be checked. Name the address of its key set, or give a file `keys`"
    return None


def _address(profile: ClientProfile, sandbox: bool) -> str | None:
    """Which address can never be called, or not safely."""
    for member in ("jku", "fhir_servers"):
        if not all(map(_may_be_called, getattr(profile, member))):
            return (
                f"{member}: an entry is not a plain URL, or an address that is never called. Write it like "
                "https://ehr.example/path, without a query"
            )
    if not sandbox and any(not url.lower().startswith("https://") for url in profile.jku):
        return "jku: keys sent over plain http could be replaced on the way. Give an https address"
    if not all(_ORIGIN.fullmatch(origin) for origin in profile.cors_origins):
        return "cors_origins: an entry is not an origin. Write it like https://ehr.example, without a path"
    return None


def _may_be_called(url: str) -> bool:
    try:
        base_of(url)
    except SettingsError:
        return False
    return True


def _smart(profile: ClientProfile) -> str | None:
    """Why the page can never be opened from this client's EHR, or not safely."""
    if profile.smart_client_id is None:
        given = profile.smart_client_secret is not None or bool(profile.smart_servers)
        return (
            "smart_client_id: without it the other smart members have no effect. Give the registered id"
            if given
            else None
        )
    if not profile.fhir_servers:
        return "fhir_servers: a launch names its FHIR server, and none is listed. List it"
    for member in ("fhir_servers", "smart_servers"):
        if not all(url.lower().startswith("https://") for url in getattr(profile, member)):
            return f"{member}: a launch sends a token for a patient's record, so https is required. Give https"
    if not all(map(_may_be_called, profile.smart_servers)):
        return "smart_servers: an entry is not a plain URL. Write it like https://login.example/oauth2"
    if profile.smart_client_secret is not None and not read_secret(profile.smart_client_secret):
        return "smart_client_secret: there is no such file, or it is not one line. Give a file that holds the secret"
    return None


def read_secret(path: Path) -> str:
    """The single line of a secret's file; "" if the file cannot be read or is not one line."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _published(profile: ClientProfile, sandbox: bool) -> str | None:
    known = compromised_keys()
    if not sandbox and (known.issuers.intersection(profile.issuers) or known.jku.intersection(profile.jku)):
        return f"issuers: {_ANYBODY}"
    return None


def _each_once(path: Path, what: str, values: Sequence[str]) -> None:
    if len(values) != len(set(values)):
        raise _fault(path, f"{what}. Give each its own")


def _fault(where: Path | str, what: str) -> SettingsError:
    return SettingsError(f"CDS_CLIENTS: {where}: {what}.")


def _read_yaml(path: Path) -> YamlFile:
    try:
        return YamlFile(path, path.parent, "docs/clients.md")
    except KnowledgeError as error:
        raise SettingsError(f"CDS_CLIENTS: {path.parent / str(error)}") from error
