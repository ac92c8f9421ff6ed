"""The client file to checked profiles: YAML with one member `clients`, a list of profiles.

    clients:
      - name: city-hospital
        like: epic
        issuers: [https://ehr.city.example/api/FHIR/R4]
        jku: [https://ehr.city.example/api/epic/2019/Security/Open/PublicKeys/cds]

`like` names a file of the folder `ready`: the switches that suit a kind of client, without anything secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cds_service.egress.egress import Egress
from cds_service.errors import SettingsError
from cds_service.security.clients import OPEN, ClientProfile
from cds_service.security.compromised_keys import published_keys
from cds_service.security.keys import read_key_file

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_ANYBODY = "this client's private key has been published, so anybody could be it. Only with CDS_SANDBOX=1"
READY = Path(__file__).resolve().parent / "ready"


def ready_names() -> list[str]:
    """The names that `like` may have."""
    return sorted(file.stem for file in READY.glob("*.yaml"))


def load_profiles(path: Path, *, sandbox: bool = False) -> tuple[ClientProfile, ...]:
    """The profiles in a client file.

    Args:
        sandbox: key sets may be fetched by plain http, and published test keys may be trusted.
    Raises:
        SettingsError: the file cannot be read, or a profile has a member that is unknown, repeated, or cannot be right.
    """
    document = _read_yaml(path)
    if not isinstance(document, dict) or list(document) != ["clients"] or not isinstance(document["clients"], list):
        raise _fault(path, "the file must have one member, `clients`, that is a list. Write it so")
    profiles = tuple(_profile(path, number, entry, sandbox) for number, entry in enumerate(document["clients"], 1))
    _each_once(path, "two clients have the same name", [profile.name for profile in profiles])
    _each_once(path, "two clients have the same issuer", [iss for profile in profiles for iss in profile.issuers])
    return profiles


def _profile(path: Path, number: int, entry: Any, sandbox: bool) -> ClientProfile:
    if not isinstance(entry, dict):
        raise _fault(path, f"client {number} is not a list of members. Begin it with `name:`")
    named = f"client {number}" + (f" ({entry['name']})" if isinstance(entry.get("name"), str) else "")
    like = entry.get("like")
    if like is not None and like not in ready_names():
        raise _fault(path, f"{named}: like: there is no such ready profile. Write one of {', '.join(ready_names())}")
    members = (_read_yaml(READY / f"{like}.yaml") or {}) | entry if like is not None else entry
    try:
        profile = ClientProfile.model_validate(members)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        member = ".".join(str(part) for part in fault["loc"])
        said = fault["msg"].removeprefix("Value error, ")
        raise _fault(path, f"{named}: {member}: {said}. Correct it or take it out") from error
    beside = {name: path.parent / file for name in ("keys", "smart_client_secret") if (file := getattr(profile, name))}
    if beside:
        profile = profile.model_copy(update=beside)
    for wrong in (_nobody(profile), _address(profile, sandbox), _published(profile, sandbox), _smart(profile)):
        if wrong is not None:
            raise _fault(path, f"{named}: {wrong}")
    if profile.keys is not None:
        held = read_key_file(profile.keys, f"CDS_CLIENTS: {path}: {named}: keys")
        if not sandbox and any(key.thumbprint in published_keys().thumbprints for key in held):
            raise _fault(path, f"{named}: keys: {_ANYBODY}")
    return profile


def _nobody(profile: ClientProfile) -> str | None:
    """Why nobody could ever be identified as this client, or everybody would be."""
    identified = bool(profile.issuers or profile.jku or profile.keys)
    if profile.name == OPEN.name:
        return "issuers: the client `open` is everybody in open mode. Give it another name" if identified else None
    if not profile.issuers:
        return "issuers: without one nobody can be this client. Name the `iss` of its tokens"
    if not profile.jku and profile.keys is None:
        return "jku: without keys no token of it can be checked. Name the address of its key set, or give a file `keys`"
    return None


def _address(profile: ClientProfile, sandbox: bool) -> str | None:
    """Which address could never be called, or never safely."""
    for member in ("jku", "fhir_servers"):
        for url in getattr(profile, member):
            try:
                Egress([url])
            except SettingsError:
                return (
                    f"{member}: an entry is no plain URL, or an address that is never called. Write it like "
                    "https://ehr.example/path, without a query"
                )
    if not sandbox and any(not url.lower().startswith("https://") for url in profile.jku):
        return "jku: keys that come by plain http could be anybody's. Give an https address"
    if not all(_ORIGIN.fullmatch(origin) for origin in profile.cors_origins):
        return "cors_origins: an entry is no origin. Write it like https://ehr.example, without a path"
    return None


def _smart(profile: ClientProfile) -> str | None:
    """Why the page could never be opened from this client's EHR, or never safely."""
    if profile.smart_client_id is None:
        given = profile.smart_client_secret is not None or bool(profile.smart_servers)
        return (
            "smart_client_id: without it the other smart members mean nothing. Give the registered id"
            if given
            else None
        )
    if not profile.fhir_servers:
        return "fhir_servers: a launch names the FHIR server it comes from, and none is listed. List it"
    for member in ("fhir_servers", "smart_servers"):
        if not all(url.lower().startswith("https://") for url in getattr(profile, member)):
            return f"{member}: a launch gives a token for a patient's record, which travels by https only. Give https"
    for url in profile.smart_servers:
        try:
            Egress([url])
        except SettingsError:
            return (
                "smart_servers: an entry is no plain URL. Write it like https://login.example/oauth2, without a query"
            )
    if profile.smart_client_secret is not None and not read_secret(profile.smart_client_secret):
        return "smart_client_secret: there is no such file, or not one line in it. Give a file that holds the secret"
    return None


def read_secret(path: Path) -> str:
    """The one line of a file that holds a secret; "" if it cannot be read as such."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


def _published(profile: ClientProfile, sandbox: bool) -> str | None:
    known = published_keys()
    if not sandbox and (known.issuers.intersection(profile.issuers) or known.jku.intersection(profile.jku)):
        return f"issuers: {_ANYBODY}"
    return None


def _each_once(path: Path, what: str, values: Sequence[str]) -> None:
    if len(values) != len(set(values)):
        raise _fault(path, f"{what}. Give each its own")


def _fault(path: Path, what: str) -> SettingsError:
    return SettingsError(f"CDS_CLIENTS: {path}: {what}.")


class _Loader(yaml.SafeLoader):
    """Of two members of one name YAML would keep the last, silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a member stands here twice", node.start_mark)
        return mapping


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _fault(path, f"{line}{error.problem}. Mend it") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _fault(path, "it is not a readable YAML file. Give a file that begins with `clients:`") from error
